//! What Jaeger's query service answers, and its user interface saves.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::{Facts, Number, new_span};
use crate::audit::Progress;
use crate::audit::store::{Name, Store};
use crate::report::clean;

/// The list of traces, of which one at a time is in memory. `null` stands for none.
pub(super) struct Traces<'a> {
    pub(super) store: &'a mut Store,
    pub(super) progress: &'a mut Progress,
}

#[derive(Deserialize)]
struct Trace {
    #[serde(default)]
    spans: Vec<Span>,
    #[serde(default)]
    processes: HashMap<String, Process>,
}

#[derive(Deserialize)]
struct Process {
    #[serde(default, rename = "serviceName")]
    service: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    #[serde(rename = "traceID")]
    trace: String,
    #[serde(rename = "spanID")]
    id: String,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default, rename = "parentSpanID")]
    parent: String,
    #[serde(default)]
    start_time: Number,
    #[serde(default)]
    duration: Number,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    #[serde(default, rename = "processID")]
    process: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    ref_type: String,
    #[serde(default, rename = "traceID")]
    trace: String,
    #[serde(default, rename = "spanID")]
    span: String,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: Value,
}

impl<'de> DeserializeSeed<'de> for Traces<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Traces<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of Jaeger's traces, each with spans and processes")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut traces: A) -> Result<(), A::Error> {
        while let Some(trace) = traces.next_element::<Trace>()? {
            trace.take(self.store);
            self.progress.tell(self.store.spans.len());
        }
        Ok(())
    }
}

impl Trace {
    fn take(self, store: &mut Store) {
        let named = self.processes.into_iter().map(|(id, process)| (id, store.name(&process.service)));
        let services: HashMap<String, Name> = named.collect();
        for span in self.spans {
            let service = services.get(&span.process).copied().unwrap_or(Name::NONE);
            span.take(service, store);
        }
    }
}

impl Span {
    fn take(self, service: Name, store: &mut Store) {
        let references = self.references.unwrap_or_default();
        // A link to another trace is no parent.
        let mut same = references.iter().filter(|to| to.trace.is_empty() || to.trace == self.trace);
        let parent = same.clone().find(|to| to.ref_type == "CHILD_OF").or_else(|| same.next());
        let parent = parent.map_or(self.parent.as_str(), |to| to.span.as_str());
        // An absent parent is written as 0 by old versions.
        let parent = if parent.bytes().all(|byte| byte == b'0') { "" } else { parent };
        let Some(mut span) = new_span([&self.trace, &self.id, parent], false, service, store) else { return };
        let mut facts = Facts::default();
        for Tag { key, value } in self.tags.iter().flatten() {
            facts.take(key, value.as_str().unwrap_or_default(), store);
        }
        facts.complete(&mut span);
        span.start = self.start_time.0;
        span.end = span.start.saturating_add(self.duration.0);
        store.push(span);
    }
}

/// Jaeger answers what it could find, and says what it could not.
pub(super) fn note_errors(errors: &Value, store: &mut Store) {
    for error in errors.as_array().into_iter().flatten() {
        let said = error.get("msg").and_then(Value::as_str).unwrap_or("without a reason");
        store.notes.insert(format!("Jaeger reports an error: {}.", clean(said)));
    }
}
