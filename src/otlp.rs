//! OpenTelemetry's trace data, as [OTLP 1.x](https://opentelemetry.io/docs/specs/otlp/) has it on the wire: what is sent,
//! written field by field in the order of their numbers, and what a collector answers.

use prost::Message;

use crate::resource::Resource;
use crate::span::{Event, KeyValue, Span, Value};

/// What a collector answers.
#[derive(Clone, PartialEq, Message)]
pub struct ExportTraceServiceResponse {
    /// What it did not take, if it did not take all.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<ExportTracePartialSuccess>,
}

/// What a collector did not take.
#[derive(Clone, PartialEq, Message)]
pub struct ExportTracePartialSuccess {
    /// How many spans.
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
}

/// What stands around the spans of an upload: `ExportTraceServiceRequest`, `ResourceSpans` and `ScopeSpans`.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// The resource and the library, each as the field that holds it.
    resource: Vec<u8>,
    scope: Vec<u8>,
}

/// More bytes than a usual span has.
const USUAL: usize = 1024;
/// `StatusCode`: an error.
const ERROR: u64 = 2;

impl Envelope {
    pub(crate) fn new(Resource { attributes }: &Resource) -> Self {
        let mut of_resource = Vec::new();
        for (key, value) in attributes {
            of_resource.key_value(1, &KeyValue { key, value: Value::Text(value.into()) });
        }
        let mut library = Vec::new();
        library.bytes(1, env!("CARGO_PKG_NAME").as_bytes());
        library.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
        let (mut resource, mut scope) = (Vec::new(), Vec::new());
        resource.bytes(1, &of_resource);
        scope.bytes(1, &library);
        Self { resource, scope }
    }

    /// How many bytes an upload has that its spans do not have.
    pub(crate) const fn len(&self) -> usize {
        // Two tags, and two lengths of five bytes at most.
        self.resource.len() + self.scope.len() + 12
    }

    /// An upload of these spans, each written by [`span`].
    pub(crate) fn around(&self, spans: &[u8]) -> Vec<u8> {
        let in_scope = self.scope.len() + spans.len();
        let in_resource = self.resource.len() + 1 + length_of(in_scope as u64) + in_scope;
        let mut upload = Vec::with_capacity(self.len() + spans.len());
        upload.begin(1, in_resource);
        upload.extend_from_slice(&self.resource);
        upload.begin(2, in_scope);
        upload.extend_from_slice(&self.scope);
        upload.extend_from_slice(spans);
        upload
    }
}

/// Writes a span as a field of `ScopeSpans`.
pub(crate) fn span(span: &Span<'_>, out: &mut Vec<u8>) {
    let mut message = Vec::with_capacity(USUAL);
    fields(span, &mut message);
    out.bytes(2, &message);
}

fn fields(span: &Span<'_>, message: &mut Vec<u8>) {
    message.bytes(1, &span.trace_id.to_bytes());
    message.bytes(2, &span.span_id.to_bytes());
    message.text(3, span.trace_state);
    if let Some(parent) = span.parent {
        message.bytes(4, &parent.to_bytes());
    }
    message.text(5, span.name);
    message.number(6, span.kind as u64);
    message.fixed64(7, span.began);
    message.fixed64(8, span.ended);
    for attribute in span.attributes {
        message.key_value(9, attribute);
    }
    for event in span.events {
        message.event(11, event);
    }
    if let Some(link) = span.link {
        let mut ids = Vec::with_capacity(28);
        ids.bytes(1, &link.trace_id.to_bytes());
        ids.bytes(2, &link.parent_id.to_bytes());
        message.bytes(13, &ids);
    }
    if span.is_error {
        message.begin(15, 2);
        message.number(3, ERROR);
    }
    message.fixed32(16, span.flags);
}

/// Writes fields of a message. A number and a text that are 0 or empty are left out, as Protobuf has it.
trait Fields {
    /// The tag of a field whose value has a length, and that length.
    fn begin(&mut self, field: u32, length: usize);
    fn bytes(&mut self, field: u32, value: &[u8]);
    fn text(&mut self, field: u32, value: &str);
    fn number(&mut self, field: u32, value: u64);
    fn fixed64(&mut self, field: u32, value: u64);
    fn fixed32(&mut self, field: u32, value: u32);
    fn key_value(&mut self, field: u32, attribute: &KeyValue<'_>);
    fn event(&mut self, field: u32, event: &Event<'_>);
    fn varint(&mut self, value: u64);
}

/// The types of fields: a varint, eight bytes, a length with so many bytes, four bytes.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

impl Fields for Vec<u8> {
    #[inline]
    fn begin(&mut self, field: u32, length: usize) {
        self.varint(u64::from(field << 3 | LENGTH));
        self.varint(length as u64);
    }

    #[inline]
    fn bytes(&mut self, field: u32, value: &[u8]) {
        self.begin(field, value.len());
        self.extend_from_slice(value);
    }

    fn text(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(field, value.as_bytes());
        }
    }

    fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(u64::from(field << 3 | VARINT));
            self.varint(value);
        }
    }

    fn fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(u64::from(field << 3 | FIXED64));
            self.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn fixed32(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.varint(u64::from(field << 3 | FIXED32));
            self.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// `KeyValue`, whose value is an `AnyValue`, in which a text that is empty and a number that is 0 stand all the same.
    fn key_value(&mut self, field: u32, KeyValue { key, value }: &KeyValue<'_>) {
        let of_text = |text: &str| 1 + length_of(text.len() as u64) + text.len();
        let any = match value {
            Value::Text(text) => of_text(text),
            Value::Number(number) => 1 + length_of(number.cast_unsigned()),
        };
        self.begin(field, of_text(key) + 1 + length_of(any as u64) + any);
        self.bytes(1, key.as_bytes());
        self.begin(2, any);
        match value {
            Value::Text(text) => self.bytes(1, text.as_bytes()),
            Value::Number(number) => {
                self.varint(u64::from(3 << 3 | VARINT));
                self.varint(number.cast_unsigned());
            }
        }
    }

    /// `Event`.
    fn event(&mut self, field: u32, Event { time, name, attributes }: &Event<'_>) {
        let mut event = Self::new();
        event.fixed64(1, *time);
        event.text(2, name);
        for attribute in *attributes {
            event.key_value(3, attribute);
        }
        self.bytes(field, &event);
    }

    /// A number in groups of seven bits, the lowest first; all bytes but the last have their highest bit set.
    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }
}

/// How many bytes a varint has.
#[inline]
const fn length_of(value: u64) -> usize {
    (70 - (value | 1).leading_zeros()) as usize / 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_varint_is_known_before_it_is_written() {
        for value in (0..64).flat_map(|bits| [(1 << bits) - 1, 1 << bits, u64::MAX >> bits]) {
            let mut out = Vec::new();
            out.varint(value);
            assert_eq!(out.len(), length_of(value), "{value}");
        }
    }
}
