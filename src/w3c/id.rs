use core::fmt;
use core::num::{NonZeroU64, NonZeroU128};

use rand::CryptoRng;

use super::{decode, encode, only_case_is_wrong};

/// A trace-id: 16 bytes, never all zero ([section 3.2.2.3](https://www.w3.org/TR/trace-context-2/#trace-id)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(NonZeroU128);

/// A parent-id, or the id of a span of ours: 8 bytes, never all zero
/// ([section 3.2.2.4](https://www.w3.org/TR/trace-context-2/#parent-id)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(NonZeroU64);

/// Why digits are not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// A byte is not a hexadecimal digit.
    NotHex,
    /// Every byte is a hexadecimal digit, but one is in upper case.
    UpperCase,
    /// Every digit is zero.
    Zero,
}

impl IdError {
    fn of_digits(digits: &[u8]) -> Self {
        if only_case_is_wrong(digits) { Self::UpperCase } else { Self::NotHex }
    }
}

impl TraceId {
    /// Reads 32 lower-case hexadecimal digits (rules TP-05, TP-20, TP-22).
    ///
    /// # Errors
    /// The first reason, in the order of [`IdError`], why they are no trace-id.
    pub fn parse(digits: &[u8; 32]) -> Result<Self, IdError> {
        let mut value = 0;
        for half in digits.as_chunks::<16>().0 {
            let half = decode(half).ok_or_else(|| IdError::of_digits(digits))?;
            value = value << 64 | u128::from(half);
        }
        NonZeroU128::new(value).map(Self).ok_or(IdError::Zero)
    }

    /// Draws an id whose 16 bytes are all random (rule TP-42).
    #[inline]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        loop {
            let drawn = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
            if let Some(id) = NonZeroU128::new(drawn) {
                return Self(id);
            }
        }
    }

    /// The right-most 56 bits: the randomness that samplers compare with their threshold
    /// ([OpenTelemetry, probability sampling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/)).
    #[must_use]
    pub const fn randomness(self) -> u64 {
        const LOW_56: u128 = (1 << 56) - 1;
        (self.0.get() & LOW_56) as u64
    }

    /// Its 32 lower-case hexadecimal digits.
    #[must_use]
    #[inline]
    pub fn to_hex(self) -> [u8; 32] {
        let mut digits = [0; 32];
        let value = self.0.get();
        for (half, out) in
            [(value >> 64) as u64, value as u64].into_iter().zip(digits.as_chunks_mut::<16>().0)
        {
            encode(half, out);
        }
        digits
    }

    pub(crate) const fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }

    /// The right-most 64 bits, all that some formats have.
    pub(crate) const fn low(self) -> u64 {
        self.0.get() as u64
    }

    /// The left-most 64 bits.
    pub(crate) const fn high(self) -> u64 {
        (self.0.get() >> 64) as u64
    }

    /// Whether the ids name one trace: they are equal, or one of them lacks the left half, as in formats of 64 bits.
    pub(crate) fn is_same_trace(self, other: Self) -> bool {
        self == other || self.low() == other.low() && (self.high() == 0 || other.high() == 0)
    }

    /// The id of these halves, unless both are zero.
    pub(crate) fn of_halves(high: u64, low: u64) -> Option<Self> {
        NonZeroU128::new(u128::from(high) << 64 | u128::from(low)).map(Self)
    }
}

impl SpanId {
    /// The id as a number, unless it is zero.
    pub(crate) fn of_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    pub(crate) const fn number(self) -> u64 {
        self.0.get()
    }

    pub(crate) const fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }

    /// Reads 16 lower-case hexadecimal digits (rules TP-05, TP-21, TP-23).
    ///
    /// # Errors
    /// The first reason, in the order of [`IdError`], why they are no span-id.
    pub fn parse(digits: &[u8; 16]) -> Result<Self, IdError> {
        let value = decode(digits).ok_or_else(|| IdError::of_digits(digits))?;
        NonZeroU64::new(value).map(Self).ok_or(IdError::Zero)
    }

    /// Draws a random id (rule TP-45).
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        loop {
            if let Some(id) = NonZeroU64::new(rng.next_u64()) {
                return Self(id);
            }
        }
    }

    /// Its 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> [u8; 16] {
        let mut digits = [0; 16];
        encode(self.0.get(), &mut digits);
        digits
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
