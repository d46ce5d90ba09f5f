//! The JSON of Jaeger's query API, which its user interface saves as well.

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess};

use super::facts::Facts;
use super::{Ids, Intake, id};
use crate::audit::lenient::{List, Maybe, Number, Part, Take, Text};
use crate::audit::store::{Name, Oddities};
use crate::report::clean;

pub(super) struct Traces<'a, 'b>(pub(super) &'a mut Intake<'b>);
struct Trace<'a, 'b>(&'a mut Intake<'b>);
struct Spans<'a, 'b>(&'a mut Intake<'b>, &'a mut Pieces);
struct Processes<'a, 'b>(&'a mut Intake<'b>, &'a mut Pieces);

/// What has been read of a trace: its spans come before the names of their services.
#[derive(Default)]
pub(super) struct Pieces {
    begin: Option<(usize, Oddities)>,
    /// The process of each span.
    of_spans: Vec<u32>,
    processes: IndexMap<String, Name>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Span {
    #[serde(rename = "traceID")]
    trace_id: Text,
    #[serde(rename = "spanID")]
    span_id: Text,
    #[serde(rename = "parentSpanID")]
    parent_span_id: Text,
    references: List<Reference>,
    start_time: Number,
    duration: Number,
    tags: List<Tag>,
    #[serde(rename = "processID")]
    process_id: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    #[serde(rename = "refType")]
    kind: Text,
    #[serde(rename = "traceID")]
    trace_id: Text,
    #[serde(rename = "spanID")]
    span_id: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tag {
    key: Text,
    value: Text,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Process {
    service_name: Text,
}

impl<'de> Part<'de> for Traces<'_, '_> {
    type Out = ();

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Take(Trace(self.0)))?.is_some() {}
        Ok(())
    }
}

impl<'de> Part<'de> for Trace<'_, '_> {
    type Out = ();

    fn object<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut trace = Pieces::default();
        loop {
            let field = fields.next_key::<String>();
            let read = match &field {
                Ok(Some(field)) => trace.field(field, &mut fields, self.0),
                Ok(None) | Err(_) => Ok(()),
            };
            // What a trace that breaks off had so far counts.
            if read.is_err() || !matches!(field, Ok(Some(_))) {
                trace.end(self.0, read.is_ok() && field.is_ok());
                return field.and(read);
            }
        }
    }
}

impl Pieces {
    /// Reads a field of a trace.
    pub(super) fn field<'de, A: MapAccess<'de>>(
        &mut self,
        field: &str,
        fields: &mut A,
        intake: &mut Intake<'_>,
    ) -> Result<(), A::Error> {
        match field {
            "spans" => fields.next_value_seed(Take(Spans(intake, self))),
            "processes" => fields.next_value_seed(Take(Processes(intake, self))),
            _ => fields.next_value::<IgnoredAny>().map(drop),
        }
    }

    /// Names the services of the spans; forgets them all if this trace came before.
    pub(super) fn end(self, intake: &mut Intake<'_>, is_whole: bool) {
        let Some((begin, oddities)) = self.begin else { return };
        let Intake { store, known, traces, broken, .. } = intake;
        if !is_whole && known.is_some() {
            *broken = Some((begin, oddities));
            return;
        }
        *traces += 1;
        for (span, process) in store.spans.iter_mut().skip(begin).zip(self.of_spans) {
            span.service = self.processes.get_index(process as usize).map_or(Name::NONE, |(_, name)| *name);
        }
        let id = store.spans.get(begin).map(|span| span.trace);
        if let (Some(id), Some(known)) = (id, known)
            && !known.insert(id)
        {
            store.spans.truncate(begin);
            store.oddities = oddities;
        }
    }

    fn process(&mut self, id: &str) -> (usize, &mut Name) {
        let entry = self.processes.entry(id.to_owned());
        (entry.index(), entry.or_insert(Name::NONE))
    }
}

impl<'de> Part<'de> for Spans<'_, '_> {
    type Out = ();

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self(intake, pieces) = self;
        pieces.begin.get_or_insert_with(|| (intake.store.spans.len(), intake.store.oddities.clone()));
        while let Some(Maybe(span)) = list.next_element::<Maybe<Span>>()? {
            match span {
                Some(span) => span.give(intake, pieces)?,
                None => intake.store.oddities.not_spans.add(|| "expected a span in `spans`".to_owned()),
            }
        }
        Ok(())
    }
}

impl<'de> Part<'de> for Processes<'_, '_> {
    type Out = ();

    fn object<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some((key, Maybe(process))) = fields.next_entry::<String, Maybe<Process>>()? {
            let name: Process = process.unwrap_or_default();
            *self.1.process(&key).1 = self.0.store.name(&name.service_name.0);
        }
        Ok(())
    }
}

impl Span {
    /// The span of the same trace that this one follows; a reference into another trace is a link.
    fn parent(&self) -> &str {
        let trace = |text: &str| id("", text, 32, &[]).ok();
        let own = trace(&self.trace_id.0);
        let is_own = |reference: &&Reference| {
            reference.trace_id.0.is_empty() || own.is_some() && trace(&reference.trace_id.0) == own
        };
        let mut own_references = self.references.0.iter().filter(is_own);
        let first = own_references.clone().find(|reference| reference.kind.0 == "CHILD_OF");
        let reference = first.or_else(|| own_references.next());
        reference.map_or(self.parent_span_id.0.as_str(), |reference| reference.span_id.0.as_str())
    }

    fn give<E: Error>(self, intake: &mut Intake<'_>, pieces: &mut Pieces) -> Result<(), E> {
        let ids =
            Ids { trace: &self.trace_id.0, span: &self.span_id.0, parent: self.parent(), is_padded: false };
        let Some(mut span) = ids.span(Name::NONE, intake.store) else { return Ok(()) };
        span.start = self.start_time.0;
        span.end = self.start_time.0.saturating_add(self.duration.0);
        let mut facts = Facts::default();
        for Tag { key, value } in &self.tags.0 {
            facts.take(&key.0, &value.0, intake.store);
        }
        facts.complete(&mut span);
        let process = pieces.process(&self.process_id.0).0 as u32;
        pieces.of_spans.push(process);
        intake.push(span)
    }
}

/// What Jaeger says went wrong, in its own words.
pub(super) struct Errors;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    msg: Text,
}

impl<'de> Part<'de> for Errors {
    type Out = Vec<String>;

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut all = Vec::new();
        while let Some(Maybe(problem)) = list.next_element::<Maybe<Problem>>()? {
            all.extend(problem.map(|problem| clean(&problem.msg.0)));
        }
        Ok(all)
    }
}
