//! The context that comes in with a request, and the one that goes out, in every configured format.

mod b3;
mod datadog;
mod format;
mod gcp;
mod grpc_trace_bin;
mod inject;
mod jaeger;
mod ottrace;
mod settle;
mod sw8;
mod xray;

pub(crate) use format::{Carried, Outgoing, Propagator, Remote};
pub use format::{Format, FormatError};
pub(crate) use settle::{Carriers, Settled};

use crate::answer::{SERVER_TIMING, TRACERESPONSE};
use crate::baggage::BAGGAGE;
use crate::headers::{Lines, TRACESTATE};
use crate::metrics::Corruption;
use crate::request_id::X_REQUEST_ID;
use crate::sampling::{OtState, Sampled, write_threshold};
use crate::w3c::{
    Member, SpanId, TraceFlags, TraceId, TraceParent, TraceParentError, TraceState, TraceStateError,
};

/// The formats that requests are read in and written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// The name of the `traceparent` header, in lower case.
    pub header: String,
    /// In the order of precedence.
    pub extract: Vec<Format>,
    /// In the order of writing.
    pub inject: Vec<Format>,
    /// Names of headers that do not go on in any case.
    pub remove: Vec<String>,
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Extracted<'a> {
    /// No context, but perhaps a decision about the trace that starts here (rule B3-10).
    Absent(Option<bool>),
    /// A valid one.
    Valid(TraceContext<'a>),
    /// One that must not be used; its `tracestate` is not even read (rule TS-02).
    Corrupt(Corruption),
}

/// A valid context; a bad `tracestate` does not spoil it (rule TP-31).
#[derive(Debug)]
pub(crate) struct TraceContext<'a> {
    pub(crate) format: Format,
    /// Whether it is not in `traceparent`, and must be written there whatever this hop decides.
    pub(crate) elsewhere: bool,
    pub(crate) trace_id: TraceId,
    /// The span that sent the request, in the formats that must name one.
    pub(crate) parent_id: Option<SpanId>,
    /// The sampled flag, or `None` where the decision is left to this hop.
    pub(crate) sampled: Option<bool>,
    pub(crate) random: bool,
    /// Whether the trace is to be recorded at any cost, in the formats that can say so.
    pub(crate) debug: bool,
    /// Whether the trace-id may have been chosen for the randomness in it.
    pub(crate) chosen_by_sender: bool,
    pub(crate) state: Result<TraceState<'a>, TraceStateError>,
}

/// Reads W3C's context from the lines of its two headers.
fn extract_w3c<'a>(traceparent: Lines<'a>, tracestate: Lines<'a>) -> Extracted<'a> {
    let Some(line) = traceparent.first() else {
        return Extracted::Absent(None);
    };
    let repeated = traceparent.is_repeated();
    let parsed = if repeated { Err(TraceParentError::Repeated) } else { TraceParent::parse(line) };
    match parsed {
        Ok(sent) => Extracted::Valid(TraceContext::of(sent, TraceState::parse(tracestate.iter()))),
        Err(reason) => Extracted::Corrupt(Corruption::TraceParent(reason)),
    }
}

/// Whether a header of this name has a meaning of its own.
pub(crate) fn is_taken(name: &str) -> bool {
    let others = [TRACESTATE, BAGGAGE, SERVER_TIMING, TRACERESPONSE, X_REQUEST_ID];
    let mut formats = format::PROPAGATORS.iter().flat_map(|propagator| propagator.headers);
    others.contains(&name) || formats.any(|header| *header == name)
}

impl Default for Propagation {
    fn default() -> Self {
        let w3c = vec![Format::TraceContext];
        Self {
            header: crate::headers::TRACEPARENT.to_owned(),
            extract: w3c.clone(),
            inject: w3c,
            remove: Vec::new(),
        }
    }
}

impl Propagation {
    /// Whether W3C's headers are all that is read and written, as by default.
    fn is_w3c_alone(&self) -> bool {
        self.extract == [Format::TraceContext] && self.inject == [Format::TraceContext]
    }
}

