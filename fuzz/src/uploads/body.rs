//! The bodies of uploads, read back, and how many bytes a span has in them.

use prost::Message;
use serde_json::Value as Json;
use tracewarden::export::Export;
use tracewarden::resource::Resource;
use tracewarden::words::Protocol;

use crate::collected::value_of;
use crate::otlp::{ExportTraceServiceRequest, KeyValue, Span, Value, hex, spans_of};

/// The spans of a body, as far as its form shows them.
pub(super) enum Shown {
    Otlp(Vec<Span>),
    Zipkin(Vec<Json>),
}

/// What JSON makes of a byte at most, also within a text within a text.
const MAX_ESCAPE: usize = 7;
/// More bytes than stand around an attribute, and than stand in a span that has no attribute and no text.
const AROUND_ATTRIBUTE: usize = 64;
const AROUND_SPAN: usize = 512;
/// More bytes than stand around a resource.
const AROUND_RESOURCE: usize = 256;

/// Reads a body by the rules of its form, and checks what stands around its spans.
pub(super) fn read(body: &[u8], export: &Export, resource: &Resource) -> Shown {
    match export.protocol() {
        Protocol::OtlpHttp => Shown::Otlp(otlp(body, resource)),
        Protocol::OtlpGrpc => {
            let (prefix, message) = body.split_at(5);
            let length = u32::try_from(message.len()).expect("a batch is smaller").to_be_bytes();
            assert_eq!(*prefix, [&[0][..], &length].concat(), "the message is framed");
            Shown::Otlp(otlp(message, resource))
        }
        Protocol::Zipkin => {
            let spans: Vec<Json> = serde_json::from_slice(body).expect("the batch is JSON");
            let name = resource.attributes.iter().find(|(key, _)| key == "service.name");
            let name = name.map_or("", |(_, value)| value);
            assert!(spans.iter().all(|span| span["localEndpoint"]["serviceName"] == name));
            Shown::Zipkin(spans)
        }
    }
}

fn otlp(body: &[u8], resource: &Resource) -> Vec<Span> {
    let upload = ExportTraceServiceRequest::decode(body).expect("the batch is OTLP");
    let [of_resource] = &upload.resource_spans[..] else { panic!("one resource") };
    let attributes = of_resource.resource.iter().flat_map(|resource| &resource.attributes);
    let attributes = attributes.map(|one| (&one.key, value_of(one).clone()));
    assert!(attributes.eq(resource.attributes.iter().map(|(key, value)| (key, Value::Text(value.clone())))));
    let [of_scope] = &of_resource.scope_spans[..] else { panic!("one library") };
    assert!(of_scope.scope.as_ref().is_some_and(|scope| scope.name == "tracewarden"));
    spans_of(body)
}

impl Shown {
    /// How many spans there are.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Otlp(spans) => spans.len(),
            Self::Zipkin(spans) => spans.len(),
        }
    }

    /// Checks that they are these, in order.
    pub(super) fn are<'a>(&self, expected: impl Iterator<Item = &'a Span>) {
        match self {
            Self::Otlp(spans) => assert!(spans.iter().eq(expected), "these spans, as they were told"),
            Self::Zipkin(spans) => {
                spans.iter().zip(expected).for_each(|(shown, span)| is_zipkin(shown, span))
            }
        }
    }
}

/// One span as Zipkin takes it.
fn is_zipkin(shown: &Json, span: &Span) {
    assert_eq!(shown["traceId"], hex(&span.trace_id));
    assert_eq!(shown["id"], hex(&span.span_id));
    assert_eq!(shown["parentId"].as_str().unwrap_or_default(), hex(&span.parent_span_id));
    assert_eq!(shown["name"], span.name);
    assert_eq!(shown["timestamp"], span.start_time_unix_nano / 1_000);
    assert!(shown["duration"].as_u64().is_some_and(|duration| duration > 0));
    let tags = shown["tags"].as_object().expect("tags are an object");
    let of_error = if span.status.is_some() { 2 } else { 0 };
    assert_eq!(tags.len(), span.attributes.len() + of_error, "no attribute is lost: {tags:?}");
    for attribute in &span.attributes {
        let value = match value_of(attribute) {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
        };
        assert_eq!(tags[&attribute.key], value, "{}", attribute.key);
    }
    let annotations = shown["annotations"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(annotations.len(), span.events.len(), "no event is lost: {annotations:?}");
    for (shown, event) in annotations.iter().zip(&span.events) {
        assert_eq!(shown["timestamp"], event.time_unix_nano / 1_000);
        let text = shown["value"].as_str().unwrap_or_default();
        let (_, attributes) = text.split_once(':').expect("a name and attributes");
        let attributes: Json = serde_json::from_str(attributes).expect("attributes are JSON");
        assert_eq!(attributes.as_object().map(serde_json::Map::len), Some(event.attributes.len()));
    }
}

/// The fewest and the most bytes that a span adds to a body. Of OTLP they are known.
pub(super) fn bounds(span: &Span, export: &Export) -> (usize, usize) {
    if export.protocol() != Protocol::Zipkin {
        let length = span.encoded_len();
        let all = 1 + prost::length_delimiter_len(length) + length;
        return (all, all);
    }
    let attributes = || span.attributes.iter().chain(span.events.iter().flat_map(|event| &event.attributes));
    let texts = span.name.len() + attributes().map(text).sum::<usize>();
    (texts, MAX_ESCAPE * texts + AROUND_ATTRIBUTE * attributes().count() + AROUND_SPAN)
}

/// How many bytes stand around the spans of a body at most.
pub(super) fn around(resource: &Resource) -> usize {
    let attributes =
        resource.attributes.iter().map(|(key, value)| key.len() + value.len() + AROUND_ATTRIBUTE);
    attributes.sum::<usize>() + AROUND_RESOURCE
}

/// How many bytes the texts of an attribute have.
fn text(attribute: &KeyValue) -> usize {
    let value = if let Value::Text(text) = value_of(attribute) { text.len() } else { 0 };
    attribute.key.len() + value
}
