//! The formats of traces in JSON. The content says which one a document has.

mod facts;
mod jaeger;
mod otlp;
mod zipkin;

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess};
use serde_json::error::Category;

use super::lenient::{Part, Take};
use super::progress::Progress;
use super::store::{Kind, Marks, Name, Oddities, Span, Store, TraceId};
use crate::lines::grouped;
use crate::report::clean;

/// What a document should be.
const EXPECTED: &str =
    "expected OTLP's {\"resourceSpans\": …}, Jaeger's {\"data\": …} or Zipkin's [{\"traceId\": …}]";

/// Where spans go while a source is read.
pub(super) struct Intake<'a> {
    pub(super) store: &'a mut Store,
    pub(super) progress: &'a mut Progress,
    /// The traces that this source has given already, if it may give a trace twice.
    pub(super) known: Option<&'a mut HashSet<TraceId>>,
    /// How many traces the answer had, known or not: of Jaeger's format alone.
    pub(super) traces: u64,
    /// What the source itself says went wrong.
    pub(super) errors: Vec<String>,
    /// Where a trace began that broke off, if the source may still give it whole.
    broken: Option<(usize, Oddities)>,
}

impl<'a> Intake<'a> {
    pub(super) const fn new(store: &'a mut Store, progress: &'a mut Progress) -> Self {
        Self { store, progress, known: None, traces: 0, errors: Vec::new(), broken: None }
    }

    /// Reads documents to the end of the input. An error says what was read before it.
    pub(super) fn read(&mut self, input: impl Read) -> Result<(), String> {
        let before = self.store.spans.len();
        let mut input = BufReader::with_capacity(1 << 16, input);
        let begin = input.fill_buf().map_err(|error| error.to_string())?;
        if begin.starts_with(&[0x1f, 0x8b]) {
            return Err(
                "expected JSON, found gzip; unpack it first: gunzip -c FILE | tracewarden audit -".to_owned()
            );
        }
        if begin.is_empty() {
            return Err(format!("it is empty; {EXPECTED}"));
        }
        let mut deserializer = serde_json::Deserializer::from_reader(input);
        while deserializer.end().is_err() {
            let read = Take(Document(self)).deserialize(&mut deserializer);
            let begun = self.store.spans.len() - before;
            if let Some((begin, oddities)) = self.broken.take() {
                self.store.spans.truncate(begin);
                self.store.oddities = oddities;
            }
            let spans = self.store.spans.len() - before;
            if !read.map_err(|error| problem(error, begun, spans))? {
                return Err(format!("it is no trace; {EXPECTED}; {}", so_far(spans)));
            }
        }
        Ok(())
    }

    fn push<E: Error>(&mut self, span: Span) -> Result<(), E> {
        if self.store.spans.len() >= self.store.most {
            let most = grouped(self.store.most as u64);
            return Err(E::custom(format!("there are more than {most} spans; --max-spans allows more")));
        }
        self.store.spans.push(span);
        self.progress.tell(self.store.spans.len());
        Ok(())
    }
}

fn problem(error: serde_json::Error, begun: usize, spans: usize) -> String {
    let so_far = so_far(spans);
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Eof => {
            format!("it ends in the middle of span {}, at {place}; {so_far}", grouped(begun as u64 + 1))
        }
        Category::Io => format!("{}; {so_far}", broken(error.into())),
        Category::Syntax | Category::Data => format!("{}; {so_far}", clean(&error.to_string())),
    }
}

/// Why reading broke off.
fn broken(error: io::Error) -> String {
    let of_server = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    match of_server {
        Some(ureq::Error::Timeout(_)) => crate::web::NO_ANSWER.to_owned(),
        _ => clean(&error.to_string()),
    }
}

fn so_far(spans: usize) -> String {
    match spans {
        0 => "no span was read before that".to_owned(),
        _ => format!("what was read so far follows: {} spans", grouped(spans as u64)),
    }
}

/// One document. It becomes whether it has the form of a trace.
struct Document<'a, 'b>(&'a mut Intake<'b>);

