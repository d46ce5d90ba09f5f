//! What is said of a line of a file.

use super::codes::{Code, Severity};

/// A message.
pub(super) struct Message {
    pub(super) code: &'static Code,
    pub(super) file: String,
    /// Counted from 1.
    pub(super) line: usize,
    /// Which plugin it is about; empty for a configuration alone, and for a whole file.
    pub(super) place: String,
    /// The field or the variable, if there is one.
    pub(super) path: String,
    pub(super) text: String,
}

impl Message {
    /// About a whole file.
    pub(super) fn of_file(code: &'static Code, file: &str, line: usize, text: String) -> Self {
        Self { code, file: file.to_owned(), line, place: String::new(), path: String::new(), text }
    }

    /// How grave it is; strictly seen, a warning is an error.
    pub(super) const fn severity(&self, is_strict: bool) -> Severity {
        match self.code.severity {
            Severity::Warning if is_strict => Severity::Error,
            severity => severity,
        }
    }
}
