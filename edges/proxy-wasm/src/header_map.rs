//! A header map in proxy-wasm's serialized form.

use tracewarden::headers::{Headers, Line};

/// Reads a map, or returns `None` if its lengths lead outside of it.
///
/// The form is the number of lines (`u32`, little-endian), for each line the lengths of its name and value, then for each
/// line its name, a NUL, its value, a NUL. No bytes at all are an empty map.
#[inline]
pub fn parse(bytes: Vec<u8>) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Headers::default());
    }
    let (lines, rest) = bytes.split_first_chunk()?;
    let lines = u32::from_le_bytes(*lines);
    let (lengths, _) = rest.split_at_checked((lines as usize).checked_mul(8)?)?;
    let mut start = lines.checked_mul(8)?.checked_add(4)?;
    let mut places = Vec::with_capacity(lines as usize);
    for [n0, n1, n2, n3, v0, v1, v2, v3] in lengths.as_chunks().0 {
        let name = start..start.checked_add(u32::from_le_bytes([*n0, *n1, *n2, *n3]))?;
        let value_start = name.end.checked_add(1)?;
        let value = value_start..value_start.checked_add(u32::from_le_bytes([*v0, *v1, *v2, *v3]))?;
        start = value.end.checked_add(1)?;
        places.push(Line { name, value });
    }
    let headers = Headers::new(bytes, places).ok()?;
    // The last NUL is part of the map.
    (start as usize <= headers.bytes().len()).then_some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialize(lines: &[(&str, &[u8])]) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut bytes = number(lines.len()).to_vec();
        for (name, value) in lines {
            bytes.extend([number(name.len()), number(value.len())].concat());
        }
        for (name, value) in lines {
            bytes.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
        }
        bytes
    }

    const LINES: &[(&str, &[u8])] = &[("traceparent", b"one"), ("x", b""), ("tracestate", b"a\xff\0")];

    #[test]
    fn reads_every_line_in_order() {
        let headers = parse(serialize(LINES)).unwrap();
        let read: Vec<_> = headers.iter().collect();
        let expected: Vec<_> = LINES.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn no_bytes_are_an_empty_map() {
        for map in [&[][..], &[0; 4]] {
            assert_eq!(parse(map.to_vec()).unwrap().iter().count(), 0);
        }
    }

    #[test]
    fn a_map_that_is_cut_anywhere_is_refused() {
        let map = serialize(LINES);
        for end in 1..map.len() {
            assert!(parse(map[..end].to_vec()).is_none(), "cut at {end}");
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let map = serialize(&[("traceparent", b"one")]);
        for (place, lie) in [(0, u32::MAX), (0, 2), (4, u32::MAX), (4, 99), (8, u32::MAX), (8, 4)] {
            let mut map = map.clone();
            map[place..place + 4].copy_from_slice(&lie.to_le_bytes());
            assert!(parse(map).is_none(), "{lie} at {place}");
        }
    }
}
