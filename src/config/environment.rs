//! What environment variables say, for fields that the JSON leaves out.

use super::{Config, ConfigError};
use crate::labels::{Labelled, labels};
use crate::notice::LogFormat;
use crate::propagation::{Format, Propagation};
use crate::resource::Service;
use crate::sampling::{Parent, Sampler, Threshold};

/// Answers with the value of a variable.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

labels! {
    /// What becomes of a configuration that is not valid: `TRACEWARDEN_ON_BAD_CONFIG`.
    pub enum OnBadConfig {
        /// It is refused; what Envoy makes of that depends on where the configuration came from.
        Refuse = "refuse",
        /// Every request passes, untouched and counted in `tracewarden_bypassed_total`.
        Bypass = "bypass",
    }
}

impl OnBadConfig {
    /// Reads the variable; without it a bad configuration is refused.
    ///
    /// # Errors
    /// There is another word in it.
    pub fn load(environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let word = |word: &str| {
            Self::of_label(word).ok_or_else(|| format!("{word:?} is neither \"refuse\" nor \"bypass\""))
        };
        Ok(ours(environment, "TRACEWARDEN_ON_BAD_CONFIG", word)?.unwrap_or(Self::Refuse))
    }
}

/// The defaults, as our own variables say, a bad value of which is refused, and OpenTelemetry's, a bad value of which
/// counts as unset and is noted
/// ([OpenTelemetry, environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/)).
pub(super) fn defaults(
    environment: Environment<'_>,
    notices: &mut Vec<String>,
) -> Result<Config, ConfigError> {
    // OpenTelemetry: an empty value counts as unset.
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let mut config = Config {
        sampling: sampler(variable, notices),
        propagation: propagation(variable, notices),
        service: service(variable, notices),
        ..Config::default()
    };
    if let Some(enabled) = ours(variable, "ENABLE_DISTRIBUTED_TRACING", parse_bool)? {
        config.enabled = enabled;
    }
    if let Some(rate) = ours(variable, "TRACE_SAMPLING_RATE", parse_probability)? {
        config.sampling.probability = rate;
    }
    if let Some(header) = ours(variable, "TRACE_HEADER_NAME", parse_traceparent_name)? {
        config.propagation.header = header;
    }
    if let Some(format) = ours(variable, "TRACE_LOG_FORMAT", LogFormat::parse)? {
        config.log_format = format;
    }
    Ok(config)
}

fn ours<T>(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    variable(name)
        .map(|value| parse(&value))
        .transpose()
        .map_err(|problem| ConfigError { place: name.to_owned(), problem })
}

/// `OTEL_TRACES_SAMPLER` and its argument (rule OT-16).
fn sampler(variable: impl Fn(&str) -> Option<String>, notices: &mut Vec<String>) -> Sampler {
    let mut note = |name: &str, value: &str| {
        notices.push(format!("{name}: {value:?} is not supported, and counts as unset"));
    };
    let mut sampler = Sampler::new(Parent::Respect, Threshold::ALWAYS);
    let Some(name) = variable("OTEL_TRACES_SAMPLER") else { return sampler };
    let base = name.strip_prefix("parentbased_");
    if base.is_none() {
        sampler.parent = Parent::Ignore;
    }
    match base.unwrap_or(&name) {
        "always_on" => {}
        "always_off" => sampler.probability = Threshold::NEVER,
        "traceidratio" => {
            if let Some(argument) = variable("OTEL_TRACES_SAMPLER_ARG") {
                match parse_probability(&argument) {
                    Ok(probability) => sampler.probability = probability,
                    Err(_) => note("OTEL_TRACES_SAMPLER_ARG", &argument),
                }
            }
        }
        _ => {
            sampler.parent = Parent::Respect;
            note("OTEL_TRACES_SAMPLER", &name);
        }
    }
    sampler
}

