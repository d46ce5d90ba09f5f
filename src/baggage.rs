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

/// The members of all lines, in order, with their properties.
pub(crate) fn members<'a>(lines: Lines<'a>) -> impl Iterator<Item = &'a [u8]> {
    let all = lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).map(trim_ows);
    all.filter(|member| !member.is_empty())
}

/// A member, without its properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    pub(crate) key: &'a [u8],
    /// As it is written: percent-encoded.
    pub(crate) value: &'a [u8],
}

impl<'a> Member<'a> {
    /// Reads a member. Its value has only the signs that [W3C Baggage](https://www.w3.org/TR/baggage/#value) allows.
    pub(crate) fn parse(member: &'a [u8]) -> Option<Self> {
        let pair = member.split(|byte| *byte == b';').next()?;
        let place = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (trim_ows(pair.get(..place)?), trim_ows(pair.get(place + 1..)?));
        let is_allowed = |byte: &u8| byte.is_ascii_graphic() && !b"\",;\\".contains(byte);
        value.iter().all(is_allowed).then_some(Self { key, value })
    }
}

/// The header's value with these members.
pub(crate) fn join(members: &[Member<'_>]) -> Vec<u8> {
    let members: Vec<Vec<u8>> =
        members.iter().map(|member| [member.key, b"=", member.value].concat()).collect();
    members.join(&b","[..])
}

/// The members that stay, and how many do not.
fn within_bounds(lines: Lines<'_>) -> (Vec<u8>, usize) {
    let mut kept = Vec::new();
    let (mut count, mut dropped) = (0, 0);
    for member in members(lines) {
        let comma = usize::from(count > 0);
        if dropped > 0 || count == MAX_MEMBERS || kept.len() + comma + member.len() > MAX_BYTES {
            dropped += 1;
            continue;
        }
        kept.extend_from_slice(if count > 0 { b"," } else { b"" });
        kept.extend_from_slice(member);
        count += 1;
    }
    (kept, dropped)
}
