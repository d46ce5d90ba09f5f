//! Whatever the input is, the command ends in an orderly way.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::support::{Scratch, Span, all, audit, span};

const SPANS: [Span; 4] = [
    span(1, 0, "shop", "server", (1000, 9000))
        .tagged(&[("guid:x-request-id", "6f1c"), ("sampler.type", "const")]),
    span(2, 1, "shop", "client", (2000, 8000))
        .tagged(&[("url.full", "http://cart:80/"), ("peer.service", "cart")]),
    span(3, 2, "cart", "server", (3000, 7000)),
    span(4, 99, "cart", "internal", (3000, u64::MAX / 2000)),
];

/// What replaces a part of a document.
const PIECES: &[&str] = &[
    "",
    "null",
    "true",
    "-1",
    "1e400",
    "18446744073709551616",
    "\"\"",
    "[]",
    "{}",
    "[[[[",
    "}",
    "]",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\u{1b}[2J",
    "0000000000000001",
    "\"spans\":[",
    "\"resourceSpans\":[",
    "\"data\":[",
    "ffffffffffffffff",
];

#[test]
fn no_mutation_of_a_document_crashes_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(20_260_611);
    let mut codes = [0_u32; 3];
    for (format, document) in all(&SPANS) {
        for round in 0..250 {
            let mut bytes = document.clone().into_bytes();
            for _ in 0..rng.random_range(1..4) {
                let begin = rng.random_range(0..=bytes.len());
                let end = (begin + rng.random_range(0..12)).min(bytes.len());
                let piece = PIECES[rng.random_range(0..PIECES.len())].as_bytes().to_vec();
                match rng.random_range(0..4) {
                    0 => bytes.truncate(begin),
                    1 if begin < bytes.len() => bytes[begin] ^= 1 << rng.random_range(0..8),
                    _ => drop(bytes.splice(begin..end, piece)),
                }
            }
            let file = Scratch::new("mutated.json", &bytes);
            let said = audit(&["--json", file.path()], "");
            let text = String::from_utf8_lossy(&bytes);
            let code = said.code.filter(|code| (0..3).contains(code));
            let code = code.unwrap_or_else(|| panic!("{format}, {round}: {said:?}: {text}"));
            codes[code as usize] += 1;
            assert!(!said.err.contains("panicked"), "{format}, {round}: {said:?}: {text}");
            assert!(
                !said.err.contains('\u{1b}') && !said.out.contains('\u{1b}'),
                "{format}, {round}: {said:?}"
            );
            // With nothing to show, it says why.
            assert!(
                if said.out.is_empty() { said.err.len() > 20 } else { said.value()["spans"] != 0 },
                "{said:?}"
            );
        }
    }
    // Some must have stayed traces, and some not.
    assert!(codes[1] > 50 && codes[2] > 50, "{codes:?}");
}

#[test]
fn deep_nesting_is_refused() {
    for begin in [
        "[",
        "{\"data\":[{\"spans\":[{\"tags\":",
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"value\":",
    ] {
        for nest in ["[", "{\"arrayValue\":"] {
            let said = audit(&["-"], &format!("{begin}{}", nest.repeat(100_000)));
            assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{begin}{nest}");
        }
    }
}