impl Extracted<'_> {
    /// A valid context as it came, as far as `traceparent` can say it.
    pub(crate) fn parent(&self) -> Option<TraceParent> {
        match self {
            Self::Valid(context) => context.parent(),
            Self::Absent(_) | Self::Corrupt(_) => None,
        }
    }

    /// Which header is invalid, and why.
    pub(crate) fn corruption(&self) -> Option<Corruption> {
        match self {
            Self::Absent(_) => None,
            Self::Valid(context) => context.state.as_ref().err().copied().map(Corruption::TraceState),
            Self::Corrupt(corruption) => Some(*corruption),
        }
    }
}

impl<'a> TraceContext<'a> {
    /// W3C's context, as it came in its two headers.
    fn of(sent: TraceParent, state: Result<TraceState<'a>, TraceStateError>) -> Self {
        let TraceParent { trace_id, parent_id, flags } = sent;
        Self {
            format: Format::TraceContext,
            elsewhere: false,
            trace_id,
            parent_id: Some(parent_id),
            sampled: Some(flags.is_sampled()),
            random: flags.is_random(),
            debug: false,
            chosen_by_sender: false,
            state,
        }
    }

    /// A context that this pod received with another request.
    pub(crate) fn remembered(received: TraceParent) -> Self {
        Self { elsewhere: true, ..Self::of(received, Ok(TraceState::default())) }
    }

    /// Takes from W3C's headers, which name the same trace, what this format does not say: the `tracestate`, the random
    /// flag and, for Datadog, whose tracer looks for its parent in the `tracestate`, the parent-id (rule DD-08).
    fn complete_with(&mut self, w3c: Self) {
        self.state = w3c.state;
        self.random = w3c.random;
        if self.format == Format::Datadog || self.parent_id.is_none() {
            self.parent_id = w3c.parent_id;
        }
    }

    /// The context as it came, as far as `traceparent` can say it.
    pub(crate) fn parent(&self) -> Option<TraceParent> {
        let parent_id = self.parent_id?;
        let flags = TraceFlags::of(self.sampled.unwrap_or(false), self.random);
        Some(TraceParent { trace_id: self.trace_id, parent_id, flags })
    }

    /// OpenTelemetry's member of the `tracestate`.
    pub(crate) fn ot(&self) -> Option<OtState<'a>> {
        self.state.as_ref().ok()?.value(OtState::KEY).and_then(OtState::parse)
    }

    /// Whether the decision says what came in no longer says, so that a parent-id of this hop must go out with it
    /// (rules TP-32, TP-34).
    pub(crate) fn is_outdated_by(&self, sampled: Sampled) -> bool {
        let flag = self.sampled.is_some_and(|flag| flag != sampled.decision.is_record());
        flag || !self.elsewhere && sampled.is_own() && !tells(self.ot(), sampled)
    }
}

/// The value of the `tracestate` that goes out beside a parent-id of this hop, or `None` if that is what came in.
fn tracestate_of_child(list: TraceState<'_>, sampled: Sampled) -> Option<Vec<u8>> {
    let ot = list.value(OtState::KEY).and_then(OtState::parse);
    let mut member = Vec::new();
    let list = if tells(ot, sampled) {
        list
    } else {
        match ot {
            Some(ot) => ot.write_with(sampled.threshold, &mut member),
            None => sampled.threshold.iter().for_each(|threshold| write_threshold(*threshold, &mut member)),
        }
        match Member::new(OtState::KEY, &member) {
            Ok(own) => list.with(own),
            Err(_) => list.without(OtState::KEY),
        }
    };
    (!list.is_verbatim()).then(|| list.to_bytes())
}

/// The value of the `tracestate` of a trace that starts here.
fn tracestate_of_root(sampled: Sampled) -> Option<Vec<u8>> {
    sampled.threshold.map(|threshold| {
        let mut value = b"ot=".to_vec();
        write_threshold(threshold, &mut value);
        value
    })
}

/// Whether `th` says what the decision says; a member that cannot be read says nothing.
fn tells(ot: Option<OtState<'_>>, sampled: Sampled) -> bool {
    ot.map_or(sampled.threshold.is_none(), |ot| ot.tells(sampled.threshold))
}
