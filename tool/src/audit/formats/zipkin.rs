//! Zipkin's spans, version 2: a list of them, or a list of traces.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess};

use super::facts::Facts;
use super::{Ids, Intake};
use crate::audit::lenient::{Maybe, Number, Part, Take, Text};
use crate::audit::store::{Kind, Marks};

/// A span, or a trace.
pub(super) struct Entry<'a, 'b>(pub(super) &'a mut Intake<'b>);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Span {
    trace_id: Text,
    id: Text,
    parent_id: Text,
    kind: Text,
    timestamp: Number,
    duration: Number,
    shared: Text,
    local_endpoint: Maybe<Endpoint>,
    remote_endpoint: Maybe<Endpoint>,
    tags: Tags,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Endpoint {
    service_name: Text,
}

/// Names and values.
#[derive(Default)]
struct Tags(Vec<(String, String)>);

struct TagsPart;

impl<'de> Part<'de> for Entry<'_, '_> {
    type Out = ();

    fn scalar(self, text: &str) {
        self.0
            .store
            .oddities
            .not_spans
            .add(|| format!("expected a span, found {:?}", crate::report::clean(text)));
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Take(Entry(&mut *self.0)))?.is_some() {}
        Ok(())
    }

    fn object<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        let span = Span::deserialize(MapAccessDeserializer::new(fields))?;
        span.give(self.0)
    }
}

impl Span {
    fn give<E: Error>(self, intake: &mut Intake<'_>) -> Result<(), E> {
        if self.trace_id.0.is_empty() && self.id.0.is_empty() {
            intake.store.oddities.not_spans.add(|| "expected a span, found an object without ids".to_owned());
            return Ok(());
        }
        let name = |endpoint: Maybe<Endpoint>| endpoint.0.map(|endpoint| endpoint.service_name.0);
        let service = intake.store.name(&name(self.local_endpoint).unwrap_or_default());
        let ids =
            Ids { trace: &self.trace_id.0, span: &self.id.0, parent: &self.parent_id.0, is_padded: true };
        let Some(mut span) = ids.span(service, intake.store) else { return Ok(()) };
        span.start = self.timestamp.0;
        span.end = self.timestamp.0.saturating_add(self.duration.0);
        // Without a kind it is a span within a service.
        span.kind = if self.kind.0.is_empty() { Kind::Internal } else { Kind::of(&self.kind.0) };
        span.peer = intake.store.name(&name(self.remote_endpoint).unwrap_or_default());
        if self.shared.0 == "true" {
            span.marks.add(Marks::SHARED);
        }
        let mut facts = Facts::default();
        for (key, value) in &self.tags.0 {
            facts.take(key, value, intake.store);
        }
        facts.complete(&mut span);
        intake.push(span)
    }
}

impl<'de> Part<'de> for TagsPart {
    type Out = Vec<(String, String)>;

    fn object<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Out, A::Error> {
        let mut tags = Vec::new();
        while let Some((key, Text(value))) = fields.next_entry::<String, Text>()? {
            tags.push((key, value));
        }
        Ok(tags)
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::DeserializeSeed::deserialize(Take(TagsPart), deserializer).map(Self)
    }
}
