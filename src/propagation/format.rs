use core::fmt;

use super::{TraceContext, b3, datadog, gcp, grpc_trace_bin, jaeger, ottrace, sw8, xray};
use crate::headers::{Lines, Malformed, first, scan};
use crate::labels::labels;
use crate::pass::{Refused, Sink, ignore};
use crate::w3c::{SpanId, TraceId, TraceParent, TraceState, decode, trim_ows};

labels! {
    /// A format of trace context, by the name that `OTEL_PROPAGATORS` has for it.
    pub enum Format {
        /// W3C Trace Context: `traceparent` and `tracestate`.
        TraceContext = "tracecontext",
        /// Zipkin's single header, `b3`.
        B3 = "b3",
        /// Zipkin's headers `x-b3-…`.
        B3Multi = "b3multi",
        /// Jaeger's `uber-trace-id`.
        Jaeger = "jaeger",
        /// AWS X-Ray's `x-amzn-trace-id`.
        XRay = "xray",
        /// Google Cloud's `x-cloud-trace-context`.
        Gcp = "gcp",
        /// Datadog's headers `x-datadog-…`.
        Datadog = "datadog",
        /// OpenTracing's headers `ot-tracer-…`.
        OtTrace = "ottrace",
        /// OpenCensus' `grpc-trace-bin`.
        GrpcTraceBin = "grpc_trace_bin",
        /// Apache SkyWalking's `sw8`, which is only read.
        Sw8 = "sw8",
    }
}

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
        /// More than one value came.
        Repeated = "repeated",
    }
}

/// How a format other than W3C's is read and written.
pub(crate) struct Propagator {
    pub(crate) format: Format,
    /// The headers that it is made of; the first names it in metrics.
    pub(crate) headers: &'static [&'static str],
    /// Reads it from a request's serialized headers.
    pub(crate) extract: fn(&[u8]) -> Result<Carried, Malformed>,
    /// Writes it, and removes those of its headers that it does not write; `None` if it is only read.
    pub(crate) inject: Option<Inject>,
}

type Inject = fn(&Outgoing<'_>, &mut dyn Sink) -> Result<(), Refused>;

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

/// What a format's headers carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// Nothing.
    Absent,
    /// A decision without ids (rule B3-10).
    Decision(bool),
    /// A context.
    Valid(Remote),
    /// Something that must not be used.
    Corrupt(FormatError),
}

/// A context of another format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) trace_id: TraceId,
    /// `None` where the format need not name the span, and did not.
    pub(crate) parent_id: Option<SpanId>,
    /// `None` where the decision is left to the receiver.
    pub(crate) sampled: Option<bool>,
    pub(crate) debug: bool,
}

/// The context that goes out, for a format to write down.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) context: TraceParent,
    pub(crate) debug: bool,
    /// The serialized headers that came in.
    pub(crate) headers: &'a [u8],
    /// Whether the trace came in as well: only then it keeps the extras that came with it.
    pub(crate) continued: bool,
}

impl<'a> Outgoing<'a> {
    /// The first line of a header as it came in.
    pub(super) fn came(&self, name: &'static str) -> Option<&'a [u8]> {
        first(self.headers, name)
    }

    /// Writes a header, unless that is just what came in.
    pub(super) fn put(&self, name: &str, value: &[u8], sink: &mut dyn Sink) -> Result<(), Refused> {
        let same = scan(self.headers, [name])
            .is_ok_and(|[lines]| lines.first() == Some(value) && !lines.is_repeated());
        if same { Ok(()) } else { sink.set(name, value) }
    }

    /// Removes a header, if it came in.
    pub(super) fn take(&self, name: &'static str, sink: &mut dyn Sink) {
        if self.came(name).is_some() {
            ignore(sink.remove(name));
        }
    }

    /// Writes nothing, where the format cannot say what is to be said, and lets nothing else stand in its place.
    pub(super) fn withhold(&self, headers: &[&'static str], sink: &mut dyn Sink) -> Result<(), Refused> {
        headers.iter().for_each(|name| self.take(name, sink));
        Err(Refused)
    }

    pub(super) const fn is_sampled(&self) -> bool {
        self.context.flags.is_sampled()
    }
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

/// Reads one or two hexadecimal digits, in lower case, as an octet.
pub(super) fn octet(digits: &[u8]) -> Option<u8> {
    padded::<2>(digits).and_then(|digits| decode(&digits)).map(|value| value as u8)
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
pub(super) fn only<'a>(lines: Lines<'a>) -> Result<Option<&'a [u8]>, FormatError> {
    if lines.is_repeated() { Err(FormatError::Repeated) } else { Ok(lines.first().map(trim_ows)) }
}

/// Reads a format that is made of one header.
pub(super) fn only_line(
    headers: &[u8],
    name: &'static str,
    read: fn(&[u8]) -> Result<Carried, FormatError>,
) -> Result<Carried, Malformed> {
    let [lines] = scan(headers, [name])?;
    Ok(only(lines).and_then(|value| value.map_or(Ok(Carried::Absent), read)).into())
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
        self.propagator()
            .and_then(|propagator| propagator.headers.first())
            .copied()
            .unwrap_or(crate::headers::TRACEPARENT)
    }
}

impl From<Result<Carried, FormatError>> for Carried {
    fn from(read: Result<Self, FormatError>) -> Self {
        read.unwrap_or_else(Self::Corrupt)
    }
}

impl Remote {
    pub(super) fn into_context<'a>(self, format: Format) -> TraceContext<'a> {
        let Self { trace_id, parent_id, sampled, debug } = self;
        let state = Ok(TraceState::default());
        // Rules TP-44 and B3-08: no other format says that its trace-id is random.
        TraceContext {
            format,
            elsewhere: true,
            trace_id,
            parent_id,
            sampled,
            random: false,
            debug,
            chosen_by_sender: false,
            state,
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "it is not made of the pieces that the format has",
            Self::TraceId => "the trace-id is missing, malformed or zero",
            Self::SpanId => "the span-id is missing, malformed or zero",
            Self::Sampled => "the sampling decision is malformed",
            Self::Repeated => "more than one value",
        })
    }
}
