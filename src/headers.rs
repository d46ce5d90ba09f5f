//! The headers of one request or response: built once at the edge, then asked by name.

use core::ops::Range;

/// The header that carries the trace's ids, unless the mesh renamed it.
pub const TRACEPARENT: &str = "traceparent";
/// The header that carries what vendors add to them.
pub const TRACESTATE: &str = "tracestate";
/// The header that carries what applications attach to a trace.
pub const BAGGAGE: &str = "baggage";
/// The header in which Envoy keeps the request's id.
pub const X_REQUEST_ID: &str = "x-request-id";
/// The header of earlier drafts of Trace Context Level 3 (rule RS-01).
pub const TRACERESPONSE: &str = "traceresponse";
/// The header whose metrics browsers show to scripts.
pub const SERVER_TIMING: &str = "server-timing";

/// All header lines of a message, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    bytes: Vec<u8>,
    lines: Vec<Line>,
    /// One bit for each [`fingerprint`] of a name, so that a header that is absent costs no walk.
    fingerprints: u64,
}

/// Where a line's name and value are.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// The bytes of the name.
    pub name: Range<u32>,
    /// The bytes of the value.
    pub value: Range<u32>,
}

/// The lines of one header.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    headers: &'a Headers,
    name: &'a str,
    first: Option<&'a [u8]>,
    after_first: usize,
    repeated: bool,
}

/// Changes the headers of the message that is on its way.
pub trait HeaderWriter {
    /// Makes `value` the header's only line.
    ///
    /// # Errors
    /// The host refused; the header is as it was.
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused>;
    /// Appends a line to the header.
    ///
    /// # Errors
    /// The host refused; the header is as it was.
    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused>;
    /// Removes all lines of the header.
    ///
    /// # Errors
    /// The host refused; the header is as it was.
    fn remove(&mut self, name: &str) -> Result<(), Refused>;
}

/// The host refused a call, and the edge has counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// A refusal that changes nothing of what we believe to be on the wire; the edge has counted it.
pub(crate) fn ignore(_: Result<(), Refused>) {}

impl Headers {
    /// Headers of this number of lines, whose names and values are parts of `bytes`; `next` finds the next line there.
    /// Returns `None` if it finds none, or one that is not within the bytes. The caller bounds the number: memory is taken for
    /// so many lines at once.
    #[inline]
    pub fn index(bytes: Vec<u8>, number: usize, mut next: impl FnMut(&[u8]) -> Option<Line>) -> Option<Self> {
        let mut lines = vec![Line::default(); number];
        let mut fingerprints = 0;
        for line in &mut lines {
            let Line { name, value } = next(&bytes)?;
            fingerprints |= fingerprint(bytes.get(name.start as usize..name.end as usize)?);
            if value.start > value.end || value.end as usize > bytes.len() {
                return None;
            }
            *line = Line { name, value };
        }
        Some(Self { bytes, lines, fingerprints })
    }

    /// The bytes that the lines are parts of.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first line of a header.
    #[must_use]
    #[inline]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.find(name, 0).map(|(_, value)| value)
    }

    /// Whether there is a line of the header.
    #[must_use]
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.find(name, 0).is_some()
    }

    /// The lines of a header.
    #[must_use]
    #[inline]
    pub fn lines<'a>(&'a self, name: &'a str) -> Lines<'a> {
        let (after_first, first) =
            self.find(name, 0).map_or((0, None), |(place, value)| (place + 1, Some(value)));
        let repeated = first.is_some() && self.find(name, after_first).is_some();
        Lines { headers: self, name, first, after_first, repeated }
    }

    /// Every line, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|line| (self.text(&line.name), self.text(&line.value)))
    }

    /// Removes the header if it came in.
    #[inline]
    pub(crate) fn remove(&self, name: &str, writer: &mut dyn HeaderWriter) {
        if self.has(name) {
            ignore(writer.remove(name));
        }
    }

    /// The next line of a header from this place on, and its place.
    #[inline]
    fn find(&self, name: &str, from: usize) -> Option<(usize, &[u8])> {
        let wanted = name.as_bytes();
        if self.fingerprints & fingerprint(wanted) == 0 {
            return None;
        }
        let length = wanted.len() as u32;
        let lines = self.lines.iter().enumerate().skip(from);
        // Envoy hands names over in lower case; other hosts need not (rules TP-01, TS-01).
        let mut found = lines.filter(|(_, Line { name, .. })| {
            name.end.wrapping_sub(name.start) == length && is_same(self.text(name), wanted)
        });
        found.next().map(|(place, line)| (place, self.text(&line.value)))
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the ranges of a line were checked when it was added")]
    fn text(&self, range: &Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }
}

