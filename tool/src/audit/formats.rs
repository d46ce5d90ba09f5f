//! The formats of traces in JSON. Which one a document has, its content says. Nothing is kept but spans.

mod jaeger;
mod otlp;
mod zipkin;

use std::fmt;
use std::io::{self, BufRead};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Progress;
use super::store::{Kind, Name, Span, Store};
use crate::report::printable;

/// What is expected of a document.
const EXPECTED: &str =
    "traces: OTLP's {\"resourceSpans\": …}, Jaeger's {\"data\": […]} or Zipkin's [{\"traceId\": …}]";

/// Reads documents, one after the other, as the Collector's file exporter writes them.
pub(super) fn read(mut from: impl BufRead, store: &mut Store, progress: &mut Progress) -> Result<(), String> {
    let mut documents = 0_u64;
    while is_more(&mut from).map_err(|error| error.to_string())? {
        documents += 1;
        let mut deserializer = serde_json::Deserializer::from_reader(&mut from);
        (Document { store, progress }).deserialize(&mut deserializer).map_err(|error| {
            let place = if documents > 1 { format!("document {documents}: ") } else { String::new() };
            match error.is_eof() {
                true => format!(
                    "{place}it ends in the middle, at line {}, column {}",
                    error.line(),
                    error.column()
                ),
                false => format!("{place}{}", printable(&error.to_string()).collect::<String>()),
            }
        })?;
    }
    if documents == 0 { Err(format!("it is empty; expected {EXPECTED}")) } else { Ok(()) }
}

/// Whether there is another document behind the white space.
fn is_more(from: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = from.fill_buf()?;
        let white = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let (length, is_empty) = (buffer.len(), buffer.is_empty());
        from.consume(white);
        if is_empty || white < length {
            return Ok(!is_empty);
        }
    }
}

/// A document of any format.
struct Document<'a> {
    store: &'a mut Store,
    progress: &'a mut Progress,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<zipkin::Entry>()? {
            entry.take(self.store);
            self.progress.tell(self.store.spans.len());
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut is_known = false;
        while let Some(field) = fields.next_key::<String>()? {
            is_known |= matches!(field.as_str(), "data" | "resourceSpans");
            match field.as_str() {
                "data" => {
                    fields.next_value_seed(jaeger::Traces { store: self.store, progress: self.progress })?
                }
                "resourceSpans" => {
                    fields.next_value_seed(otlp::List::of_resources(self.store, self.progress))?;
                }
                "errors" => jaeger::note_errors(&fields.next_value()?, self.store),
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        if is_known { Ok(()) } else { Err(A::Error::custom(format!("no trace in it; expected {EXPECTED}"))) }
    }
}

/// What attributes, or tags, say of a span.
#[derive(Default)]
struct Facts {
    kind: Option<Kind>,
    request: u64,
    peer: Option<Name>,
    decides: bool,
}

impl Facts {
    fn take(&mut self, key: &str, value: &str, store: &mut Store) {
        match key {
            "span.kind" => self.kind = Some(Kind::of(value)),
            "guid:x-request-id" | "http.request.header.x-request-id" | "x-request-id" | "request_id" => {
                self.request = store.hash(value);
            }
            "peer.service" => {
                self.peer = Some(store.name(value)).filter(|name| *name != Name::NONE).or(self.peer)
            }
            "server.address" | "net.peer.name" | "http.host" | "http.url" | "url.full" => {
                self.peer = self.peer.or_else(|| Some(store.peer(value)).filter(|name| *name != Name::NONE));
            }
            // Jaeger's samplers write it where they decide, which is not done under a parent that decided.
            "sampler.type" => self.decides = true,
            _ => {}
        }
    }

    fn complete(&self, span: &mut Span) {
        span.kind = self.kind.unwrap_or(span.kind);
        span.request = self.request;
        span.peer = self.peer.unwrap_or(Name::NONE);
        span.decides = self.decides;
    }
}

/// An id as hexadecimal digits, in upper or lower case, of at most so many.
fn id(text: &str, most: usize) -> Option<u128> {
    let digit = |id: u128, c: char| Some(id << 4 | u128::from(c.to_digit(16)?));
    if (1..=most).contains(&text.len()) { text.chars().try_fold(0, digit) } else { None }
}

/// A number that JSON may write as text, as OTLP and some exporters do.
#[derive(Default, Clone, Copy)]
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => {
                number.as_u64().or_else(|| number.as_f64().map(|number| number as u64))
            }
            serde_json::Value::String(text) => text.parse().ok(),
            _ => None,
        };
        Ok(Self(number.unwrap_or_default()))
    }
}

/// The ids of a span, if they are ids; otherwise it is counted.
fn new_span(ids: [&str; 3], exact: bool, service: Name, store: &mut Store) -> Option<Span> {
    let [trace, own, parent] = ids;
    let fits = |text: &str, lengths: &[usize]| !exact || lengths.contains(&text.len());
    let trace_id = id(trace, 32).filter(|id| *id != 0 && fits(trace, &[16, 32]));
    let own_id = id(own, 16).filter(|id| *id != 0 && fits(own, &[16]));
    let parent_id = if parent.is_empty() { Some(0) } else { id(parent, 16).filter(|_| fits(parent, &[16])) };
    let (Some(trace_id), Some(own_id), Some(parent_id)) = (trace_id, own_id, parent_id) else {
        let name = store.text(service);
        store.oddities.bad_ids.add(|| format!("service {name}"));
        return None;
    };
    Some(Span {
        high: (trace_id >> 64) as u64,
        low: trace_id as u64,
        id: own_id as u64,
        parent: parent_id as u64,
        start: 0,
        end: 0,
        request: 0,
        service,
        peer: Name::NONE,
        kind: Kind::Internal,
        decides: false,
        is_shared: false,
    })
}
