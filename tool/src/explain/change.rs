//! Headers before and after a pass, without the values of secrets.

use tracewarden::w3c::TraceParent;

use super::escape::{printable, short};
use super::host::Record;
use super::ids::Draws;
use super::input::Lines;

/// How the answer writes a value that it does not show.
pub(super) const HIDDEN: &str = "<not shown>";

/// Headers whose values are credentials.
const CREDENTIALS: [&[u8]; 4] = [b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"];

/// A header that a pass changed.
pub(super) struct Change {
    pub(super) name: String,
    pub(super) before: Vec<String>,
    pub(super) after: Vec<String>,
}

/// How values are shown.
pub(super) struct View<'a> {
    /// Headers whose values are secrets, in lower case.
    pub(super) secrets: &'a [Vec<u8>],
    pub(super) draws: &'a Draws,
    pub(super) sent: Option<TraceParent>,
    /// Whether long values are cut off.
    pub(super) is_short: bool,
}

impl View<'_> {
    /// A value that came in.
    pub(super) fn value(&self, name: &[u8], value: &[u8]) -> String {
        let name = name.to_ascii_lowercase();
        if CREDENTIALS.contains(&name.as_slice()) || self.secrets.contains(&name) {
            return HIDDEN.to_owned();
        }
        if self.is_short { short(value) } else { printable(value) }
    }

    /// Every line that a pass left, as it is shown.
    pub(super) fn lines(&self, record: &Record) -> Vec<(String, String)> {
        let shown = |(name, value): &(Vec<u8>, Vec<u8>)| {
            let is_written = record.written.iter().any(|written| written.eq_ignore_ascii_case(name));
            let text = self.value(name, value);
            let text = if is_written { self.draws.hide_value(name, &text, self.sent) } else { text };
            (printable(name), text)
        };
        record.headers.iter().map(shown).collect()
    }

    /// What a pass changed.
    pub(super) fn changes(&self, before: &Lines, record: &Record) -> Vec<Change> {
        let after = &record.headers;
        let mut names: Vec<&[u8]> = Vec::new();
        for (name, _) in before.iter().chain(after) {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name);
            }
        }
        let changed = names.into_iter().filter(|name| values(before, name) != values(after, name));
        let change = |name: &[u8]| {
            let left = self
                .lines(record)
                .into_iter()
                .filter(|(known, _)| known.eq_ignore_ascii_case(&printable(name)));
            Change {
                name: printable(name),
                before: values(before, name).into_iter().map(|value| self.value(name, value)).collect(),
                after: left.map(|(_, value)| value).collect(),
            }
        };
        changed.map(change).collect()
    }
}

/// The lines of a header, in order.
pub(super) fn values<'l>(lines: &'l Lines, name: &[u8]) -> Vec<&'l [u8]> {
    let of_name = lines.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    of_name.map(|(_, value)| value.as_slice()).collect()
}
