//! Each field of the JSON: its name, its type, and its place in the configuration, which holds the default before.

mod spans;

pub use spans::OtlpProtocol;

use super::environment::{Environment, parse_header_name, parse_traceparent_name};
use super::json::{Node, Object};
use super::{Config, ConfigError, ParentId};
use crate::correlation::Correlation;
use crate::egress::{Egress, Strip};
use crate::exclude::Exclude;
use crate::labels::{Labelled, labels};
use crate::matching::{HeaderMatch, Match, Pattern};
use crate::metrics::Direction;
use crate::notice::LogFormat;
use crate::propagation::Format;
use crate::sampling::{RateLimit, Rule, Sampler, Threshold};
use crate::secret::SecretHeader;
use crate::trust::{Cidr, Peer, Trust};

type Done = Result<(), ConfigError>;

labels! {
    /// Which way requests go.
    pub enum DirectionWord {
        /// Whichever Envoy's listener says.
        Auto = "auto",
        /// Towards the workload.
        Inbound = "inbound",
        /// Away from the workload.
        Outbound = "outbound",
    }
}

/// Reads the JSON over a configuration that holds the defaults; `headers` are those of uploads.
pub(super) fn read(
    json: &[u8],
    config: &mut Config,
    headers: Vec<(String, String)>,
    environment: Environment<'_>,
) -> Done {
    let mut root = Node::document(json)?.object()?;
    root.read("enabled", &mut config.enabled, Node::boolean)?;
    root.read("mode", &mut config.mode, Node::word)?;
    root.read("role", &mut config.role, Node::word)?;
    root.read("direction", &mut config.direction, direction)?;
    root.read("start", &mut config.start, Node::word)?;
    root.read("trace_id_source", &mut config.trace_id_source, Node::word)?;
    root.read("parent_id", &mut config.parent_id, Node::word)?;
    root.read("header", &mut config.propagation.header, |node| node.text(parse_traceparent_name))?;
    root.within("propagation", |fields| {
        fields.read("extract", &mut config.propagation.extract, words)?;
        fields.read("inject", &mut config.propagation.inject, written_formats)?;
        fields.read("remove", &mut config.propagation.remove, header_names)
    })?;
    root.within("sampling", |fields| sampling(fields, &mut config.sampling, environment))?;
    root.read("trust", &mut config.trust, |node| trust(node, environment))?;
    root.read_some("correlation", &mut config.correlation, correlation)?;
    root.read("egress", &mut config.egress, egress)?;
    root.within("baggage", |fields| fields.read("limit", &mut config.limit_baggage, Node::boolean))?;
    root.within("response", |fields| {
        fields.read("validate", &mut config.response.validate, Node::boolean)?;
        fields.read("inject", &mut config.response.inject, words)?;
        fields.read("when", &mut config.response.when, Node::word)
    })?;
    root.within("access_log", |fields| fields.read("filter_state", &mut config.filter_state, Node::boolean))?;
    root.within("log", |fields| {
        fields.read("format", &mut config.log_format, |node| node.text(LogFormat::parse))
    })?;
    root.within("metrics", |fields| fields.read_some("listener", &mut config.listener, label))?;
    root.read_some("export", &mut config.export, |node| spans::export(node, headers))?;
    root.within("span", |fields| spans::spans(fields, &mut config.spans, environment))?;
    root.within("service", |fields| spans::service(fields, &mut config.service))?;
    if config.export.is_some() {
        config.exclude = exclude(Node::document(EXCLUDE_WITH_EXPORT)?)?;
    }
    root.read("exclude", &mut config.exclude, exclude)?;
    root.finish()?;
    agree(config)
}

/// Refuses what each field allows, but not all together.
fn agree(config: &Config) -> Done {
    let (place, problem) = if config.export.is_some() && config.parent_id == ParentId::Forward {
        ("parent_id", "\"forward\" leaves no parent-id for the spans that export sends: use \"auto\"")
    } else if config.export.is_none() && config.sampling.errors.is_some() {
        ("sampling.errors_per_second", "without export there are no spans to record")
    } else {
        return Ok(());
    };
    Err(ConfigError { place: place.to_owned(), problem: problem.to_owned() })
}

