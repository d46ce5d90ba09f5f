//! Requests that the filter leaves alone: probes, scrapes and the like.

mod known;

pub use known::{KNOWN, Known, Sign};

use crate::matching::{Match, Target};
use crate::settings::{Expected, FaultKind, Reader, Setting, Shape, Value};
use crate::words::{Labelled, labels};

/// The requests to leave alone: those that one of the entries matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Exclude {
    /// Whether those are that everybody wants left alone.
    known: bool,
    entries: Vec<Match>,
}

labels! {
    /// What stands for entries of the filter's own.
    pub enum KnownRequests {
        /// The requests that are left alone without this field.
        Default = "default",
    }
}

/// How a message names an entry.
const ENTRY: &str = "\"default\", or an object of conditions such as {\"path_prefix\": \"/healthz\"}";

impl Default for Exclude {
    fn default() -> Self {
        Self { known: true, entries: Vec::new() }
    }
}

impl Exclude {
    /// Whether it leaves every request to the filter.
    pub(crate) fn is_empty(&self) -> bool {
        !self.known && self.entries.is_empty()
    }

    /// The conditions of its entries.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Match> {
        self.entries.iter()
    }

    /// Whether an entry matches the request.
    #[inline]
    pub(crate) fn matches(&self, target: &Target<'_>) -> bool {
        self.known && known::is_known(target) || self.entries.iter().any(|entry| entry.holds(target))
    }
}

/// `null` is the default; a list takes its place, unless the word for it is in the list.
impl Setting for Exclude {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        if *value == Value::Null {
            return Some(Self::default());
        }
        let mut made = Self { known: false, entries: Vec::new() };
        reader.list(value, &mut |value, reader| match value {
            Value::Text(word) if KnownRequests::of_label(word).is_some() => made.known = true,
            Value::Text(_) => reader.fault(FaultKind::UnknownWord, Expected::Phrase(ENTRY), value),
            _ => made.entries.extend(Match::make(value, reader)),
        })?;
        Some(made)
    }

    fn shape() -> Shape {
        let entry = Shape::OneOf(vec![KnownRequests::shape(), Match::shape()]);
        Shape::List(Box::new(entry)).or_null()
    }

    fn value(&self) -> Value {
        if *self == Self::default() {
            return Value::Null;
        }
        let word = self.known.then(|| KnownRequests::Default.value());
        Value::List(word.into_iter().chain(self.entries.iter().map(Match::value)).collect())
    }
}
