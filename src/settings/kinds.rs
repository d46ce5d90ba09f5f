//! The settings that are no object: flags, numbers, words, texts and lists.

use core::num::NonZeroU32;

use super::fault::{Expected, FaultKind};
use super::{Form, Reader, Setting, Shape, Value, Words};
use crate::words::Labelled;

/// The largest whole number that a field takes.
const MOST: u32 = 1_000_000;

impl Setting for bool {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(*value),
            _ => reader.wrong_type("true or false", value),
        }
    }

    fn shape() -> Shape {
        Shape::Flag
    }

    fn value(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Setting for NonZeroU32 {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Whole(number) = value else { return reader.wrong_type(WHOLE, value) };
        let fits = u32::try_from(*number).ok().and_then(Self::new).filter(|number| number.get() <= MOST);
        if fits.is_none() {
            reader.fault(FaultKind::OutOfRange, Expected::Phrase(WHOLE), value);
        }
        fits
    }

    fn shape() -> Shape {
        Shape::Whole(1, MOST)
    }

    fn value(&self) -> Value {
        Value::Whole(self.get().into())
    }
}

const WHOLE: &str = "a whole number from 1 to 1000000";

/// A number that is known when the code is written.
pub(crate) const fn whole(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// The bytes of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueBytes(u32);

impl QueueBytes {
    pub(crate) const DEFAULT: Self = Self(4 << 20);
    /// A batch of a few spans finds place, and Envoy keeps its memory.
    const LEAST: u32 = 64 << 10;
    const MOST: u32 = 64 << 20;
    const EXPECTED: &'static str = "a whole number of bytes from 65536 to 67108864";

    /// The number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Setting for QueueBytes {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Whole(number) = value else { return reader.wrong_type(Self::EXPECTED, value) };
        let fits = u32::try_from(*number).ok().filter(|number| (Self::LEAST..=Self::MOST).contains(number));
        if fits.is_none() {
            reader.fault(FaultKind::OutOfRange, Expected::Phrase(Self::EXPECTED), value);
        }
        fits.map(Self)
    }

    fn shape() -> Shape {
        Shape::Whole(Self::LEAST, Self::MOST)
    }

    fn value(&self) -> Value {
        Value::Whole(self.0.into())
    }
}

impl<T: Labelled> Setting for T {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        reader.word(value, T::LABELS).and_then(|place| T::ALL.get(place).copied())
    }

    fn shape() -> Shape {
        let title = core::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
        let words = T::ALL.iter().map(|word| (word.label(), word.meaning())).collect();
        Shape::Words(Words { title, words, refused: Vec::new() })
    }

    fn value(&self) -> Value {
        Value::Text(self.label().to_owned())
    }

    fn repeats(&self, before: &[Self]) -> bool {
        before.iter().any(|word| word.label() == self.label())
    }
}

impl Setting for String {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(value, Form::ANY.expected).map(str::to_owned)
    }

    fn shape() -> Shape {
        Shape::Text(Form::ANY)
    }

    fn value(&self) -> Value {
        Value::Text(self.clone())
    }
}

/// `null` leaves it as it is by default.
impl<T: Setting> Setting for Option<T> {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::make(value, reader).map(Some),
        }
    }

    fn read(&mut self, value: &Value, reader: &mut Reader<'_>) {
        if *value != Value::Null {
            *self = T::make(value, reader);
        }
    }

    fn shape() -> Shape {
        T::shape().or_null()
    }

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::value)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let mut items = Self::new();
        reader.list(value, &mut |value, reader| {
            let item = T::make(value, reader);
            items.extend(item.filter(|item| !item.repeats(&items)));
        })?;
        Some(items)
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }

    fn value(&self) -> Value {
        Value::List(self.iter().map(T::value).collect())
    }
}

/// Texts by their names; those of the default whose names are not stated stay.
impl Setting for Vec<(String, String)> {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let mut pairs = Self::new();
        pairs.read(value, reader);
        Some(pairs)
    }

    fn read(&mut self, value: &Value, reader: &mut Reader<'_>) {
        let Some(fields) = reader.fields(value) else { return };
        for (name, value) in fields.entries() {
            self.retain(|(known, _)| known != name);
            reader.within(super::Step::Field(name.clone()), &mut |reader| {
                self.extend(String::make(value, reader).map(|text| (name.clone(), text)));
            });
        }
    }

    fn shape() -> Shape {
        Shape::Map(&[])
    }
}