/// A list, each of whose items is read alike.
fn each<T>(node: Node, mut read: impl FnMut(Node) -> Result<T, ConfigError>) -> Result<Vec<T>, ConfigError> {
    let mut all = Vec::new();
    for node in node.list()? {
        all.push(read(node)?);
    }
    Ok(all)
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

fn header_name(node: Node) -> Result<String, ConfigError> {
    node.text(parse_header_name)
}

fn header_names(node: Node) -> Result<Vec<String>, ConfigError> {
    each(node, header_name)
}

/// A label's value, which tag extraction cuts out of a stat's name again.
fn label(node: Node) -> Result<String, ConfigError> {
    node.text(|text| {
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet);
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(text.to_owned())
        } else {
            Err(format!("{text:?} is not a name of 1 to 64 letters, digits and _-."))
        }
    })
}

fn sampling(fields: &mut Object, sampler: &mut Sampler, environment: Environment<'_>) -> Done {
    fields.read("probability", &mut sampler.probability, Node::probability)?;
    fields.read("parent", &mut sampler.parent, Node::word)?;
    fields.read("rules", &mut sampler.rules, |node| each(node, sampling_rule))?;
    fields.read_some("force", &mut sampler.force, |node| secret_header(node, environment))?;
    fields.read_some("max_traces_per_second_per_worker", &mut sampler.rate, rate)?;
    fields.read_some("errors_per_second", &mut sampler.errors, rate)
}

fn sampling_rule(node: Node) -> Result<Rule, ConfigError> {
    let incomplete = node.refused("a rule has both a match and a probability".to_owned());
    let (mut when, mut probability): (_, Option<Threshold>) = (None, None);
    node.fields(|fields| {
        fields.read_some("match", &mut when, conditions)?;
        fields.read_some("probability", &mut probability, Node::probability)
    })?;
    let (Some(when), Some(probability)) = (when, probability) else { return Err(incomplete) };
    Ok(Rule { when, probability })
}

fn rate(node: Node) -> Result<RateLimit, ConfigError> {
    node.whole_number().map(RateLimit::per_second)
}

/// A header, and the environment variable that holds its secret.
fn secret_header(node: Node, environment: Environment<'_>) -> Result<SecretHeader, ConfigError> {
    let incomplete = node.refused("there must be both a header and a value_env".to_owned());
    let (mut header, mut secret) = (None, None);
    node.fields(|fields| {
        fields.read_some("header", &mut header, header_name)?;
        fields.read_some("value_env", &mut secret, |node| {
            node.text(|name| match environment(name).filter(|value| !value.is_empty()) {
                Some(value) => Ok(value),
                None => Err(format!("the environment has no variable {name:?}, or an empty one")),
            })
        })
    })?;
    let (Some(header), Some(secret)) = (header, secret) else { return Err(incomplete) };
    Ok(SecretHeader::new(header, &secret))
}

/// What a request must be like; at least one condition.
fn conditions(node: Node) -> Result<Match, ConfigError> {
    let empty = node.refused("without a condition every request would match".to_owned());
    let mut conditions = Match::default();
    node.fields(|fields| {
        fields.read_some("host", &mut conditions.host, Node::string)?;
        fields.read_some("path", &mut conditions.path, Node::string)?;
        fields.read_some("path_prefix", &mut conditions.path_prefix, Node::string)?;
        fields.read_some("path_regex", &mut conditions.path_regex, |node| node.text(Pattern::parse))?;
        fields.read_some("method", &mut conditions.method, Node::string)?;
        fields.read_some("user_agent_prefix", &mut conditions.user_agent_prefix, Node::string)?;
        fields.read_some("grpc_service", &mut conditions.grpc_service, Node::string)?;
        fields.read_some("header", &mut conditions.header, header_match)?;
        fields.read("direction", &mut conditions.direction, direction)
    })?;
    if conditions == Match::default() { Err(empty) } else { Ok(conditions) }
}

fn header_match(node: Node) -> Result<HeaderMatch, ConfigError> {
    let nameless = node.refused("there must be a name".to_owned());
    let (mut name, mut value) = (None, None);
    node.fields(|fields| {
        fields.read_some("name", &mut name, header_name)?;
        fields.read_some("value", &mut value, Node::string)
    })?;
    Ok(HeaderMatch { name: name.ok_or(nameless)?, value })
}

