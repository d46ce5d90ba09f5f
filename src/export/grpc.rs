//! gRPC over HTTP/2 ([its description](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)), as far as one
//! call with one message each way needs it.

use super::answer::number;

/// The method that takes spans.
pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The call succeeded.
pub(super) const OK: u32 = 0;
const UNKNOWN: u32 = 2;
const PERMISSION_DENIED: u32 = 7;
const UNIMPLEMENTED: u32 = 12;
/// Something that gRPC relies on does not hold.
pub(super) const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

/// How long the flag and the length before a message are, in bytes.
pub(super) const PREFIX: usize = 5;

/// A message as the body of a request: it is not compressed.
pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// The message in the body of an answer, or as much of it as was read; none if there is none or it is compressed.
pub(super) fn message(body: &[u8]) -> Option<&[u8]> {
    let ([0, length @ ..], rest) = body.split_first_chunk::<PREFIX>()? else { return None };
    let length = u32::from_be_bytes(*length) as usize;
    Some(rest.get(..length).unwrap_or(rest))
}

/// A time limit as a header: at most eight digits and a unit.
pub(super) fn timeout(milliseconds: u32) -> String {
    match milliseconds {
        0..=99_999_999 => format!("{milliseconds}m"),
        _ => format!("{}S", milliseconds / 1_000),
    }
}

/// The status of a call, from `grpc-status`, otherwise from the HTTP status
/// ([their table](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md)).
pub(super) fn status(grpc_status: Option<&[u8]>, http_status: Option<u32>) -> u32 {
    match (grpc_status, http_status) {
        (Some(status), _) => number(status).unwrap_or(UNKNOWN),
        (None, Some(400)) => INTERNAL,
        (None, Some(401)) => UNAUTHENTICATED,
        (None, Some(403)) => PERMISSION_DENIED,
        (None, Some(404)) => UNIMPLEMENTED,
        (None, Some(429 | 502 | 503 | 504)) => UNAVAILABLE,
        (None, _) => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_flag_and_its_length_before_it() {
        assert_eq!(frame(b""), [0; 5]);
        assert_eq!(frame(&[7; 300])[..6], [0, 0, 0, 1, 44, 7]);
        assert_eq!(message(&frame(b"spans")), Some(&b"spans"[..]));
    }

    #[test]
    fn of_an_answer_the_first_message_is_read() {
        let rows: [(&[u8], Option<&[u8]>); 7] = [
            (b"", None),
            (b"\0\0\0\0", None),
            (b"\x01\0\0\0\x01x", None),
            (b"\0\0\0\0\0", Some(b"")),
            (b"\0\0\0\0\x01xy", Some(b"x")),
            (b"\0\0\0\0\x03xy", Some(b"xy")),
            (b"\0\xff\xff\xff\xffx", Some(b"x")),
        ];
        for (body, expected) in rows {
            assert_eq!(message(body), expected, "{body:?}");
        }
    }

    #[test]
    fn a_time_limit_has_eight_digits_at_most() {
        let limits = [1, 99_999_999, 100_000_000, u32::MAX].map(timeout);
        assert_eq!(limits, ["1m", "99999999m", "100000S", "4294967S"]);
    }

    #[test]
    fn the_status_is_grpcs_own_or_else_made_of_https() {
        let rows: [(Option<&[u8]>, Option<u32>, u32); 10] = [
            (Some(b"0"), Some(200), 0),
            (Some(b" 14 "), Some(200), 14),
            (Some(b"14"), Some(503), 14),
            (Some(b"4294967295"), Some(200), u32::MAX),
            (Some(b"-1"), Some(200), 2),
            (Some(b"\xff"), Some(200), 2),
            (None, Some(200), 2),
            (None, Some(404), 12),
            (None, Some(503), 14),
            (None, None, 2),
        ];
        for (grpc, http, expected) in rows {
            assert_eq!(status(grpc, http), expected, "{grpc:?} {http:?}");
        }
    }
}
