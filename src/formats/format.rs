use super::owned::{FormatHeaders, TRACE_CONTEXT};
use super::{b3, datadog, gcp, grpc_trace_bin, jaeger, ottrace, remove_all, sw8, xray};
use crate::headers::{HeaderWriter, Headers, Refused, TRACEPARENT};
use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent, decode, trim_ows};
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
    pub(super) headers: FormatHeaders,
    pub(super) read: Read,
    /// The headers that are blamed for a reason, where that is not the first.
    pub(super) blamed: &'static [(FormatError, &'static str)],
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
    /// Whether the trace-id is spelled in 64 bits, by a format that may.
    pub(crate) short: bool,
    /// Whether it says that the trace-id is random; W3C's alone can.
    pub(crate) random: bool,
}

/// What a format said of a request's trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) format: Format,
    pub(crate) said: Said,
}

/// What a format can say, unless its headers are absent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    Decision(bool),
    Context(RemoteContext),
    /// Something that must not be used.
    Nonsense,
}

/// The context that goes out, for a format to write down.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) context: TraceParent,
    pub(crate) debug: bool,
    /// The headers that came in.
    pub(crate) headers: &'a Headers,
    /// What they say, as far as they were read.
    pub(crate) readings: &'a [Reading],
    /// Whether the trace came in: then a format that names it keeps its spelling, and the extras that came with it.
    pub(crate) continued: bool,
}

impl Propagator {
    /// Reads it from a request's headers.
    pub(crate) fn extract(&self, headers: &Headers) -> FormatContext {
        let read = match self.read {
            Read::Value(read) => only(headers, self.headers.name())
                .and_then(|value| value.map_or(Ok(FormatContext::Absent), read)),
            Read::Headers(read) => read(headers),
        };
        read.unwrap_or_else(FormatContext::Corrupt)
    }
}

impl FormatContext {
    const fn context(self) -> Option<RemoteContext> {
        match self {
            Self::Valid(context) => Some(context),
            Self::Absent | Self::Decision(_) | Self::Corrupt(_) => None,
        }
    }

    /// A context of a format that has no debug flag.
    pub(crate) const fn valid(trace_id: TraceId, parent_id: Option<SpanId>, sampled: Option<bool>) -> Self {
        Self::Valid(RemoteContext { trace_id, parent_id, sampled, debug: false, short: false, random: false })
    }
}

impl RemoteContext {
    /// Whether it names this trace and this span, in any spelling.
    pub(crate) fn names(&self, sent: TraceParent) -> bool {
        self.trace_id.is_same_trace(sent.trace_id) && self.parent_id.is_none_or(|id| id == sent.parent_id)
    }
}

impl Reading {
    /// The context that it names, as far as `traceparent` can express it.
    pub(crate) fn context(&self) -> Option<TraceParent> {
        let Said::Context(context) = self.said else { return None };
        let RemoteContext { trace_id, parent_id, sampled, random, .. } = context;
        let flags = TraceFlags::of(sampled.unwrap_or(false), random);
        parent_id.map(|parent_id| TraceParent { trace_id, parent_id, flags })
    }

    /// Whether a reader of this format learns nothing that contradicts what is sent.
    pub(crate) fn agrees_with(&self, sent: TraceParent) -> bool {
        let is_decision = |sampled: bool| sampled == sent.flags.is_sampled();
        match self.said {
            Said::Decision(sampled) => is_decision(sampled),
            Said::Context(context) => context.names(sent) && context.sampled.is_none_or(is_decision),
            Said::Nonsense => false,
        }
    }
}

impl<'a> Outgoing<'a> {
    /// What this format said, if it named the same trace.
    pub(super) fn came_in(&self, format: Format) -> Option<RemoteContext> {
        let said = match self.readings.iter().find(|reading| reading.format == format) {
            _ if !self.continued => None,
            Some(Reading { said: Said::Context(context), .. }) => Some(*context),
            Some(_) => None,
            // It is written and not read.
            None => format.propagator().and_then(|propagator| propagator.extract(self.headers).context()),
        };
        said.filter(|context| context.trace_id.is_same_trace(self.context.trace_id))
    }

    /// Whether this format's headers already say all of it.
    pub(super) fn is_said(&self, format: Format) -> bool {
        let TraceParent { trace_id, parent_id, .. } = self.context;
        self.came_in(format).is_some_and(|came| {
            (came.trace_id, came.parent_id) == (trace_id, Some(parent_id))
                && (came.sampled, came.debug) == (Some(self.is_sampled()), self.debug)
                && format.headers().carriers.iter().all(|name| !self.headers.lines(name).is_repeated())
        })
    }

    /// The first line of a header of this format as it came in, if the format named the same trace.
    pub(super) fn kept(&self, format: Format, name: &str) -> Option<&'a [u8]> {
        self.came_in(format).and_then(|_| self.headers.first(name))
    }

    /// The digits of the trace-id: 16 of them if it has 64 bits and came so.
    pub(super) fn trace_id_digits(&self, format: Format) -> Vec<u8> {
        let digits = self.context.trace_id.to_hex();
        let is_short =
            self.context.trace_id.high() == 0 && self.came_in(format).is_some_and(|came| came.short);
        digits.split_at(if is_short { 16 } else { 0 }).1.to_vec()
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

/// A value of a format that has no comma: proxies join several lines with one.
pub(super) fn unjoined(value: &[u8]) -> Result<&[u8], FormatError> {
    if value.contains(&b',') { Err(FormatError::Repeated) } else { Ok(value) }
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

    /// The headers that carry it and those that accompany it.
    #[must_use]
    pub fn headers(self) -> &'static FormatHeaders {
        self.propagator().map_or(&TRACE_CONTEXT, |propagator| &propagator.headers)
    }

    /// The header that is blamed for a reason, in metrics and in the log.
    pub(crate) fn blamed(self, reason: FormatError) -> &'static str {
        let blamed = self.propagator().map_or(&[][..], |propagator| propagator.blamed);
        let of_reason = blamed.iter().find(|(known, _)| *known == reason).map(|(_, header)| *header);
        of_reason.unwrap_or_else(|| self.headers().name())
    }

    /// The headers that carry it, where `traceparent` may be called `header`.
    pub(crate) fn carriers(self, header: &str) -> impl Iterator<Item = &str> {
        let names = self.headers().carriers.iter().copied();
        names.map(move |name| if name == TRACEPARENT { header } else { name })
    }
}
