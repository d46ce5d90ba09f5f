//! W3C Trace Context on the wire: ids, `traceparent` and `tracestate`, each valid by construction.
//!
//! Rules are named as in the tests (`TP-..` for `traceparent`, `TS-..` for `tracestate`) and come from
//! [W3C Trace Context Level 2](https://www.w3.org/TR/trace-context-2/).

mod id;
mod server_timing;
mod traceparent;
mod tracestate;

pub use id::{IdError, SpanId, TraceId};
pub(crate) use server_timing::{TraceMetric, without_metrics};
pub use traceparent::{TraceFlags, TraceParent, TraceParentError};
pub use tracestate::{Member, TraceState, TraceStateError};

/// The value of each byte as a lower-case hexadecimal digit; `NOT_A_DIGIT` for every other byte.
#[expect(clippy::indexing_slicing, reason = "this runs in the compiler")]
const DIGITS: [u8; 256] = {
    let mut table = [NOT_A_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        table[HEX[digit as usize] as usize] = digit;
        digit += 1;
    }
    table
};
const HEX: [u8; 16] = *b"0123456789abcdef";
const NOT_A_DIGIT: u8 = 0x10;

/// The number that `N` (at most 16) lower-case hexadecimal digits spell, or `None` if one of them is no such digit.
#[inline]
pub(crate) fn decode<const N: usize>(digits: &[u8; N]) -> Option<u64> {
    const { assert!(N <= 16) };
    let mut value = 0;
    let mut seen = 0;
    for &byte in digits {
        #[expect(clippy::indexing_slicing, reason = "a byte cannot pass the end of 256 places")]
        let digit = DIGITS[usize::from(byte)];
        seen |= digit;
        value = value << 4 | u64::from(digit & 0xf);
    }
    (seen < NOT_A_DIGIT).then_some(value)
}

/// Writes the low `N` hexadecimal digits of `value`.
#[inline]
pub(crate) fn encode<const N: usize>(value: u64, out: &mut [u8; N]) {
    for (place, byte) in out.iter_mut().rev().enumerate() {
        #[expect(clippy::indexing_slicing, reason = "four bits cannot pass the end of 16 places")]
        let digit = HEX[(value >> (4 * place) & 0xf) as usize];
        *byte = digit;
    }
}

/// Whether upper case is all that keeps `digits` from being lower-case hexadecimal.
#[cold]
fn only_case_is_wrong(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// Optional white space of RFC 9110: a space or a tab.
#[inline]
const fn is_ows(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[inline]
fn trim_ows_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_ows(first)
    {
        text = rest;
    }
    text
}

/// What is before and after the first such byte.
#[inline]
pub(crate) fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == separator)?;
    let (before, after) = text.split_at_checked(place)?;
    Some((before, after.get(1..)?))
}

#[inline]
pub(crate) fn trim_ows(text: &[u8]) -> &[u8] {
    let mut text = trim_ows_start(text);
    while let [rest @ .., last] = text
        && is_ows(last)
    {
        text = rest;
    }
    text
}
