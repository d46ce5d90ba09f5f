use crate::words::{errors, labels};

use super::{split_once, trim_ows};

/// The members of a `tracestate` list, in order, without duplicates
/// ([section 3.3](https://www.w3.org/TR/trace-context-2/#tracestate-header)).
#[derive(Clone, Debug, Default)]
pub struct TraceState<'a> {
    members: Vec<Member<'a>>,
    /// One bit for each [`fingerprint`] of a key: keys are compared only if theirs are the same.
    keys: [u64; 4],
    verbatim: bool,
}

/// One member of a `tracestate` list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

labels! {
    /// Why a `tracestate` is not valid.
    pub enum TraceStateError {
        /// A member has no equals sign.
        NoEquals = "no_equals", // TS-25
        /// A key is not made of lower-case letters, digits and _-*/@.
        Key = "key", // TS-20
        /// A key is longer than 256 bytes.
        KeyLong = "key_too_long", // TS-23
        /// A value has a byte that is not printable, a comma or an equals sign.
        Value = "value", // TS-22
        /// A value is empty.
        ValueEmpty = "value_empty", // TS-24
        /// A value is longer than 256 bytes.
        ValueLong = "value_too_long", // TS-24
        /// There are more than 32 members.
        Members = "too_many_members", // TS-07
    }
}

errors!(TraceStateError);

impl<'a> TraceState<'a> {
    /// How many members a list may have (TS-07).
    pub const MAX_MEMBERS: usize = 32;

    /// Reads the lines of the header as one list (TS-03); empty members are passed over (TS-04), and of members
    /// with the same key the first is kept (TS-06).
    ///
    /// # Errors
    /// The first reason why the list is invalid; the caller must then discard all of it (TS-30).
    pub fn parse(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TraceStateError> {
        let mut list = Self { members: Vec::new(), keys: [0; 4], verbatim: true };
        for (line_number, line) in lines.into_iter().enumerate() {
            list.verbatim &= line_number == 0;
            for text in line.split(|byte| *byte == b',') {
                list.read_member(text)?;
            }
        }
        Ok(list)
    }

    #[inline]
    fn read_member(&mut self, text: &'a [u8]) -> Result<(), TraceStateError> {
        let trimmed = trim_ows(text);
        self.verbatim &= trimmed.len() == text.len() && !trimmed.is_empty();
        if trimmed.is_empty() {
            return Ok(());
        }
        let member = Member::parse(trimmed)?;
        if self.is_repeated(member.key) {
            self.verbatim = false;
        } else if self.members.len() < Self::MAX_MEMBERS {
            self.members.push(member);
        } else {
            return Err(TraceStateError::Members);
        }
        Ok(())
    }

    /// Whether a member has this key already; if not, one has it from now on.
    #[inline]
    fn is_repeated(&mut self, key: &[u8]) -> bool {
        let (word, bit) = fingerprint(key);
        #[expect(clippy::indexing_slicing, reason = "two bits cannot pass the end of 4 places")]
        let keys = &mut self.keys[word];
        let may_be = *keys & bit != 0;
        *keys |= bit;
        may_be && self.members.iter().any(|earlier| earlier.key == key)
    }

    /// The members, left-most first.
    #[must_use]
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// Whether there is nothing to send (TS-04).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether what came in is, byte for byte, what [`Self::to_bytes`] prints.
    #[must_use]
    pub const fn is_verbatim(&self) -> bool {
        self.verbatim
    }

    /// The same list, which did not come in with the request that it goes out with.
    #[must_use]
    pub(crate) fn not_verbatim(self) -> Self {
        Self { verbatim: false, ..self }
    }

    /// The value of the member with this key.
    #[must_use]
    pub fn value(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.members.iter().find(|member| member.key == key).map(Member::value)
    }

    /// The list with `own` in front, in place of a member of the same key (TS-41); of more than 32 members the
    /// right-most goes (TS-07).
    #[must_use]
    pub fn with(self, own: Member<'a>) -> Self {
        let mut list = self.without(own.key);
        list.members.insert(0, own);
        list.members.truncate(Self::MAX_MEMBERS);
        Self { verbatim: false, ..list }
    }

    /// The list without the member of this key.
    #[must_use]
    pub fn without(mut self, key: &[u8]) -> Self {
        let before = self.members.len();
        self.members.retain(|member| member.key != key);
        self.verbatim &= self.members.len() == before;
        self
    }

    /// The list in one line, with neither white space nor empty members.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = self.members.iter().map(|member| member.key.len() + member.value.len() + 2).sum();
        let mut out = Vec::with_capacity(length);
        for member in &self.members {
            if !out.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(member.key);
            out.push(b'=');
            out.extend_from_slice(member.value);
        }
        out
    }
}

impl<'a> Member<'a> {
    /// How many bytes a key or a value may have (TS-23, TS-24).
    pub const MAX_LEN: usize = 256;

    /// The key: who wrote the member.
    #[must_use]
    pub const fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The value, which means something to its writer only.
    #[must_use]
    pub const fn value(&self) -> &'a [u8] {
        self.value
    }

    /// A member of our own.
    ///
    /// # Errors
    /// The key or the value is not valid.
    pub fn new(key: &'a [u8], value: &'a [u8]) -> Result<Self, TraceStateError> {
        check_key(key)?;
        check_value(value)?;
        Ok(Self { key, value })
    }

    /// Reads a member with no white space around it.
    ///
    /// ```text
    /// member = key "=" value
    /// key    = ( a-z / 0-9 ) 0*255( a-z / 0-9 / "_" / "-" / "*" / "/" / "@" )
    /// value  = 0*255( %x20-7E without "," and "=" ) ( %x21-7E without "," and "=" )
    /// ```
    fn parse(text: &'a [u8]) -> Result<Self, TraceStateError> {
        let (key, value) = split_once(text, b'=').ok_or(TraceStateError::NoEquals)?;
        Self::new(key, value)
    }
}

/// One of 256 bits, by all bytes of a key: a word and a bit in it.
#[inline]
fn fingerprint(key: &[u8]) -> (usize, u64) {
    let mixed = key.iter().fold(0_u32, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    ((mixed >> 6 & 3) as usize, 1 << (mixed & 0x3f))
}

#[inline]
fn check_key(key: &[u8]) -> Result<(), TraceStateError> {
    let starts_well = matches!(key, [b'a'..=b'z' | b'0'..=b'9', ..]);
    if key.len() > Member::MAX_LEN {
        Err(TraceStateError::KeyLong)
    } else if starts_well && key.iter().all(is_key_byte) {
        Ok(())
    } else {
        Err(TraceStateError::Key)
    }
}

#[inline]
fn check_value(value: &[u8]) -> Result<(), TraceStateError> {
    match value.len() {
        0 => Err(TraceStateError::ValueEmpty),
        1..=Member::MAX_LEN if value.iter().all(is_value_byte) && !value.ends_with(b" ") => Ok(()),
        1..=Member::MAX_LEN => Err(TraceStateError::Value),
        _ => Err(TraceStateError::ValueLong),
    }
}

#[inline]
const fn is_key_byte(byte: &u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@')
}

#[inline]
const fn is_value_byte(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=')
}
