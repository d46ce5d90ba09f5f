//! Reading a tree into settings. Hardly anything here is generic, so that the module holds one copy of it.

use super::fault::{Expected, Fault, FaultKind, Step};
use super::value::field;
use super::{Setting, Value};

/// Asks for a variable of the environment.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is found wrong on the way through a configuration, and the place that is read now.
pub(crate) struct Reader<'a> {
    path: Vec<Step>,
    faults: Vec<Fault>,
    environment: Environment<'a>,
}

/// Whether a field must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
    /// The default may also be stated as `null`.
    OrNull,
}

/// A place that a value is read into. It may hold a default before.
pub(crate) trait Slot {
    fn fill(&mut self, value: &Value, reader: &mut Reader<'_>);
}

/// The place of a setting that need not have a default.
pub(crate) struct Draft<T>(pub(crate) Option<T>);

/// The fields of an object that is being read.
pub(crate) struct Fields<'v> {
    entries: &'v [(String, Value)],
    known: Vec<&'static str>,
}

/// The most faults that are noted, so that a log can take them all.
const MAX_FAULTS: usize = 100;

impl<T: Setting> Slot for T {
    fn fill(&mut self, value: &Value, reader: &mut Reader<'_>) {
        self.read(value, reader);
    }
}

impl<T: Setting> Slot for Draft<T> {
    fn fill(&mut self, value: &Value, reader: &mut Reader<'_>) {
        self.0 = T::make(value, reader);
    }
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(environment: Environment<'a>) -> Self {
        Self { path: Vec::new(), faults: Vec::new(), environment }
    }

    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    pub(crate) const fn faults(&self) -> usize {
        self.faults.len()
    }

    /// The value of a variable; an empty one counts as unset.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// Reads the place one step further.
    pub(crate) fn within(&mut self, step: Step, read: &mut dyn FnMut(&mut Self)) {
        self.path.push(step);
        read(self);
        self.path.pop();
    }

    /// Notes that the value at this place is not what was expected.
    pub(crate) fn fault(&mut self, kind: FaultKind, expected: Expected, found: &Value) {
        self.note(kind, expected, found.to_string(), String::new());
    }

    /// Notes that a text has not the form that was expected, with what a parser says of it.
    pub(crate) fn malformed(&mut self, expected: &'static str, found: &Value, detail: String) {
        self.note(FaultKind::Malformed, Expected::Phrase(expected), found.to_string(), detail);
    }

    /// Notes that the value at this place has another type than expected, and makes nothing of it.
    pub(crate) fn wrong_type<T>(&mut self, expected: &'static str, found: &Value) -> Option<T> {
        self.fault(FaultKind::WrongType, Expected::Phrase(expected), found);
        None
    }

    /// Notes that a field of the object at this place does not fit the others.
    pub(crate) fn conflict(&mut self, field: &str, expected: &'static str, found: &Value) {
        self.within(Step::Field(field.to_owned()), &mut |reader| {
            reader.fault(FaultKind::Conflict, Expected::Phrase(expected), found);
        });
    }

