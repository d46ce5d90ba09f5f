use super::Sampled;
use super::ot::{OtState, write_threshold};
use crate::w3c::{Member, TraceState};

/// The value of the `tracestate` that goes out next to a parent-id of this hop, or the list if that is what came in.
pub(crate) fn tracestate_of_child(list: TraceState<'_>, sampled: Sampled) -> Result<Vec<u8>, TraceState<'_>> {
    let ot = list.value(OtState::KEY).and_then(OtState::parse);
    if reports_threshold(ot, sampled) {
        return if list.is_verbatim() { Err(list) } else { Ok(list.to_bytes()) };
    }
    let mut member = Vec::new();
    match ot {
        Some(ot) => ot.write_with(sampled.threshold, &mut member),
        None => sampled.threshold.iter().for_each(|threshold| write_threshold(*threshold, &mut member)),
    }
    Ok(match Member::new(OtState::KEY, &member) {
        Ok(own) => list.with(own).to_bytes(),
        Err(_) => list.without(OtState::KEY).to_bytes(),
    })
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
