use core::fmt;

/// A 56-bit rejection threshold: a trace is kept if its randomness is not below it
/// ([OpenTelemetry, probability sampling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/)).
///
/// ```
/// use tracewarden::sampling::Threshold;
///
/// let quarter = Threshold::from_probability(0.25)?;
/// assert!(quarter.keeps(0xc0_0000_0000_0000));
/// assert!(!quarter.keeps(0xbf_ffff_ffff_ffff));
/// # Ok::<(), tracewarden::sampling::ProbabilityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold(u64);

/// The value is not a probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbabilityError(f64);

/// One more than the largest randomness.
const END: u64 = 1 << 56;
/// Hexadecimal digits of a threshold that are kept after its leading `f` digits (rule OT-07).
const PRECISION: i32 = 4;

impl Threshold {
    /// The threshold that keeps every trace.
    pub const ALWAYS: Self = Self(0);

    /// The threshold for a probability from 0 to 1, rounded to the precision that OpenTelemetry recommends.
    ///
    /// # Errors
    /// The value is outside of that range, or not a number.
    pub fn from_probability(probability: f64) -> Result<Self, ProbabilityError> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(ProbabilityError(probability));
        }
        if probability == 0.0 {
            return Ok(Self(END));
        }
        let exact = ((1.0 - probability) * END as f64).round() as u64;
        let unit = 1 << (56 - 4 * digits(probability));
        let rounded = (exact + unit / 2) & !(unit - 1);
        Ok(Self(rounded.min(END - 1)))
    }

    /// Whether a trace with this 56-bit randomness is kept (rule OT-05).
    #[must_use]
    pub const fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }
}

/// How many hexadecimal digits the threshold of a probability gets: the precision, after its leading `f` digits.
fn digits(probability: f64) -> u32 {
    let exponent = ((probability.to_bits() >> 52) & 0x7ff) as i32 - 1022;
    let leading = (-exponent).div_euclid(4);
    (PRECISION + leading).clamp(1, 14).unsigned_abs()
}

impl fmt::Display for ProbabilityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a probability from 0 to 1", self.0)
    }
}

impl core::error::Error for ProbabilityError {}
