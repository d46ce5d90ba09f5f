//! YAML and JSON as a tree that knows where in the text each value is.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Spanned};
use tracewarden::settings::Value;

/// A value in a text.
pub(super) struct Node {
    pub(super) tree: Tree,
    /// Its line, counted from 1. For an alias, that of the value which the alias names.
    pub(super) line: usize,
    /// Its bytes, as far as they are one piece.
    pub(super) bytes: Range<usize>,
}

/// What a value is.
pub(super) enum Tree {
    Null,
    Bool(bool),
    Whole(u64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(Name, Node)>),
}

/// The name of a field.
pub(super) struct Name {
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) bytes: Range<usize>,
}

/// Why a text is no tree.
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) text: String,
}

impl Problem {
    /// The line is said in front of the message, so what a parser says of it is cut off.
    pub(super) fn new(line: usize, said: &str) -> Self {
        Self { line, text: said.split(" at line ").next().unwrap_or_default().to_owned() }
    }
}

/// The most values of a document. The configuration that a large Envoy dumps has a million.
const MAX_VALUES: usize = 2_000_000;
/// The most values that aliases may repeat, so that a small file cannot take all memory.
const MAX_REPEATED: usize = 200_000;

/// Reads a text with one document. Of the parser's own limits the one on depth holds.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        // The reader of configurations reports them with all other faults.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
        budget: serde_saphyr::budget! {
            max_nodes: MAX_VALUES,
            max_events: 2 * MAX_VALUES,
            // One anchor for all filters of a configuration is no attack.
            enforce_alias_anchor_ratio: false,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Problem::new(error.location().map_or(1, |at| line_of(&at)), &error.to_string()))
}

/// The documents of a text, which lines with `---` part, each with the byte and the line that it begins at. Such a line is no part
/// of any value, not even of a block of text.
pub(super) fn documents(text: &str) -> Vec<(usize, usize, &str)> {
    let mut starts = vec![(0, 0)];
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---");
        if at > 0 && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            starts.push((at, number));
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    let pieces = starts.iter().zip(ends);
    pieces
        .filter_map(|((start, line), end)| Some((*start, *line, text.get(*start..end)?)))
        .filter(|(_, _, piece)| piece.lines().any(is_content))
        .collect()
}

/// Whether a line has more than a comment, a directive or a mark.
fn is_content(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    let line = line.strip_prefix("---").map_or(line, str::trim);
    !(line.is_empty() || line.starts_with('#') || line.starts_with('%') || line == "...")
}

impl Node {
    /// Moves all places, after a piece of a longer text was read.
    pub(super) fn shift(&mut self, bytes: usize, lines: usize) {
        let moved = |range: &Range<usize>| range.start + bytes..range.end + bytes;
        self.line += lines;
        self.bytes = moved(&self.bytes);
        match &mut self.tree {
            Tree::List(items) => items.iter_mut().for_each(|item| item.shift(bytes, lines)),
            Tree::Object(fields) => {
                for (name, value) in fields {
                    name.line += lines;
                    name.bytes = moved(&name.bytes);
                    value.shift(bytes, lines);
                }
            }
            _ => {}
        }
    }

    /// The fields of an object.
    pub(super) fn fields(&self) -> &[(Name, Self)] {
        if let Tree::Object(fields) = &self.tree { fields } else { &[] }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> &[Self] {
        if let Tree::List(items) = &self.tree { items } else { &[] }
    }

    /// The field of this name, with its name. Envoy's names may be written either way.
    pub(super) fn entry(&self, name: &str) -> Option<&(Name, Self)> {
        self.fields().iter().find(|(known, _)| is_called(&known.text, name))
    }

    /// The value at the end of these fields, unless it is `null`.
    pub(super) fn at(&self, names: &[&str]) -> Option<&Self> {
        let end = names.iter().try_fold(self, |node, name| Some(&node.entry(name)?.1))?;
        (!matches!(end.tree, Tree::Null)).then_some(end)
    }

    /// The text at the end of these fields.
    pub(super) fn text_at(&self, names: &[&str]) -> Option<&str> {
        self.at(names)?.text()
    }

    /// The text that it is.
    pub(super) fn text(&self) -> Option<&str> {
        if let Tree::Text(text) = &self.tree { Some(text) } else { None }
    }

    /// Whether it is an `Any` of this type.
    pub(super) fn is_a(&self, kind: &str) -> bool {
        self.text_at(&["@type"]).is_some_and(|name| name.ends_with(kind))
    }

    /// The tree that the filter's own reader takes. A number without a fraction is a whole one, as Kubernetes sends it.
    pub(super) fn value(&self) -> Value {
        match &self.tree {
            Tree::Null => Value::Null,
            Tree::Bool(value) => Value::Bool(*value),
            Tree::Whole(number) => Value::Whole(*number),
            Tree::Float(number) if number.fract() == 0.0 && (0.0..1e15).contains(number) => {
                Value::Whole(*number as u64)
            }
            Tree::Float(number) => Value::Float(*number),
            Tree::Text(text) => Value::Text(text.clone()),
            Tree::List(items) => Value::List(items.iter().map(Self::value).collect()),
            Tree::Object(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.text.clone(), value.value())).collect())
            }
        }
    }
}

/// Whether a name of Envoy's is this one: `typed_config`, which may be written `typedConfig`.
pub(super) fn is_called(written: &str, name: &str) -> bool {
    let mut is_next_upper = false;
    let camel = name.chars().filter_map(|letter| {
        let is_upper = std::mem::replace(&mut is_next_upper, letter == '_');
        (letter != '_').then_some(if is_upper { letter.to_ascii_uppercase() } else { letter })
    });
    written == name || camel.eq(written.chars())
}

fn line_of(at: &Location) -> usize {
    usize::try_from(at.line()).unwrap_or(usize::MAX).max(1)
}

fn bytes_of(at: &Location) -> Range<usize> {
    let [start, length] = [at.span().byte_offset(), at.span().byte_len()]
        .map(|number| number.map_or(0, |number| number as usize));
    start..start.saturating_add(length)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self { tree: value, line: line_of(&defined), bytes: bytes_of(&defined) })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whatever)
    }
}

/// Takes whatever a parser finds.
struct Whatever;

impl<'de> Visitor<'de> for Whatever {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML or JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(u64::try_from(number).map_or(Tree::Float(number as f64), Tree::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some((Spanned { value, defined, .. }, node)) =
            entries.next_entry::<Spanned<String>, Node>()?
        {
            let name = Name { text: value, line: line_of(&defined), bytes: bytes_of(&defined) };
            fields.push((name, node));
        }
        Ok(Tree::Object(fields))
    }
}
