//! The way of spans to a collector, step by step next to a count of what became of each.

use std::collections::VecDeque;
use std::mem;

use prost::Message;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::Value;
use tracewarden::export::{Answer, Export, Exporter, UploadError};
use tracewarden::metrics::Counter;
use tracewarden::otlp::{ExportTraceServiceRequest, Resource, Span};
use tracewarden::words::{BatchResult, DropCause, Protocol};

use crate::host::{Host, Known, Lines, of_core};

/// What happens at an exporter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    /// It is given all spans, so many times.
    Take(u8),
    /// It looks whether a batch is to be sent.
    Tick,
    /// The collector answers.
    Answer(Reply),
    /// It does not answer in time.
    NoAnswer,
    /// The host has no collector for the next upload.
    NoHost,
    /// The host does not send the next upload.
    NotSent,
    /// The clock shows this time from now on.
    Clock(u64),
    /// It gives up on everything.
    Abandon,
}

/// What a collector answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    pub headers: Lines,
    pub body: ByteBuf,
    pub trailers: Lines,
}

/// An exporter, and what must be in it.
struct Model<'a> {
    export: &'a Export,
    resource: &'a Resource,
    exporter: Exporter,
    host: Host,
    /// Each since when it waits.
    waiting: VecDeque<(Span, u64)>,
    flight: Option<Flight>,
    accepted: u64,
    /// Spans that were not taken.
    rejected: u64,
    exported: u64,
    /// Spans that were taken and lost.
    lost: u64,
    /// What became of batches since the last step.
    results: VecDeque<BatchResult>,
}

/// A batch that was sent.
struct Flight {
    body: Vec<u8>,
    spans: u64,
    attempts: u32,
    /// When it was found out that it must be sent again.
    failed: Option<u64>,
}

const MAX_ATTEMPTS: u32 = 5;
/// The bytes of a batch, and what a resource may add to them.
const MAX_BODY: usize = (1 << 20) + (64 << 10);
/// What JSON makes of a byte at most.
const MAX_ESCAPE: usize = 6;
const MAX_WAIT_NS: u64 = 60_000_000_000;
const MS: u64 = 1_000_000;

/// Takes spans through an exporter, and checks after each step that all of them are where they must be.
pub fn check(export: &Export, resource: &Resource, spans: &[Span], steps: &[Step]) {
    let mut model = Model {
        export,
        resource,
        exporter: Exporter::default(),
        host: Host::new(Known { now: Some(0), ..Known::inbound() }),
        waiting: VecDeque::new(),
        flight: None,
        accepted: 0,
        rejected: 0,
        exported: 0,
        lost: 0,
        results: VecDeque::new(),
    };
    for step in steps {
        model.step(spans, step);
        model.add_up();
    }
}

