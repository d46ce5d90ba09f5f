//! OpenTelemetry's trace data as tests read it in an upload: by another library than the one that wrote it.

use prost::{Enumeration, Message, Oneof};

/// An upload.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExportTraceServiceRequest {
    /// The spans, by what they are of.
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_spans: Vec<ResourceSpans>,
}

/// The spans of one resource.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResourceSpans {
    /// What recorded them.
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<Resource>,
    /// The spans, by the library that made them.
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_spans: Vec<ScopeSpans>,
}

/// What records spans.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resource {
    /// What it is.
    #[prost(message, repeated, tag = "1")]
    pub(crate) attributes: Vec<KeyValue>,
}

/// The spans of one library.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ScopeSpans {
    /// The library.
    #[prost(message, optional, tag = "1")]
    pub(crate) scope: Option<InstrumentationScope>,
    /// Its spans.
    #[prost(message, repeated, tag = "2")]
    pub(crate) spans: Vec<Span>,
}

/// A library that makes spans.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct InstrumentationScope {
    /// Its name.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub(crate) version: String,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) span_id: Vec<u8>,
    /// W3C's `tracestate`.
    #[prost(string, tag = "3")]
    pub(crate) trace_state: String,
    /// 8 bytes; none for the first span of a trace.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) parent_span_id: Vec<u8>,
    /// W3C's trace flags, and above them whether the parent is known to be in another process.
    #[prost(fixed32, tag = "16")]
    pub(crate) flags: u32,
    /// What is done, in words that do not change from request to request.
    #[prost(string, tag = "5")]
    pub(crate) name: String,
    /// On which side of a request it is.
    #[prost(enumeration = "SpanKind", tag = "6")]
    pub(crate) kind: i32,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    pub(crate) start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    pub(crate) end_time_unix_nano: u64,
    /// What is known of it.
    #[prost(message, repeated, tag = "9")]
    pub(crate) attributes: Vec<KeyValue>,
    /// What happened meanwhile.
    #[prost(message, repeated, tag = "11")]
    pub(crate) events: Vec<Event>,
    /// Spans that it has to do with, other than its parent.
    #[prost(message, repeated, tag = "13")]
    pub(crate) links: Vec<Link>,
    /// How it ended.
    #[prost(message, optional, tag = "15")]
    pub(crate) status: Option<Status>,
}

/// On which side of a request a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum SpanKind {
    /// Nobody said.
    Unspecified = 0,
    /// It serves a request.
    Server = 2,
    /// It makes a request.
    Client = 3,
}

/// What happened at one time.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Event {
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "1")]
    pub(crate) time_unix_nano: u64,
    /// What.
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    /// What is known of it.
    #[prost(message, repeated, tag = "3")]
    pub(crate) attributes: Vec<KeyValue>,
}

/// A span of perhaps another trace.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Link {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) span_id: Vec<u8>,
}

/// How a span ended.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    /// Whether that is an error.
    #[prost(enumeration = "StatusCode", tag = "3")]
    pub(crate) code: i32,
}

/// Whether the end of a span is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum StatusCode {
    /// Nobody said.
    Unset = 0,
    /// It is.
    Error = 2,
}

/// An attribute.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<AnyValue>,
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnyValue {
    /// The value, by its type.
    #[prost(oneof = "Value", tags = "1, 3")]
    pub(crate) value: Option<Value>,
}

/// A value of one of the types that are used here.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub(crate) enum Value {
    /// Text.
    #[prost(string, tag = "1")]
    Text(String),
    /// A whole number.
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// The spans in an upload's body.
pub(crate) fn spans_of(body: &[u8]) -> Vec<Span> {
    let upload = ExportTraceServiceRequest::decode(body).expect("OTLP");
    // The fields are in the order of their numbers, and nothing stands there that could be left out.
    assert_eq!(upload.encode_to_vec(), body, "written as prost writes it");
    upload.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
