use core::fmt;

use crate::settings::{Expected, FaultKind, Reader, Setting, Shape, Value};
use crate::w3c::{decode, encode};

/// A 56-bit rejection threshold: a trace is kept if its randomness is not below it
/// ([OpenTelemetry, probability sampling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/)).
///
/// ```
/// use tracewarden::sampling::Threshold;
///
/// let quarter = Threshold::from_probability("0.25")?;
/// assert!(quarter.keeps(0xc0_0000_0000_0000));
/// assert!(!quarter.keeps(0xbf_ffff_ffff_ffff));
/// # Ok::<(), tracewarden::sampling::ProbabilityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold(u64);

/// The text is not a probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbabilityError;

/// One more than the largest randomness.
const END: u64 = 1 << 56;
/// Hexadecimal digits of 56 bits.
const DIGITS: usize = 14;
/// How long a number may be written.
const MAX_LEN: usize = 400;
/// Hexadecimal digits of a threshold that are kept after its leading `f` digits (rule OT-07).
const PRECISION: u32 = 4;

impl Threshold {
    /// The threshold that keeps every trace.
    pub const ALWAYS: Self = Self(0);
    /// The threshold that keeps none.
    pub const NEVER: Self = Self(END);

    /// The threshold for a probability from 0 to 1, written as a decimal number such as `0.25` or `1e-3`, and rounded
    /// to the precision that OpenTelemetry recommends.
    ///
    /// # Errors
    /// The text is no such number.
    pub fn from_probability(decimal: &str) -> Result<Self, ProbabilityError> {
        let kept = fixed_point(decimal).ok_or(ProbabilityError)?;
        let Some(kept) = kept else { return Ok(Self::NEVER) };
        // The threshold has as many leading `f` digits as what is kept has leading zeros.
        let leading = kept.leading_zeros().saturating_sub(u64::BITS - 56) / 4;
        let unit = 1 << (4 * (DIGITS as u32).saturating_sub(PRECISION + leading));
        let rounded = (END - kept + unit / 2) & !(unit - 1);
        Ok(Self(rounded.min(END - 1)))
    }

    /// Reads the digits of `th`: 1 to 14 in lower-case hexadecimal, zeros at the end left out (rule OT-02).
    pub(crate) fn parse(digits: &[u8]) -> Option<Self> {
        let mut padded = [b'0'; DIGITS];
        let place = padded.get_mut(..digits.len()).filter(|place| !place.is_empty())?;
        place.copy_from_slice(digits);
        decode(&padded).map(Self)
    }

    /// Appends the digits of `th`, zeros at the end left out (rule OT-02).
    pub(crate) fn write_to(self, out: &mut Vec<u8>) {
        let mut digits = [0; DIGITS];
        encode(self.0, &mut digits);
        let significant = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
        out.extend_from_slice(digits.get(..significant).unwrap_or(&digits));
    }

    /// Whether a trace with this 56-bit randomness is kept (rule OT-05).
    #[must_use]
    pub const fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }
}

/// A decimal number from 0 to 1 in units of 2^-56, to the nearest; the inner `None` is zero itself, which no threshold
/// expresses. Without floating point, which would double the module's code for numbers.
fn fixed_point(decimal: &str) -> Option<Option<u64>> {
    let (number, exponent) = match decimal.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (decimal, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole, fraction].concat();
    if number.len() > MAX_LEN || digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // 19 digits are more than 2^56 can tell apart.
    let significant = digits.trim_start_matches('0');
    let read = significant.get(..19).unwrap_or(significant);
    if read.is_empty() {
        return Some(None);
    }
    let mantissa = u128::from(read.parse::<u64>().ok()?);
    let cut = significant.len() - read.len();
    let power =
        exponent.checked_add(i32::try_from(cut).ok()?)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let scaled = mantissa << 56;
    let kept = match 10u128.checked_pow(power.unsigned_abs()) {
        Some(scale) if power >= 0 => scaled.checked_mul(scale)?,
        Some(scale) => (scaled + scale / 2) / scale,
        None if power >= 0 => return None,
        None => 0,
    };
    u64::try_from(kept).ok().filter(|kept| *kept <= END).map(Some)
}

impl Setting for Threshold {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        if !matches!(value, Value::Whole(_) | Value::Float(_)) {
            return reader.wrong_type(PROBABILITY, value);
        }
        // The shortest decimal number that stands for a float is the one that was written.
        let threshold = Self::from_probability(&value.to_string());
        threshold.map_err(|_| reader.fault(FaultKind::OutOfRange, Expected::Phrase(PROBABILITY), value)).ok()
    }

    fn shape() -> Shape {
        Shape::Probability
    }

    fn value(&self) -> Value {
        match self.0 {
            0 => Value::Whole(1),
            rejected => Value::Float(1.0 - rejected as f64 / END as f64),
        }
    }
}

/// How messages name a probability.
pub(crate) const PROBABILITY: &str = "a number from 0 to 1";

impl fmt::Display for ProbabilityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {PROBABILITY}")
    }
}

impl core::error::Error for ProbabilityError {}
