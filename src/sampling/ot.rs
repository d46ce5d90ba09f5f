use super::Threshold;
use crate::w3c::{Member, decode, split_once};

/// OpenTelemetry's member of a `tracestate`: pairs `key:value` joined by `;`
/// ([OpenTelemetry, `TraceState` handling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtState<'a> {
    text: &'a [u8],
    threshold: Option<Threshold>,
    randomness: Option<u64>,
}

impl<'a> OtState<'a> {
    /// The key of the member.
    pub const KEY: &'static [u8] = b"ot";

    /// Reads the member's value, or `None` if it is not made of pairs with distinct keys (rule OT-01), in which case
    /// it says nothing and is left alone.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let mut state = Self { text, threshold: None, randomness: None };
        for (place, pair) in pairs(text).enumerate() {
            let (key, value) = split(pair)?;
            if pairs(text).take(place).any(|earlier| split(earlier).is_some_and(|(other, _)| other == key)) {
                return None;
            }
            match key {
                b"th" => state.threshold = Threshold::parse(value),
                b"rv" => state.randomness = parse_randomness(value),
                _ => {}
            }
        }
        Some(state)
    }

    /// The rejection threshold, `th`; a malformed one is none (rule OT-14).
    #[must_use]
    pub const fn threshold(&self) -> Option<Threshold> {
        self.threshold
    }

    /// The explicit randomness, `rv`; a malformed one is none (rule OT-14).
    #[must_use]
    pub const fn randomness(&self) -> Option<u64> {
        self.randomness
    }

    /// Whether the member already reports exactly this threshold.
    #[must_use]
    pub fn reports(&self, threshold: Option<Threshold>) -> bool {
        let has_th = pairs(self.text).any(is_threshold);
        self.threshold == threshold && has_th == threshold.is_some()
    }

    /// Appends the member's value with this threshold in place of the one that it has; the other pairs stay as they
    /// are (rules OT-03, OT-09). Nothing is appended if nothing is left, and no threshold if the value would then be
    /// longer than 256 bytes (rule OT-01).
    pub fn write_with(&self, threshold: Option<Threshold>, out: &mut Vec<u8>) {
        let start = out.len();
        if let Some(threshold) = threshold {
            write_threshold(threshold, out);
        }
        for pair in pairs(self.text).filter(|pair| !is_threshold(pair)) {
            if out.len() > start {
                out.push(b';');
            }
            out.extend_from_slice(pair);
        }
        if threshold.is_some() && out.len() - start > Member::MAX_LEN {
            out.truncate(start);
            self.write_with(None, out);
        }
    }
}

/// Appends `th:` and the threshold's digits.
pub(crate) fn write_threshold(threshold: Threshold, out: &mut Vec<u8>) {
    out.extend_from_slice(b"th:");
    threshold.write_to(out);
}

fn pairs(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b';')
}

fn is_threshold(pair: &[u8]) -> bool {
    pair.starts_with(b"th:")
}

/// ```text
/// pair = a-z 0*( a-z / 0-9 ) ":" *( A-Z / a-z / 0-9 / "." / "_" / "-" )
/// ```
fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, value) = split_once(pair, b':')?;
    let key_is_good = matches!(key, [b'a'..=b'z', rest @ ..] if rest.iter().all(is_key_byte));
    (key_is_good && value.iter().all(is_value_byte)).then_some((key, value))
}

const fn is_key_byte(byte: &u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9')
}

const fn is_value_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Reads exactly 14 lower-case hexadecimal digits (rule OT-03).
fn parse_randomness(digits: &[u8]) -> Option<u64> {
    decode::<14>(digits.try_into().ok()?)
}
