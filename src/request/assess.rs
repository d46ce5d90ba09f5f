use super::Request;
use super::context::{Incoming, TraceContext};
use crate::headers::HeaderWriter;
use crate::host::Host;
use crate::metrics::Measure;
use crate::trust::Untrusted;
use crate::w3c::{TraceId, TraceParent};
use crate::words::{Evidence, Format, Repair, Role, Verdict};

/// What came in, in one word, and what follows from it: one value, so that the two cannot disagree.
pub(super) struct Assessment<'a> {
    pub(super) verdict: Verdict,
    /// What ties a call that is `lost` or `unlinked` to a request, if this pod remembers what it received.
    pub(super) evidence: Option<Evidence>,
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
    let mut evidence = None;
    let (verdict, next) = match (incoming, request.border.trusted, request.policy.trust.untrusted) {
        (Incoming::Valid(context), true, _) => {
            evidence = unlinked(request, &context);
            let verdict = if evidence.is_some() { Verdict::Unlinked } else { Verdict::Continued };
            (verdict, Next::Continue { context, parent, repair })
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
                Role::Internal => {
                    evidence = untied(request);
                    Verdict::Lost
                }
            };
            let is_stripped = !trusted && untrusted == Untrusted::Strip && has_any_context(request);
            let next = if is_stripped { Next::Withhold } else { Next::Start(decision.filter(|_| trusted)) };
            (verdict, next)
        }
    };
    match next {
        Next::Start(_) if is_let_go => Assessment { verdict, evidence, next: Next::Withhold },
        next => Assessment { verdict, evidence, next },
    }
}

/// Whether a context came in some format, though in none that is read.
#[cold]
fn has_any_context<H>(request: &Request<'_, H>) -> bool {
    let headers = request.target.headers;
    Format::ALL.iter().any(|format| format.carriers(&request.policy.header).any(|name| headers.has(name)))
}

/// What ties a call with a valid context to a request, if this pod remembers what it received and this trace is not of it.
#[inline]
fn unlinked<H: Host + HeaderWriter>(
    request: &mut Request<'_, H>,
    context: &TraceContext<'_>,
) -> Option<Evidence> {
    let memory = request.memory()?;
    if memory.received(context.trace_id, request.host) {
        return None;
    }
    let known = memory.trace_of_request(request.target.headers, request.host);
    // Another trace may have taken the slot meanwhile.
    let is_linked = known.is_some_and(|known| known.is_same_trace(context.trace_id));
    if is_linked { None } else { Some(weigh(request, known)) }
}

/// The same for a call without a context.
#[cold]
fn untied<H: Host + HeaderWriter>(request: &mut Request<'_, H>) -> Option<Evidence> {
    let known = request.memory()?.trace_of_request(request.target.headers, request.host);
    Some(weigh(request, known))
}

/// What ties a call to a request, given the trace that came in with the id of its request.
#[cold]
fn weigh<H: Host + HeaderWriter>(request: &mut Request<'_, H>, known: Option<TraceId>) -> Evidence {
    if known.is_some() {
        return Evidence::RequestId;
    }
    match request.host.level(Measure::TracedInFlight) {
        0 => Evidence::Nothing,
        _ => Evidence::InFlight,
    }
}
