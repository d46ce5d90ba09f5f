//! HTTP headers, as Envoy keeps them.

use std::fmt;

/// The most pairs, and the most bytes, a host accepts from a guest in one map.
const MAX_PAIRS: usize = 1024;
const MAX_BYTES: usize = 1 << 20;

/// Header lines in order, with names in lower case and values of any bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderMap {
    lines: Vec<(Vec<u8>, Vec<u8>)>,
}

impl HeaderMap {
    /// A map without lines.
    pub const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// The value of the first line of that name.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.iter().find(|(own, _)| own.eq_ignore_ascii_case(name.as_ref())).map(|(_, value)| value)
    }

    /// The values of all lines of that name.
    pub fn lines(&self, name: impl AsRef<[u8]>) -> Vec<&[u8]> {
        self.iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name.as_ref()))
            .map(|(_, value)| value)
            .collect()
    }

    /// Appends a line.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.lines.push((name.as_ref().to_ascii_lowercase(), value.as_ref().to_vec()));
    }

    /// Removes all lines of that name and appends this one, as Envoy's `setCopy` does.
    pub fn replace(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.remove(name.as_ref());
        self.add(name, value);
    }

    /// Removes all lines of that name.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        self.lines.retain(|(own, _)| !own.eq_ignore_ascii_case(name.as_ref()));
    }

    /// The lines in order, each a name and a value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The bytes of all names and values together.
    pub fn byte_size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The map in the ABI's serialised form; a [`Fault::Buffer`](crate::Fault::Buffer) may start from it.
    ///
    /// ```text
    /// count, count * (name length, value length), count * (name, NUL, value, NUL)   numbers: u32, little endian
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        serialized(&self.iter().collect::<Vec<_>>())
    }

    /// Reads the serialised form; malformed or oversized bytes are an empty map, as Envoy's host reads them.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        parse(bytes).unwrap_or_default()
    }
}

/// The serialised form of pairs, whose names may be any bytes.
pub(crate) fn serialized(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = number(pairs.len()).to_vec();
    for (name, value) in pairs {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(*part);
        bytes.push(0);
    }
    bytes
}

fn number(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

fn parse(bytes: &[u8]) -> Option<HeaderMap> {
    let (count, sizes) = take_number(bytes)?;
    if count > MAX_PAIRS || bytes.len() > MAX_BYTES {
        return None;
    }
    let (mut sizes, mut texts) = sizes.split_at_checked(count * 8)?;
    let mut map = HeaderMap::new();
    for _ in 0..count {
        let (name_size, rest) = take_number(sizes)?;
        let (value_size, rest) = take_number(rest)?;
        sizes = rest;
        let (name, rest) = take_text(texts, name_size)?;
        let (value, rest) = take_text(rest, value_size)?;
        texts = rest;
        map.add(name, value);
    }
    Some(map)
}

fn take_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

/// Takes a text of `size` bytes and the NUL after it.
fn take_text(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(size)?;
    Some((text, rest.strip_prefix(&[0])?))
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderMap {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Self {
        let mut map = Self::new();
        for (name, value) in lines {
            map.add(name, value);
        }
        map
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const COUNT: usize> From<[(N, V); COUNT]> for HeaderMap {
    fn from(lines: [(N, V); COUNT]) -> Self {
        lines.into_iter().collect()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> From<&[(N, V)]> for HeaderMap {
    fn from(lines: &[(N, V)]) -> Self {
        lines.iter().map(|(name, value)| (name, value)).collect()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> From<Vec<(N, V)>> for HeaderMap {
    fn from(lines: Vec<(N, V)>) -> Self {
        lines.into_iter().collect()
    }
}

impl fmt::Debug for HeaderMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.iter().map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii())),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_are_kept_in_lower_case() {
        let map = HeaderMap::from([("TraceParent", "a"), ("traceparent", "b")]);
        assert_eq!(map.get("TRACEPARENT"), Some(&b"a"[..]));
        assert_eq!(map.lines("traceParent"), [b"a", b"b"]);
        assert!(map.iter().all(|(name, _)| name == b"traceparent"));
    }

    #[test]
    fn replace_leaves_one_line_or_adds_it() {
        let mut map = HeaderMap::from([("a", "1"), ("b", "2"), ("A", "3")]);
        map.replace("a", "4");
        map.replace("c", "5");
        assert_eq!(map, HeaderMap::from([("b", "2"), ("a", "4"), ("c", "5")]));
    }

    #[test]
    fn remove_takes_every_line() {
        let mut map = HeaderMap::from([("a", "1"), ("b", "2"), ("a", "3")]);
        map.remove("A");
        assert_eq!(map, HeaderMap::from([("b", "2")]));
    }

    #[test]
    fn the_serialised_form_reads_back() {
        let map = HeaderMap::from([(&b":path"[..], &b"/"[..]), (b"x", b"\0\xff"), (b"empty", b"")]);
        assert_eq!(HeaderMap::from_bytes(&map.to_bytes()), map);
        assert_eq!(HeaderMap::new().to_bytes(), [0; 4]);
    }

    #[test]
    fn cut_or_oversized_maps_read_as_empty() {
        let bytes = HeaderMap::from([("a", "1"), ("b", "2")]).to_bytes();
        for cut in 0..bytes.len() {
            assert!(HeaderMap::from_bytes(&bytes[..cut]).is_empty(), "cut at {cut}");
        }
        let crowd: HeaderMap = (0..=MAX_PAIRS).map(|n| (n.to_string(), "")).collect();
        assert!(HeaderMap::from_bytes(&crowd.to_bytes()).is_empty());
    }
}
