//! What environment variables say: for fields that the JSON leaves out, or in place of fields that it states.

use super::{Config, FREE_HEADER};
use crate::formats::{Propagation, WrittenFormat, is_free};
use crate::request::Policy;
use crate::resource::Service;
use crate::sampling::{PROBABILITY, Parent, Sampler, Threshold};
use crate::settings::{Fault, Faults, HeaderName, LogFormat, Reader, Setting, Step, Value};
use crate::words::{Format, Labelled, labels};

labels! {
    /// What happens with a configuration that is not valid: `TRACEWARDEN_ON_BAD_CONFIG`.
    pub enum OnBadConfig {
        /// It is refused. What Envoy does then depends on where the configuration came from.
        Refuse = "refuse",
        /// Every request passes, untouched and counted in `tracewarden_bypassed_total`, unless a good configuration runs.
        Bypass = "bypass",
    }
}

impl OnBadConfig {
    /// Reads the variable; without it a bad configuration is refused.
    ///
    /// # Errors
    /// The variable holds another word.
    pub fn load(environment: impl Fn(&str) -> Option<String>) -> Result<Self, Faults> {
        const NAME: &str = "TRACEWARDEN_ON_BAD_CONFIG";
        let Some(word) = environment(NAME) else { return Ok(Self::Refuse) };
        Self::of_label(&word).ok_or_else(|| {
            Faults(vec![Fault::of_variable(NAME, "\"refuse\" or \"bypass\"", format!("{word:?}"))])
        })
    }
}

/// The defaults with what OpenTelemetry's variables say. A bad value counts as unset and is noted
/// ([OpenTelemetry, environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/)).
#[inline(never)]
pub(super) fn defaults(reader: &Reader<'_>, notices: &mut Vec<Fault>) -> Config {
    Config {
        request: Policy {
            sampling: sampler(reader, notices),
            propagation: propagation(reader, notices),
            ..Policy::default()
        },
        service: service(reader, notices),
        ..Config::default()
    }
}

/// What the filter's own variables say: before the JSON as defaults, or after it.
#[inline(never)]
pub(super) fn ours(config: &mut Config, reader: &mut Reader<'_>) {
    text(reader, "ENABLE_DISTRIBUTED_TRACING", "true or false", parse_bool, &mut config.enabled);
    let Policy { mode, role, exclude, correlation, sampling, header, log, .. } = &mut config.request;
    field(reader, "TRACEWARDEN_MODE", word, mode);
    field(reader, "TRACEWARDEN_ROLE", word, role);
    field(reader, "TRACEWARDEN_EXCLUDE", json, exclude);
    field(reader, "TRACEWARDEN_CORRELATION", json, correlation);
    text(reader, "TRACE_SAMPLING_RATE", PROBABILITY, parse_probability, &mut sampling.probability);
    text(reader, "TRACE_HEADER_NAME", FREE_HEADER, parse_header, header);
    text(reader, "TRACE_LOG_FORMAT", LogFormat::EXPECTED, LogFormat::parse, &mut log.format);
}

/// Reads a variable that says what the field of the JSON would.
fn field<T: Setting>(
    reader: &mut Reader<'_>,
    name: &'static str,
    tree: fn(&str) -> Result<Value, String>,
    place: &mut T,
) {
    let Some(text) = reader.variable(name) else { return };
    match tree(&text) {
        Ok(value) => reader.within(Step::Variable(name), &mut |reader| {
            if let Some(value) = T::make(&value, reader) {
                *place = value;
            }
        }),
        Err(detail) => {
            let fault = Fault::of_variable(name, "valid JSON, as the field has it", format!("{text:?}"));
            reader.push(Fault { detail, ..fault });
        }
    }
}

fn word(text: &str) -> Result<Value, String> {
    Ok(Value::Text(text.to_owned()))
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_slice(text.as_bytes()).map_err(|error| error.to_string())
}

fn text<T>(
    reader: &mut Reader<'_>,
    name: &'static str,
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
    place: &mut T,
) {
    let Some(text) = reader.variable(name) else { return };
    match parse(&text) {
        Some(value) => *place = value,
        None => reader.push(Fault::of_variable(name, expected, format!("{text:?}"))),
    }
}

