//! Spans on their way to a collector: a bounded queue, one batch at a time, and what becomes of a batch.

mod answer;
mod zipkin;

use core::num::NonZeroU32;
use std::collections::VecDeque;

use prost::Message;

pub use answer::Answer;
use answer::Judgement;

use crate::labels::labels;
use crate::otlp::{
    ExportTraceServiceRequest, InstrumentationScope, Resource, ResourceSpans, ScopeSpans, Span,
};

/// Where spans go, and in which portions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// How the collector is spoken to.
    pub protocol: Protocol,
    /// Envoy's cluster of the collector.
    pub cluster: String,
    /// The host that the collector is called by.
    pub authority: String,
    /// Where on the collector uploads go; of gRPC this is fixed.
    pub path: String,
    /// Headers that every upload has, such as a key.
    pub headers: Vec<(String, String)>,
    /// How long an upload may take, in milliseconds.
    pub timeout_ms: NonZeroU32,
    /// How many spans a worker keeps until they can be sent.
    pub queue: NonZeroU32,
    /// How many spans make a full batch.
    pub batch: NonZeroU32,
    /// How long a span waits for the batch to be full, in milliseconds.
    pub delay_ms: NonZeroU32,
}

labels! {
    /// How a collector is spoken to.
    pub enum Protocol {
        /// OTLP in protobuf over HTTP.
        OtlpHttp = "http/protobuf",
        /// OTLP over gRPC.
        OtlpGrpc = "grpc",
        /// Zipkin's JSON, version 2.
        Zipkin = "zipkin",
    }
}

labels! {
    /// Why a span that was recorded does not arrive.
    pub enum DropCause {
        /// The queue was full.
        QueueFull = "queue_full",
        /// The collector refused the batch, and would refuse it again.
        Refused = "refused",
        /// The collector took the batch, but not this span.
        Rejected = "rejected",
        /// The collector could not be reached, or was busy, five times.
        GaveUp = "gave_up",
        /// Envoy would not send the batch, for example because it has no such cluster.
        NotSent = "not_sent",
        /// The plugin was reconfigured without export, or shut down.
        Shutdown = "shutdown",
    }
}

labels! {
    /// What became of an attempt to send a batch.
    pub enum BatchResult {
        /// The collector took all of it.
        Exported = "exported",
        /// The collector took some of its spans.
        Partial = "partial",
        /// It will be sent again.
        Retried = "retried",
        /// The collector refused it, and would refuse it again.
        Refused = "refused",
        /// It was sent five times, and will not be again.
        GaveUp = "gave_up",
        /// Envoy would not send it.
        NotSent = "not_sent",
    }
}

/// What is to be counted of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub result: BatchResult,
    /// How many of its spans arrived.
    pub exported: u64,
    /// How many were lost, and why.
    pub dropped: Option<(DropCause, u64)>,
    /// How long the collector took, in milliseconds.
    pub took_ms: u64,
}

/// The spans of one worker that have not arrived.
#[derive(Debug, Default)]
pub struct Exporter {
    waiting: VecDeque<Waiting>,
    octets: usize,
    flight: Flight,
}

#[derive(Debug)]
struct Waiting {
    span: Span,
    octets: usize,
    since: u64,
}

/// A batch that left the queue.
#[derive(Debug, Default)]
enum Flight {
    #[default]
    None,
    /// It is on its way since then.
    Out(Batch, u64),
    /// It has to be sent again, but not before then.
    Again(Batch, u64),
}

#[derive(Debug)]
struct Batch {
    body: Vec<u8>,
    spans: u64,
    attempts: u32,
}

/// The most octets that wait in one worker, and that one batch has.
const MAX_QUEUE_OCTETS: usize = 4 << 20;
const MAX_BATCH_OCTETS: usize = 1 << 20;
/// How often a batch is sent.
const MAX_ATTEMPTS: u32 = 5;
/// The wait before the second attempt, doubled before each further one, and the longest that a collector can ask for.
const FIRST_WAIT_NS: u64 = 1_000_000_000;
const LONGEST_WAIT_NS: u64 = 60_000_000_000;
const MS: u64 = 1_000_000;

impl Export {
    /// To this cluster, with everything else as it is by default.
    #[must_use]
    pub fn to(protocol: Protocol, cluster: String) -> Self {
        let number = |number: u32| NonZeroU32::MIN.saturating_add(number - 1);
        let path = match protocol {
            Protocol::OtlpHttp => "/v1/traces",
            Protocol::OtlpGrpc => "",
            Protocol::Zipkin => "/api/v2/spans",
        };
        Self {
            protocol,
            authority: host_of(&cluster).to_owned(),
            cluster,
            path: path.to_owned(),
            headers: Vec::new(),
            timeout_ms: number(10_000),
            queue: number(2_048),
            batch: number(512),
            delay_ms: number(5_000),
        }
    }
}

/// The host of a cluster that is named as Istio does, `outbound|4318||HOST`, because servers refuse a `|` in the name that
/// they are called by; another cluster's name is its own.
fn host_of(cluster: &str) -> &str {
    cluster.rsplit('|').next().unwrap_or(cluster)
}

