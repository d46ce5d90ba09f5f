//! The spans that a filter tells, as an upload over OTLP brings them to a collector.

use tracewarden::export::{Exporters, Outlet};
use tracewarden::resource::Resource;
use tracewarden::span::{self, SpanKind};
use tracewarden::w3c::{SpanId, TraceFlags, TraceId, TraceParent};

use crate::host::{Host, Known};
use crate::otlp::{AnyValue, Event, KeyValue, Link, Span, Status, StatusCode, Value, spans_of};
use crate::setup::Setup;
use crate::work;

/// An exporter that keeps all spans until they are asked for.
pub(crate) struct Collector {
    exporters: Exporters,
    outlet: Outlet,
    host: Host,
    /// What was told, field by field.
    told: Vec<Span>,
}

/// The number of the only sender.
const SENDER: u32 = 1;
const EXPORT: &str = r#"{"export": {"otlp": {"cluster": "c"}, "queue_bytes": 67108864, "delay_ms": 1}}"#;
const MS: u64 = 1_000_000;

impl Collector {
    pub(crate) fn new() -> Self {
        let exporters = Exporters::new();
        let export = Setup::of(EXPORT).config.export.expect("it exports");
        let outlet = exporters.outlet(&export, Resource::default());
        exporters.join(SENDER);
        Self { exporters, outlet, host: Host::new(Known::inbound()), told: Vec::new() }
    }

    /// Takes a span, and notes what it says, to compare it with what arrives.
    pub(crate) fn take(&mut self, span: &span::Span<'_>) {
        self.outlet.exporter().take(span, &mut self.host);
        work::apart(|| self.told.push(owned(span)));
    }

    /// The spans that arrive at a collector: those that were told.
    pub(crate) fn arrived(mut self) -> Vec<Span> {
        let last = self.told.iter().map(|span| span.end_time_unix_nano).max().unwrap_or_default();
        // A clock that was set back makes a span as old as one that has waited.
        self.host.known.now = Some(last.checked_add(MS).unwrap_or_default());
        self.exporters.tick(SENDER, &mut self.host);
        let spans: Vec<Span> = self.host.calls.uploads.iter().flat_map(|(body, _)| spans_of(body)).collect();
        assert_eq!(spans, self.told, "what is told arrives");
        spans
    }
}

/// Lends a span to whoever takes one, with an id and an end of its own.
pub(crate) fn lend(span: &Span, id: u64, ended: u64, take: impl FnOnce(&span::Span<'_>)) {
    let attributes = attributes(&span.attributes);
    let of_events: Vec<_> = span.events.iter().map(|event| self::attributes(&event.attributes)).collect();
    let events = span.events.iter().zip(&of_events).map(|(event, attributes)| span::Event {
        time: event.time_unix_nano,
        name: &event.name,
        attributes,
    });
    let events: Vec<_> = events.collect();
    let link = span.links.first().map(|link| TraceParent {
        trace_id: trace_id(&link.trace_id),
        parent_id: span_id(&link.span_id),
        flags: TraceFlags::of(false, false),
    });
    take(&span::Span {
        trace_id: trace_id(&span.trace_id),
        span_id: span_id(&id.to_be_bytes()),
        trace_state: &span.trace_state,
        parent: (!span.parent_span_id.is_empty()).then(|| span_id(&span.parent_span_id)),
        flags: span.flags,
        name: &span.name,
        kind: if span.kind == SpanKind::Client as i32 { SpanKind::Client } else { SpanKind::Server },
        began: span.start_time_unix_nano.min(ended),
        ended,
        attributes: &attributes,
        events: &events,
        link,
        is_error: span.status.is_some(),
    });
}

/// A span as a collector reads it.
pub(crate) fn owned(span: &span::Span<'_>) -> Span {
    let event = |event: &span::Event<'_>| Event {
        time_unix_nano: event.time,
        name: event.name.to_owned(),
        attributes: event.attributes.iter().map(key_value).collect(),
    };
    let link = |link: TraceParent| Link {
        trace_id: bytes(&link.trace_id.to_hex()),
        span_id: bytes(&link.parent_id.to_hex()),
    };
    Span {
        trace_id: bytes(&span.trace_id.to_hex()),
        span_id: bytes(&span.span_id.to_hex()),
        trace_state: span.trace_state.to_owned(),
        parent_span_id: span.parent.map(|parent| bytes(&parent.to_hex())).unwrap_or_default(),
        flags: span.flags,
        name: span.name.to_owned(),
        kind: span.kind as i32,
        start_time_unix_nano: span.began,
        end_time_unix_nano: span.ended,
        attributes: span.attributes.iter().map(key_value).collect(),
        events: span.events.iter().map(event).collect(),
        links: span.link.into_iter().map(link).collect(),
        status: span.is_error.then(|| Status { code: StatusCode::Error.into() }),
    }
}

fn key_value(attribute: &span::KeyValue<'_>) -> KeyValue {
    let value = match &attribute.value {
        span::Value::Text(text) => Value::Text(text.to_string()),
        span::Value::Number(number) => Value::Number(*number),
    };
    KeyValue { key: attribute.key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn attributes(attributes: &[KeyValue]) -> Vec<span::KeyValue<'_>> {
    let borrowed = |attribute| match value_of(attribute) {
        Value::Text(text) => span::Value::Text(text.as_str().into()),
        Value::Number(number) => span::Value::Number(*number),
    };
    attributes.iter().map(|one| span::KeyValue { key: &one.key, value: borrowed(one) }).collect()
}

/// The value of an attribute, which always has one.
pub(crate) fn value_of(attribute: &KeyValue) -> &Value {
    attribute.value.as_ref().and_then(|any| any.value.as_ref()).expect("an attribute has a value")
}

fn bytes(digits: &[u8]) -> Vec<u8> {
    hex::decode(digits).expect("digits")
}

fn trace_id(bytes: &[u8]) -> TraceId {
    let digits = hex::encode(bytes);
    TraceId::parse(digits.as_bytes().as_array().expect("16 bytes")).expect("a trace-id")
}

fn span_id(bytes: &[u8]) -> SpanId {
    let digits = hex::encode(bytes);
    SpanId::parse(digits.as_bytes().as_array().expect("8 bytes")).expect("a span's id")
}
