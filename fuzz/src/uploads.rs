//! The way of spans to a collector, step by step beside a count of what became of each.

use std::collections::VecDeque;

use prost::Message;
use serde_json::Value;
use tracewarden::export::{Answer, BatchResult, Export, Exporter, Outcome, Protocol};
use tracewarden::otlp::{ExportTraceServiceRequest, Resource, Span};

/// What happens at an exporter.
#[derive(Clone, Debug)]
pub enum Step {
    /// It is given all spans, so many times.
    Take(u8),
    /// It is asked for a batch.
    Next,
    /// The collector answers.
    Answer(Reply),
    /// The clock shows this time from now on.
    Clock(u64),
    /// It gives up on everything.
    Abandon,
}

/// What a collector answers, with its octets.
#[derive(Clone, Debug)]
pub enum Reply {
    /// An answer over HTTP: its status, `Retry-After` and its body.
    Http(Option<u16>, Option<Vec<u8>>, Vec<u8>),
    /// The message that gRPC answers.
    GrpcMessage(Vec<u8>),
    /// The status with which gRPC ended without a message.
    GrpcStatus(u32),
    /// Nothing.
    Nothing,
    /// The host did not send the batch.
    NotSent,
}

/// An exporter, and what must be in it.
struct Uploads<'a> {
    export: &'a Export,
    resource: &'a Resource,
    exporter: Exporter,
    now: u64,
    /// Each since when it waits.
    waiting: VecDeque<(Span, u64)>,
    flight: Option<Flight>,
    accepted: u64,
    exported: u64,
    dropped: u64,
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
/// The octets of a batch, and what a resource may add to them.
const MAX_BODY: usize = (1 << 20) + (64 << 10);
/// What JSON makes of an octet at most.
const MAX_ESCAPE: usize = 6;
const MAX_WAIT_NS: u64 = 60_000_000_000;
const MS: u64 = 1_000_000;

/// Takes spans through an exporter, and checks after each step that all of them are where they must be.
///
/// # Panics
/// A rule does not hold.
pub fn check(export: &Export, resource: &Resource, spans: &[Span], steps: &[Step]) {
    let mut uploads = Uploads {
        export,
        resource,
        exporter: Exporter::default(),
        now: 0,
        waiting: VecDeque::new(),
        flight: None,
        accepted: 0,
        exported: 0,
        dropped: 0,
    };
    for step in steps {
        uploads.step(spans, step);
        uploads.add_up();
    }
}

impl Reply {
    fn answer(&self) -> Answer<'_> {
        match self {
            Self::Http(status, retry_after, body) => {
                Answer::Http { status: *status, retry_after: retry_after.as_deref(), body }
            }
            Self::GrpcMessage(body) => Answer::GrpcMessage(body),
            Self::GrpcStatus(status) => Answer::GrpcStatus(*status),
            Self::Nothing => Answer::Nothing,
            Self::NotSent => Answer::NotSent,
        }
    }
}

