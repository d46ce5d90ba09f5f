//! Bytes of others on a terminal: what could steer it, or is no ASCII, is written as `\xNN`.

use std::fmt::Write;

/// The bytes as printable ASCII; a backslash is doubled, so that the text stands for one sequence of bytes only.
pub(super) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => {
                let _ = write!(text, "\\x{other:02x}");
            }
        }
    }
    text
}

/// How many characters of a value the text for people shows.
const SHOWN: usize = 300;

/// The same, cut off if it is long.
pub(super) fn short(bytes: &[u8]) -> String {
    match bytes.split_at_checked(SHOWN) {
        Some((begin, rest)) if !rest.is_empty() => {
            format!("{}… ({} more bytes)", printable(begin), rest.len())
        }
        _ => printable(bytes),
    }
}
