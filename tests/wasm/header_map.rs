//! A header map in proxy-wasm's serialized form.

use tracewarden_proxy_wasm::header_map::parse;

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
