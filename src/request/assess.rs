use super::Request;
use super::context::{Incoming, TraceContext};
use crate::correlation::Correlation;
use crate::headers::HeaderWriter;
use crate::host::Host;
use crate::metrics::Measure;
use crate::trust::Untrusted;
use crate::w3c::TraceParent;
use crate::words::{Evidence, Format, Repair, Role, Verdict};

/// What came in, in one word, and what follows from it: one value, so that the two cannot disagree.
pub(super) struct Assessment<'a> {
    pub(super) verdict: Verdict,
    pub(super) next: Next<'a>,
}

/// The next step.
pub(super) enum Next<'a> {
    /// The trace goes on.
    Continue {
        context: TraceContext<'a>,
        /// The context as it came.
        parent: Option<TraceParent>,
        repair: Option<Repair>,
    },
    /// The request has no context of its own: the trace that this pod remembers goes on, or one starts, with this
    /// decision if one came in.
    Start(Option<bool>),
    /// No context goes on.
    Withhold,
}

#[inline]
pub(super) fn assess<'a, H: Host + HeaderWriter>(
    request: &mut Request<'_, H>,
    incoming: Incoming<'a>,
    repaired: bool,
) -> Assessment<'a> {
    // What the first pass let go does not come back in the second.
    let is_let_go = request.first.is_some_and(|first| first.sent.is_none());
    let parent = incoming.parent();
    let repair = repaired.then_some(Repair::Format);
    let (verdict, next) = match (incoming, request.border.trusted, request.policy.trust.untrusted) {
        (Incoming::Valid(context), true, _) => {
            (linked(request, &context), Next::Continue { context, parent, repair })
        }
        (Incoming::Valid(context), false, Untrusted::IgnoreSampled) => {
            (Verdict::Continued, Next::Continue { context: context.with_ids_alone(), parent, repair })
        }
        (Incoming::Valid(_), false, Untrusted::Restart) => (Verdict::Untrusted, Next::Start(None)),
        (Incoming::Valid(_), false, Untrusted::Strip) => (Verdict::Untrusted, Next::Withhold),
        (Incoming::Corrupt(_), false, Untrusted::Strip) => (Verdict::Corrupt, Next::Withhold),
        (Incoming::Corrupt(_), ..) => (Verdict::Corrupt, Next::Start(None)),
        (Incoming::Absent(decision), trusted, untrusted) => {
            let verdict = match request.policy.role {
                Role::Edge => Verdict::Started,
                Role::Internal => Verdict::Lost,
            };
            let is_stripped = !trusted && untrusted == Untrusted::Strip && has_any_context(request);
            let next = if is_stripped { Next::Withhold } else { Next::Start(decision.filter(|_| trusted)) };
            (verdict, next)
        }
    };
    match next {
        Next::Start(_) if is_let_go => Assessment { verdict, next: Next::Withhold },
        next => Assessment { verdict, next },
    }
}

/// Whether a context came in some format, though in none that is read.
#[cold]
fn has_any_context<H>(request: &Request<'_, H>) -> bool {
    let headers = request.target.headers;
    Format::ALL.iter().any(|format| format.carriers(&request.policy.header).any(|name| headers.has(name)))
}

/// Whether a valid context belongs to a trace that this pod received, if it remembers those.
#[inline]
fn linked<H: Host + HeaderWriter>(request: &mut Request<'_, H>, context: &TraceContext<'_>) -> Verdict {
    match request.memory() {
        Some(memory) if !memory.received(context.trace_id, request.host) => {
            // Another trace may have taken the slot meanwhile.
            let known = memory.trace_of_request(request.target.headers, request.host);
            let is_linked = known.is_some_and(|known| known.is_same_trace(context.trace_id));
            if is_linked { Verdict::Continued } else { Verdict::Unlinked }
        }
        _ => Verdict::Continued,
    }
}

/// What shows that a call which is `lost` or `unlinked` belongs to a traced request that this pod received.
#[cold]
pub(super) fn weigh<H: Host + HeaderWriter>(request: &mut Request<'_, H>, memory: Correlation) -> Evidence {
    if memory.trace_of_request(request.target.headers, request.host).is_some() {
        return Evidence::RequestId;
    }
    match request.host.level(Measure::TracedInFlight) {
        0 => Evidence::Nothing,
        _ => Evidence::InFlight,
    }
}
