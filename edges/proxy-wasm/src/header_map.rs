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
    let lines = u32::from_le_bytes(*bytes.first_chunk()?);
    let mut start = lines.checked_mul(8)?.checked_add(4)?;
    // A number of lines that lies gets no memory.
    bytes.get(..start as usize)?;
    let mut lengths_at = 4;
    let headers = Headers::index(bytes, lines as usize, |bytes| {
        // The first four bytes are the length of the name, and these are little-endian.
        let lengths = u64::from_le_bytes(*bytes.get(lengths_at..)?.first_chunk()?);
        lengths_at += 8;
        // A length that leads out of the numbers makes a range that ends before it starts, which is refused.
        let name = start..start.wrapping_add(lengths as u32);
        let value_start = name.end.wrapping_add(1);
        let value = value_start..value_start.wrapping_add((lengths >> 32) as u32);
        start = value.end.wrapping_add(1);
        Some(Line { name, value })
    })?;
    // The last NUL is part of the map.
    (start as usize <= headers.bytes().len()).then_some(headers)
}
