use super::Request;
use super::border::Outward;
use super::message::Message;
use super::sample::{Plan, Root};
use crate::headers::HeaderWriter;
use crate::host::Host;
use crate::metrics::Counter;
use crate::sampling::Sampled;
use crate::w3c::TraceParent;
use crate::words::Repair;

/// What was written.
pub(super) struct Applied {
    /// The context that the upstream receives.
    pub(super) sent: Option<TraceParent>,
    /// The one that it continues.
    pub(super) parent: Option<TraceParent>,
    pub(super) repair: Option<Repair>,
    /// The `tracestate` that goes with it, if somebody asked.
    pub(super) state: Vec<u8>,
}

impl Applied {
    pub(super) const NOTHING: Self = Self { sent: None, parent: None, repair: None, state: Vec::new() };
}

/// Writes what was planned, and counts the sampling decision that is then on the wire.
#[inline]
pub(super) fn apply<H: Host + HeaderWriter>(request: &mut Request<'_, H>, plan: Plan<'_>) -> Applied {
    let Request { policy, border, .. } = *request;
    let mut outward;
    let mut message = Message {
        propagation: &policy.propagation,
        header: &policy.header,
        headers: request.target.headers,
        readings: &request.readings,
        trusted: border.trusted,
        kept_state: request.remembers().then(Vec::new),
        writer: if border.guards_any(policy) {
            outward = Outward { headers: request.target.headers, border, policy, writer: request.host };
            &mut outward
        } else {
            request.host
        },
    };
    match plan {
        Plan::Continue { context, parent, repair, child, sampled } => {
            let flag = context.sampled;
            let sent = message.send_on(context, child, sampled);
            let state = message.kept_state.unwrap_or_default();
            let is_written = sent.is_some_and(|sent| sent.flags.is_sampled() == sampled.decision.is_record());
            // If the decision could not be written, what came in goes on.
            let by_parent = Sampled::by_parent(flag.unwrap_or(false));
            count_sampled(request, if is_written { sampled } else { by_parent });
            let repair = repair.filter(|by| *by == Repair::Format || sent.is_some());
            Applied { sent, parent, repair, state }
        }
        Plan::Start(root) => match (message.send_root(root), root) {
            (Some(sent), Some(Root { sampled, source, .. })) => {
                let state = message.kept_state.unwrap_or_default();
                count_sampled(request, sampled);
                Applied { sent: Some(sent), parent: None, repair: Some(source), state }
            }
            _ => Applied::NOTHING,
        },
        Plan::Withhold => {
            message.send_root(None);
            Applied::NOTHING
        }
    }
}

#[inline]
fn count_sampled(request: &mut Request<'_, impl Host + HeaderWriter>, sampled: Sampled) {
    request.count(Counter::Sampled { decision: sampled.decision, by: sampled.by });
}
