//! The way of spans to a collector, step by step next to a count of what became of each.

use std::collections::VecDeque;

use prost::Message;
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use serde_json::Value;
use tracewarden::export::{Answer, Export, Exporter, Upload, UploadError, Uploads};
use tracewarden::host::{Clock, Metrics, Random};
use tracewarden::metrics::{Counter, Measure};
use tracewarden::otlp::{ExportTraceServiceRequest, Resource, Span};
use tracewarden::words::{BatchResult, DropCause, Protocol};

use crate::host::Headers;

/// What happens at an exporter.
#[derive(Clone, Debug)]
pub enum Step {
    /// It is given all spans, so many times.
    Take(u8),
    /// It looks whether a batch is to be sent.
    Tick,
    /// The collector answers.
    Answer(Reply),
    /// The host does not send the next upload.
    Refuse(UploadError),
    /// The clock shows this time from now on.
    Clock(u64),
    /// It gives up on everything.
    Abandon,
}

/// What a collector answers; `None` is nothing.
pub type Reply = Option<Box<Response>>;

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Headers,
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
}

/// A batch that was sent.
struct Flight {
    body: Vec<u8>,
    spans: u64,
    attempts: u32,
    /// When it was found out that it must be sent again.
    failed: Option<u64>,
}

/// What the exporter does to its host.
struct Host {
    now: u64,
    rng: ChaCha12Rng,
    refusal: Option<UploadError>,
    token: u32,
    /// The bodies of the uploads since the last step.
    sent: VecDeque<Vec<u8>>,
    /// What became of batches since the last step.
    results: VecDeque<BatchResult>,
    exported: u64,
    /// Spans that were taken and lost.
    lost: u64,
    /// Spans that were not taken.
    rejected: u64,
    queued: i64,
}

const MAX_ATTEMPTS: u32 = 5;
/// The bytes of a batch, and what a resource may add to them.
const MAX_BODY: usize = (1 << 20) + (64 << 10);
/// What JSON makes of a byte at most.
const MAX_ESCAPE: usize = 6;
const MAX_WAIT_NS: u64 = 60_000_000_000;
const MS: u64 = 1_000_000;

/// Takes spans through an exporter, and checks after each step that all of them are where they must be.
///
/// # Panics
/// A rule does not hold.
pub fn check(export: &Export, resource: &Resource, spans: &[Span], steps: &[Step]) {
    let mut model = Model {
        export,
        resource,
        exporter: Exporter::default(),
        host: Host::new(),
        waiting: VecDeque::new(),
        flight: None,
        accepted: 0,
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
                assert!(!is_due || !self.host.sent.is_empty(), "nothing waits for longer than it should");
                self.follow_send();
                assert_eq!(self.host.queued, self.left().cast_signed(), "the gauge shows what waits");
            }
            Step::Answer(reply) => self.answer(reply),
            Step::Refuse(error) => self.host.refusal = Some(*error),
            Step::Clock(now) => self.host.now = *now,
            Step::Abandon => {
                self.exporter.abandon(&mut self.host);
                (self.waiting, self.flight) = (VecDeque::new(), None);
            }
        }
        assert!(self.host.sent.is_empty() && self.host.results.is_empty(), "nothing else happens");
    }

    /// Every span that was taken has arrived, is lost, or waits.
    fn add_up(&self) {
        assert_eq!(self.accepted, self.host.exported + self.host.lost + self.left());
        assert!(self.waiting.len() <= self.export.queue.get() as usize, "the queue is bounded");
    }

    fn left(&self) -> u64 {
        self.waiting.len() as u64 + self.flight.as_ref().map_or(0, |flight| flight.spans)
    }

    fn take(&mut self, span: &Span) {
        let before = self.host.rejected;
        self.exporter.take(vec![span.clone()], self.export, &mut self.host);
        if self.host.rejected == before {
            self.waiting.push_back((span.clone(), self.host.now));
            self.accepted += 1;
        } else {
            assert!(!self.waiting.is_empty(), "an empty queue takes any span");
        }
    }

    fn answer(&mut self, reply: &Reply) {
        let token = self.host.token;
        let answer = reply.as_ref().map(|reply| (reply.headers.of_core(), reply.trailers.of_core()));
        let answer = answer.as_ref().zip(reply.as_ref()).map(|((headers, trailers), reply)| Answer {
            headers,
            body: &reply.body,
            trailers,
        });
        self.exporter.answered(token, answer, self.export, self.resource, &mut self.host);
        if self.flight.as_ref().is_some_and(|flight| flight.failed.is_none()) {
            self.conclude();
            self.follow_send();
        }
    }

    /// Notes that a batch was sent, if one was, and that the host refused, if it did.
    fn follow_send(&mut self) {
        let Some(body) = self.host.sent.pop_front() else { return };
        match &mut self.flight {
            Some(flight) => {
                assert!(flight.failed.take().is_some(), "one batch is on its way at a time");
                assert!(body == flight.body, "a batch is sent again as it was");
                flight.attempts += 1;
                assert!(flight.attempts <= MAX_ATTEMPTS);
            }
            None => self.form(body),
        }
        if !self.host.results.is_empty() {
            self.conclude();
        }
    }

    /// Notes what became of the batch on its way.
    fn conclude(&mut self) {
        let result = self.host.results.pop_front().expect("an answer means something");
        match (&mut self.flight, result) {
            (Some(flight), BatchResult::Retried) => {
                assert!(flight.attempts < MAX_ATTEMPTS);
                flight.failed = Some(self.host.now);
            }
            (flight, _) => *flight = None,
        }
    }

    /// Whether something must be sent now, also if the clock was set back.
    fn is_due(&self) -> bool {
        let now = self.host.now;
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
        assert!(
            of_scope.spans.iter().eq(self.waiting.iter().map(|(span, _)| span).take(of_scope.spans.len()))
        );
        of_scope.spans.len()
    }

    fn form_zipkin(&self, body: &[u8]) -> usize {
        let spans: Vec<Value> = serde_json::from_slice(body).expect("the batch is JSON");
        for (shown, (span, _)) in spans.iter().zip(&self.waiting) {
            is_zipkin(shown, span);
        }
        spans.len()
    }
}