impl Uploads<'_> {
    fn step(&mut self, spans: &[Span], step: &Step) {
        match step {
            Step::Take(times) => (0..*times).for_each(|_| spans.iter().for_each(|span| self.take(span))),
            Step::Next => self.next(),
            Step::Answer(reply) => self.answered(reply),
            Step::Clock(now) => self.now = *now,
            Step::Abandon => {
                self.dropped += self.exporter.abandon();
                (self.waiting, self.flight) = (VecDeque::new(), None);
            }
        }
    }

    /// Every span that was accepted has arrived, is lost, or waits.
    fn add_up(&self) {
        let left = self.exporter.len();
        assert_eq!(self.accepted, self.exported + self.dropped + left);
        assert_eq!(left, self.waiting.len() as u64 + self.flight.as_ref().map_or(0, |flight| flight.spans));
        assert_eq!(self.exporter.is_empty(), left == 0);
        assert!(self.waiting.len() <= self.export.queue.get() as usize, "the queue is bounded");
    }

    fn take(&mut self, span: &Span) {
        if self.exporter.take(span.clone(), self.export, self.now).is_ok() {
            self.waiting.push_back((span.clone(), self.now));
            self.accepted += 1;
        } else {
            assert!(!self.waiting.is_empty(), "an empty queue takes any span");
        }
    }

    fn next(&mut self) {
        let is_due = self.is_due();
        let body = self.exporter.next(self.export, self.resource, self.now).map(<[u8]>::to_vec);
        let Some(body) = body else {
            assert!(!is_due, "nothing waits for longer than it should");
            return;
        };
        match &mut self.flight {
            Some(flight) => {
                assert!(flight.failed.take().is_some(), "one batch is on its way at a time");
                assert!(body == flight.body, "a batch is sent again as it was");
                flight.attempts += 1;
                assert!(flight.attempts <= MAX_ATTEMPTS);
            }
            None => self.form(body),
        }
    }

    /// Whether something must be sent now, also if the clock was set back.
    fn is_due(&self) -> bool {
        if let Some(flight) = &self.flight {
            return flight.failed.is_some_and(|failed| {
                let soonest = failed.saturating_sub(MAX_WAIT_NS);
                self.now < soonest || self.now >= failed.saturating_add(MAX_WAIT_NS)
            });
        }
        let delay = u64::from(self.export.delay_ms.get()) * MS;
        let is_old = |(_, since): &(Span, u64)| self.now < *since || self.now - since >= delay;
        let is_full = self.waiting.len() >= self.export.batch.min(self.export.queue).get() as usize;
        is_full || self.waiting.front().is_some_and(is_old)
    }

    /// A new batch: the oldest spans, in order.
    fn form(&mut self, body: Vec<u8>) {
        let (spans, most) = match self.export.protocol {
            Protocol::OtlpHttp | Protocol::OtlpGrpc => (self.form_otlp(&body), MAX_BODY),
            Protocol::Zipkin => (self.form_zipkin(&body), MAX_ESCAPE * MAX_BODY),
        };
        assert!((1..=self.export.batch.get() as usize).contains(&spans));
        assert!(body.len() <= most, "{} octets", body.len());
        self.waiting.drain(..spans);
        self.flight = Some(Flight { body, spans: spans as u64, attempts: 1, failed: None });
    }

    fn form_otlp(&self, body: &[u8]) -> usize {
        let request = ExportTraceServiceRequest::decode(body).expect("the batch is OTLP");
        let [of_resource] = &request.resource_spans[..] else { panic!("one resource") };
        assert_eq!(of_resource.resource.as_ref(), Some(self.resource));
        let [of_scope] = &of_resource.scope_spans[..] else { panic!("one library") };
        assert!(
            of_scope.spans.iter().eq(self.waiting.iter().map(|(span, _)| span).take(of_scope.spans.len()))
        );
        of_scope.spans.len()
    }

    fn form_zipkin(&self, body: &[u8]) -> usize {
        let spans: Vec<Value> = serde_json::from_slice(body).expect("the batch is JSON");
        for (told, (span, _)) in spans.iter().zip(&self.waiting) {
            is_zipkin(told, span);
        }
        spans.len()
    }

    fn answered(&mut self, reply: &Reply) {
        let outcome = self.exporter.answered(&reply.answer(), self.now, self.now.rotate_left(32));
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.failed.is_none()) else {
            assert_eq!(outcome, None, "what was not asked has no answer");
            return;
        };
        let Outcome { result, exported, dropped, .. } = outcome.expect("an answer means something");
        let lost = dropped.map_or(0, |(_, spans)| spans);
        (self.exported, self.dropped) = (self.exported + exported, self.dropped + lost);
        if result == BatchResult::Retried {
            assert!(exported + lost == 0 && flight.attempts < MAX_ATTEMPTS);
            flight.failed = Some(self.now);
        } else {
            assert_eq!(exported + lost, flight.spans, "{result:?}");
            self.flight = None;
        }
    }
}

/// One span as Zipkin takes it.
fn is_zipkin(told: &Value, span: &Span) {
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    assert_eq!(told["traceId"], hex(&span.trace_id));
    assert_eq!(told["id"], hex(&span.span_id));
    assert_eq!(told["parentId"].as_str().unwrap_or_default(), hex(&span.parent_span_id));
    assert_eq!(told["name"], span.name);
    assert_eq!(told["timestamp"], span.start_time_unix_nano / 1_000);
    assert!(told["duration"].as_u64().is_some_and(|duration| duration > 0));
    let tags = told["tags"].as_object().expect("tags are an object");
    let of_error = if span.status.is_some() { 2 } else { 0 };
    assert_eq!(tags.len(), span.attributes.len() + of_error, "no attribute is lost: {tags:?}");
}
