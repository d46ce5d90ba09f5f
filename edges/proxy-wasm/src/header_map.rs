//! A header map in proxy-wasm's serialized form.

use tracewarden::headers::Headers;

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
    let start = lines.checked_mul(8)?.checked_add(4)?;
    // A number of lines that lies gets no memory.
    bytes.get(..start as usize)?;
    let mut lengths_at = 4;
    Headers::index(bytes, start, lines as usize, |bytes| {
        let lengths = bytes.get(lengths_at..)?.first_chunk()?;
        lengths_at += 8;
        // The first four bytes are the length of the name, and these are little-endian.
        let lengths = u64::from_le_bytes(*lengths);
        Some((lengths as u32, (lengths >> 32) as u32))
    })
}