    /// Notes a fault that is somewhere else.
    pub(crate) fn push(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Notes that something is missing at this place, or must not be there.
    pub(crate) fn absent(&mut self, kind: FaultKind, expected: Expected) {
        self.note(kind, expected, String::new(), String::new());
    }

    fn note(&mut self, kind: FaultKind, expected: Expected, found: String, detail: String) {
        if self.faults.len() < MAX_FAULTS {
            let path = self.path.clone();
            self.faults.push(Fault { path, kind, expected, found, detail });
        }
    }

    /// The text that a value is.
    pub(crate) fn text<'v>(&mut self, value: &'v Value, expected: &'static str) -> Option<&'v str> {
        match value {
            Value::Text(text) => Some(text),
            _ => self.wrong_type(expected, value),
        }
    }

    /// What a text of a certain form is parsed into. The one generic function here, and a small one.
    pub(crate) fn parse<T>(
        &mut self,
        value: &Value,
        expected: &'static str,
        parse: fn(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(self.text(value, expected)?);
        if parsed.is_none() {
            self.malformed(expected, value, String::new());
        }
        parsed
    }

    /// The place of the word that a value is.
    pub(crate) fn word(&mut self, value: &Value, words: &'static [&'static str]) -> Option<usize> {
        let (place, kind) = match value {
            Value::Text(text) => (words.iter().position(|word| word == text), FaultKind::UnknownWord),
            _ => (None, FaultKind::WrongType),
        };
        if place.is_none() {
            self.fault(kind, Expected::OneOf(words), value);
        }
        place
    }

    pub(crate) fn list(&mut self, value: &Value, read: &mut dyn FnMut(&Value, &mut Self)) -> Option<()> {
        let Value::List(items) = value else { return self.wrong_type("a list", value) };
        for (place, item) in items.iter().enumerate() {
            self.within(Step::Item(place), &mut |reader| read(item, reader));
        }
        Some(())
    }

    /// The fields of an object, whose names must be distinct.
    pub(crate) fn fields<'v>(&mut self, value: &'v Value) -> Option<Fields<'v>> {
        let Value::Object(entries) = value else { return self.wrong_type("an object", value) };
        for (place, (name, _)) in entries.iter().enumerate() {
            if entries.iter().take(place).any(|(earlier, _)| earlier == name) {
                self.within(Step::Field(name.clone()), &mut |reader| {
                    reader.absent(FaultKind::DuplicateField, Expected::Phrase("one field of this name"));
                });
            }
        }
        Some(Fields { entries, known: Vec::new() })
    }
}

impl<'v> Fields<'v> {
    /// All of them, for an object whose names the operator chooses.
    pub(crate) const fn entries(&self) -> &'v [(String, Value)] {
        self.entries
    }

    /// Reads a field into its place, if it is there.
    pub(crate) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        name: &'static str,
        need: Need,
        slot: &mut dyn Slot,
    ) {
        self.know(name);
        match field(self.entries, name) {
            Some(Value::Null) if need == Need::OrNull => {}
            None | Some(Value::Null) if need == Need::Required => {
                reader.absent(FaultKind::MissingField, Expected::Fields(vec![name]));
            }
            None => {}
            Some(value) => {
                reader.within(Step::Field(name.to_owned()), &mut |reader| slot.fill(value, reader));
            }
        }
    }

    /// Whether one of a group of fields is there and not `null`.
    pub(crate) fn state(&mut self, names: &[&'static str]) -> bool {
        names.iter().for_each(|name| self.know(name));
        self.entries.iter().any(|(name, value)| names.contains(&name.as_str()) && *value != Value::Null)
    }

    /// Refuses an object with none or several of the forms that exclude each other.
    pub(crate) fn expect_one(
        &self,
        reader: &mut Reader<'_>,
        stated: usize,
        forms: &[&'static [&'static str]],
    ) {
        let names = forms.iter().filter_map(|names| names.first().copied()).collect();
        match stated {
            0 => reader.absent(FaultKind::MissingField, Expected::Fields(names)),
            1 => {}
            _ => {
                let found = "several of them".to_owned();
                reader.note(FaultKind::Conflict, Expected::Fields(names), found, String::new());
            }
        }
    }

    /// Refuses the fields that nothing was read from. Their values may be secrets, and are not noted.
    pub(crate) fn finish(self, reader: &mut Reader<'_>) {
        for (name, _) in self.entries {
            if !self.known.contains(&name.as_str()) {
                let known = Expected::Fields(self.known.clone());
                reader.within(Step::Field(name.clone()), &mut |reader| {
                    reader.absent(FaultKind::UnknownField, known.clone());
                });
            }
        }
    }

    fn know(&mut self, name: &'static str) {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
    }
}
