//! Every kind of message, once: its code, and what the reference says of it.

mod errors;
mod notes;
mod places;
mod warnings;

use tracewarden::settings::FaultKind;

pub(super) use errors::*;
pub(super) use notes::*;
pub(super) use places::*;
pub(super) use warnings::*;

/// A kind of message.
pub(crate) struct Code {
    /// Never given to another kind.
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    pub(crate) title: &'static str,
    /// In sentences of Markdown.
    pub(crate) meaning: &'static str,
    pub(crate) example: Example,
    /// In sentences of Markdown.
    pub(crate) fix: &'static str,
}

/// What gives a message with this code, and no other.
#[derive(Clone, Copy)]
pub(crate) enum Example {
    /// On standard input.
    Json(&'static str),
    /// On standard input.
    Yaml(&'static str),
    /// These arguments, and nothing on standard input.
    Arguments(&'static str),
}

/// How grave a message is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The filter refuses the configuration, or nothing can be judged.
    Error,
    /// The filter takes it, and it hardly does what is meant.
    Warning,
    /// To be known, and in order.
    Note,
}

impl Severity {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// All of them, in the order of their codes.
pub(crate) fn all() -> impl Iterator<Item = &'static Code> {
    [errors::ALL, warnings::ALL, places::ALL, notes::ALL].into_iter().flatten().copied()
}

/// What a fault of the filter's own reader is called.
pub(super) const fn of_fault(kind: FaultKind) -> &'static Code {
    match kind {
        FaultKind::Syntax => &SYNTAX,
        FaultKind::UnknownField => &UNKNOWN_FIELD,
        FaultKind::DuplicateField => &DUPLICATE_FIELD,
        FaultKind::MissingField => &MISSING_FIELD,
        FaultKind::WrongType => &WRONG_TYPE,
        FaultKind::UnknownWord => &UNKNOWN_WORD,
        FaultKind::OutOfRange => &OUT_OF_RANGE,
        FaultKind::Malformed => &MALFORMED,
        FaultKind::Conflict => &CONFLICT,
        FaultKind::Environment => &VARIABLE,
    }
}

/// Declares kinds of messages, and lists them.
macro_rules! codes {
    ($(
        $name:ident = $id:literal $severity:ident $title:literal {
            meaning: $meaning:literal,
            example: $form:ident($example:expr),
            fix: $fix:literal,
        }
    )+) => {
        $(pub(in crate::check) static $name: Code = Code {
            id: $id,
            severity: Severity::$severity,
            title: $title,
            meaning: $meaning,
            example: Example::$form($example),
            fix: $fix,
        };)+

        pub(super) static ALL: &[&Code] = &[$(&$name),+];
    };
}
use codes;
