//! Base64 in the standard alphabet ([RFC 4648, section 4](https://www.rfc-editor.org/rfc/rfc4648#section-4)).

const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes text with or without padding; `None` if it is not base64.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | value(*byte)?;
        }
        // Two digits hold one byte, three hold two, four hold three; one holds none.
        let bytes = group.len().checked_sub(1).filter(|bytes| *bytes > 0)?;
        let bits = bits << (6 * (4 - group.len()));
        out.extend(bits.to_be_bytes().into_iter().skip(1).take(bytes));
    }
    Some(out)
}

/// Encodes bytes without padding.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        out.extend((0..=group.len()).map(|place| digit(bits >> (18 - 6 * place))));
    }
    out
}

fn digit(bits: u32) -> u8 {
    #[expect(clippy::indexing_slicing, reason = "six bits cannot pass the end of 64 places")]
    ALPHABET[(bits & 0x3f) as usize]
}

const fn value(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_and_decodes_as_the_rfc_does() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text.as_bytes());
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(decode(b"Zg==").as_deref(), Some(&b"f"[..]));
        assert_eq!(decode(b"//+/").as_deref(), Some(&b"\xff\xff\xbf"[..]));
        for text in ["Z", "Zm9vY", "Zm9 ", "Zm9v-_", "=", "Zg=a"] {
            assert_eq!(decode(text.as_bytes()), if text == "=" { Some(vec![]) } else { None }, "{text}");
        }
    }
}