impl Exporter {
    /// How many spans wait, those of the batch on its way among them.
    #[must_use]
    pub fn len(&self) -> u64 {
        let flying = match &self.flight {
            Flight::None => 0,
            Flight::Out(batch, _) | Flight::Again(batch, _) => batch.spans,
        };
        self.waiting.len() as u64 + flying
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a span, unless the queue is full.
    ///
    /// # Errors
    /// It is.
    pub fn take(&mut self, span: Span, export: &Export, now: u64) -> Result<(), DropCause> {
        let octets = span.encoded_len();
        let is_full = self.waiting.len() >= export.queue.get() as usize;
        if is_full || self.octets + octets > MAX_QUEUE_OCTETS {
            return Err(DropCause::QueueFull);
        }
        self.octets += octets;
        self.waiting.push_back(Waiting { span, octets, since: now });
        Ok(())
    }

    /// The body of a batch that is due; it counts as sent from now on.
    pub fn next(&mut self, export: &Export, resource: &Resource, now: u64) -> Option<&[u8]> {
        let batch = match core::mem::take(&mut self.flight) {
            Flight::Out(batch, since) => {
                self.flight = Flight::Out(batch, since);
                return None;
            }
            // A clock that was set back must not hold the batch up for as long.
            Flight::Again(batch, until) if now < until && until - now <= LONGEST_WAIT_NS => {
                self.flight = Flight::Again(batch, until);
                return None;
            }
            Flight::Again(batch, _) => batch,
            Flight::None => self.form(export, resource, now)?,
        };
        self.flight = Flight::Out(Batch { attempts: batch.attempts + 1, ..batch }, now);
        match &self.flight {
            Flight::Out(batch, _) => Some(&batch.body),
            Flight::None | Flight::Again(..) => None,
        }
    }

    /// Makes a batch of what waits, if it is full or has waited long enough.
    fn form(&mut self, export: &Export, resource: &Resource, now: u64) -> Option<Batch> {
        let oldest = self.waiting.front()?;
        let waited =
            now.saturating_sub(oldest.since) >= u64::from(export.delay_ms.get()) * MS || now < oldest.since;
        let full = self.waiting.len() >= export.batch.min(export.queue).get() as usize
            || self.octets >= MAX_BATCH_OCTETS;
        if !waited && !full {
            return None;
        }
        let (mut spans, mut octets) = (Vec::new(), 0);
        while let Some(next) = self.waiting.front()
            && spans.len() < export.batch.get() as usize
            && (spans.is_empty() || octets + next.octets <= MAX_BATCH_OCTETS)
            && let Some(next) = self.waiting.pop_front()
        {
            octets += next.octets;
            spans.push(next.span);
        }
        self.octets -= octets;
        let count = spans.len() as u64;
        let body = match export.protocol {
            Protocol::OtlpHttp | Protocol::OtlpGrpc => otlp(spans, resource),
            Protocol::Zipkin => zipkin::batch(&spans, resource),
        };
        Some(Batch { body, spans: count, attempts: 0 })
    }

    /// Notes what became of the batch on its way; `jitter` spreads the workers' further attempts.
    pub fn answered(&mut self, answer: &Answer<'_>, now: u64, jitter: u64) -> Option<Outcome> {
        let (batch, since) = match core::mem::take(&mut self.flight) {
            Flight::Out(batch, since) => (batch, since),
            other => {
                self.flight = other;
                return None;
            }
        };
        let spans = batch.spans;
        let outcome = |result, exported, dropped| Outcome {
            result,
            exported,
            dropped,
            took_ms: now.saturating_sub(since) / MS,
        };
        Some(match answer.judge() {
            Judgement::Taken { rejected: 0 } => outcome(BatchResult::Exported, spans, None),
            Judgement::Taken { rejected } => {
                let rejected = rejected.min(spans);
                outcome(BatchResult::Partial, spans - rejected, Some((DropCause::Rejected, rejected)))
            }
            Judgement::Refused => outcome(BatchResult::Refused, 0, Some((DropCause::Refused, spans))),
            Judgement::NotSent => outcome(BatchResult::NotSent, 0, Some((DropCause::NotSent, spans))),
            Judgement::Busy { .. } if batch.attempts >= MAX_ATTEMPTS => {
                outcome(BatchResult::GaveUp, 0, Some((DropCause::GaveUp, spans)))
            }
            Judgement::Busy { seconds } => {
                let asked = seconds.unwrap_or(0).saturating_mul(1_000 * MS);
                let wait = asked.max(backoff(batch.attempts, jitter));
                self.flight = Flight::Again(batch, now.saturating_add(wait.min(LONGEST_WAIT_NS)));
                outcome(BatchResult::Retried, 0, None)
            }
        })
    }

    /// Gives up on everything, and tells how many spans that were.
    pub fn abandon(&mut self) -> u64 {
        let lost = self.len();
        *self = Self::default();
        lost
    }
}

/// Between a half and the whole of a wait that doubles with each attempt.
fn backoff(attempts: u32, jitter: u64) -> u64 {
    let whole = FIRST_WAIT_NS << attempts.saturating_sub(1).min(MAX_ATTEMPTS);
    whole / 2 + jitter % (whole / 2)
}

fn otlp(spans: Vec<Span>, resource: &Resource) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource.clone()), scope_spans }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}
