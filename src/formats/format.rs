use super::{b3, datadog, gcp, grpc_trace_bin, jaeger, ottrace, remove_all, sw8, xray};
use crate::headers::{HeaderWriter, Headers, Refused, TRACEPARENT};
use crate::w3c::{SpanId, TraceId, TraceParent, decode, trim_ows};
use crate::words::{Format, errors, labels};

labels! {
    /// Why a header of another format is not valid.
    pub enum FormatError {
        /// It is not made of the pieces that the format has.
        Shape = "shape",
        /// The trace-id is missing, malformed or zero.
        TraceId = "trace_id",
        /// The span-id is missing, malformed or zero.
        SpanId = "span_id",
        /// The sampling decision is malformed.
        Sampled = "sampled",
        /// More than one value.
        Repeated = "repeated",
    }
}

errors!(FormatError);

/// How a format other than W3C's is read and written.
pub(crate) struct Propagator {
    pub(crate) format: Format,
    /// The headers that it is made of; the first names it in metrics.
    pub(crate) headers: &'static [&'static str],
    pub(super) read: Read,
    /// Writes it, and removes those of its headers that it does not write; `None` if it is only read.
    pub(crate) inject: Option<Inject>,
}

pub(super) enum Read {
    /// From the value of its only header.
    Value(fn(&[u8]) -> ReadResult),
    /// From several headers.
    Headers(fn(&Headers) -> ReadResult),
}

pub(super) type ReadResult = Result<FormatContext, FormatError>;
type Inject = fn(&Outgoing<'_>, &mut dyn HeaderWriter) -> Result<(), Refused>;

/// Every format but W3C's.
pub(crate) const PROPAGATORS: &[Propagator] = &[
    b3::SINGLE,
    b3::MULTI,
    jaeger::JAEGER,
    xray::XRAY,
    gcp::GCP,
    datadog::DATADOG,
    ottrace::OTTRACE,
    grpc_trace_bin::GRPC_TRACE_BIN,
    sw8::SW8,
];

/// What a format's headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatContext {
    Absent,
    /// A decision without ids (rule B3-10).
    Decision(bool),
    Valid(RemoteContext),
    /// Something that must not be used.
    Corrupt(FormatError),
}

/// A context of another format than W3C's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemoteContext {
    pub(crate) trace_id: TraceId,
    /// `None` if the format need not name the span, and did not.
    pub(crate) parent_id: Option<SpanId>,
    /// `None` if the decision is left to the receiver.
    pub(crate) sampled: Option<bool>,
    pub(crate) debug: bool,
}

/// The context that goes out, for a format to write down.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) context: TraceParent,
    pub(crate) debug: bool,
    /// The headers that came in.
    pub(crate) headers: &'a Headers,
    /// Whether the trace came in as well: only then it keeps the extras that came with it.
    pub(crate) continued: bool,
}

impl Propagator {
    /// Reads it from a request's headers.
    pub(crate) fn extract(&self, headers: &Headers) -> FormatContext {
        let read = match self.read {
            Read::Value(read) => {
                only(headers, self.name()).and_then(|value| value.map_or(Ok(FormatContext::Absent), read))
            }
            Read::Headers(read) => read(headers),
        };
        read.unwrap_or_else(FormatContext::Corrupt)
    }

    fn name(&self) -> &'static str {
        self.headers.first().copied().unwrap_or_default()
    }
}

impl FormatContext {
    /// A context of a format that has no debug flag.
    pub(super) const fn valid(trace_id: TraceId, parent_id: Option<SpanId>, sampled: Option<bool>) -> Self {
        Self::Valid(RemoteContext { trace_id, parent_id, sampled, debug: false })
    }
}

impl<'a> Outgoing<'a> {
    /// The first line of a header as it came in, if the trace came in as well.
    pub(super) fn kept(&self, name: &str) -> Option<&'a [u8]> {
        if self.continued { self.headers.first(name) } else { None }
    }

    /// Writes a header, unless that is just what came in.
    pub(super) fn put(&self, name: &str, value: &[u8], writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
        let came = self.headers.lines(name);
        if came.first() == Some(value) && !came.is_repeated() { Ok(()) } else { writer.set(name, value) }
    }

    /// Writes nothing, because the format cannot express the context, and leaves no other context in its place.
    pub(super) fn withhold(&self, headers: &[&str], writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
        remove_all(headers, self.headers, writer);
        Err(Refused)
    }

    pub(super) const fn is_sampled(&self) -> bool {
        self.context.flags.is_sampled()
    }

    pub(super) const fn sampled_digit(&self) -> &'static [u8] {
        if self.is_sampled() { b"1" } else { b"0" }
    }
}

/// Reads a trace-id of 16 or 32 digits and a span-id of 16, all hexadecimal in lower case.
pub(super) fn ids(trace: &[u8], span: &[u8]) -> Result<(TraceId, SpanId), FormatError> {
    if !matches!(trace.len(), 16 | 32) {
        return Err(FormatError::TraceId);
    }
    Ok((trace_id(trace)?, unpadded_span_id(span)?))
}

/// Reads up to 32 hexadecimal digits, in lower case, as the right-most of a trace-id (rule TP-44).
pub(super) fn trace_id(digits: &[u8]) -> Result<TraceId, FormatError> {
    padded(digits).and_then(|digits| TraceId::parse(&digits).ok()).ok_or(FormatError::TraceId)
}

/// Reads up to 16 hexadecimal digits, in lower case, as the right-most of a span-id.
pub(super) fn span_id(digits: &[u8]) -> Result<SpanId, FormatError> {
    padded(digits).and_then(|digits| SpanId::parse(&digits).ok()).ok_or(FormatError::SpanId)
}

/// Reads exactly 16 of them.
pub(super) fn unpadded_span_id(digits: &[u8]) -> Result<SpanId, FormatError> {
    if digits.len() == 16 { span_id(digits) } else { Err(FormatError::SpanId) }
}

/// Reads one or two hexadecimal digits, in lower case, as a byte.
pub(super) fn byte(digits: &[u8]) -> Option<u8> {
    let digits = padded::<2>(digits).filter(|_| !digits.is_empty())?;
    decode(&digits).map(|value| value as u8)
}

fn padded<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut padded = [b'0'; N];
    padded.get_mut(N.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some(padded)
}

/// Reads a decimal number of 1 to 20 digits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// The only line of a header: a second one leaves it open which of them counts.
pub(super) fn only<'a>(headers: &'a Headers, name: &'static str) -> Result<Option<&'a [u8]>, FormatError> {
    let lines = headers.lines(name);
    if lines.is_repeated() { Err(FormatError::Repeated) } else { Ok(lines.first().map(trim_ows)) }
}

impl Format {
    /// How it is read and written; `None` for W3C's own.
    pub(crate) fn propagator(self) -> Option<&'static Propagator> {
        PROPAGATORS.iter().find(|propagator| propagator.format == self)
    }

    /// Whether it can be written, and not only read.
    #[must_use]
    pub fn is_written(self) -> bool {
        self.propagator().is_none_or(|propagator| propagator.inject.is_some())
    }

    /// The header that names it in metrics.
    pub(crate) fn header(self) -> &'static str {
        self.propagator().map_or(TRACEPARENT, Propagator::name)
    }
}
