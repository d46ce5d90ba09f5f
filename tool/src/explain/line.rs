//! One line that stands for itself: `NAME: VALUE`, `NAME=VALUE`, or a value without a name.

use tracewarden::words::Format;

use super::bare::Bare;
use super::input::Lines;

/// What a line is.
pub(super) enum Piece {
    /// Headers, and what the reader should know of how they were found.
    Headers(Lines, Option<String>),
    /// Nothing that is understood.
    Nothing,
}

/// What reads lines: it knows the names of headers, and the formats of bare values.
pub(super) struct Reader<'a> {
    /// The name of the `traceparent` header.
    header: &'a str,
    bare: Bare<'a>,
}

/// Headers about traces that belong to no format, or that the filter reads too.
const OTHERS: [&str; 4] = ["traceresponse", "server-timing", "x-request-id", "traceparent"];

impl<'a> Reader<'a> {
    /// What is asked for.
    pub(super) const EXPECTED: &'static str = "expected NAME: VALUE, NAME=VALUE, the value of a trace header alone, or \
        what `curl -v` prints; see --help";

    /// A reader where `traceparent` has this name.
    pub(super) const fn new(header: &'a str) -> Self {
        Self { header, bare: Bare::new(header) }
    }

    /// Reads a line that is not empty.
    pub(super) fn read(&self, line: &[u8]) -> Piece {
        let line = line.trim_ascii();
        // A member of an object of JSON.
        let member = line.strip_suffix(b",").filter(|member| member.starts_with(b"\""));
        let line = unquoted(member.unwrap_or(line));
        if let Some(known) = self.known(line) {
            return Piece::Headers(vec![known], None);
        }
        if let Some((name, note)) = self.bare.valid(line) {
            return Piece::Headers(vec![(name, line.to_vec())], Some(note));
        }
        if let Some(header) = field(line).filter(|_| colon(line).is_some_and(|rest| rest.starts_with(b" "))) {
            return Piece::Headers(vec![header], None);
        }
        let among: Lines = self.among(line);
        if !among.is_empty() {
            return Piece::Headers(among, None);
        }
        if let Some((name, note)) = self.bare.alike(line) {
            return Piece::Headers(vec![(name, line.to_vec())], Some(note));
        }
        match assignment(line).or_else(|| field(line)) {
            Some(header) => Piece::Headers(vec![header], None),
            None => Piece::Nothing,
        }
    }

    /// A line that begins with the name of a header about traces, or with a pseudo-header.
    fn known(&self, line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        let end = line.iter().skip(1).position(|byte| matches!(byte, b':' | b'='))? + 1;
        let (name, value) = line.split_at_checked(end)?;
        let is_assigned = value.starts_with(b"=");
        let name = self.named(unquoted(name.trim_ascii()), is_assigned)?;
        Some((name, unquoted(value.get(1..)?.trim_ascii()).to_vec()))
    }

    /// The header that is meant. A variable has underscores in place of hyphens, and perhaps `HTTP_` in front.
    fn named(&self, name: &[u8], is_variable: bool) -> Option<Vec<u8>> {
        let name = name.to_ascii_lowercase();
        if self.knows(&name) || name.starts_with(b":") && !is_variable {
            return Some(name);
        }
        let dashed: Vec<u8> = name.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect();
        let name = dashed.strip_prefix(b"http-").unwrap_or(&dashed);
        (is_variable && self.knows(name)).then(|| name.to_vec())
    }

    fn knows(&self, name: &[u8]) -> bool {
        let formats = Format::ALL.iter().map(|format| format.headers());
        let names = formats.flat_map(|headers| {
            headers.carriers.iter().copied().chain(headers.companions.iter().map(|companion| companion.name))
        });
        let mut names = names.chain(OTHERS).chain([self.header]);
        names.any(|known| match known.strip_suffix('*') {
            Some(begin) => name.starts_with(begin.as_bytes()) && is_token(name),
            None => name == known.as_bytes(),
        })
    }

    /// The assignments of known headers in a line of a log, or in an object of JSON.
    fn among(&self, line: &[u8]) -> Lines {
        words(line).into_iter().filter_map(|word| self.known(unquoted(word))).collect()
    }
}

/// The words of a line; what is between quotes, or after the sign of an assignment, belongs to the word before.
fn words(line: &[u8]) -> Vec<&[u8]> {
    let (mut is_quoted, mut last) = (false, 0);
    let words = line.split(move |byte| {
        is_quoted ^= *byte == b'"';
        let before = std::mem::replace(&mut last, *byte);
        let is_assigned = *byte == b' ' && matches!(before, b':' | b'=');
        !is_quoted && !is_assigned && b" \t,;{}[]()".contains(byte)
    });
    words.collect()
}

/// A line `NAME: VALUE`, the name in lower case.
pub(super) fn field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let value = colon(line)?;
    let name = line.get(..line.len() - value.len() - 1)?;
    let (colon, token) = name.split_at_checked(usize::from(name.starts_with(b":")))?;
    is_token(token).then(|| ([colon, token].concat().to_ascii_lowercase(), value.trim_ascii().to_vec()))
}

/// What comes after the colon of a name; a pseudo-header has one in front.
fn colon(line: &[u8]) -> Option<&[u8]> {
    let place = line.iter().skip(1).position(|byte| *byte == b':')? + 1;
    line.get(place + 1..)
}

fn assignment(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let place = line.iter().position(|byte| *byte == b'=')?;
    let (name, value) = line.split_at_checked(place)?;
    let value = unquoted(value.get(1..)?.trim_ascii());
    is_token(name).then(|| (name.to_ascii_lowercase(), value.to_vec()))
}

/// Whether it may be the name of a header (RFC 9110, token).
fn is_token(name: &[u8]) -> bool {
    let is_sign = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_sign)
}

/// A text without the quotes around it.
fn unquoted(text: &[u8]) -> &[u8] {
    let inner = |quote: &[u8]| text.strip_prefix(quote)?.strip_suffix(quote);
    let inner = inner(b"\"").or_else(|| inner(b"'"));
    // A quote inside belongs to something else: "traceparent": "00-…" has two texts.
    inner.filter(|inner| !inner.iter().any(|byte| matches!(byte, b'"' | b'\''))).unwrap_or(text)
}