impl Model<'_> {
    fn step(&mut self, spans: &[Span], step: &Step) {
        match step {
            Step::Take(times) => (0..*times).for_each(|_| spans.iter().for_each(|span| self.take(span))),
            Step::Tick => {
                let is_due = self.is_due();
                self.exporter.tick(self.export, self.resource, &mut self.host);
                let is_sent = !self.host.calls.uploads.is_empty();
                assert!(is_sent || !is_due, "nothing waits for longer than it should");
                self.follow_send();
                assert_eq!(self.host.calls.queued, self.left().cast_signed(), "the gauge shows what waits");
            }
            Step::Answer(reply) => self.answer(Some(reply)),
            Step::NoAnswer => self.answer(None),
            Step::NoHost => self.host.refusal = Some(UploadError::NoHost),
            Step::NotSent => self.host.refusal = Some(UploadError::NotSent),
            Step::Clock(now) => self.host.known.now = Some(*now),
            Step::Abandon => {
                self.exporter.abandon(&mut self.host);
                (self.waiting, self.flight) = (VecDeque::new(), None);
            }
        }
        self.count();
        assert!(self.host.calls.uploads.is_empty() && self.results.is_empty(), "nothing else happens");
    }

    /// Adds what was counted since it was added the last time.
    fn count(&mut self) {
        for counter in mem::take(&mut self.host.calls.counted) {
            match counter {
                Counter::SpanRecorded => {}
                Counter::SpanExported => self.exported += 1,
                Counter::SpanDropped { cause: DropCause::QueueFull } => self.rejected += 1,
                Counter::SpanDropped { .. } => self.lost += 1,
                Counter::Batch { result } => self.results.push_back(result),
                other => panic!("{other} is not about spans"),
            }
        }
    }

    /// Every span that was taken has arrived, is lost, or waits.
    fn add_up(&self) {
        assert_eq!(self.accepted, self.exported + self.lost + self.left());
        assert!(self.waiting.len() <= self.export.queue.get() as usize, "the queue is bounded");
    }

    fn left(&self) -> u64 {
        self.waiting.len() as u64 + self.flight.as_ref().map_or(0, |flight| flight.spans)
    }

    fn now(&self) -> u64 {
        self.host.known.now.unwrap_or_default()
    }

    fn take(&mut self, span: &Span) {
        let before = self.rejected;
        self.exporter.take(vec![span.clone()], self.export, &mut self.host);
        self.count();
        if self.rejected == before {
            self.waiting.push_back((span.clone(), self.now()));
            self.accepted += 1;
        } else {
            assert!(!self.waiting.is_empty(), "an empty queue takes any span");
        }
    }

    fn answer(&mut self, reply: Option<&Reply>) {
        let maps = reply.map(|reply| (of_core(&reply.headers), of_core(&reply.trailers)));
        let answer = maps.as_ref().zip(reply).map(|((headers, trailers), reply)| Answer {
            headers,
            body: &reply.body,
            trailers,
        });
        self.exporter.answered(self.host.token, answer, self.export, self.resource, &mut self.host);
        if self.flight.as_ref().is_some_and(|flight| flight.failed.is_none()) {
            self.count();
            self.conclude();
            self.follow_send();
        }
    }

    /// Notes that a batch was sent, if one was, and that the host refused, if it did.
    fn follow_send(&mut self) {
        self.count();
        let Some(body) = self.host.calls.uploads.pop_front() else { return };
        match &mut self.flight {
            Some(flight) => {
                assert!(flight.failed.take().is_some(), "one batch is on its way at a time");
                assert!(body == flight.body, "a batch is sent again as it was");
                flight.attempts += 1;
                assert!(flight.attempts <= MAX_ATTEMPTS);
            }
            None => self.form(body),
        }
        if !self.results.is_empty() {
            self.conclude();
        }
    }

    /// Notes what became of the batch on its way.
    fn conclude(&mut self) {
        let (now, result) = (self.now(), self.results.pop_front().expect("an answer means something"));
        match (&mut self.flight, result) {
            (Some(flight), BatchResult::Retried) => {
                assert!(flight.attempts < MAX_ATTEMPTS);
                flight.failed = Some(now);
            }
            (flight, _) => *flight = None,
        }
    }

    /// Whether something must be sent now, also if the clock was set back.
    fn is_due(&self) -> bool {
        let now = self.now();
        if let Some(flight) = &self.flight {
            return flight.failed.is_some_and(|failed| {
                now < failed.saturating_sub(MAX_WAIT_NS) || now >= failed.saturating_add(MAX_WAIT_NS)
            });
        }
        let delay = u64::from(self.export.delay_ms.get()) * MS;
        let is_old = |(_, since): &(Span, u64)| now < *since || now - since >= delay;
        let is_full = self.waiting.len() >= self.export.batch.min(self.export.queue).get() as usize;
        is_full || self.waiting.front().is_some_and(is_old)
    }

    /// A new batch: the oldest spans, in order.
    fn form(&mut self, body: Vec<u8>) {
        let (spans, most) = match self.export.protocol() {
            Protocol::OtlpHttp => (self.form_otlp(&body), MAX_BODY),
            Protocol::OtlpGrpc => {
                let (prefix, message) = body.split_at(5);
                let length = u32::try_from(message.len()).expect("a batch is smaller").to_be_bytes();
                assert_eq!(*prefix, [&[0][..], &length].concat(), "the message is framed");
                (self.form_otlp(message), MAX_BODY)
            }
            Protocol::Zipkin => (self.form_zipkin(&body), MAX_ESCAPE * MAX_BODY),
        };
        assert!((1..=self.export.batch.get() as usize).contains(&spans));
        assert!(body.len() <= most, "{} bytes", body.len());
        self.waiting.drain(..spans);
        self.flight = Some(Flight { body, spans: spans as u64, attempts: 1, failed: None });
    }

    fn form_otlp(&self, body: &[u8]) -> usize {
        let request = ExportTraceServiceRequest::decode(body).expect("the batch is OTLP");
        let [of_resource] = &request.resource_spans[..] else { panic!("one resource") };
        assert_eq!(of_resource.resource.as_ref(), Some(self.resource));
        let [of_scope] = &of_resource.scope_spans[..] else { panic!("one library") };
        let oldest = self.waiting.iter().map(|(span, _)| span).take(of_scope.spans.len());
        assert!(of_scope.spans.iter().eq(oldest));
        of_scope.spans.len()
    }

    fn form_zipkin(&self, body: &[u8]) -> usize {
        let spans: Vec<Value> = serde_json::from_slice(body).expect("the batch is JSON");
        spans.iter().zip(&self.waiting).for_each(|(shown, (span, _))| is_zipkin(shown, span));
        spans.len()
    }
}

/// One span as Zipkin takes it.
fn is_zipkin(shown: &Value, span: &Span) {
    assert_eq!(shown["traceId"], hex::encode(&span.trace_id));
    assert_eq!(shown["id"], hex::encode(&span.span_id));
    assert_eq!(shown["parentId"].as_str().unwrap_or_default(), hex::encode(&span.parent_span_id));
    assert_eq!(shown["name"], span.name);
    assert_eq!(shown["timestamp"], span.start_time_unix_nano / 1_000);
    assert!(shown["duration"].as_u64().is_some_and(|duration| duration > 0));
    let tags = shown["tags"].as_object().expect("tags are an object");
    let of_error = if span.status.is_some() { 2 } else { 0 };
    assert_eq!(tags.len(), span.attributes.len() + of_error, "no attribute is lost: {tags:?}");
}
