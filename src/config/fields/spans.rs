//! The fields about spans: where they go, what they tell, and what they are of.

use super::{Done, each, header_name};
use crate::config::ConfigError;
use crate::config::environment::Environment;
use crate::config::json::{Node, Object};
use crate::export::{Export, Protocol};
use crate::labels::labels;
use crate::matching::Pattern;
use crate::resource::Service;
use crate::span::{Attribute, Source, Spans};

/// A collector, and how spans are put together for it.
pub(super) fn export(node: Node, headers: Vec<(String, String)>) -> Result<Export, ConfigError> {
    let unclear = node.refused("there must be either otlp or zipkin".to_owned());
    let (mut otlp, mut zipkin) = (None, None);
    let (mut queue, mut batch, mut delay_ms) = (None, None, None);
    node.fields(|fields| {
        fields.read_some("otlp", &mut otlp, |node| collector(node, true))?;
        fields.read_some("zipkin", &mut zipkin, |node| collector(node, false))?;
        fields.read_some("queue", &mut queue, Node::whole_number)?;
        fields.read_some("batch", &mut batch, Node::whole_number)?;
        fields.read_some("delay_ms", &mut delay_ms, Node::whole_number)
    })?;
    let ((Some(mut export), None) | (None, Some(mut export))) = (otlp, zipkin) else { return Err(unclear) };
    export.queue = queue.unwrap_or(export.queue);
    export.batch = batch.unwrap_or(export.batch);
    export.delay_ms = delay_ms.unwrap_or(export.delay_ms);
    if export.protocol != Protocol::Zipkin {
        export.headers = headers;
    }
    Ok(export)
}

labels! {
    /// How OTLP is spoken.
    pub enum OtlpProtocol {
        /// Protobuf over HTTP, usually to port 4318.
        Http = "http/protobuf",
        /// gRPC, usually to port 4317, with a cluster that speaks HTTP/2.
        Grpc = "grpc",
    }
}

/// The collector itself.
fn collector(node: Node, is_otlp: bool) -> Result<Export, ConfigError> {
    let nowhere = node.refused("there must be a cluster".to_owned());
    let (mut cluster, mut authority, mut path) = (None, None, None);
    let (mut timeout_ms, mut protocol) = (None, OtlpProtocol::Http);
    node.fields(|fields| {
        if is_otlp {
            fields.read("protocol", &mut protocol, Node::word)?;
        }
        fields.read_some("cluster", &mut cluster, |node| node.text(graphic))?;
        fields.read_some("authority", &mut authority, |node| node.text(graphic))?;
        // gRPC's path is that of its method.
        if !is_otlp || protocol == OtlpProtocol::Http {
            fields.read_some("path", &mut path, |node| node.text(parse_path))?;
        }
        fields.read_some("timeout_ms", &mut timeout_ms, Node::whole_number)
    })?;
    let protocol = match (is_otlp, protocol) {
        (false, _) => Protocol::Zipkin,
        (true, OtlpProtocol::Grpc) => Protocol::OtlpGrpc,
        (true, OtlpProtocol::Http) => Protocol::OtlpHttp,
    };
    let mut export = Export::to(protocol, cluster.ok_or(nowhere)?);
    export.authority = authority.unwrap_or(export.authority);
    export.path = path.unwrap_or(export.path);
    export.timeout_ms = timeout_ms.unwrap_or(export.timeout_ms);
    Ok(export)
}

/// A name that can stand in a header.
fn graphic(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a name of ASCII letters, digits and signs"))
    }
}

fn parse_path(text: &str) -> Result<String, String> {
    let path = graphic(text)?;
    if path.starts_with('/') { Ok(path) } else { Err(format!("{text:?} does not begin with /")) }
}

pub(super) fn service(fields: &mut Object, service: &mut Service) -> Done {
    fields.read_some("name", &mut service.name, Node::string)?;
    let mut stated = Vec::new();
    fields.read("attributes", &mut stated, |node| {
        let mut all = Vec::new();
        for (name, node) in node.entries()? {
            if name == "service.name" {
                return Err(node.refused("the name stands in service.name".to_owned()));
            }
            all.push((name, node.string()?));
        }
        Ok(all)
    })?;
    service.attributes.retain(|(name, _)| !stated.iter().any(|(known, _)| known == name));
    service.attributes.extend(stated);
    Ok(())
}

pub(super) fn spans(fields: &mut Object, spans: &mut Spans, environment: Environment<'_>) -> Done {
    fields.read("kind", &mut spans.kind, Node::word)?;
    fields.read("attributes", &mut spans.attributes, |node| attributes(node, environment))?;
    fields.read("redact", &mut spans.redact, |node| each(node, |node| node.text(Pattern::parse)))
}

/// Attributes with distinct names.
fn attributes(node: Node, environment: Environment<'_>) -> Result<Vec<Attribute>, ConfigError> {
    let mut all: Vec<Attribute> = Vec::new();
    for node in node.list()? {
        let place = node.clone();
        let attribute = attribute(node, environment)?;
        if all.iter().any(|other| other.name == attribute.name) {
            return Err(place.refused(format!("there is another attribute {:?}", attribute.name)));
        }
        all.push(attribute);
    }
    Ok(all)
}

/// A name, and one of the sources.
fn attribute(node: Node, environment: Environment<'_>) -> Result<Attribute, ConfigError> {
    let unclear = node.refused(
        "there must be a name, and one of value, environment, request_header, response_header and property"
            .to_owned(),
    );
    let (mut name, mut found) = (None, [None, None, None, None, None]);
    let [value, variable, request, response, property] = &mut found;
    node.fields(|fields| {
        fields.read_some("name", &mut name, Node::string)?;
        fields.read_some("value", value, |node| node.string().map(Source::Literal))?;
        fields.read_some("environment", variable, |node| {
            node.string().map(|name| Source::Literal(environment(&name).unwrap_or_default()))
        })?;
        fields.read_some("request_header", request, |node| header_name(node).map(Source::RequestHeader))?;
        fields
            .read_some("response_header", response, |node| header_name(node).map(Source::ResponseHeader))?;
        fields.read_some("property", property, |node| {
            each(node, Node::string).map(|parts| Source::Property(parts.join("\0")))
        })
    })?;
    let mut found = found.into_iter().flatten();
    match (name.filter(|name| !name.is_empty()), found.next(), found.next()) {
        (Some(name), Some(source), None) => Ok(Attribute { name, source }),
        _ => Err(unclear),
    }
}
