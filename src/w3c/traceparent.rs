use core::fmt;

use crate::words::labels;

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
        /// There is nothing in it (TP-02).
        Empty = "empty",
        /// It does not begin with two lower-case hexadecimal digits and `-` (TP-10).
        Version = "version",
        /// Its version is `ff` (TP-11).
        VersionForbidden = "version_ff",
        /// It ends before the flags do (TP-13, TP-24).
        Short = "too_short",
        /// A field does not end in `-` where it should (TP-22).
        Delimiter = "delimiter",
        /// Its hexadecimal digits are not all lower case (TP-05).
        UpperCase = "upper_case",
        /// The trace-id is not hexadecimal (TP-22).
        TraceId = "trace_id",
        /// The trace-id is all zero (TP-20).
        TraceIdZero = "trace_id_zero",
        /// The parent-id is not hexadecimal (TP-23).
        ParentId = "parent_id",
        /// The parent-id is all zero (TP-21).
        ParentIdZero = "parent_id_zero",
        /// The flags are not hexadecimal (TP-24).
        Flags = "flags",
        /// Something follows the flags that may not (TP-12, TP-14).
        Trailing = "trailing",
        /// More than one value came: in several lines, or joined by a comma (TP-06).
        Repeated = "repeated",
    }
}

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

fn of_trace_id(error: IdError) -> TraceParentError {
    match error {
        IdError::NotHex => TraceParentError::TraceId,
        IdError::UpperCase => TraceParentError::UpperCase,
        IdError::Zero => TraceParentError::TraceIdZero,
    }
}

fn of_parent_id(error: IdError) -> TraceParentError {
    match error {
        IdError::NotHex => TraceParentError::ParentId,
        IdError::UpperCase => TraceParentError::UpperCase,
        IdError::Zero => TraceParentError::ParentIdZero,
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

impl fmt::Display for TraceParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the value is empty",
            Self::Version => "the version is not two lower-case hexadecimal digits and a dash",
            Self::VersionForbidden => "version ff is forbidden",
            Self::Short => "the value ends before the flags do",
            Self::Delimiter => "a field does not end in a dash",
            Self::UpperCase => "hexadecimal digits are in upper case",
            Self::TraceId => "the trace-id is not hexadecimal",
            Self::TraceIdZero => "the trace-id is all zero",
            Self::ParentId => "the parent-id is not hexadecimal",
            Self::ParentIdZero => "the parent-id is all zero",
            Self::Flags => "the flags are not hexadecimal",
            Self::Trailing => "something follows the flags",
            Self::Repeated => "more than one value",
        })
    }
}

impl core::error::Error for TraceParentError {}