fn direction(node: Node) -> Result<Option<Direction>, ConfigError> {
    Ok(match node.word()? {
        DirectionWord::Auto => None,
        DirectionWord::Inbound => Some(Direction::Inbound),
        DirectionWord::Outbound => Some(Direction::Outbound),
    })
}

fn egress(node: Node) -> Result<Egress, ConfigError> {
    each(node, egress_entry).map(Egress)
}

fn egress_entry(node: Node) -> Result<(Match, Strip), ConfigError> {
    let incomplete = node.refused("an entry has both a match and what to strip".to_owned());
    let (mut hosts, mut strip) = (None, None);
    node.fields(|fields| {
        fields.read_some("match", &mut hosts, conditions)?;
        fields.read_some("strip", &mut strip, Node::word)
    })?;
    hosts.zip(strip).ok_or(incomplete)
}

fn correlation(node: Node) -> Result<Correlation, ConfigError> {
    let mut correlation = Correlation::default();
    node.fields(|fields| {
        fields.read("slots", &mut correlation.slots, Node::whole_number)?;
        fields.read("ttl_seconds", &mut correlation.ttl_seconds, Node::whole_number)
    })?;
    Ok(correlation)
}

labels! {
    /// Whether the context of those that no list names counts.
    pub enum TrustDefault {
        /// Everyone's counts.
        Trusted = "trusted",
        /// Only that of `trusted` counts.
        Untrusted = "untrusted",
    }
}

fn trust(node: Node, environment: Environment<'_>) -> Result<Trust, ConfigError> {
    let idle = node.refused(
        "without \"default\": \"untrusted\" everyone is trusted, and the list says nothing".to_owned(),
    );
    let (mut trust, mut default, mut trusted) = (Trust::default(), TrustDefault::Trusted, Vec::new());
    node.fields(|fields| {
        fields.read("default", &mut default, Node::word)?;
        fields.read("trusted", &mut trusted, |node| each(node, |node| trusted_peer(node, environment)))?;
        fields.read("untrusted", &mut trust.untrusted, Node::word)?;
        fields.read("baggage", &mut trust.baggage, Node::boolean)
    })?;
    match default {
        TrustDefault::Untrusted => trust.trusted = Some(trusted),
        TrustDefault::Trusted if trusted.is_empty() => {}
        TrustDefault::Trusted => return Err(idle),
    }
    Ok(trust)
}

/// One of `{"san"}`, `{"cidr"}`, and `{"header", "value_env"}`.
fn trusted_peer(node: Node, environment: Environment<'_>) -> Result<Peer, ConfigError> {
    let other = node.clone();
    let unclear = node.refused("there must be a san, a cidr, or a header with its value_env".to_owned());
    let (mut san, mut cidr) = (None, None);
    let mut object = node.object()?;
    object.read_some("san", &mut san, |node| {
        node.text(
            |text| if text.is_empty() { Err("\"\" matches nobody".to_owned()) } else { Ok(text.to_owned()) },
        )
    })?;
    object.read_some("cidr", &mut cidr, |node| {
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

/// What is left alone where spans are exported: uploads of spans on their way through, probes of gRPC, and a browser's
/// question before a request (CORS).
const EXCLUDE_WITH_EXPORT: &[u8] = br#"[
    {"path": "/v1/traces"}, {"path": "/v1/metrics"}, {"path": "/v1/logs"}, {"path": "/api/v2/spans"},
    {"grpc_service": "opentelemetry.proto.collector.trace.v1.TraceService"},
    {"grpc_service": "opentelemetry.proto.collector.metrics.v1.MetricsService"},
    {"grpc_service": "opentelemetry.proto.collector.logs.v1.LogsService"},
    {"grpc_service": "grpc.health.v1.Health"},
    {"method": "OPTIONS", "header": {"name": "access-control-request-method"}}]"#;

fn exclude(node: Node) -> Result<Exclude, ConfigError> {
    each(node, conditions).map(Exclude)
}
