//! A span as every exporter is told it, without a copy of what it says.

use std::borrow::Cow;

use crate::w3c::{SpanId, TraceId, TraceParent};

/// One operation.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    /// The trace.
    pub trace_id: TraceId,
    /// The span's own id.
    pub span_id: SpanId,
    /// W3C's `tracestate`.
    pub trace_state: &'a str,
    /// The span above it; none for the first span of a trace.
    pub parent: Option<SpanId>,
    /// W3C's trace flags, and above them whether the parent is known to be in another process.
    pub flags: u32,
    /// What is done, in words that do not change from request to request.
    pub name: &'a str,
    /// On which side of a request it is.
    pub kind: SpanKind,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended, in nanoseconds since 1970.
    pub ended: u64,
    /// What is known of it.
    pub attributes: &'a [KeyValue<'a>],
    /// What happened meanwhile.
    pub events: &'a [Event<'a>],
    /// A span of another trace that it has to do with.
    pub link: Option<TraceParent>,
    /// Whether it ended with an error.
    pub is_error: bool,
}

/// On which side of a request a span is. The numbers are OTLP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// It serves a request.
    Server = 2,
    /// It makes a request.
    Client = 3,
}

/// What happened at one time.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// What.
    pub name: &'a str,
    /// What is known of it.
    pub attributes: &'a [KeyValue<'a>],
}

/// An attribute.
#[derive(Clone, Debug)]
pub struct KeyValue<'a> {
    /// Its name.
    pub key: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Number(i64),
}
