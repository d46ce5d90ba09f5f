//! OTLP in JSON, as the Collector's file exporter and SDKs write it.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Facts, Number, new_span};
use crate::audit::Progress;
use crate::audit::store::{Kind, Name, Store};

/// A list on the way down to the spans, of which nothing else is kept.
pub(super) struct List<'a> {
    store: &'a mut Store,
    progress: &'a mut Progress,
    of: Level,
    service: Name,
}

/// What a list is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Resources,
    Scopes,
    Spans,
}

/// A member of a list that has the next list in it.
struct Member<'a>(List<'a>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    #[serde(default)]
    trace_id: String,
    #[serde(default)]
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    #[serde(default)]
    kind: Value,
    #[serde(default)]
    start_time_unix_nano: Number,
    #[serde(default)]
    end_time_unix_nano: Number,
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize, Default)]
struct Resource {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: Value,
}

impl Level {
    /// The fields that hold the list below, by its name and its older one.
    const fn below(self) -> (Self, &'static [&'static str]) {
        match self {
            Self::Resources => (Self::Scopes, &["scopeSpans", "instrumentationLibrarySpans"]),
            Self::Scopes | Self::Spans => (Self::Spans, &["spans"]),
        }
    }
}

impl Attribute {
    /// Its text; of a list the first one.
    fn text(&self) -> &str {
        let first = self.value.pointer("/arrayValue/values/0").unwrap_or(&self.value);
        first.get("stringValue").and_then(Value::as_str).unwrap_or_default()
    }
}

impl<'a> List<'a> {
    /// The list `resourceSpans`.
    pub(super) fn of_resources(store: &'a mut Store, progress: &'a mut Progress) -> Self {
        Self { store, progress, of: Level::Resources, service: Name::NONE }
    }
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, as OTLP has it")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { store, progress, of, service } = self;
        if of == Level::Spans {
            while let Some(span) = list.next_element::<Span>()? {
                span.take(service, store);
                progress.tell(store.spans.len());
            }
            return Ok(());
        }
        while list.next_element_seed(Member(List { store, progress, of, service }))?.is_some() {}
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, as OTLP has it")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let List { store, progress, of, mut service } = self.0;
        let (below, names) = of.below();
        let first = store.spans.len();
        while let Some(field) = fields.next_key::<String>()? {
            if names.contains(&field.as_str()) {
                fields.next_value_seed(List { store, progress, of: below, service })?;
            } else if of == Level::Resources && field == "resource" {
                let Resource { attributes } = fields.next_value()?;
                let named = attributes.iter().find(|attribute| attribute.key == "service.name");
                service = named.map_or(Name::NONE, |attribute| store.name(attribute.text()));
                // The resource may stand behind its spans.
                store.spans.iter_mut().skip(first).for_each(|span| span.service = service);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl Span {
    fn take(self, service: Name, store: &mut Store) {
        let ids = [self.trace_id.as_str(), &self.span_id, &self.parent_span_id];
        let Some(mut span) = new_span(ids, true, service, store) else { return };
        let kind = &self.kind;
        let kind = kind.as_str().map_or_else(|| Kind::of_number(kind.as_u64().unwrap_or(0)), Kind::of);
        let mut facts = Facts { kind: Some(kind), ..Facts::default() };
        for attribute in self.attributes.iter().filter(|attribute| attribute.key != "span.kind") {
            facts.take(&attribute.key, attribute.text(), store);
        }
        facts.complete(&mut span);
        span.start = self.start_time_unix_nano.0 / 1000;
        span.end = self.end_time_unix_nano.0 / 1000;
        store.push(span);
    }
}
