//! W3C baggage, which the filter passes on as it is, unless it is asked to keep it within bounds (rule BG-02,
//! [W3C Baggage, limits](https://www.w3.org/TR/baggage/#limits)).

use crate::headers::{BAGGAGE, HeaderWriter, Headers, Lines, Refused};
use crate::settings::settings;
use crate::w3c::trim_ows;

settings! {
    /// The header `baggage`. Without these settings it is passed on as it is.
    pub struct Baggage "Baggage" {
        /// Limit it to 64 members and 8,192 bytes. Whole members are removed, from the right.
        pub limit: bool = false,
    }
}

/// What every hop must pass on; more may be dropped.
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// Drops members from the right until the rest is within bounds; never part of one. Says whether it dropped any.
pub(crate) fn limit(headers: &Headers, writer: &mut dyn HeaderWriter) -> bool {
    let lines = headers.lines(BAGGAGE);
    if lines.first().is_none() {
        return false;
    }
    let (kept, dropped) = within_bounds(lines);
    if dropped == 0 {
        return false;
    }
    // A refusal is counted at the edge, and then nothing was dropped.
    let written: Result<(), Refused> =
        if kept.is_empty() { writer.remove(BAGGAGE) } else { writer.set(BAGGAGE, &kept) };
    written.is_ok()
}

/// The members that stay, and how many do not.
fn within_bounds(lines: Lines<'_>) -> (Vec<u8>, usize) {
    let mut kept = Vec::new();
    let (mut members, mut dropped) = (0, 0);
    let all = lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).map(trim_ows);
    for member in all.filter(|member| !member.is_empty()) {
        let comma = usize::from(members > 0);
        if dropped > 0 || members == MAX_MEMBERS || kept.len() + comma + member.len() > MAX_BYTES {
            dropped += 1;
            continue;
        }
        kept.extend_from_slice(if members > 0 { b"," } else { b"" });
        kept.extend_from_slice(member);
        members += 1;
    }
    (kept, dropped)
}
