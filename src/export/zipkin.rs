//! Zipkin's JSON, version 2 ([its definition](https://zipkin.io/zipkin-api/#/default/post_spans)), by OpenTelemetry's
//! [mapping](https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/).

use core::fmt::Write;

use crate::otlp::{KeyValue, Resource, Span, SpanKind, StatusCode, Value};

pub(super) fn batch(spans: &[Span], resource: &Resource) -> Vec<u8> {
    let service = resource.attributes.iter().find(|attribute| attribute.key == "service.name");
    let service = service.map(value_of).unwrap_or_default();
    let mut json = String::from("[");
    for (place, span) in spans.iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        write_span(&mut json, span, &service);
    }
    json.push(']');
    json.into_bytes()
}

fn write_span(json: &mut String, span: &Span, service: &str) {
    json.push_str("{\"traceId\":\"");
    write_hex(json, &span.trace_id);
    json.push_str("\",\"id\":\"");
    write_hex(json, &span.span_id);
    if !span.parent_span_id.is_empty() {
        json.push_str("\",\"parentId\":\"");
        write_hex(json, &span.parent_span_id);
    }
    let kind = if span.kind == i32::from(SpanKind::Client) { "CLIENT" } else { "SERVER" };
    let begin = span.start_time_unix_nano / 1_000;
    // Zipkin takes 0 for unknown.
    let duration = (span.end_time_unix_nano / 1_000).saturating_sub(begin).max(1);
    let _ = write!(json, "\",\"kind\":\"{kind}\",\"timestamp\":{begin},\"duration\":{duration},\"name\":");
    write_text(json, &span.name);
    json.push_str(",\"localEndpoint\":{\"serviceName\":");
    write_text(json, service);
    json.push_str("},\"tags\":{");
    let mut separator = "";
    let mut tag = |key: &str, value: &str| {
        json.push_str(separator);
        separator = ",";
        write_text(json, key);
        json.push(':');
        write_text(json, value);
    };
    for attribute in &span.attributes {
        tag(&attribute.key, &value_of(attribute));
    }
    if span.status.as_ref().is_some_and(|status| status.code == i32::from(StatusCode::Error)) {
        tag("otel.status_code", "ERROR");
        tag("error", "");
    }
    json.push_str("}}");
}

fn value_of(attribute: &KeyValue) -> String {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        None => String::new(),
    }
}

fn write_hex(json: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(json, "{byte:02x}");
    }
}

fn write_text(json: &mut String, text: &str) {
    json.push_str(&serde_json::to_string(text).unwrap_or_default());
}
