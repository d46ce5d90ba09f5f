//! Zipkin's JSON, version 2 ([its definition](https://zipkin.io/zipkin-api/#/default/post_spans)), by OpenTelemetry's
//! [mapping](https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/).

use crate::otlp::{KeyValue, Resource, Span, SpanKind, StatusCode, Value};

#[inline(never)]
pub(super) fn batch(spans: &[Span], resource: &Resource) -> Vec<u8> {
    let service = resource.attributes.iter().find(|attribute| attribute.key == "service.name");
    let service = text(&service.map(value_of).unwrap_or_default());
    let spans: Vec<_> = spans.iter().map(|span| object(span, &service)).collect();
    format!("[{}]", spans.join(",")).into_bytes()
}

/// A span. The service is JSON already.
fn object(span: &Span, service: &str) -> String {
    let (trace_id, id, name) = (hex(&span.trace_id), hex(&span.span_id), text(&span.name));
    let parent = match span.parent_span_id.as_slice() {
        [] => String::new(),
        parent => format!(r#""parentId":"{}","#, hex(parent)),
    };
    let kind = if span.kind == i32::from(SpanKind::Client) { "CLIENT" } else { "SERVER" };
    let begin = span.start_time_unix_nano / 1_000;
    // Zipkin takes 0 for unknown.
    let duration = (span.end_time_unix_nano / 1_000).saturating_sub(begin).max(1);
    let tag = |attribute: &KeyValue| format!("{}:{}", text(&attribute.key), text(&value_of(attribute)));
    let mut tags: Vec<_> = span.attributes.iter().map(tag).collect();
    if span.status.as_ref().is_some_and(|status| status.code == i32::from(StatusCode::Error)) {
        tags.push(r#""otel.status_code":"ERROR","error":"""#.to_owned());
    }
    let tags = tags.join(",");
    let ids = format!(r#""traceId":"{trace_id}","id":"{id}",{parent}"kind":"{kind}""#);
    let times = format!(r#""timestamp":{begin},"duration":{duration}"#);
    format!(
        r#"{{{ids},{times},"name":{name},"localEndpoint":{{"serviceName":{service}}},"tags":{{{tags}}}}}"#
    )
}

fn value_of(attribute: &KeyValue) -> String {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