/// `OTEL_TRACES_SAMPLER` and its argument (rule OT-16).
fn sampler(reader: &Reader<'_>, notices: &mut Vec<Fault>) -> Sampler {
    let mut note = |name: &'static str, expected: &'static str, value: &str| {
        notices.push(Fault::of_variable(name, expected, format!("{value:?}")));
    };
    let mut sampler = Sampler::default();
    let Some(name) = reader.variable(SAMPLER) else { return sampler };
    let base = name.strip_prefix("parentbased_");
    if base.is_none() {
        sampler.parent = Parent::Ignore;
    }
    match base.unwrap_or(&name) {
        "always_on" => {}
        "always_off" => sampler.probability = Threshold::NEVER,
        "traceidratio" => {
            if let Some(argument) = reader.variable(ARGUMENT) {
                match parse_probability(&argument) {
                    Some(probability) => sampler.probability = probability,
                    None => note(ARGUMENT, PROBABILITY, &argument),
                }
            }
        }
        _ => {
            sampler.parent = Parent::Respect;
            note(SAMPLER, "always_on, always_off, traceidratio, or one of them after parentbased_", &name);
        }
    }
    sampler
}

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// `OTEL_PROPAGATORS`: the formats that are read, and those of them that can be written; `baggage` passes through the
/// filter untouched in any case.
fn propagation(reader: &Reader<'_>, notices: &mut Vec<Fault>) -> Propagation {
    const NAME: &str = "OTEL_PROPAGATORS";
    let mut propagation = Propagation::default();
    let Some(list) = reader.variable(NAME) else { return propagation };
    let mut formats = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !matches!(*name, "" | "baggage" | "none")) {
        match Format::of_label(name) {
            Some(format) if formats.contains(&format) => {}
            Some(format) => formats.push(format),
            None => notices.push(Fault::of_variable(NAME, "a format that can be read", format!("{name:?}"))),
        }
    }
    let is_none = list.trim() == "none";
    if !formats.is_empty() || is_none {
        propagation.inject = formats.iter().copied().filter_map(WrittenFormat::new).collect();
        propagation.extract = formats;
    }
    propagation
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
fn service(reader: &Reader<'_>, notices: &mut Vec<Fault>) -> Service {
    let mut attributes = pairs(reader, "OTEL_RESOURCE_ATTRIBUTES", notices);
    let mut named = None;
    while let Some(place) = attributes.iter().position(|(name, _)| name == "service.name") {
        named = Some(attributes.remove(place).1);
    }
    Service { name: reader.variable("OTEL_SERVICE_NAME").or(named), attributes }
}

/// `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, otherwise `OTEL_EXPORTER_OTLP_HEADERS`, without what cannot be sent as a header.
#[inline(never)]
pub(super) fn upload_headers(reader: &Reader<'_>, notices: &mut Vec<Fault>) -> Vec<(String, String)> {
    let mut variable = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
    let mut headers = pairs(reader, variable, notices);
    if headers.is_empty() {
        variable = "OTEL_EXPORTER_OTLP_HEADERS";
        headers = pairs(reader, variable, notices);
    }
    headers.retain_mut(|(name, value)| match HeaderName::parse(name) {
        Some(lower) if value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) => {
            *name = lower.to_string();
            true
        }
        _ => {
            let found = "a header that cannot be sent".to_owned();
            notices.push(Fault::of_variable(variable, "headers of visible ASCII", found));
            false
        }
    });
    headers
}

/// The pairs in a variable; its value may be a secret, so a note does not show it.
fn pairs(reader: &Reader<'_>, name: &'static str, notices: &mut Vec<Fault>) -> Vec<(String, String)> {
    let list = reader.variable(name).unwrap_or_default();
    parse_pairs(&list).unwrap_or_else(|| {
        let expected = "name=value, with commas between and percent-encoded";
        notices.push(Fault::of_variable(name, expected, String::new()));
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
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let byte = crate::w3c::decode(&digits.map(|digit| digit.to_ascii_lowercase()))?;
        bytes.push(u8::try_from(byte).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn parse_bool(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}

fn parse_header(text: &str) -> Option<HeaderName> {
    HeaderName::parse(text).filter(|name| is_free(name))
}

fn parse_probability(text: &str) -> Option<Threshold> {
    Threshold::from_probability(text.trim()).ok()
}
