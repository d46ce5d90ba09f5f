//! What is wrong with a configuration, and where.

use core::fmt;

use crate::words::labels;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is: the steps from the top of the configuration, or a variable of the environment.
    pub path: Vec<Step>,
    /// What is wrong, in one word.
    pub kind: FaultKind,
    /// What should be there.
    pub expected: Expected,
    /// The value that is there, as JSON in short; empty if there is none. Never a secret.
    pub found: String,
    /// What a parser says of it; empty if there is none.
    pub detail: String,
}

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into the field of an object.
    Field(String),
    /// To the item of a list, counted from 0.
    Item(usize),
    /// To a variable of the environment.
    Variable(&'static str),
}

/// What a value should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// In words: a type, a bound, or what another field asks for.
    Phrase(&'static str),
    /// One of these words or fields.
    OneOf(&'static [&'static str]),
    /// One of these fields.
    Fields(Vec<&'static str>),
}

labels! {
    /// What is wrong with a part of a configuration.
    pub enum FaultKind {
        /// The text is not JSON or YAML at all.
        Syntax = "syntax",
        /// No field has this name.
        UnknownField = "unknown_field",
        /// The object has two fields of this name.
        DuplicateField = "duplicate_field",
        /// A required field is not there.
        MissingField = "missing_field",
        /// The value is of another type.
        WrongType = "wrong_type",
        /// The text is not one of the words.
        UnknownWord = "unknown_word",
        /// The number is too small or too large.
        OutOfRange = "out_of_range",
        /// The text does not have the form that the field needs.
        Malformed = "malformed",
        /// Fields that are right one by one do not fit together.
        Conflict = "conflict",
        /// A variable of the environment is missing or wrong.
        Environment = "environment",
    }
}

/// All that is wrong with a configuration; at least one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Fault {
    /// Of a text that is no tree at all.
    pub(crate) const fn syntax(detail: String) -> Self {
        let expected = Expected::Phrase("valid JSON");
        Self { path: Vec::new(), kind: FaultKind::Syntax, expected, found: String::new(), detail }
    }

    /// Of bytes that are no text, such as a message that Envoy did not turn into JSON.
    pub(crate) fn no_text() -> Self {
        let expected = Expected::Phrase("JSON in a google.protobuf.StringValue");
        let detail = "is the configuration a google.protobuf.Struct? Use a StringValue".to_owned();
        let found = "bytes that are no text".to_owned();
        Self { path: Vec::new(), kind: FaultKind::Syntax, expected, found, detail }
    }

    /// Of a variable of the environment.
    pub(crate) fn of_variable(name: &'static str, expected: &'static str, found: String) -> Self {
        let (path, expected) = (vec![Step::Variable(name)], Expected::Phrase(expected));
        Self { path, kind: FaultKind::Environment, expected, found, detail: String::new() }
    }

    /// The path as JSON path has it, such as `sampling.rules[2].match.host`; empty for the whole configuration.
    #[must_use]
    pub fn place(&self) -> String {
        Path(&self.path).to_string()
    }

    /// The field that a misspelt one was probably meant to be.
    #[must_use]
    pub fn suggestion(&self) -> Option<&'static str> {
        let (Expected::Fields(known), Some(Step::Field(name))) = (&self.expected, self.path.last()) else {
            return None;
        };
        let near = known.iter().map(|known| (strsim::levenshtein(name, known), *known));
        let nearest = near.min_by_key(|(distance, _)| *distance);
        nearest.filter(|(distance, _)| *distance <= 2 && 2 * distance <= name.len()).map(|(_, name)| name)
    }

    fn write_unknown_field(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((Step::Field(name), around)) = self.path.split_last() {
            if !around.is_empty() {
                write!(f, "{}: ", Path(around))?;
            }
            write!(f, "unknown field `{}`; ", name.escape_debug())?;
        }
        match self.suggestion() {
            Some(name) => write!(f, "did you mean `{name}`?"),
            None => write!(f, "expected {}", self.expected),
        }
    }
}

/// A path as JSON path has it.
struct Path<'a>(&'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(item) => write!(f, "[{item}]")?,
                Step::Field(name) => {
                    write!(f, "{}{}", if place == 0 { "" } else { "." }, name.escape_debug())?;
                }
                Step::Variable(name) => f.write_str(name)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind, expected, found, detail } = self;
        match kind {
            FaultKind::UnknownField => return self.write_unknown_field(f),
            FaultKind::DuplicateField => return write!(f, "duplicate field `{}`", Path(path)),
            _ => {}
        }
        f.write_str(if path.is_empty() { "configuration" } else { "" })?;
        let word = if *kind == FaultKind::MissingField { "missing" } else { "expected" };
        write!(f, "{}: {word} {expected}", Path(path))?;
        if !found.is_empty() {
            write!(f, ", found {found}")?;
        }
        if detail.is_empty() { Ok(()) } else { write!(f, " ({})", detail.escape_debug()) }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, quote) = match self {
            Self::Phrase(text) => return f.write_str(text),
            Self::OneOf(words) => (*words, '"'),
            Self::Fields(names) => (names.as_slice(), '`'),
        };
        let quoted: Vec<_> = names.iter().map(|name| format!("{quote}{name}{quote}")).collect();
        write!(f, "{}{}", if names.len() > 1 { "one of " } else { "" }, quoted.join(", "))
    }
}

/// One fault in a line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))
    }
}

impl core::error::Error for Faults {}
