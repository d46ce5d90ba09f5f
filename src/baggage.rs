//! W3C baggage, which the filter passes on as it is, unless it is asked to keep it within bounds (rule BG-02,
//! [W3C Baggage, limits](https://www.w3.org/TR/baggage/#limits)).

use crate::headers::{Lines, scan};
use crate::metrics::Counter;
use crate::pass::Sink;
use crate::w3c::trim_ows;

/// The header that carries what applications attach to a trace.
pub(crate) const BAGGAGE: &str = "baggage";
/// What every hop must pass on; more may be dropped.
const MAX_MEMBERS: usize = 64;
const MAX_OCTETS: usize = 8192;

/// Drops members from the right until the rest is within bounds; never part of one.
pub(crate) fn limit(headers: &[u8], sink: &mut dyn Sink) {
    let Ok([lines]) = scan(headers, [BAGGAGE]) else { return };
    if lines.first().is_none() {
        return;
    }
    let (kept, dropped) = within_bounds(lines);
    if dropped == 0 {
        return;
    }
    // A refusal is counted at the edge, and then nothing was dropped.
    let done = if kept.is_empty() { sink.remove(BAGGAGE) } else { sink.set(BAGGAGE, &kept) };
    if done.is_ok() {
        sink.count(Counter::BaggageLimited);
    }
}

/// The members that stay, and how many do not.
fn within_bounds(lines: Lines<'_>) -> (Vec<u8>, usize) {
    let mut kept = Vec::new();
    let (mut members, mut dropped) = (0, 0);
    let all = lines.iter().flat_map(|line| line.split(|octet| *octet == b',')).map(trim_ows);
    for member in all.filter(|member| !member.is_empty()) {
        let comma = usize::from(members > 0);
        if dropped > 0 || members == MAX_MEMBERS || kept.len() + comma + member.len() > MAX_OCTETS {
            dropped += 1;
            continue;
        }
        kept.extend_from_slice(if members > 0 { b"," } else { b"" });
        kept.extend_from_slice(member);
        members += 1;
    }
    (kept, dropped)
}
