//! Entries of a configuration that do nothing: no request meets them, or another entry takes all that do.

use tracewarden::settings::{Step, Value};
use tracewarden::words::Direction;

use super::codes::{self, Code};
use super::conditions::{covers, covers_sender, unmet};

/// What is said of a field: the code, where it is in the configuration, and the text.
pub(super) type Said = (&'static Code, Vec<Step>, String);

/// The most entries of a list that are compared with one another.
const MAX_COMPARED: usize = 1_000;

/// The conditions of a list of entries.
struct List<'v> {
    path: &'static [&'static str],
    entries: Vec<&'v Value>,
    /// Whether the first entry that matches counts, and not any of them.
    is_ordered: bool,
}

/// The entries that do nothing. The direction is that of all requests, if it is known.
pub(super) fn idle(tree: &Value, direction: Option<Direction>) -> Vec<Said> {
    let mut said = Vec::new();
    // Only `egress` takes a request whose direction is not known.
    for (path, is_ordered, holds_unknown) in
        [(&["sampling", "rules"][..], true, false), (&["egress"], true, true), (&["exclude"], false, false)]
    {
        let Some(mut list) = List::of(tree, path, is_ordered) else { continue };
        said.extend(list.unmet(direction, holds_unknown));
        said.extend(list.behind(|general, special| covers(general, special, direction)));
    }
    if let Some(list) = List::of(tree, &["trust", "trusted"], false) {
        said.extend(list.behind(covers_sender));
    }
    said
}

impl<'v> List<'v> {
    fn of(tree: &'v Value, path: &'static [&'static str], is_ordered: bool) -> Option<Self> {
        let Value::List(items) = path.iter().try_fold(tree, |value, name| value.field(name))? else {
            return None;
        };
        let conditions = items.iter().take(MAX_COMPARED).map(|item| item.field("match").unwrap_or(item));
        Some(Self { path, entries: conditions.collect(), is_ordered })
    }

    /// Reports the entries that no request meets, and leaves them out of what follows: they take nothing from others.
    fn unmet(&mut self, direction: Option<Direction>, holds_unknown: bool) -> Vec<Said> {
        let mut said = Vec::new();
        for number in 0..self.entries.len() {
            let reason = self.entries.get(number).and_then(|entry| unmet(entry, direction, holds_unknown));
            if let (Some(reason), Some(entry)) = (reason, self.entries.get_mut(number)) {
                *entry = &Value::Null;
                let text =
                    format!("{} matches no request: {reason}; correct it, or remove it", self.name(number));
                said.push((&codes::NO_MATCH, self.steps(number), text));
            }
        }
        said
    }

    /// The entries all of whose requests another one takes.
    fn behind(&self, covers: impl Fn(&Value, &Value) -> bool) -> Vec<Said> {
        let mut said = Vec::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let takes = |(place, other): &(usize, &&Value)| {
                // Of two that are the same, the later one does nothing.
                *place != number && covers(other, entry) && (*place < number || !covers(entry, other))
            };
            let count = if self.is_ordered { number } else { self.entries.len() };
            let Some((place, _)) = self.entries.iter().take(count).enumerate().find(takes) else { continue };
            let (name, other) = (self.name(number), self.name(place));
            let text = if self.is_ordered {
                format!(
                    "{name} does nothing: {other} comes first and takes all its requests; move it up, or remove it"
                )
            } else {
                format!("{name} does nothing: {other} has everything that it has; remove one of the two")
            };
            said.push((&codes::BEHIND, self.steps(number), text));
        }
        said
    }

    fn name(&self, number: usize) -> String {
        format!("{}[{number}]", self.path.join("."))
    }

    fn steps(&self, number: usize) -> Vec<Step> {
        let fields = self.path.iter().map(|name| Step::Field((*name).to_owned()));
        fields.chain([Step::Item(number)]).collect()
    }
}
