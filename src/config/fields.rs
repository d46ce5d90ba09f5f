//! Each field of the JSON: its name, its type, its default.

use super::environment::{Defaults, parse_header_name};
use super::json::{Node, Object};
use super::{Config, ConfigError, Mode, ParentId, Response, ResponseHeader, Role, Start, When};
use crate::exclude::{Exclude, Rule};
use crate::labels::labels;
use crate::metrics::Direction;
use crate::notice::LogFormat;
use crate::propagation::{Format, Propagation};
use crate::sampling::Sampler;

labels! {
    enum RawDirection {
        Auto = "auto",
        Inbound = "inbound",
        Outbound = "outbound",
    }
}

/// Reads the configuration, with what the JSON leaves out taken from the defaults.
pub(super) fn read(json: &[u8], defaults: Defaults) -> Result<Config, ConfigError> {
    let mut root = Node::document(json)?.object()?;
    let config = Config {
        enabled: root.take("enabled", Node::boolean)?.unwrap_or(defaults.enabled),
        mode: root.take("mode", Node::word)?.unwrap_or(Mode::Enforce),
        role: root.take("role", Node::word)?.unwrap_or(Role::Internal),
        direction: match root.take("direction", Node::word)?.unwrap_or(RawDirection::Auto) {
            RawDirection::Auto => None,
            RawDirection::Inbound => Some(Direction::Inbound),
            RawDirection::Outbound => Some(Direction::Outbound),
        },
        start: root.take("start", Node::word)?.unwrap_or(Start::Always),
        parent_id: root.take("parent_id", Node::word)?.unwrap_or(ParentId::Auto),
        propagation: Propagation {
            header: root
                .take("header", |node| node.text(parse_header_name))?
                .unwrap_or(defaults.propagation.header.clone()),
            ..root
                .take("propagation", |node| propagation(node, &defaults.propagation))?
                .unwrap_or(defaults.propagation)
        },
        sampling: root
            .take("sampling", |node| sampling(node, defaults.sampling))?
            .unwrap_or(defaults.sampling),
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
            extract: fields.take("extract", formats)?.unwrap_or(defaults.extract),
            inject: fields.take("inject", written_formats)?.unwrap_or(defaults.inject),
            remove: fields.take("remove", header_names)?.unwrap_or(defaults.remove),
        })
    })
}

/// A list of formats; one that stands there twice counts once.
fn formats(node: Node) -> Result<Vec<Format>, ConfigError> {
    let mut formats = Vec::new();
    for node in node.list()? {
        let format = node.word()?;
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    Ok(formats)
}

/// The same, without those that can only be read.
fn written_formats(node: Node) -> Result<Vec<Format>, ConfigError> {
    for node in node.clone().list()? {
        let format: Format = node.clone().word()?;
        if !format.is_written() {
            return Err(node.refused(format!("{:?} can only be read", format.label())));
        }
    }
    formats(node)
}

fn header_names(node: Node) -> Result<Vec<String>, ConfigError> {
    node.list()?.into_iter().map(|node| node.text(parse_header_name)).collect()
}

fn sampling(node: Node, defaults: Sampler) -> Result<Sampler, ConfigError> {
    within(node, |fields| {
        Ok(Sampler {
            probability: fields.take("probability", Node::probability)?.unwrap_or(defaults.probability),
            parent: fields.take("parent", Node::word)?.unwrap_or(defaults.parent),
        })
    })
}

fn exclude(node: Node) -> Result<Exclude, ConfigError> {
    node.list()?.into_iter().map(exclude_rule).collect::<Result<_, _>>().map(Exclude)
}

fn exclude_rule(node: Node) -> Result<Rule, ConfigError> {
    let empty = node.refused("a rule without a condition would match every request".to_owned());
    let rule = within(node, |fields| {
        Ok(Rule {
            path: fields.take("path", Node::string)?,
            path_prefix: fields.take("path_prefix", Node::string)?,
            user_agent_prefix: fields.take("user_agent_prefix", Node::string)?,
            method: fields.take("method", Node::string)?,
        })
    })?;
    if rule == Rule::default() { Err(empty) } else { Ok(rule) }
}

fn response(node: Node) -> Result<Response, ConfigError> {
    let defaults = Response::default();
    within(node, |fields| {
        Ok(Response {
            validate: fields.take("validate", Node::boolean)?.unwrap_or(defaults.validate),
            inject: fields.take("inject", response_headers)?.unwrap_or(defaults.inject),
            when: fields.take("when", Node::word)?.unwrap_or(defaults.when),
        })
    })
}

fn response_headers(node: Node) -> Result<Vec<ResponseHeader>, ConfigError> {
    node.list()?.into_iter().map(Node::word).collect()
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
