//! OTLP's JSON: one document, or one in each line as the Collector's file exporter writes them.

use serde::Deserialize;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess};

use super::facts::Facts;
use super::{Ids, Intake};
use crate::audit::lenient::{List, Maybe, Number, Part, Take, Text};
use crate::audit::store::{Kind, Marks, Name};

/// The trace flags of W3C in a span's flags, and the bits above them.
const TRACE_FLAGS: u64 = 0xff;
const SAMPLED: u64 = 1;
const KNOWS_PARENT: u64 = 0x100;
const PARENT_IS_REMOTE: u64 = 0x200;

pub(super) struct Resources<'a, 'b>(pub(super) &'a mut Intake<'b>);
struct Resource<'a, 'b>(&'a mut Intake<'b>);
struct Scopes<'a, 'b>(&'a mut Intake<'b>, Name);
struct Scope<'a, 'b>(&'a mut Intake<'b>, Name);
struct Spans<'a, 'b>(&'a mut Intake<'b>, Name);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Described {
    attributes: List<Attribute>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attribute {
    key: Text,
    value: Value,
}

/// An attribute's value as text; of a list the first.
#[derive(Default)]
struct Value(String);

struct ValuePart;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Span {
    trace_id: Text,
    span_id: Text,
    parent_span_id: Text,
    kind: Text,
    flags: Number,
    start_time_unix_nano: Number,
    end_time_unix_nano: Number,
    attributes: List<Attribute>,
    links: List<Link>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Link {
    span_id: Text,
    flags: Number,
}

impl<'de> Part<'de> for Resources<'_, '_> {
    type Out = ();

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Take(Resource(self.0)))?.is_some() {}
        Ok(())
    }
}

impl<'de> Part<'de> for Resource<'_, '_> {
    type Out = ();

    fn object<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let begin = self.0.store.spans.len();
        let mut service = Name::NONE;
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "resource" => {
                    let described: Maybe<Described> = fields.next_value()?;
                    let attributes = described.0.unwrap_or_default().attributes.0;
                    let name = attributes.into_iter().find(|attribute| attribute.key.0 == "service.name");
                    service = self.0.store.name(&name.unwrap_or_default().value.0);
                }
                "scopeSpans" | "instrumentationLibrarySpans" => {
                    fields.next_value_seed(Take(Scopes(self.0, service)))?;
                }
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        // The order of fields is free: the resource may come last.
        for span in self.0.store.spans.iter_mut().skip(begin) {
            span.service = service;
        }
        Ok(())
    }
}

impl<'de> Part<'de> for Scopes<'_, '_> {
    type Out = ();

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Take(Scope(self.0, self.1)))?.is_some() {}
        Ok(())
    }
}

impl<'de> Part<'de> for Scope<'_, '_> {
    type Out = ();

    fn object<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "spans" => fields.next_value_seed(Take(Spans(self.0, self.1)))?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de> Part<'de> for Spans<'_, '_> {
    type Out = ();

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(Maybe(span)) = list.next_element::<Maybe<Span>>()? {
            match span {
                Some(span) => span.give(self.0, self.1)?,
                None => self.0.store.oddities.not_spans.add(|| "expected a span in `spans`".to_owned()),
            }
        }
        Ok(())
    }
}

impl Span {
    fn give<E: Error>(self, intake: &mut Intake<'_>, service: Name) -> Result<(), E> {
        let ids = Ids {
            trace: &self.trace_id.0,
            span: &self.span_id.0,
            parent: &self.parent_span_id.0,
            is_padded: true,
        };
        let Some(mut span) = ids.span(service, intake.store) else { return Ok(()) };
        span.start = self.start_time_unix_nano.0 / 1000;
        span.end = self.end_time_unix_nano.0 / 1000;
        span.kind = Kind::of(&self.kind.0);
        let flags = self.flags.0;
        if flags & KNOWS_PARENT != 0 {
            let is_remote = flags & PARENT_IS_REMOTE != 0;
            span.marks.add(if is_remote { Marks::REMOTE_PARENT } else { Marks::LOCAL_PARENT });
        }
        let is_parent = |link: &&Link| link.span_id.0 == self.parent_span_id.0;
        if is_unsampled(flags) || self.links.0.iter().filter(is_parent).any(|link| is_unsampled(link.flags.0))
        {
            span.marks.add(Marks::UNSAMPLED);
        }
        let mut facts = Facts::default();
        for Attribute { key, value } in &self.attributes.0 {
            facts.take(&key.0, &value.0, intake.store);
        }
        facts.complete(&mut span);
        intake.push(span)
    }
}

/// Whether flags say that the trace is not sampled. Go's SDK leaves the whole byte zero, sampled or not: that says nothing.
const fn is_unsampled(flags: u64) -> bool {
    flags & TRACE_FLAGS != 0 && flags & SAMPLED == 0
}

impl<'de> Part<'de> for ValuePart {
    type Out = String;

    fn scalar(self, text: &str) -> String {
        text.to_owned()
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<String, A::Error> {
        let first = list.next_element::<Value>()?.unwrap_or_default();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.0)
    }

    fn object<A: MapAccess<'de>>(self, mut fields: A) -> Result<String, A::Error> {
        let mut text = String::new();
        while let Some((_, Value(value))) = fields.next_entry::<IgnoredAny, Value>()? {
            text = value;
        }
        Ok(text)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::DeserializeSeed::deserialize(Take(ValuePart), deserializer).map(Self)
    }
}
