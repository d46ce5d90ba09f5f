//! The headers of one request or response: built once at the edge, then asked by name.

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
    /// The texts of the lines. After each name and each value comes a NUL.
    bytes: Vec<u8>,
    /// The lines, and one more where the last of them ends.
    lines: Vec<Line>,
    /// One bit for each [`fingerprint`] of a name, so that a header that is absent costs no walk.
    fingerprints: u64,
}

/// Where a line's name and its value start. Its value ends where the next line starts.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: u32,
    value: u32,
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
    /// Headers of this number of lines, which stand one after the other in `bytes`, from `start` on: a name, a NUL, a
    /// value, a NUL. `next` tells the lengths of the next line's name and value. Returns `None` if it tells none, or if a
    /// line leads out of the bytes. The caller bounds the number: memory is taken for so many lines at once.
    #[inline]
    pub fn index(
        bytes: Vec<u8>,
        start: u32,
        number: usize,
        mut next: impl FnMut(&[u8]) -> Option<(u32, u32)>,
    ) -> Option<Self> {
        let mut lines = vec![Line { name: 0, value: 0 }; number + 1];
        let (mut fingerprints, mut at) = (0, u64::from(start));
        let (end, all) = lines.split_last_mut()?;
        for line in all {
            let (name, value) = next(&bytes)?;
            fingerprints |= fingerprint(name, *bytes.get(usize::try_from(at).ok()?)?);
            let value_at = at + u64::from(name) + 1;
            *line = Line { name: at as u32, value: value_at as u32 };
            at = value_at + u64::from(value) + 1;
        }
        let at = u32::try_from(at).ok().filter(|at| *at as usize <= bytes.len())?;
        *end = Line { name: at, value: at };
        Some(Self { bytes, lines, fingerprints })
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
        let ends = self.lines.iter().skip(1);
        self.lines.iter().zip(ends).map(|(line, next)| (self.name(line), self.text(line.value, next.name)))
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
        let (wanted, length) = (name.as_bytes(), name.len() as u32);
        if self.fingerprints & fingerprint(length, *wanted.first().unwrap_or(&0)) == 0 {
            return None;
        }
        let mut lines = self.lines.iter().enumerate().skip(from);
        // Envoy hands names over in lower case; other hosts need not (rules TP-01, TS-01).
        let (place, line) = lines
            .find(|(_, line)| line.value - line.name == length + 1 && is_same(self.name(line), wanted))?;
        Some((place, self.text(line.value, self.lines.get(place + 1)?.name)))
    }

    #[inline]
    fn name(&self, line: &Line) -> &[u8] {
        self.text(line.name, line.value)
    }

    /// The text that starts here, where the next one starts there.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the lines are in order, and the last ends within the bytes")]
    fn text(&self, start: u32, next: u32) -> &[u8] {
        &self.bytes[start as usize..next as usize - 1]
    }
}

/// Compares two names of the same length without regard to case, most of which differ or agree byte for byte.
#[inline]
fn is_same(name: &[u8], wanted: &[u8]) -> bool {
    name.iter().zip(wanted).all(|(one, other)| one == other || one.eq_ignore_ascii_case(other))
}

/// One of 64 bits, by the length and the first byte of a name, without regard to case. An empty name has a NUL there.
#[inline]
fn fingerprint(length: u32, first: u8) -> u64 {
    1 << (length.wrapping_mul(7).wrapping_add(u32::from(first | 0x20)) % u64::BITS)
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(lines: T) -> Self {
        let (mut bytes, mut lengths) = (Vec::new(), Vec::new());
        for (name, value) in lines {
            let (name, value) = (name.as_ref(), value.as_ref());
            bytes.extend([name, value].map(|text| [text, &[0]].concat()).concat());
            lengths.push((name.len() as u32, value.len() as u32));
        }
        let number = lengths.len();
        let mut lengths = lengths.into_iter();
        Self::index(bytes, 0, number, |_| lengths.next()).unwrap_or_default()
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

/// Whether clients, servers or proxies give a header of this name a meaning. The names are those of the
/// [registry of HTTP fields](https://www.iana.org/assignments/http-fields/) that they act on, and Envoy's own.
pub(crate) fn is_of_http(name: &str) -> bool {
    const FAMILIES: &str =
        "accept access-control- alt- content- cross-origin- grpc- if- proxy- sec- x-envoy- x-forwarded-";
    const NAMES: &str = "age allow authentication-info authorization cache-control cache-status cdn-cache-control clear-site-data \
        connection cookie date deprecation digest dnt early-data etag expect expires forwarded from host \
        http2-settings keep-alive last-modified link location max-forwards nel origin origin-agent-cluster \
        permissions-policy pragma preference-applied priority range referer referrer-policy refresh report-to \
        reporting-endpoints repr-digest retry-after server set-cookie signature signature-input sourcemap \
        strict-transport-security sunset te timing-allow-origin trailer transfer-encoding upgrade \
        upgrade-insecure-requests user-agent vary via warning www-authenticate x-content-type-options \
        x-dns-prefetch-control x-frame-options x-powered-by x-real-ip x-robots-tag x-xss-protection";
    FAMILIES.split(' ').any(|family| name.starts_with(family)) || NAMES.split(' ').any(|known| known == name)
}

/// The path without its query.
pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'?').next().unwrap_or_default()
}

/// Whether a `content-type` is gRPC's.
pub(crate) fn is_grpc(content_type: &[u8]) -> bool {
    content_type.starts_with(b"application/grpc")
}

/// Whether it is gRPC as browsers speak it, which has its trailers in the body
/// ([gRPC-Web](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md)).
pub(crate) fn is_grpc_web(content_type: &[u8]) -> bool {
    content_type.starts_with(b"application/grpc-web")
}

/// The authority of a URL without what is before its `@`, which may be a password.
pub(crate) fn without_credentials(authority: &[u8]) -> &[u8] {
    authority.rsplit(|byte| *byte == b'@').next().unwrap_or(authority)
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
