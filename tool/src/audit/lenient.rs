//! Reading JSON whose values may have any type: a wrong type is nothing, and ends nothing.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What is made of a JSON value while it is read. What an implementation does not expect becomes nothing.
pub(super) trait Part<'de>: Sized {
    type Out: Default;

    fn scalar(self, _text: &str) -> Self::Out {
        Self::Out::default()
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Out, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::Out::default())
    }

    fn object<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Out, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Out::default())
    }
}

/// Lets serde read a part.
pub(super) struct Take<P>(pub(super) P);

impl<'de, P: Part<'de>> DeserializeSeed<'de> for Take<P> {
    type Value = P::Out;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<P::Out, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, P: Part<'de>> Visitor<'de> for Take<P> {
    type Value = P::Out;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<P::Out, E> {
        Ok(self.0.scalar(if value { "true" } else { "false" }))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<P::Out, E> {
        Ok(self.0.scalar(&value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<P::Out, E> {
        Ok(self.0.scalar(&value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<P::Out, E> {
        Ok(self.0.scalar(&value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<P::Out, E> {
        Ok(self.0.scalar(value))
    }

    fn visit_unit<E: Error>(self) -> Result<P::Out, E> {
        Ok(P::Out::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<P::Out, A::Error> {
        self.0.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<P::Out, A::Error> {
        self.0.object(fields)
    }
}

/// A text or a number as text.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

/// A whole number, written as a number or as text.
#[derive(Clone, Copy, Default)]
pub(super) struct Number(pub(super) u64);

/// An object, if it is one.
pub(super) struct Maybe<T>(pub(super) Option<T>);

/// The objects of a list, if it is one.
pub(super) struct List<T>(pub(super) Vec<T>);

struct TextPart;
struct MaybePart<T>(PhantomData<T>);
struct ListPart<T>(PhantomData<T>);

impl Part<'_> for TextPart {
    type Out = String;

    fn scalar(self, text: &str) -> String {
        text.to_owned()
    }
}

impl<'de, T: Deserialize<'de>> Part<'de> for MaybePart<T> {
    type Out = Option<T>;

    fn object<A: MapAccess<'de>>(self, fields: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Some)
    }
}

impl<'de, T: Deserialize<'de>> Part<'de> for ListPart<T> {
    type Out = Vec<T>;

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(Maybe(entry)) = list.next_element()? {
            all.extend(entry);
        }
        Ok(all)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Take(TextPart).deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Take(TextPart).deserialize(deserializer)?;
        let rounded = || text.parse().map_or(0, |number: f64| number as u64);
        Ok(Self(text.parse().unwrap_or_else(|_| rounded())))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Take(MaybePart(PhantomData)).deserialize(deserializer).map(Self)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Take(ListPart(PhantomData)).deserialize(deserializer).map(Self)
    }
}

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
