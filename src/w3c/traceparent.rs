use core::fmt;

use crate::words::{errors, labels};

use super::{IdError, SpanId, TraceId, decode, encode, is_ows, only_case_is_wrong, trim_ows_start};

/// The value of a `traceparent` header ([section 3.2](https://www.w3.org/TR/trace-context-2/#traceparent-header)).
///
/// The version is not kept: what is written is version `00` (rule TP-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace that the request belongs to.
    pub trace_id: TraceId,
    /// The span that sent the request.
    pub parent_id: SpanId,
    /// What the sender decided about it.
    pub flags: TraceFlags,
}

/// The trace flags that this version knows; the others read as unset (rules TP-15, TP-26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceFlags(u8);

labels! {
    /// Why a `traceparent` is not valid.
    pub enum TraceParentError {
        /// The value is empty.
        Empty = "empty", // TP-02
        /// The version is not two lower-case hexadecimal digits and a dash.
        Version = "version", // TP-10
        /// Version ff is forbidden.
        VersionForbidden = "version_ff", // TP-11
        /// The value ends before the flags do.
        Short = "too_short", // TP-13, TP-24
        /// A field does not end in a dash.
        Delimiter = "delimiter", // TP-22
        /// Hexadecimal digits are in upper case.
        UpperCase = "upper_case", // TP-05
        /// The trace-id is not hexadecimal.
        TraceId = "trace_id", // TP-22
        /// The trace-id is all zero.
        TraceIdZero = "trace_id_zero", // TP-20
        /// The parent-id is not hexadecimal.
        ParentId = "parent_id", // TP-23
        /// The parent-id is all zero.
        ParentIdZero = "parent_id_zero", // TP-21
        /// The flags are not hexadecimal.
        Flags = "flags", // TP-24
        /// Something follows the flags.
        Trailing = "trailing", // TP-12, TP-14
        /// More than one value.
        Repeated = "repeated", // TP-06: in several lines, or joined by a comma
    }
}

errors!(TraceParentError);

impl TraceParent {
    /// The length of a version `00` value in bytes.
    pub const LEN: usize = 55;

    /// The ids in a value that is invalid for another reason, for a span to be linked to; nothing may go on with them.
    pub(crate) fn salvage(value: &[u8]) -> Option<Self> {
        let begin = value.get(..2 * Self::LEN).unwrap_or(value).to_ascii_lowercase();
        let mut pieces = begin.split(|byte| *byte == b'-').skip(1);
        let trace_id = TraceId::parse(pieces.next()?.try_into().ok()?).ok()?;
        let parent_id = SpanId::parse(pieces.next()?.first_chunk()?).ok()?;
        Some(Self { trace_id, parent_id, flags: TraceFlags::of(false, false) })
    }

    /// Reads a header value, with white space around it ignored (TP-04).
    ///
    /// Each step takes one production of the grammar and hands on what is left:
    ///
    /// ```text
    /// traceparent = version "-" trace-id "-" parent-id "-" flags [ "-" anything ]    ; the last from version 01 on
    /// ```
    ///
    /// # Errors
    /// The first reason why the value is invalid; the caller must then restart the trace.
    #[inline]
    pub fn parse(value: &[u8]) -> Result<Self, TraceParentError> {
        let (version, rest) = version(trim_ows_start(value))?;
        let (trace_id, rest) = field(rest)?;
        let (parent_id, rest) = field(rest)?;
        let (flags, rest) = rest.split_first_chunk().ok_or(TraceParentError::Short)?;
        let of_trace_id = |error| of_id(error, TraceParentError::TraceId, TraceParentError::TraceIdZero);
        let of_parent_id = |error| of_id(error, TraceParentError::ParentId, TraceParentError::ParentIdZero);
        let parsed = Self {
            trace_id: TraceId::parse(trace_id).map_err(of_trace_id)?,
            parent_id: SpanId::parse(parent_id).map_err(of_parent_id)?,
            flags: TraceFlags::parse(flags)?,
        };
        end(version, rest)?;
        Ok(parsed)
    }

    /// The header value, version `00`.
    #[must_use]
    #[inline]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut out = *b"00-________________________________-________________-__";
        out[3..35].copy_from_slice(&self.trace_id.to_hex());
        out[36..52].copy_from_slice(&self.parent_id.to_hex());
        out[53..].copy_from_slice(&self.flags.to_hex());
        out
    }
}

/// Takes the version and the `-` after it.
#[inline]
fn version(value: &[u8]) -> Result<(u8, &[u8]), TraceParentError> {
    match value {
        [] => Err(TraceParentError::Empty),
        [high, low, b'-', rest @ ..] => match decode(&[*high, *low]) {
            Some(0xff) => Err(TraceParentError::VersionForbidden),
            Some(version) => Ok((version as u8, rest)),
            None => Err(TraceParentError::Version),
        },
        _ => Err(TraceParentError::Version),
    }
}

/// Takes `N` bytes and the `-` after them.
#[inline]
fn field<const N: usize>(input: &[u8]) -> Result<(&[u8; N], &[u8]), TraceParentError> {
    match input.split_first_chunk() {
        Some((field, [b'-', rest @ ..])) => Ok((field, rest)),
        Some((_, [_, ..])) => Err(TraceParentError::Delimiter),
        _ => Err(TraceParentError::Short),
    }
}

/// Looks at what follows the flags.
#[inline]
fn end(version: u8, rest: &[u8]) -> Result<(), TraceParentError> {
    match rest {
        [] => Ok(()),
        [b'-', ..] if version > 0 => Ok(()),
        [b',', more @ ..] if !trim_ows_start(more).is_empty() => Err(TraceParentError::Repeated),
        _ if rest.iter().all(is_ows) => Ok(()),
        _ => Err(TraceParentError::Trailing),
    }
}

fn of_id(error: IdError, not_hex: TraceParentError, zero: TraceParentError) -> TraceParentError {
    match error {
        IdError::NotHex => not_hex,
        IdError::UpperCase => TraceParentError::UpperCase,
        IdError::Zero => zero,
    }
}

impl TraceFlags {
    const SAMPLED: u8 = 0x01;
    const RANDOM: u8 = 0x02;

    /// Flags that say whether the trace is sampled, and whether its id is random.
    #[must_use]
    pub const fn of(sampled: bool, random: bool) -> Self {
        let sampled = if sampled { Self::SAMPLED } else { 0 };
        let random = if random { Self::RANDOM } else { 0 };
        Self(sampled | random)
    }

    /// Whether the sender may have recorded the trace.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED != 0
    }

    /// Whether the right-most 56 bits of the trace-id are random.
    #[must_use]
    pub const fn is_random(self) -> bool {
        self.0 & Self::RANDOM != 0
    }

    /// The flags as a byte.
    pub(crate) const fn byte(self) -> u8 {
        self.0
    }

    fn to_hex(self) -> [u8; 2] {
        let mut digits = [0; 2];
        encode(u64::from(self.0), &mut digits);
        digits
    }

    fn parse(digits: &[u8; 2]) -> Result<Self, TraceParentError> {
        match decode(digits) {
            Some(bits) => Ok(Self(bits as u8 & (Self::SAMPLED | Self::RANDOM))),
            None if only_case_is_wrong(digits) => Err(TraceParentError::UpperCase),
            None => Err(TraceParentError::Flags),
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.parent_id, self.flags.0)
    }
}