impl Host {
    fn new() -> Self {
        Self {
            now: 0,
            rng: ChaCha12Rng::from_seed([7; 32]),
            refusal: None,
            token: 0,
            sent: VecDeque::new(),
            results: VecDeque::new(),
            exported: 0,
            lost: 0,
            rejected: 0,
            queued: 0,
        }
    }
}

impl Clock for Host {
    fn now(&mut self) -> Option<u64> {
        Some(self.now)
    }
}

impl Random for Host {
    type Rng = ChaCha12Rng;

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        Some(&mut self.rng)
    }
}

impl Metrics for Host {
    fn count(&mut self, counter: Counter, number: u64) {
        match counter {
            Counter::SpanRecorded => {}
            Counter::SpanExported => self.exported += number,
            Counter::SpanDropped { cause: DropCause::QueueFull } => self.rejected += number,
            Counter::SpanDropped { .. } => self.lost += number,
            Counter::Batch { result } => self.results.push_back(result),
            other => panic!("{other} is not about spans"),
        }
    }

    fn adjust(&mut self, gauge: Measure, difference: i64) {
        assert_eq!(gauge, Measure::QueuedSpans);
        self.queued += difference;
    }
}

impl Uploads for Host {
    fn send(&mut self, upload: &Upload<'_>) -> Result<u32, UploadError> {
        let fits = |value: &str| value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        assert!(upload.headers.iter().all(|(name, value)| fits(name) && fits(value)), "{:?}", upload.headers);
        self.sent.push_back(upload.body.clone());
        match self.refusal.take() {
            Some(error) => Err(error),
            None => {
                self.token += 1;
                Ok(self.token)
            }
        }
    }
}

/// One span as Zipkin takes it.
fn is_zipkin(shown: &Value, span: &Span) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(shown["traceId"], hex(&span.trace_id));
    assert_eq!(shown["id"], hex(&span.span_id));
    assert_eq!(shown["parentId"].as_str().unwrap_or_default(), hex(&span.parent_span_id));
    assert_eq!(shown["name"], span.name);
    assert_eq!(shown["timestamp"], span.start_time_unix_nano / 1_000);
    assert!(shown["duration"].as_u64().is_some_and(|duration| duration > 0));
    let tags = shown["tags"].as_object().expect("tags are an object");
    let of_error = if span.status.is_some() { 2 } else { 0 };
    assert_eq!(tags.len(), span.attributes.len() + of_error, "no attribute is lost: {tags:?}");
}
