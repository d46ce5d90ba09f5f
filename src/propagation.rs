//! The context that comes in with a request, and the one that goes out.

use crate::headers::Lines;
use crate::metrics::Corruption;
use crate::sampling::{OtState, Sampled, write_threshold};
use crate::w3c::{Member, TraceParent, TraceParentError, TraceState, TraceStateError};

/// What came in.
#[derive(Clone, Debug)]
pub(crate) enum Extracted<'a> {
    /// No context.
    Absent,
    /// A valid one.
    Valid(TraceContext<'a>),
    /// One that must not be used; its `tracestate` is not even read (rule TS-02).
    Corrupt(TraceParentError),
}

/// A valid context; a bad `tracestate` does not spoil it (rule TP-31).
#[derive(Clone, Debug)]
pub(crate) struct TraceContext<'a> {
    pub(crate) parent: TraceParent,
    pub(crate) state: Result<TraceState<'a>, TraceStateError>,
}

/// Reads the context from the lines of its two headers.
pub(crate) fn extract<'a>(traceparent: Lines<'a>, tracestate: Lines<'a>) -> Extracted<'a> {
    let Some(line) = traceparent.first() else {
        return Extracted::Absent;
    };
    let repeated = traceparent.is_repeated();
    let parsed = if repeated { Err(TraceParentError::Repeated) } else { TraceParent::parse(line) };
    match parsed {
        Ok(parent) => Extracted::Valid(TraceContext { parent, state: TraceState::parse(tracestate.iter()) }),
        Err(reason) => Extracted::Corrupt(reason),
    }
}

impl Extracted<'_> {
    /// The ids and flags of a valid context.
    pub(crate) fn parent(&self) -> Option<TraceParent> {
        match self {
            Self::Valid(context) => Some(context.parent),
            Self::Absent | Self::Corrupt(_) => None,
        }
    }

    /// Which header is invalid, and why.
    pub(crate) fn corruption(&self) -> Option<Corruption> {
        match self {
            Self::Absent => None,
            Self::Valid(context) => context.state.as_ref().err().copied().map(Corruption::TraceState),
            Self::Corrupt(reason) => Some(Corruption::TraceParent(*reason)),
        }
    }
}

impl TraceContext<'_> {
    /// OpenTelemetry's member of the `tracestate`.
    pub(crate) fn ot(&self) -> Option<OtState<'_>> {
        self.state.as_ref().ok()?.value(OtState::KEY).and_then(OtState::parse)
    }

    /// Whether the decision says what came in no longer says, so that a parent-id of this hop must go out with it
    /// (rules TP-32, TP-34).
    pub(crate) fn is_outdated_by(&self, sampled: Sampled) -> bool {
        let flag = sampled.decision.is_record() != self.parent.flags.is_sampled();
        flag || sampled.is_own() && !tells(self.ot(), sampled)
    }
}

/// The value of the `tracestate` that goes out beside a parent-id of this hop, or `None` if that is what came in.
pub(crate) fn tracestate_of_child(list: TraceState<'_>, sampled: Sampled) -> Option<Vec<u8>> {
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
pub(crate) fn tracestate_of_root(sampled: Sampled) -> Option<Vec<u8>> {
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