/// Compares two names of the same length without regard to case, most of which differ or agree byte for byte.
#[inline]
fn is_same(name: &[u8], wanted: &[u8]) -> bool {
    name.iter().zip(wanted).all(|(one, other)| one == other || one.eq_ignore_ascii_case(other))
}

/// One of 64 bits, by the length and the last byte of a name, without regard to case.
#[inline]
fn fingerprint(name: &[u8]) -> u64 {
    let last = name.last().map_or(0, |byte| u32::from(byte | 0x20));
    1 << ((name.len() as u32).wrapping_mul(11).wrapping_add(last) % u64::BITS)
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(lines: T) -> Self {
        let mut headers = Self::default();
        for (name, value) in lines {
            let start = headers.bytes.len() as u32;
            headers.bytes.extend_from_slice(name.as_ref());
            let middle = headers.bytes.len() as u32;
            headers.bytes.extend_from_slice(value.as_ref());
            let end = headers.bytes.len() as u32;
            headers.fingerprints |= fingerprint(name.as_ref());
            headers.lines.push(Line { name: start..middle, value: middle..end });
        }
        headers
    }
}

impl<'a> Lines<'a> {
    /// The first line.
    #[must_use]
    pub const fn first(&self) -> Option<&'a [u8]> {
        self.first
    }

    /// Whether there is more than one line.
    #[must_use]
    pub const fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// Every line, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let mut from = self.after_first;
        let others = core::iter::from_fn(move || {
            let (place, value) = self.repeated.then(|| self.headers.find(self.name, from))??;
            from = place + 1;
            Some(value)
        });
        self.first.into_iter().chain(others)
    }
}

/// The path without its query.
pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'?').next().unwrap_or_default()
}

/// Whether a `content-type` is gRPC's.
pub(crate) fn is_grpc(content_type: &[u8]) -> bool {
    content_type.starts_with(b"application/grpc")
}

/// The host and the port of an authority or an address; what follows the colon and is no port is none.
///
/// ```text
/// authority = ( "[" address "]" / host ) [ ":" port ]      ; a host with another ":" is an address without a port
/// ```
pub(crate) fn host_and_port(authority: &[u8]) -> (&[u8], Option<u16>) {
    let colon = authority.iter().rposition(|byte| *byte == b':');
    match colon.and_then(|colon| authority.split_at_checked(colon)) {
        Some((host, [_, port @ ..])) if host.ends_with(b"]") || !host.contains(&b':') => {
            (host, core::str::from_utf8(port).ok().and_then(|port| port.parse().ok()))
        }
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for (authority, host, port) in [
            ("a.example", "a.example", None),
            ("a.example:80", "a.example", Some(80)),
            ("a.example:", "a.example", None),
            ("a.example:x", "a.example", None),
            ("a.example:65536", "a.example", None),
            ("[::1]:443", "[::1]", Some(443)),
            ("[::1]", "[::1]", None),
            ("::1", "::1", None),
            ("", "", None),
        ] {
            assert_eq!(host_and_port(authority.as_bytes()), (host.as_bytes(), port), "{authority}");
        }
    }
}
