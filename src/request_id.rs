//! Trace-ids from Envoy's `x-request-id`: requests that keep it end up in the same trace, even where the context was
//! lost between them. Envoy makes a new one where none came, and the two look alike, so nothing more is claimed.

use crate::headers::{Headers, X_REQUEST_ID};
use crate::w3c::TraceId;

/// The trace-id made from the request's id, and whether it is random; `None` if it is not one UUID.
pub(crate) fn trace_id(headers: &Headers) -> Option<(TraceId, bool)> {
    let lines = headers.lines(X_REQUEST_ID);
    lines.first().filter(|_| !lines.is_repeated()).and_then(read)
}

/// The longest request id by which a request is known.
const MAX_KEY: usize = 200;

/// The request's id, if it has one of 1 to 200 bytes. Envoy's note in a UUID is not part of it.
pub(crate) fn key(headers: &Headers) -> Option<Vec<u8>> {
    let lines = headers.lines(X_REQUEST_ID);
    let id = lines.first().filter(|id| !lines.is_repeated() && (1..=MAX_KEY).contains(&id.len()))?;
    Some(match digits(id) {
        Some((digits, _)) => [b"uuid:", &digits[..]].concat(),
        None => id.to_vec(),
    })
}

/// ```text
/// uuid = 8( HEXDIG ) "-" 4( HEXDIG ) "-" version 3( HEXDIG ) "-" 4( HEXDIG ) "-" 12( HEXDIG )
/// ```
fn read(uuid: &[u8]) -> Option<(TraceId, bool)> {
    let (digits, is_random) = digits(uuid)?;
    Some((TraceId::parse(&digits).ok()?, is_random))
}

/// The digits of a UUID in lower case, without Envoy's note, and whether they are random.
fn digits(uuid: &[u8]) -> Option<([u8; 32], bool)> {
    let lengths = uuid.split(|byte| *byte == b'-').map(<[u8]>::len);
    if !lengths.eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let mut digits = [0; 32];
    let bytes = uuid.iter().filter(|byte| **byte != b'-').map(u8::to_ascii_lowercase);
    digits.iter_mut().zip(bytes).for_each(|(digit, byte)| *digit = byte);
    let version = &mut digits[12];
    // Over the 4 of a random UUID Envoy writes 9, a or b: whether and why it samples the request.
    let is_random = matches!(version, b'4' | b'9' | b'a' | b'b');
    if is_random {
        *version = b'4';
    }
    Some((digits, is_random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_uuid_and_takes_envoys_note_out_of_it() {
        let id = "bae658822bcd43db89d17fbd1d746a13";
        let rows = [
            ("bae65882-2bcd-43db-89d1-7fbd1d746a13", Some((id, true))),
            ("bae65882-2bcd-93db-89d1-7fbd1d746a13", Some((id, true))),
            ("bae65882-2bcd-a3db-89d1-7fbd1d746a13", Some((id, true))),
            ("BAE65882-2BCD-B3DB-89D1-7FBD1D746A13", Some((id, true))),
            ("bae65882-2bcd-13db-89d1-7fbd1d746a13", Some(("bae658822bcd13db89d17fbd1d746a13", false))),
            ("bae65882-2bcd-43db-89d1-7fbd1d746a1", None),
            ("bae658822-bcd-43db-89d1-7fbd1d746a13", None),
            ("bae658822bcd43db89d17fbd1d746a13", None),
            ("bae65882-2bcd-43db-89d1-7fbd1d746a1g", None),
            ("00000000-0000-0000-0000-000000000000", None),
            ("", None),
            ("\u{e9}ae6588-2bcd-43db-89d1-7fbd1d746a13", None),
        ];
        for (uuid, expected) in rows {
            let found = read(uuid.as_bytes()).map(|(id, random)| (id.to_string(), random));
            assert_eq!(found, expected.map(|(id, random)| (id.to_owned(), random)), "{uuid}");
        }
    }
}
