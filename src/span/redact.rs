use core::cell::Cell;
use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::attributes::{MAX_VALUE, clip};
use crate::headers::without_query;
use crate::matching::Pattern;

/// What a span does not show, judged within a budget for each request.
pub(super) struct Redaction<'a> {
    patterns: &'a [Pattern],
    /// How many bytes may still be tried on a pattern.
    budget: Cell<usize>,
}

/// How many bytes of a request's values are tried on patterns, each once for every pattern.
const BUDGET: usize = 64 << 10;
/// What a trial counts for in addition to its bytes.
const TRIAL: usize = 16;
/// Replaces what is not shown.
const REDACTED: &str = "REDACTED";
/// How often a value is decoded. One that still has an escape then is hidden.
const MAX_DECODED: usize = 3;

impl<'a> Redaction<'a> {
    pub(super) const fn new(patterns: &'a [Pattern]) -> Self {
        Self { patterns, budget: Cell::new(BUDGET) }
    }

    /// The path without its query, and without the segments that are not shown.
    pub(super) fn path<'t>(&self, path: &'t [u8]) -> Cow<'t, str> {
        let path = without_query(path);
        if self.patterns.is_empty() {
            return clip(path);
        }
        let mut shown = String::new();
        for (place, segment) in path.split(|byte| *byte == b'/').enumerate() {
            shown.push_str(if place == 0 { "" } else { "/" });
            shown.push_str(&self.shown(segment));
            // What follows would be cut off.
            if shown.len() > MAX_VALUE {
                break;
            }
        }
        Cow::Owned(clip(shown.as_bytes()).into_owned())
    }

    /// The value, unless it is not to be seen, or too long to judge whether it is.
    pub(super) fn shown<'t>(&self, value: &'t [u8]) -> Cow<'t, str> {
        if self.patterns.is_empty() || value.is_empty() {
            return clip(value);
        }
        let whole = String::from_utf8_lossy(value);
        if whole.len() > MAX_VALUE || self.hides(whole.as_bytes()) { Cow::Borrowed(REDACTED) } else { whole }
    }

    /// Whether a pattern matches the value as it came or decoded, or a part of it that a server would take for the whole.
    fn hides(&self, value: &[u8]) -> bool {
        let mut value = value.to_vec();
        for _ in 0..MAX_DECODED {
            if self.matches_any_part(&value) {
                return true;
            }
            let decoded: Vec<u8> = percent_decode(&value).collect();
            if decoded == value {
                return false;
            }
            value = decoded;
        }
        self.matches_any_part(&value) || percent_decode(&value).ne(value.iter().copied())
    }

    /// A server may cut a value at an encoded slash, at its parameters and at its port.
    fn matches_any_part(&self, value: &[u8]) -> bool {
        let has_slash = value.contains(&b'/');
        self.matches(value)
            || value.split(|byte| *byte == b'/').any(|part| {
                let without = |end: u8| {
                    part.split(move |byte| *byte == end).next().filter(|cut| cut.len() < part.len())
                };
                has_slash && self.matches(part)
                    || [b';', b':'].into_iter().filter_map(without).any(|cut| self.matches(cut))
            })
    }

    /// Whether a pattern matches the text, or there is no budget left to see whether one does.
    fn matches(&self, text: &[u8]) -> bool {
        let price = (text.len() + TRIAL) * self.patterns.len();
        let Some(left) = self.budget.get().checked_sub(price) else {
            self.budget.set(0);
            return true;
        };
        self.budget.set(left);
        self.patterns.iter().any(|pattern| pattern.holds(text))
    }
}
