//! Regular expressions that a whole text must match.

use core::str::Chars;

use regex_lite::{Regex, RegexBuilder};

use crate::settings::{Form, Reader, Setting, Shape, Value};

/// A regular expression that a whole text must match. It takes time in proportion to the length of the text and of the
/// expression, whatever either of them is.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What the compiler says of it.
    fn parse(text: &str) -> Result<Self, String> {
        if !is_balanced(text) {
            return Err("a parenthesis is closed that was not opened".to_owned());
        }
        let mut builder = RegexBuilder::new(&format!("^(?:{text})$"));
        let built = builder.dot_matches_new_line(true).size_limit(MAX_PATTERN).build();
        built.map(Self).map_err(|error| error.to_string())
    }

    /// A path of other bytes than text matches nothing, and neither does one that is longer than any that we look at.
    pub(crate) fn holds(&self, path: &[u8]) -> bool {
        path.len() <= MAX_PATH && core::str::from_utf8(path).is_ok_and(|path| self.0.is_match(path))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Setting for Pattern {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let parsed = Self::parse(reader.text(value, PATTERN.expected)?);
        parsed.map_err(|reason| reader.malformed(PATTERN.expected, value, reason)).ok()
    }

    fn shape() -> Shape {
        Shape::Text(PATTERN)
    }
}

const PATTERN: Form = Form {
    title: "Regular expression",
    meaning: "A regular expression in the syntax of Rust's `regex-lite`, such as `\"/cart/[0-9]+\"`. It must match the whole \
        text, and takes time in proportion to it. There are no look-around and no back-references. It may take 64 KiB when \
        it is ready to run.",
    expected: "a regular expression",
    ..Form::ANY
};

/// Whether every `)` closes a group of the text's own. Another would close the group around it, and the `^` and `$` there
/// would no longer hold for all of it.
fn is_balanced(text: &str) -> bool {
    let (mut open, mut signs) = (0_usize, text.chars());
    while let Some(sign) = signs.next() {
        match sign {
            '(' => open += 1,
            ')' if open == 0 => return false,
            ')' => open -= 1,
            '[' => skip_class(&mut signs),
            '\\' => _ = signs.next(),
            _ => {}
        }
    }
    true
}

/// Skips the rest of a class such as `[^]a-z[:digit:]]`, in which parentheses are signs like others.
fn skip_class(signs: &mut Chars<'_>) {
    let text = signs.as_str();
    let inner = text.strip_prefix('^').unwrap_or(text);
    *signs = inner.strip_prefix(']').unwrap_or(inner).chars();
    while let Some(sign) = signs.next() {
        match sign {
            ']' => return,
            '[' => *signs = signs.as_str().split_once(":]").map_or("", |(_, rest)| rest).chars(),
            '\\' => _ = signs.next(),
            _ => {}
        }
    }
}

/// How many bytes a pattern may take when it is ready to run.
const MAX_PATTERN: usize = 64 * 1024;
/// How many bytes a path may have that a pattern is tried on.
const MAX_PATH: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::ChaCha12Rng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn a_pattern_is_of_the_whole_text() {
        let rows = [
            ("/cart|/shop", "/cart", true),
            ("/cart|/shop", "/cart/1", false),
            ("/cart|/cart/1", "/cart/1", true),
            ("(?i)/CART", "/cart", true),
            (".*", "a\nb", true),
            (r"[)\]]+", ")]", true),
            ("[]()]+", "()]", true),
            ("[^])]", ")", false),
            ("[[:punct:])]+", ").", true),
            (r"\(\)", "()", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, text, holds) in rows {
            assert_eq!(Pattern::parse(pattern).unwrap().holds(text.as_bytes()), holds, "{pattern} {text}");
        }
        assert!(!Pattern::parse(".*").unwrap().holds(&[b'a'; MAX_PATH + 1]));
    }

    #[test]
    fn what_is_refused_is_what_is_no_expression_alone_or_in_a_group() {
        let built = |text: &str| RegexBuilder::new(text).size_limit(MAX_PATTERN).build().is_ok();
        let mut rng = ChaCha12Rng::from_seed([3; 32]);
        let (mut refused, mut unbalanced) = (0, 0);
        for _ in 0..100_000 {
            let signs = b"()()[]^|a-:\\";
            let text: String = (0..rng.next_u64() % 10)
                .map(|_| char::from(signs[rng.next_u64() as usize % signs.len()]))
                .collect();
            let (alone, in_group) = (built(&text), built(&format!("^(?:{text})$")));
            assert_eq!(Pattern::parse(&text).is_ok(), alone && in_group, "{text}");
            refused += usize::from(!alone);
            unbalanced += usize::from(!alone && in_group);
        }
        assert!(refused > 1_000 && unbalanced > 100, "{refused} {unbalanced}");
    }
}
