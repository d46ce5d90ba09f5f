//! Base64 in the standard alphabet ([RFC 4648, section 4](https://www.rfc-editor.org/rfc/rfc4648#section-4)).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Writes no padding. The last digit may have bits that belong to no byte.
const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes text with or without padding; `None` if it is not base64.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    UNPADDED.decode(text).ok()
}

/// Encodes bytes without padding.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    UNPADDED.encode(bytes).into_bytes()
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
