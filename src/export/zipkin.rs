//! Zipkin's JSON, version 2 ([its definition](https://zipkin.io/zipkin-api/#/default/post_spans)), by OpenTelemetry's
//! [mapping](https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/).

use std::borrow::Cow;

use crate::resource::Resource;
use crate::span::{Event, KeyValue, Span, SpanKind, Value};

/// The name of the service as JSON.
pub(super) fn service(resource: &Resource) -> String {
    text(resource.service_name())
}

/// Writes a span, and a comma after it. The service is JSON already.
#[inline(never)]
pub(super) fn span(span: &Span<'_>, service: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(object(span, service).as_bytes());
    out.push(b',');
}

/// An upload of these spans, of which there is one at least.
pub(super) fn around(spans: &[u8]) -> Vec<u8> {
    [b"[", spans.strip_suffix(b",").unwrap_or(spans), b"]"].concat()
}

fn object(span: &Span<'_>, service: &str) -> String {
    let (trace_id, id) = (span.trace_id.to_hex(), span.span_id.to_hex());
    let (trace_id, id, name) =
        (String::from_utf8_lossy(&trace_id), String::from_utf8_lossy(&id), text(span.name));
    let parent = span.parent.map(|id| format!(r#""parentId":"{}","#, String::from_utf8_lossy(&id.to_hex())));
    let parent = parent.unwrap_or_default();
    let kind = if span.kind == SpanKind::Client { "CLIENT" } else { "SERVER" };
    let begin = span.began / 1_000;
    // Zipkin takes 0 for unknown.
    let duration = (span.ended / 1_000).saturating_sub(begin).max(1);
    let mut tags: Vec<_> = span.attributes.iter().map(tag).collect();
    if span.is_error {
        tags.push(r#""otel.status_code":"ERROR","error":"""#.to_owned());
    }
    let tags = tags.join(",");
    let ids = format!(r#""traceId":"{trace_id}","id":"{id}",{parent}"kind":"{kind}""#);
    let times = format!(r#""timestamp":{begin},"duration":{duration}"#);
    let annotations = annotations(span.events);
    format!(
        r#"{{{ids},{times},"name":{name},"localEndpoint":{{"serviceName":{service}}},{annotations}"tags":{{{tags}}}}}"#
    )
}

/// What happened, each as the mapping has it: the name, and its attributes as JSON, in one text.
fn annotations(events: &[Event<'_>]) -> String {
    if events.is_empty() {
        return String::new();
    }
    let annotation = |Event { time, name, attributes }: &Event<'_>| {
        let attributes: Vec<_> = attributes.iter().map(tag).collect();
        let value = text(&format!("{}:{{{}}}", text(name), attributes.join(",")));
        format!(r#"{{"timestamp":{},"value":{value}}}"#, time / 1_000)
    };
    let annotations: Vec<_> = events.iter().map(annotation).collect();
    format!(r#""annotations":[{}],"#, annotations.join(","))
}

fn tag(KeyValue { key, value }: &KeyValue<'_>) -> String {
    let value = match value {
        Value::Text(text) => Cow::Borrowed(&**text),
        Value::Number(number) => Cow::Owned(number.to_string()),
    };
    format!("{}:{}", text(key), text(&value))
}

fn text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