impl<'de> Part<'de> for Document<'_, '_> {
    type Out = bool;

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let mut entries = 0_u64;
        let before = (self.0.store.spans.len(), self.0.store.oddities.bad_ids.count);
        while list.next_element_seed(Take(zipkin::Entry(self.0)))?.is_some() {
            entries += 1;
        }
        let is_known = before != (self.0.store.spans.len(), self.0.store.oddities.bad_ids.count);
        Ok(entries == 0 || is_known)
    }

    fn object<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<bool, A::Error> {
        let mut trace = jaeger::Pieces::default();
        let is_known = self.fields(&mut fields, &mut trace);
        // What a document that breaks off had so far counts.
        trace.end(self.0, is_known.is_ok());
        is_known
    }
}

impl Document<'_, '_> {
    fn fields<'de, A: MapAccess<'de>>(
        &mut self,
        fields: &mut A,
        trace: &mut jaeger::Pieces,
    ) -> Result<bool, A::Error> {
        let mut is_known = false;
        while let Some(field) = fields.next_key::<String>()? {
            is_known |= matches!(field.as_str(), "data" | "resourceSpans" | "spans");
            match field.as_str() {
                "data" => fields.next_value_seed(Take(jaeger::Traces(self.0)))?,
                "resourceSpans" => fields.next_value_seed(Take(otlp::Resources(self.0)))?,
                "errors" => self.0.errors.extend(fields.next_value_seed(Take(jaeger::Errors))?),
                // Someone saved one trace of the list.
                "spans" | "processes" => trace.field(&field, fields, self.0)?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(is_known)
    }
}

/// The ids of a span as they are written.
struct Ids<'a> {
    trace: &'a str,
    span: &'a str,
    parent: &'a str,
    /// Jaeger once wrote ids without leading zeros.
    is_padded: bool,
}

impl Ids<'_> {
    /// A span with these ids, unless they are none.
    fn span(&self, service: Name, store: &mut Store) -> Option<Span> {
        let lengths: [&[usize]; 2] = if self.is_padded { [&[32, 16], &[16]] } else { [&[], &[]] };
        let [trace, own] = lengths;
        let trace = id("trace-id", self.trace, 32, trace);
        let span = id("span-id", self.span, 16, own);
        let parent = if self.parent.is_empty() { Ok([0, 0]) } else { id("parent-id", self.parent, 16, own) };
        let is_none = !self.parent.is_empty() && self.parent.bytes().all(|digit| digit == b'0');
        let mut marks = Marks::default();
        let parent = match parent {
            Ok([_, parent]) => parent,
            Err(_) if is_none => 0,
            Err(problem) => {
                store.oddities.bad_ids.add(|| problem);
                marks.add(Marks::BAD_PARENT);
                0
            }
        };
        match (trace, span) {
            (Ok(trace), Ok([_, id])) => Some(Span {
                trace,
                id,
                parent,
                start: 0,
                end: 0,
                request: 0,
                service,
                peer: Name::NONE,
                kind: Kind::Unknown,
                marks,
            }),
            (Err(problem), _) | (_, Err(problem)) => {
                store.oddities.bad_ids.add(|| problem);
                None
            }
        }
    }
}

/// An id of at most so many digits, or of one of these numbers of digits.
fn id(what: &str, text: &str, most: usize, lengths: &[usize]) -> Result<[u64; 2], String> {
    let fits =
        if lengths.is_empty() { (1..=most).contains(&text.len()) } else { lengths.contains(&text.len()) };
    let wrong = || {
        let expected = lengths.first().copied().unwrap_or(most);
        format!("{what}: expected {expected} hexadecimal digits, not all zero, found {:?}", clean(text))
    };
    if !fits {
        return Err(wrong());
    }
    let number = text.bytes().try_fold(0_u128, |sum, digit| {
        let value = char::from(digit).to_digit(16)?;
        Some(sum << 4 | u128::from(value))
    });
    match number {
        None | Some(0) => Err(wrong()),
        Some(number) => Ok([(number >> 64) as u64, number as u64]),
    }
}
