use crate::formats::is_taken;
use crate::headers::TRACERESPONSE;
use crate::settings::{
    Expected, FaultKind, HeaderName, Reader, Rules, Setting, Shape, Step, Value, settings,
};
use crate::w3c::TraceMetric;
use crate::words::ResponseHeader;

/// A response header that gives the caller the context, or the trace id alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Injection {
    /// The whole context.
    Context(ResponseHeader),
    /// The trace id, in a header of this name.
    TraceId(HeaderName),
}

settings! {
    /// The trace id alone, as 32 hexadecimal digits in a header of this name, such as `{"header": "x-trace-id"}`.
    pub struct TraceIdHeader "Trace id header", checked {
        /// The name, such as `"x-trace-id"`. The names of headers with a meaning of their own are refused.
        pub header: HeaderName,
    }
}

/// How messages name what `inject` may list.
const EXPECTED: &str = r#""traceparent", "traceresponse", "server-timing", "server-timing-trace", or an object such as {"header": "x-trace-id"}"#;
/// How messages name a header that the trace id may stand in.
const FREE_HEADER: &str = "a header name that has no meaning of its own, such as \"x-trace-id\"";

impl Setting for Injection {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        match value {
            Value::Object(_) => TraceIdHeader::make(value, reader).map(|made| Self::TraceId(made.header)),
            Value::Text(word) if ResponseHeader::ALL.iter().all(|known| known.label() != word) => {
                reader.fault(FaultKind::UnknownWord, Expected::Phrase(EXPECTED), value);
                None
            }
            Value::Text(_) => ResponseHeader::make(value, reader).map(Self::Context),
            _ => reader.wrong_type(EXPECTED, value),
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![ResponseHeader::shape(), TraceIdHeader::shape()])
    }

    fn value(&self) -> Value {
        match self {
            Self::Context(header) => header.value(),
            Self::TraceId(name) => Value::Object(vec![("header".to_owned(), name.value())]),
        }
    }

    fn repeats(&self, before: &[Self]) -> bool {
        before.contains(self)
    }
}

impl Rules for TraceIdHeader {
    fn check(&self, reader: &mut Reader<'_>) {
        if is_taken(&self.header) {
            let step = Step::Field("header".to_owned());
            reader.within(step, &mut |reader| {
                reader.malformed(FREE_HEADER, &self.header.value(), String::new());
            });
        }
    }
}

impl Injection {
    /// Whether all headers of the response have to be known.
    pub(super) fn needs_headers(&self) -> bool {
        !matches!(self, Self::Context(ResponseHeader::Traceparent) | Self::TraceId(_))
    }

    /// The header of the trace id alone.
    pub(crate) fn trace_id_header(&self) -> Option<&str> {
        if let Self::TraceId(name) = self { Some(name) } else { None }
    }

    /// The header that is written whole, if one is.
    pub(super) fn header<'a>(&'a self, traceparent: &'a str) -> Option<&'a str> {
        match self {
            Self::Context(ResponseHeader::Traceparent) => Some(traceparent),
            Self::Context(ResponseHeader::Traceresponse) => Some(TRACERESPONSE),
            Self::Context(_) => None,
            Self::TraceId(name) => Some(name),
        }
    }

    /// The metric of `Server-Timing` that is written, if one is.
    pub(super) const fn metric(&self) -> Option<TraceMetric> {
        match self {
            Self::Context(ResponseHeader::ServerTiming) => Some(TraceMetric::Traceparent),
            Self::Context(ResponseHeader::ServerTimingTrace) => Some(TraceMetric::Trace),
            _ => None,
        }
    }
}
