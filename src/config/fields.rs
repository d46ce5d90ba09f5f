//! Each field of the JSON: its name, its type, its default.

use core::num::NonZeroU32;

use super::environment::{Defaults, Environment, parse_header_name, parse_traceparent_name};
use super::json::{Node, Object};
use super::{
    Config, ConfigError, Mode, ParentId, Response, ResponseHeader, Role, Start, TraceIdSource, When,
};
use crate::correlation::Correlation;
use crate::egress::{Egress, Strip};
use crate::exclude::Exclude;
use crate::labels::{Labelled, labels};
use crate::matching::{HeaderMatch, Match, Pattern};
use crate::metrics::Direction;
use crate::notice::LogFormat;
use crate::propagation::{Format, Propagation};
use crate::sampling::{RateLimit, Rule, Sampler};
use crate::secret::SecretHeader;
use crate::trust::{Cidr, Peer, Trust};

labels! {
    enum RawDirection {
        Auto = "auto",
        Inbound = "inbound",
        Outbound = "outbound",
    }
}

/// Reads the configuration, with what the JSON leaves out taken from the defaults.
pub(super) fn read(
    json: &[u8],
    defaults: Defaults,
    environment: Environment<'_>,
) -> Result<Config, ConfigError> {
    let mut root = Node::document(json)?.object()?;
    let config = Config {
        enabled: root.take("enabled", Node::boolean)?.unwrap_or(defaults.enabled),
        mode: root.take("mode", Node::word)?.unwrap_or(Mode::Enforce),
        role: root.take("role", Node::word)?.unwrap_or(Role::Internal),
        direction: root.take("direction", direction)?.flatten(),
        start: root.take("start", Node::word)?.unwrap_or(Start::Always),
        trace_id_source: root.take("trace_id_source", Node::word)?.unwrap_or(TraceIdSource::Random),
        parent_id: root.take("parent_id", Node::word)?.unwrap_or(ParentId::Auto),
        propagation: Propagation {
            header: root
                .take("header", |node| node.text(parse_traceparent_name))?
                .unwrap_or(defaults.propagation.header.clone()),
            ..root
                .take("propagation", |node| propagation(node, &defaults.propagation))?
                .unwrap_or(defaults.propagation)
        },
        sampling: root
            .take("sampling", |node| sampling(node, &defaults.sampling, environment))?
            .unwrap_or(defaults.sampling),
        trust: root.take("trust", |node| trust(node, environment))?.unwrap_or_default(),
        correlation: root.take("correlation", correlation)?,
        egress: root.take("egress", egress)?.unwrap_or_default(),
        limit_baggage: root.take("baggage", baggage)?.unwrap_or(false),
        exclude: root.take("exclude", exclude)?.unwrap_or_default(),
        response: root.take("response", response)?.unwrap_or_default(),
        filter_state: root.take("access_log", access_log)?.unwrap_or(false),
        log_format: root.take("log", log)?.flatten().unwrap_or(defaults.log_format),
    };
    root.finish()?;
    Ok(config)
}

fn propagation(node: Node, defaults: &Propagation) -> Result<Propagation, ConfigError> {
    let defaults = defaults.clone();
    within(node, |fields| {
        Ok(Propagation {
            header: defaults.header,
            extract: fields.take("extract", words)?.unwrap_or(defaults.extract),
            inject: fields.take("inject", written_formats)?.unwrap_or(defaults.inject),
            remove: fields.take("remove", header_names)?.unwrap_or(defaults.remove),
        })
    })
}

/// A list of words; one that stands there twice counts once.
fn words<T: Labelled + PartialEq>(node: Node) -> Result<Vec<T>, ConfigError> {
    let mut words = Vec::new();
    for node in node.list()? {
        let word = node.word()?;
        if !words.contains(&word) {
            words.push(word);
        }
    }
    Ok(words)
}

/// A list of formats, none of which can only be read.
fn written_formats(node: Node) -> Result<Vec<Format>, ConfigError> {
    for node in node.clone().list()? {
        let format: Format = node.clone().word()?;
        if !format.is_written() {
            return Err(node.refused(format!("{:?} can only be read", format.label())));
        }
    }
    words(node)
}

fn header_names(node: Node) -> Result<Vec<String>, ConfigError> {
    node.list()?.into_iter().map(|node| node.text(parse_header_name)).collect()
}

