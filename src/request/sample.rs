use rand::Rng;

use super::Request;
use super::assess::Next;
use super::context::TraceContext;
use crate::correlation::Received;
use crate::formats::Said;
use crate::headers::HeaderWriter;
use crate::host::Host;
use crate::metrics::{Corruption, Counter};
use crate::request_id;
use crate::sampling::{OtState, Question, Sampled};
use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent};
use crate::words::{ParentId, Repair, Start, TraceIdSource};

/// What is to be written.
pub(super) enum Plan<'a> {
    /// A trace goes on.
    Continue {
        context: TraceContext<'a>,
        parent: Option<TraceParent>,
        repair: Option<Repair>,
        /// The ids that go out in place of those that came in.
        child: Option<TraceParent>,
        sampled: Sampled,
    },
    /// A trace starts, unless the configuration or the host does not allow one. What came in is removed all the same.
    Start(Option<Root>),
    /// No context goes on.
    Withhold,
}

/// A trace that starts here.
#[derive(Clone, Copy)]
pub(super) struct Root {
    pub(super) context: TraceParent,
    pub(super) sampled: Sampled,
    /// Where its trace-id comes from.
    pub(super) source: Repair,
}

#[inline]
pub(super) fn sample<'a, H: Host + HeaderWriter>(
    request: &mut Request<'_, H>,
    next: Next<'a>,
    received: Option<&'a Received>,
) -> Plan<'a> {
    match (next, received) {
        (Next::Withhold, _) => Plan::Withhold,
        (Next::Continue { context, parent, repair }, _) => continued(request, context, parent, repair),
        (Next::Start(_), Some(received)) => {
            let (context, parent) = (TraceContext::remembered(received), Some(received.context));
            continued(request, context, parent, Some(Repair::Correlation))
        }
        (Next::Start(decision), None) => Plan::Start(root(request, decision)),
    }
}

#[inline]
fn continued<'a, H: Host + HeaderWriter>(
    request: &mut Request<'_, H>,
    context: TraceContext<'a>,
    parent: Option<TraceParent>,
    repair: Option<Repair>,
) -> Plan<'a> {
    let randomness =
        if context.chosen_by_sender { request.host.rng().map(|rng| rng.next_u64() >> 8) } else { None };
    let sampled = decide(request, context.trace_id, context.sampled, context.ot(), randomness);
    let is_of_this_hop = request.policy.parent_id == ParentId::New
        || request.records(sampled.decision.is_record())
        || context.is_outdated_by(sampled)
        || is_contradicted(request, &context, sampled.decision.is_record())
        || context.parent_id.is_none();
    let child = if is_of_this_hop {
        request.host.rng().map(|rng| TraceParent {
            trace_id: context.trace_id,
            parent_id: SpanId::random(rng),
            flags: TraceFlags::of(sampled.decision.is_record(), context.random),
        })
    } else {
        None
    };
    Plan::Continue { context, parent, repair, child, sampled }
}

/// Whether a format has another decision under the same parent-id, under which no decision may change.
fn is_contradicted<H>(request: &Request<'_, H>, context: &TraceContext<'_>, record: bool) -> bool {
    request.readings.iter().any(|reading| match reading.said {
        Said::Context(said) => {
            said.trace_id.is_same_trace(context.trace_id)
                && said.parent_id == context.parent_id
                && said.sampled.is_some_and(|sampled| sampled != record)
        }
        Said::Decision(_) | Said::Nonsense => false,
    })
}

#[inline]
fn root<H: Host + HeaderWriter>(request: &mut Request<'_, H>, decision: Option<bool>) -> Option<Root> {
    if request.policy.start == Start::Never {
        return None;
    }
    let rng = request.host.rng()?;
    let (drawn, parent_id) = (TraceId::random(rng), SpanId::random(rng));
    let of_request = trace_id_of_request(request);
    let source = if of_request.is_some() { Repair::RequestId } else { Repair::New };
    let (trace_id, random) = of_request.unwrap_or((drawn, true));
    let sampled = decide(request, trace_id, decision, None, None);
    let flags = TraceFlags::of(sampled.decision.is_record(), random && request.policy.sampling.random_flag);
    Some(Root { context: TraceParent { trace_id, parent_id, flags }, sampled, source })
}

/// The trace-id made from the request's id, if the configuration asks for that and the sender is trusted.
fn trace_id_of_request<H: Host + HeaderWriter>(request: &mut Request<'_, H>) -> Option<(TraceId, bool)> {
    if request.policy.trace_id_source == TraceIdSource::Random || !request.border.trusted {
        return None;
    }
    let found = request_id::trace_id(request.target.headers);
    if found.is_none() {
        let corruption = Corruption::RequestId;
        request.passed_over = Some(corruption);
        request.count(Counter::Corrupt { direction: request.target.direction, corruption });
    }
    found
}

#[inline]
fn decide<H: Host + HeaderWriter>(
    request: &mut Request<'_, H>,
    trace_id: TraceId,
    flag: Option<bool>,
    ot: Option<OtState<'_>>,
    randomness: Option<u64>,
) -> Sampled {
    let Request { policy, rates, target, host, .. } = request;
    let question = Question { trace_id, flag, ot, randomness, request: target };
    policy.sampling.decide(&question, |rule| rates.allow(&policy.sampling, rule, *host))
}

impl<H> Request<'_, H> {
    /// Whether this hop may record spans of a trace that is sampled, or not.
    #[inline]
    const fn records(&self, sampled: bool) -> bool {
        self.plugin.exports && (sampled || self.policy.sampling.errors.is_some())
    }
}
