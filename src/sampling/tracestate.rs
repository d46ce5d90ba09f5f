use super::Sampled;
use super::ot::{OtState, write_threshold};
use crate::w3c::{Member, TraceState};

/// The value of the `tracestate` that goes out next to a parent-id of this hop, or `None` if that is what came in.
pub(crate) fn tracestate_of_child(list: TraceState<'_>, sampled: Sampled) -> Option<Vec<u8>> {
    let ot = list.value(OtState::KEY).and_then(OtState::parse);
    let mut member = Vec::new();
    let list = if reports_threshold(ot, sampled) {
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

/// Whether `th` reports the decision's threshold; a member that cannot be read reports nothing.
pub(crate) fn reports_threshold(ot: Option<OtState<'_>>, sampled: Sampled) -> bool {
    ot.map_or(sampled.threshold.is_none(), |ot| ot.reports(sampled.threshold))
}
