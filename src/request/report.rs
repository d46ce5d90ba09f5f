use super::apply::Applied;
use super::{Policy, Request};
use crate::headers::HeaderWriter;
use crate::host::{AccessLog, Host};
use crate::metrics::{Corruption, Counter};
use crate::notice::{Notice, Place};
use crate::w3c::TraceParent;
use crate::words::{Format, Repair, Verdict};

/// What a pass found that a span of its request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) context: Verdict,
    /// What was invalid, and why.
    pub(crate) reason: Option<Corruption>,
    /// What was done about it.
    pub(crate) repair: Option<Repair>,
    /// The first format that named another trace than the one that is used.
    pub(crate) conflict: Option<Format>,
}

/// Counts what was repaired, informs the logs, and returns what the request's span is to say.
#[inline]
pub(super) fn report<H: Host + HeaderWriter>(
    request: &mut Request<'_, H>,
    verdict: Verdict,
    corruption: Option<Corruption>,
    came: Option<TraceParent>,
    applied: &Applied,
) -> Finding {
    let direction = request.target.direction;
    let is_broken = matches!(verdict, Verdict::Lost | Verdict::Corrupt);
    let repair = applied.repair.filter(|by| is_broken || *by == Repair::Format);
    if let Some(by) = repair {
        request.count(Counter::Repair { direction, by });
    }
    let unread = if matches!(verdict, Verdict::Lost | Verdict::Started) { unread(request) } else { None };
    if request.first.is_none() && (is_broken || corruption.is_some()) {
        let notice = Notice { verdict, direction, corruption, unread, sent: applied.sent };
        let place = Place { listener: request.plugin.listener, headers: request.target.headers };
        notice.log(&request.policy.log.format, place, request.host);
    }
    let access_log = request.policy.access_log;
    if access_log.shows(verdict) {
        request.host.publish("trace_context", verdict.label().as_bytes());
    }
    if access_log.filter_state {
        publish_ids(verdict, came, applied.sent, request.host);
    }
    let reason = corruption.or(request.passed_over);
    Finding { context: verdict, reason, repair, conflict: request.conflict }
}

/// Counts the formats that came and are not read, and names the first.
fn unread<H: Host + HeaderWriter>(request: &mut Request<'_, H>) -> Option<Format> {
    let Policy { propagation, header, .. } = request.policy;
    let mut first = None;
    for format in Format::ALL.iter().copied().filter(|format| !propagation.reads(*format)) {
        if format.carriers(header).next().is_some_and(|name| request.target.headers.has(name)) {
            request.count(Counter::Unread { format });
            first = first.or(Some(format));
        }
    }
    first
}

/// The key under which an access log finds whether the trace is sampled.
pub(crate) const SAMPLED: &str = "sampled";

/// Puts the ids of what came in and of what goes on where an access log can read them.
fn publish_ids(
    verdict: Verdict,
    came: Option<TraceParent>,
    sent: Option<TraceParent>,
    host: &mut impl AccessLog,
) {
    match came {
        Some(came) if verdict == Verdict::Untrusted => {
            host.publish("linked_trace_id", &came.trace_id.to_hex());
            host.publish("linked_span_id", &came.parent_id.to_hex());
        }
        Some(came) => host.publish("parent_id", &came.parent_id.to_hex()),
        None => {}
    }
    if let Some(sent) = sent {
        host.publish("trace_id", &sent.trace_id.to_hex());
        host.publish("span_id", &sent.parent_id.to_hex());
        host.publish(SAMPLED, if sent.flags.is_sampled() { b"true" } else { b"false" });
    }
}