fn sampling(node: Node, defaults: &Sampler, environment: Environment<'_>) -> Result<Sampler, ConfigError> {
    within(node, |fields| {
        Ok(Sampler {
            probability: fields.take("probability", Node::probability)?.unwrap_or(defaults.probability),
            parent: fields.take("parent", Node::word)?.unwrap_or(defaults.parent),
            rules: fields.take("rules", sampling_rules)?.unwrap_or_default(),
            force: fields.take("force", |node| secret_header(node, environment))?,
            rate: fields.take("max_traces_per_second_per_worker", rate)?,
        })
    })
}

fn sampling_rules(node: Node) -> Result<Vec<Rule>, ConfigError> {
    node.list()?.into_iter().map(sampling_rule).collect()
}

fn sampling_rule(node: Node) -> Result<Rule, ConfigError> {
    let incomplete = node.refused("a rule has both a match and a probability".to_owned());
    within(node, |fields| {
        let (when, probability) =
            (fields.take("match", conditions)?, fields.take("probability", Node::probability)?);
        let (Some(when), Some(probability)) = (when, probability) else { return Err(incomplete) };
        Ok(Rule { when, probability })
    })
}

fn rate(node: Node) -> Result<RateLimit, ConfigError> {
    node.whole_number().map(RateLimit::per_second)
}

/// A header, and the environment variable that holds its secret.
fn secret_header(node: Node, environment: Environment<'_>) -> Result<SecretHeader, ConfigError> {
    let incomplete = node.refused("there must be both a header and a value_env".to_owned());
    within(node, |fields| {
        let header = fields.take("header", |node| node.text(parse_header_name))?;
        let secret = fields.take("value_env", |node| {
            node.text(|name| match environment(name).filter(|value| !value.is_empty()) {
                Some(value) => Ok(value),
                None => Err(format!("the environment has no variable {name:?}, or an empty one")),
            })
        })?;
        let (Some(header), Some(secret)) = (header, secret) else { return Err(incomplete) };
        Ok(SecretHeader::new(header, &secret))
    })
}

/// What a request must be like; at least one condition.
fn conditions(node: Node) -> Result<Match, ConfigError> {
    let empty = node.refused("without a condition every request would match".to_owned());
    let conditions = within(node, |fields| {
        Ok(Match {
            host: fields.take("host", Node::string)?,
            path: fields.take("path", Node::string)?,
            path_prefix: fields.take("path_prefix", Node::string)?,
            path_regex: fields.take("path_regex", |node| node.text(Pattern::parse))?,
            method: fields.take("method", Node::string)?,
            user_agent_prefix: fields.take("user_agent_prefix", Node::string)?,
            grpc_service: fields.take("grpc_service", Node::string)?,
            header: fields.take("header", header_match)?,
            direction: fields.take("direction", direction)?.flatten(),
        })
    })?;
    if conditions == Match::default() { Err(empty) } else { Ok(conditions) }
}

fn header_match(node: Node) -> Result<HeaderMatch, ConfigError> {
    let nameless = node.refused("there must be a name".to_owned());
    within(node, |fields| {
        let name = fields.take("name", |node| node.text(parse_header_name))?.ok_or(nameless)?;
        Ok(HeaderMatch { name, value: fields.take("value", Node::string)? })
    })
}

fn direction(node: Node) -> Result<Option<Direction>, ConfigError> {
    Ok(match node.word()? {
        RawDirection::Auto => None,
        RawDirection::Inbound => Some(Direction::Inbound),
        RawDirection::Outbound => Some(Direction::Outbound),
    })
}

fn egress(node: Node) -> Result<Egress, ConfigError> {
    node.list()?.into_iter().map(egress_entry).collect::<Result<_, _>>().map(Egress)
}

fn egress_entry(node: Node) -> Result<(Match, Strip), ConfigError> {
    let incomplete = node.refused("an entry has both a match and what to strip".to_owned());
    within(node, |fields| match (fields.take("match", conditions)?, fields.take("strip", Node::word)?) {
        (Some(hosts), Some(strip)) => Ok((hosts, strip)),
        _ => Err(incomplete),
    })
}

fn baggage(node: Node) -> Result<bool, ConfigError> {
    within(node, |fields| Ok(fields.take("limit", Node::boolean)?.unwrap_or(false)))
}

