use crate::correlation::Received;
use crate::formats::{RemoteContext, Said};
use crate::metrics::Corruption;
use crate::sampling::{OtState, Sampled, reports_threshold};
use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent, TraceState, TraceStateError};
use crate::words::Format;

/// What came in.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// No context, but perhaps a decision about the trace that starts here (rule B3-10).
    Absent(Option<bool>),
    /// A valid one.
    Valid(TraceContext<'a>),
    /// One that must not be used; its `tracestate` is not even read (rule TS-02).
    Corrupt(Corruption),
}

/// A valid context; a bad `tracestate` does not spoil it (rule TP-31).
#[derive(Debug)]
pub(super) struct TraceContext<'a> {
    pub(super) format: Format,
    /// Whether it is not in `traceparent`, and must be written there whatever this hop decides.
    pub(super) elsewhere: bool,
    pub(super) trace_id: TraceId,
    /// Whether the trace-id is spelled in 64 bits, by a format that may.
    pub(super) short: bool,
    /// The span that sent the request, in the formats that must name one.
    pub(super) parent_id: Option<SpanId>,
    /// The sampled flag, or `None` if the decision is left to this hop.
    pub(super) sampled: Option<bool>,
    pub(super) random: bool,
    /// Whether the trace is to be recorded at any cost, in the formats that can say so.
    pub(super) debug: bool,
    /// Whether the trace-id may have been chosen for the randomness in it.
    pub(super) chosen_by_sender: bool,
    pub(super) state: Result<TraceState<'a>, TraceStateError>,
}

impl Incoming<'_> {
    /// A valid context as it came, as far as `traceparent` can express it.
    #[inline]
    pub(super) fn parent(&self) -> Option<TraceParent> {
        match self {
            Self::Valid(context) => context.parent(),
            Self::Absent(_) | Self::Corrupt(_) => None,
        }
    }

    /// The `tracestate` of a valid context.
    pub(super) fn state(&self) -> Option<Vec<u8>> {
        match self {
            Self::Valid(TraceContext { state: Ok(state), .. }) => Some(state.to_bytes()),
            Self::Valid(_) | Self::Absent(_) | Self::Corrupt(_) => None,
        }
    }

    /// The same, as far as any format can express it.
    pub(super) fn said(&self) -> Option<Said> {
        match self {
            Self::Absent(decision) => decision.map(Said::Decision),
            Self::Corrupt(_) => Some(Said::Nonsense),
            Self::Valid(context) => {
                let &TraceContext { trace_id, parent_id, sampled, debug, short, random, .. } = context;
                Some(Said::Context(RemoteContext { trace_id, parent_id, sampled, debug, short, random }))
            }
        }
    }

    /// Which header is invalid, and why.
    #[inline]
    pub(super) fn corruption(&self) -> Option<Corruption> {
        match self {
            Self::Absent(_) => None,
            Self::Valid(context) => context.state.as_ref().err().copied().map(Corruption::TraceState),
            Self::Corrupt(corruption) => Some(*corruption),
        }
    }
}

impl<'a> TraceContext<'a> {
    /// W3C's context, as it came in its two headers.
    #[inline]
    pub(super) const fn of_w3c(sent: TraceParent, state: Result<TraceState<'a>, TraceStateError>) -> Self {
        let TraceParent { trace_id, parent_id, flags } = sent;
        Self {
            format: Format::TraceContext,
            elsewhere: false,
            trace_id,
            short: false,
            parent_id: Some(parent_id),
            sampled: Some(flags.is_sampled()),
            random: flags.is_random(),
            debug: false,
            chosen_by_sender: false,
            state,
        }
    }

    /// A context that this pod received with another request.
    pub(super) fn remembered(received: &'a Received) -> Self {
        let state = TraceState::parse([received.state.as_slice()]).map(TraceState::not_verbatim);
        Self { elsewhere: true, ..Self::of_w3c(received.context, state) }
    }

    /// A context of another format, none of which says that its trace-id is random (rules TP-44, B3-08).
    pub(super) fn of_format(format: Format, context: RemoteContext) -> Self {
        let RemoteContext { trace_id, parent_id, sampled, debug, short, random } = context;
        Self {
            format,
            elsewhere: true,
            trace_id,
            short,
            parent_id,
            sampled,
            random,
            debug,
            chosen_by_sender: false,
            state: Ok(TraceState::default()),
        }
    }

    /// Takes from another format, which names the same trace, what this one does not say: the left half of the trace-id,
    /// a decision that was left open, and the debug flag.
    pub(super) fn complete_with(&mut self, other: Self) {
        if self.trace_id.high() == 0 && other.trace_id.high() != 0 {
            self.trace_id = other.trace_id;
            self.elsewhere = true;
        }
        self.sampled = self.sampled.or(other.sampled);
        self.debug |= other.debug;
        if other.format == Format::TraceContext {
            self.complete_with_w3c(other);
        }
    }

    /// Takes the `tracestate`, the random flag and, for Datadog, whose tracer looks for its parent in the `tracestate`, the
    /// parent-id (rule DD-08).
    fn complete_with_w3c(&mut self, w3c: Self) {
        self.state = w3c.state;
        self.random = w3c.random;
        if self.format == Format::Datadog || self.parent_id.is_none() {
            self.parent_id = w3c.parent_id;
        }
    }

    /// The trace, without anything that could tell this hop or a later one how to sample it, or whose it is: any vendor's
    /// member of the `tracestate` may. With no parent-id that counts as the sender's, one of this hop goes out.
    pub(super) fn with_ids_alone(self) -> Self {
        let state = Ok(TraceState::default());
        Self {
            parent_id: None,
            sampled: None,
            debug: false,
            elsewhere: true,
            state,
            chosen_by_sender: true,
            ..self
        }
    }

    /// The context as it came, as far as `traceparent` can express it.
    pub(super) fn parent(&self) -> Option<TraceParent> {
        let parent_id = self.parent_id?;
        let flags = TraceFlags::of(self.sampled.unwrap_or(false), self.random);
        Some(TraceParent { trace_id: self.trace_id, parent_id, flags })
    }

    /// OpenTelemetry's member of the `tracestate`.
    #[inline]
    pub(super) fn ot(&self) -> Option<OtState<'a>> {
        self.state.as_ref().ok()?.value(OtState::KEY).and_then(OtState::parse)
    }

    /// Whether what came in no longer says what was decided, so that a parent-id of this hop must go out with it
    /// (rules TP-32, TP-34).
    #[inline]
    pub(super) fn is_outdated_by(&self, sampled: Sampled) -> bool {
        let flag = self.sampled.is_some_and(|flag| flag != sampled.decision.is_record());
        flag || !self.elsewhere && sampled.is_own() && !reports_threshold(self.ot(), sampled)
    }
}
