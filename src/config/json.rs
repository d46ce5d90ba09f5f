//! Typed reading of JSON values that know their place: every refusal names the path, what is wanted, and the value.

use core::num::NonZeroU32;

use super::ConfigError;
use super::value::Value;
use crate::labels::Labelled;
use crate::sampling::Threshold;

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node {
    path: String,
    value: Value,
}

/// An object whose fields are taken one by one; what is left in the end nobody knows.
pub(super) struct Object {
    path: String,
    fields: Vec<(String, Value)>,
    known: Vec<&'static str>,
}

impl Node {
    /// Reads the whole document; none at all is an empty object.
    pub(super) fn document(json: &[u8]) -> Result<Self, ConfigError> {
        let value = match json.trim_ascii() {
            [] => Value::Object(Vec::new()),
            text => Value::parse(text).map_err(|problem| refused("", problem))?,
        };
        Ok(Self { path: String::new(), value })
    }

    pub(super) fn object(self) -> Result<Object, ConfigError> {
        match self.value {
            Value::Object(fields) => Ok(Object { path: self.path, fields, known: Vec::new() }),
            _ => Err(self.is_not("an object")),
        }
    }

    /// Reads an object's fields, and refuses those that nobody asked for.
    pub(super) fn fields(
        self,
        read: impl FnOnce(&mut Object) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let mut object = self.object()?;
        read(&mut object)?;
        object.finish()
    }

    pub(super) fn list(self) -> Result<Vec<Self>, ConfigError> {
        let Value::List(values) = self.value else { return Err(self.is_not("a list")) };
        let path = self.path;
        let places = values.into_iter().enumerate();
        Ok(places.map(|(place, value)| Self { path: format!("{path}[{place}]"), value }).collect())
    }

    /// The fields of an object whose names are anyone's.
    pub(super) fn entries(self) -> Result<Vec<(String, Self)>, ConfigError> {
        let Object { path, fields, .. } = self.object()?;
        let place = |name: &str| format!("{path}.{}", name.escape_debug());
        Ok(fields
            .into_iter()
            .map(|(name, value)| (name.clone(), Self { path: place(&name), value }))
            .collect())
    }

    pub(super) fn boolean(self) -> Result<bool, ConfigError> {
        match self.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.is_not("true or false")),
        }
    }

    /// Reads one of an enum's labels.
    pub(super) fn word<T: Labelled>(self) -> Result<T, ConfigError> {
        let place = self.place_among(T::LABELS)?;
        T::ALL.get(place).copied().ok_or_else(|| self.is_not("known"))
    }

    // Apart from `word`, of which there is one for every enum.
    fn place_among(&self, words: &[&str]) -> Result<usize, ConfigError> {
        let found = match &self.value {
            Value::Text(text) => words.iter().position(|word| word == text),
            _ => None,
        };
        found.ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            self.is_not(&format!("one of {}", words.join(", ")))
        })
    }

    /// Reads a text, and makes of it what `parse` does.
    pub(super) fn text<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        match &self.value {
            Value::Text(text) => parse(text).map_err(|problem| self.refused(problem)),
            _ => Err(self.is_not("a text")),
        }
    }

    pub(super) fn string(self) -> Result<String, ConfigError> {
        self.text(|text| Ok(text.to_owned()))
    }

    pub(super) fn probability(self) -> Result<Threshold, ConfigError> {
        match &self.value {
            Value::Number(number) => {
                Threshold::from_probability(number).map_err(|error| self.refused(error.to_string()))
            }
            _ => Err(self.is_not("a number from 0 to 1")),
        }
    }

    /// Reads a whole number from 1 to 1,000,000.
    pub(super) fn whole_number(self) -> Result<NonZeroU32, ConfigError> {
        const MAX: u32 = 1_000_000;
        let number = match &self.value {
            Value::Number(text) => text.parse::<NonZeroU32>().ok().filter(|number| number.get() <= MAX),
            _ => None,
        };
        number.ok_or_else(|| self.is_not("a whole number from 1 to 1000000"))
    }

    pub(super) fn refused(&self, problem: String) -> ConfigError {
        refused(&self.path, problem)
    }

    fn is_not(&self, wanted: &str) -> ConfigError {
        self.refused(format!("{} is not {wanted}", self.value))
    }
}

impl Object {
    /// Reads a field into its place, if it is there.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        place: &mut T,
        read: impl FnOnce(Node) -> Result<T, ConfigError>,
    ) -> Result<(), ConfigError> {
        if let Some(node) = self.field(name) {
            *place = read(node)?;
        }
        Ok(())
    }

    /// The same for what is nothing by default, which `null` says as well.
    pub(super) fn read_some<T>(
        &mut self,
        name: &'static str,
        place: &mut Option<T>,
        read: impl FnOnce(Node) -> Result<T, ConfigError>,
    ) -> Result<(), ConfigError> {
        if let Some(node) = self.field(name).filter(|node| node.value != Value::Null) {
            *place = Some(read(node)?);
        }
        Ok(())
    }

    /// Reads the fields of the object that a field is, if it is there.
    pub(super) fn within(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        match self.field(name) {
            Some(node) => node.fields(read),
            None => Ok(()),
        }
    }

    // Apart from `read`, of which there is one for every type that is read.
    fn field(&mut self, name: &'static str) -> Option<Node> {
        self.known.push(name);
        let place = self.fields.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.fields.swap_remove(place);
        Some(Node { path: self.path_of(name), value })
    }

    /// Refuses a field that was not taken.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let Some((name, _)) = self.fields.first() else { return Ok(()) };
        let path = self.path_of(&name.escape_debug().to_string());
        Err(refused(&path, format!("there is no such field; there are {}", self.known.join(", "))))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

fn refused(path: &str, problem: String) -> ConfigError {
    let place = if path.is_empty() { "the configuration" } else { path };
    ConfigError { place: place.to_owned(), problem }
}