fn correlation(node: Node) -> Result<Correlation, ConfigError> {
    let (slots, ttl_seconds) = (NonZeroU32::MIN.saturating_add(65_535), NonZeroU32::MIN.saturating_add(59));
    within(node, |fields| {
        Ok(Correlation {
            slots: fields.take("slots", Node::whole_number)?.unwrap_or(slots),
            ttl_seconds: fields.take("ttl_seconds", Node::whole_number)?.unwrap_or(ttl_seconds),
        })
    })
}

labels! {
    enum TrustDefault {
        Trusted = "trusted",
        Untrusted = "untrusted",
    }
}

fn trust(node: Node, environment: Environment<'_>) -> Result<Trust, ConfigError> {
    let idle = node.refused(
        "without \"default\": \"untrusted\" everyone is trusted, and the list says nothing".to_owned(),
    );
    let defaults = Trust::default();
    within(node, |fields| {
        let default = fields.take("default", Node::word)?.unwrap_or(TrustDefault::Trusted);
        let trusted = fields.take("trusted", |node| trusted_peers(node, environment))?.unwrap_or_default();
        Ok(Trust {
            trusted: match default {
                TrustDefault::Untrusted => Some(trusted),
                TrustDefault::Trusted if trusted.is_empty() => None,
                TrustDefault::Trusted => return Err(idle),
            },
            untrusted: fields.take("untrusted", Node::word)?.unwrap_or(defaults.untrusted),
            baggage: fields.take("baggage", Node::boolean)?.unwrap_or(defaults.baggage),
        })
    })
}

fn trusted_peers(node: Node, environment: Environment<'_>) -> Result<Vec<Peer>, ConfigError> {
    node.list()?.into_iter().map(|node| trusted_peer(node, environment)).collect()
}

/// One of `{"san"}`, `{"cidr"}`, and `{"header", "value_env"}`.
fn trusted_peer(node: Node, environment: Environment<'_>) -> Result<Peer, ConfigError> {
    let other = node.clone();
    let unclear = node.refused("there must be a san, a cidr, or a header with its value_env".to_owned());
    let mut object = node.object()?;
    let san = object.take("san", |node| {
        node.text(
            |text| if text.is_empty() { Err("\"\" matches nobody".to_owned()) } else { Ok(text.to_owned()) },
        )
    })?;
    let cidr = object.take("cidr", |node| {
        node.text(|text| {
            Cidr::parse(text)
                .ok_or_else(|| format!("{text:?} is not a range of addresses, such as \"10.0.0.0/8\""))
        })
    })?;
    match (san, cidr) {
        (Some(san), None) => object.finish().map(|()| Peer::San(san)),
        (None, Some(cidr)) => object.finish().map(|()| Peer::Cidr(cidr)),
        (None, None) => secret_header(other, environment).map(Peer::Header),
        (Some(_), Some(_)) => Err(unclear),
    }
}

fn exclude(node: Node) -> Result<Exclude, ConfigError> {
    node.list()?.into_iter().map(conditions).collect::<Result<_, _>>().map(Exclude)
}

fn response(node: Node) -> Result<Response, ConfigError> {
    let defaults = Response::default();
    within(node, |fields| {
        Ok(Response {
            validate: fields.take("validate", Node::boolean)?.unwrap_or(defaults.validate),
            inject: fields.take("inject", words)?.unwrap_or(defaults.inject),
            when: fields.take("when", Node::word)?.unwrap_or(defaults.when),
        })
    })
}

fn access_log(node: Node) -> Result<bool, ConfigError> {
    within(node, |fields| Ok(fields.take("filter_state", Node::boolean)?.unwrap_or(false)))
}

fn log(node: Node) -> Result<Option<LogFormat>, ConfigError> {
    within(node, |fields| fields.take("format", |node| node.text(LogFormat::parse)))
}

/// Reads an object's fields, and refuses those that nobody asked for.
fn within<T>(node: Node, read: impl FnOnce(&mut Object) -> Result<T, ConfigError>) -> Result<T, ConfigError> {
    let mut object = node.object()?;
    let value = read(&mut object)?;
    object.finish()?;
    Ok(value)
}

impl Default for Response {
    fn default() -> Self {
        Self { validate: true, inject: vec![ResponseHeader::Traceparent], when: When::Always }
    }
}
