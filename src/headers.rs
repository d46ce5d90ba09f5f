//! One scan of a header map, as the host hands it over, for the names that are wanted.

/// The header that carries the trace's ids, unless the mesh renamed it.
pub const TRACEPARENT: &str = "traceparent";
/// The header that carries what vendors add to them.
pub const TRACESTATE: &str = "tracestate";

/// The map's lengths lead outside of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// All lines of one header, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a> {
    name: &'a str,
    first: Option<&'a [u8]>,
    after_first: Entries<'a>,
    repeated: bool,
}

/// Scans a header map in proxy-wasm's serialized form for the lines of each of `names`.
///
/// That form is the number of entries (`u32`, little-endian), for each entry the lengths of its name and value, then
/// for each entry its name, a NUL, its value, a NUL. No octets at all are an empty map.
#[inline]
pub(crate) fn scan<'a, const N: usize>(
    serialized: &'a [u8],
    names: [&'a str; N],
) -> Result<[Lines<'a>; N], Malformed> {
    let mut entries = Entries::of(serialized)?;
    let mut found = names.map(Lines::none);
    while let Some((name, value)) = entries.next()? {
        for lines in &mut found {
            if is_named(name, lines.name) {
                lines.add(value, entries);
            }
        }
    }
    Ok(found)
}

/// The first line of a header. A map that cannot be read has none: it was refused when the request was first scanned.
pub(crate) fn first<'a>(serialized: &'a [u8], name: &'a str) -> Option<&'a [u8]> {
    let [lines] = scan(serialized, [name]).ok()?;
    lines.first()
}

/// Whether there is a line of the header.
pub(crate) fn has(serialized: &[u8], name: &str) -> bool {
    first(serialized, name).is_some()
}

/// Whether a `content-type` is gRPC's.
pub(crate) fn is_grpc(content_type: &[u8]) -> bool {
    content_type.starts_with(b"application/grpc")
}

/// A header map in proxy-wasm's serialized form.
pub fn serialize<N: AsRef<[u8]>, V: AsRef<[u8]>>(lines: &[(N, V)]) -> Vec<u8> {
    let number = |n: usize| (n as u32).to_le_bytes();
    let mut octets = number(lines.len()).to_vec();
    for (name, value) in lines {
        octets.extend([number(name.as_ref().len()), number(value.as_ref().len())].concat());
    }
    for (name, value) in lines {
        octets.extend([name.as_ref(), b"\0", value.as_ref(), b"\0"].concat());
    }
    octets
}

/// A name and a value.
type Entry<'a> = (&'a [u8], &'a [u8]);

/// The entries of a map that are still to be read.
#[derive(Clone, Copy, Debug)]
struct Entries<'a> {
    lengths: &'a [[u8; 8]],
    octets: &'a [u8],
}

impl<'a> Entries<'a> {
    const NONE: Self = Self { lengths: &[], octets: &[] };

    #[inline]
    fn of(serialized: &'a [u8]) -> Result<Self, Malformed> {
        let Some((count, rest)) = serialized.split_first_chunk() else {
            return if serialized.is_empty() { Ok(Self::NONE) } else { Err(Malformed) };
        };
        let lengths = (u32::from_le_bytes(*count) as usize).checked_mul(8).ok_or(Malformed)?;
        let (lengths, octets) = rest.split_at_checked(lengths).ok_or(Malformed)?;
        Ok(Self { lengths: lengths.as_chunks().0, octets })
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Entry<'a>>, Malformed> {
        let Some(([n0, n1, n2, n3, v0, v1, v2, v3], rest)) = self.lengths.split_first() else {
            return Ok(None);
        };
        self.lengths = rest;
        let name = self.take(u32::from_le_bytes([*n0, *n1, *n2, *n3]))?;
        let value = self.take(u32::from_le_bytes([*v0, *v1, *v2, *v3]))?;
        Ok(Some((name, value)))
    }

    /// Takes `length` octets and the NUL after them.
    #[inline]
    fn take(&mut self, length: u32) -> Result<&'a [u8], Malformed> {
        let (text, rest) = self.octets.split_at_checked(length as usize).ok_or(Malformed)?;
        self.octets = rest.get(1..).ok_or(Malformed)?;
        Ok(text)
    }
}

impl<'a> Lines<'a> {
    #[inline]
    const fn none(name: &'a str) -> Self {
        Self { name, first: None, after_first: Entries::NONE, repeated: false }
    }

    /// Notes a line, and where to look for more.
    #[inline]
    fn add(&mut self, value: &'a [u8], after: Entries<'a>) {
        if self.first.is_none() {
            self.first = Some(value);
            self.after_first = after;
        } else {
            self.repeated = true;
        }
    }

    /// The first line.
    pub(crate) const fn first(&self) -> Option<&'a [u8]> {
        self.first
    }

    /// Whether there is more than one line.
    pub(crate) const fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// Every line.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let name = self.name;
        let mut entries = if self.repeated { self.after_first } else { Entries::NONE };
        let others = core::iter::from_fn(move || {
            loop {
                let (other, value) = entries.next().ok()??;
                if is_named(other, name) {
                    return Some(value);
                }
            }
        });
        self.first.into_iter().chain(others)
    }
}

/// Envoy hands names over in lower case; other hosts need not (rules TP-01, TS-01).
#[inline]
fn is_named(name: &[u8], wanted: &str) -> bool {
    name.len() == wanted.len() && name.eq_ignore_ascii_case(wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_all_lines_in_order_and_nothing_else() {
        let map = serialize(&[
            (":path", &b"/"[..]),
            ("tracestate", b"a=1"),
            ("TraceParent", b"one"),
            ("trace-parent", b"x"),
            ("tracestate", b""),
            ("tracestatf", b"x"),
            ("TRACESTATE", b"\xff"),
        ]);
        let [traceparent, tracestate, absent] = scan(&map, [TRACEPARENT, TRACESTATE, "b3"]).unwrap();
        assert_eq!(traceparent.iter().collect::<Vec<_>>(), [b"one"]);
        assert!(!traceparent.is_repeated());
        assert_eq!(tracestate.iter().collect::<Vec<_>>(), [&b"a=1"[..], b"", b"\xff"]);
        assert!(tracestate.is_repeated());
        assert_eq!(tracestate.first(), Some(&b"a=1"[..]));
        assert!(absent.first().is_none() && absent.iter().next().is_none());
    }

    #[test]
    fn no_octets_are_an_empty_map() {
        for map in [&[][..], &[0; 4]] {
            let [traceparent] = scan(map, [TRACEPARENT]).unwrap();
            assert!(traceparent.first().is_none());
        }
    }

    #[test]
    fn a_map_that_is_cut_anywhere_is_refused() {
        let map = serialize(&[("traceparent", &b"one"[..]), ("tracestate", b"a=1")]);
        for end in 1..map.len() {
            assert_eq!(scan(&map[..end], [TRACEPARENT]).unwrap_err(), Malformed, "cut at {end}");
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let map = serialize(&[("traceparent", b"one")]);
        for (place, lie) in [(0, u32::MAX), (0, 2), (4, u32::MAX), (4, 99), (8, u32::MAX), (8, 4)] {
            let mut map = map.clone();
            map[place..place + 4].copy_from_slice(&lie.to_le_bytes());
            assert_eq!(scan(&map, [TRACEPARENT]).unwrap_err(), Malformed, "{lie} at {place}");
        }
    }
}