/// `OTEL_PROPAGATORS`: the formats that are read, and those of them that can be written; `baggage` passes through the
/// filter untouched in any case.
fn propagation(variable: impl Fn(&str) -> Option<String>, notices: &mut Vec<String>) -> Propagation {
    let mut propagation = Propagation::default();
    let Some(list) = variable("OTEL_PROPAGATORS") else { return propagation };
    let mut formats = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !matches!(*name, "" | "baggage" | "none")) {
        match Format::of_label(name) {
            Some(format) if formats.contains(&format) => {}
            Some(format) => formats.push(format),
            None => notices.push(format!("OTEL_PROPAGATORS: {name:?} is not supported, and is left out")),
        }
    }
    let is_none = list.trim() == "none";
    if !formats.is_empty() || is_none {
        propagation.inject = formats.iter().copied().filter(|format| format.is_written()).collect();
        propagation.extract = formats;
    }
    propagation
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
fn service(variable: impl Fn(&str) -> Option<String>, notices: &mut Vec<String>) -> Service {
    let mut attributes = pairs(&variable, "OTEL_RESOURCE_ATTRIBUTES", notices);
    let mut named = None;
    while let Some(place) = attributes.iter().position(|(name, _)| name == "service.name") {
        named = Some(attributes.remove(place).1);
    }
    Service { name: variable("OTEL_SERVICE_NAME").or(named), attributes }
}

/// `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, else `OTEL_EXPORTER_OTLP_HEADERS`, without what cannot be sent as a header.
pub(super) fn upload_headers(
    environment: Environment<'_>,
    notices: &mut Vec<String>,
) -> Vec<(String, String)> {
    let mut variable = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
    let mut headers = pairs(environment, variable, notices);
    if headers.is_empty() {
        variable = "OTEL_EXPORTER_OTLP_HEADERS";
        headers = pairs(environment, variable, notices);
    }
    headers.retain_mut(|(name, value)| match parse_header_name(name) {
        Ok(lower) if value.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()) => {
            *name = lower;
            true
        }
        _ => {
            notices.push(format!("{variable}: one of its headers cannot be sent, and is left out"));
            false
        }
    });
    headers
}

/// The pairs in a variable; its value may be a secret, so a note does not show it.
fn pairs(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    notices: &mut Vec<String>,
) -> Vec<(String, String)> {
    let list = variable(name).unwrap_or_default();
    parse_pairs(&list).unwrap_or_else(|| {
        notices.push(format!("{name}: it is no list of name=value, and counts as unset"));
        Vec::new()
    })
}

/// `name=value` pairs with commas between them, percent-encoded, as W3C's baggage has them.
fn parse_pairs(list: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((percent_decoded(name.trim())?, percent_decoded(value.trim())?))
    };
    list.split(',').filter(|piece| !piece.trim().is_empty()).map(pair).collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        if *octet != b'%' {
            octets.push(*octet);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let octet = crate::w3c::decode(&digits.map(|digit| digit.to_ascii_lowercase()))?;
        octets.push(u8::try_from(octet).ok()?);
        rest = after;
    }
    String::from_utf8(octets).ok()
}

fn parse_bool(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{text:?} is neither \"true\" nor \"false\"")),
    }
}

fn parse_probability(text: &str) -> Result<Threshold, String> {
    Threshold::from_probability(text.trim()).map_err(|error| error.to_string())
}

/// A header name in lower case, which is how Envoy keeps them.
pub(super) fn parse_header_name(name: &str) -> Result<String, String> {
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    let name = name.to_ascii_lowercase();
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        return Err(format!("{name:?} is not a header name of 1 to 128 letters, digits and -_.!#$%&'*+^`|~"));
    }
    Ok(name)
}

/// A name for the `traceparent` header, which no other header that the filter reads or writes may have.
pub(super) fn parse_traceparent_name(name: &str) -> Result<String, String> {
    let name = parse_header_name(name)?;
    if crate::propagation::is_taken(&name) {
        return Err(format!("{name:?} is the name of another header"));
    }
    Ok(name)
}
