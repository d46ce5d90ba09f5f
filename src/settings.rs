//! How a configuration is described: once, where the code is that it configures.
//!
//! The macro `settings!` declares a struct of settings with the meaning, type and default of each field. From it follow the
//! struct, its defaults, its reader, and its [`Shape`], which documents, the JSON Schema and generators are made of. The
//! reader takes a tree of [`Value`]s, whatever text that came from, and notes every [`Fault`] instead of ending at the
//! first.

mod fault;
mod kinds;
mod macros;
mod reader;
mod shape;
mod text;
mod value;

pub use fault::{Expected, Fault, FaultKind, Faults, Step};
pub use kinds::QueueBytes;
pub(crate) use kinds::whole;
pub(crate) use macros::settings;
pub(crate) use reader::{Draft, Fields, Need, Reader};
pub use shape::{Field, Form, Object, Rule, Shape, Words, examples};
pub(crate) use text::Secret;
pub use text::{
    BaggageKey, CompanionName, HeaderName, LabelValue, LogFormat, NonEmpty, UrlPath, Variable, Visible,
};
pub use value::Value;

/// A part of the configuration.
pub(crate) trait Setting: Sized {
    /// Reads the setting from a value alone. Returns `None` if that is not possible; the reader then has a fault.
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self>;

    /// Reads the setting over its default.
    fn read(&mut self, value: &Value, reader: &mut Reader<'_>) {
        if let Some(made) = Self::make(value, reader) {
            *self = made;
        }
    }

    /// The shape of the values that the setting takes.
    fn shape() -> Shape;

    /// The value as documents write it where it is a default. The fields of an object are written one by one.
    fn value(&self) -> Value {
        Value::Object(Vec::new())
    }

    /// Whether a list that has these items before does without this one.
    fn repeats(&self, _before: &[Self]) -> bool {
        false
    }
}

/// A setting whose fields can stand in an object next to others.
pub(crate) trait FromFields: Setting {
    /// The names of its fields.
    const NAMES: &'static [&'static str];

    /// Takes them.
    fn from_fields(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A setting whose fields can stand in an object next to others, each read over its default.
pub(crate) trait OverFields: Setting {
    /// Reads them.
    fn read_fields(&mut self, fields: &mut Fields<'_>, reader: &mut Reader<'_>);
}

/// What several fields of an object must fulfil together.
pub(crate) trait Rules {
    /// Notes what does not fit together; each field alone is right.
    fn check(&self, _reader: &mut Reader<'_>) {}

    /// Says as much of that as a JSON Schema can.
    fn describe(_object: &mut Object) {}
}
