//! The spans that wait, and the batch that is on its way. It knows no host and no clock.

use std::collections::VecDeque;

use prost::Message;

use super::answer::Judgement;
use super::{Export, zipkin};
use crate::otlp::{
    ExportTraceServiceRequest, InstrumentationScope, Resource, ResourceSpans, ScopeSpans, Span,
};
use crate::words::{BatchResult, DropCause, Protocol};

/// The spans of one worker that have not arrived.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    batch: Option<Batch>,
}

#[derive(Debug)]
struct Waiting {
    span: Span,
    bytes: usize,
    since: u64,
}

/// A batch that left the queue.
#[derive(Debug)]
struct Batch {
    body: Vec<u8>,
    spans: u64,
    attempts: u32,
    /// Since when it is on its way.
    sent: Option<u64>,
    /// It is not sent before then.
    not_before: u64,
}

/// What is to be counted of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) result: BatchResult,
    /// How many of its spans arrived.
    pub(super) exported: u64,
    /// How many were lost, and why.
    pub(super) dropped: Option<(DropCause, u64)>,
    /// How long the collector took, in milliseconds.
    pub(super) took_ms: u64,
}

/// The most bytes that wait in one worker, and that one batch has.
const MAX_QUEUE_BYTES: usize = 4 << 20;
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How often a batch is sent.
const MAX_ATTEMPTS: u32 = 5;
/// The wait before the second attempt, doubled before each further one, and the longest that a collector can ask for.
const FIRST_WAIT_NS: u64 = 1_000_000_000;
const LONGEST_WAIT_NS: u64 = 60_000_000_000;
const MS: u64 = 1_000_000;

impl Queue {
    /// How many spans wait, those of the batch on its way among them.
    pub(super) fn len(&self) -> u64 {
        self.waiting.len() as u64 + self.batch.as_ref().map_or(0, |batch| batch.spans)
    }

    /// Takes a span, unless the queue is full.
    ///
    /// # Errors
    /// It is.
    pub(super) fn take(&mut self, span: Span, export: &Export, now: u64) -> Result<(), DropCause> {
        let bytes = span.encoded_len();
        let is_full = self.waiting.len() >= export.queue.get() as usize;
        if is_full || self.bytes + bytes > MAX_QUEUE_BYTES {
            return Err(DropCause::QueueFull);
        }
        self.bytes += bytes;
        self.waiting.push_back(Waiting { span, bytes, since: now });
        Ok(())
    }

    /// The body of the batch that is to be sent now. It counts as sent from now on.
    pub(super) fn next(&mut self, export: &Export, resource: &Resource, now: u64) -> Option<&[u8]> {
        if self.batch.is_none() {
            self.batch = self.form(export, resource, now);
        }
        // A clock that was set back must not hold the batch up for as long.
        let is_time = |batch: &Batch| now >= batch.not_before || batch.not_before - now > LONGEST_WAIT_NS;
        let batch = self.batch.as_mut().filter(|batch| batch.sent.is_none() && is_time(batch))?;
        batch.sent = Some(now);
        batch.attempts += 1;
        Some(&batch.body)
    }

    /// Makes a batch of what waits, if it is full or has waited long enough.
    fn form(&mut self, export: &Export, resource: &Resource, now: u64) -> Option<Batch> {
        let oldest = self.waiting.front()?;
        let waited =
            now.saturating_sub(oldest.since) >= u64::from(export.delay_ms.get()) * MS || now < oldest.since;
        let full = self.waiting.len() >= export.batch.min(export.queue).get() as usize
            || self.bytes >= MAX_BATCH_BYTES;
        if !waited && !full {
            return None;
        }
        let (mut spans, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.waiting.front()
            && spans.len() < export.batch.get() as usize
            && (spans.is_empty() || bytes + next.bytes <= MAX_BATCH_BYTES)
            && let Some(next) = self.waiting.pop_front()
        {
            bytes += next.bytes;
            spans.push(next.span);
        }
        self.bytes -= bytes;
        let count = spans.len() as u64;
        let body = match export.protocol() {
            Protocol::OtlpHttp | Protocol::OtlpGrpc => otlp(spans, resource),
            Protocol::Zipkin => zipkin::batch(&spans, resource),
        };
        Some(Batch { body, spans: count, attempts: 0, sent: None, not_before: now })
    }

    /// Notes what became of the batch on its way; `jitter` spreads the workers' further attempts.
    pub(super) fn answered(&mut self, judgement: Judgement, now: u64, jitter: u64) -> Option<Outcome> {
        let since = self.batch.as_ref()?.sent?;
        let mut batch = self.batch.take()?;
        batch.sent = None;
        let spans = batch.spans;
        let outcome = |result, exported, dropped| Outcome {
            result,
            exported,
            dropped,
            took_ms: now.saturating_sub(since) / MS,
        };
        Some(match judgement {
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
                batch.not_before = now.saturating_add(wait.min(LONGEST_WAIT_NS));
                self.batch = Some(batch);
                outcome(BatchResult::Retried, 0, None)
            }
        })
    }

    /// Gives up on everything. Returns how many spans that were.
    pub(super) fn abandon(&mut self) -> u64 {
        let lost = self.len();
        *self = Self::default();
        lost
    }
}

/// Between a half and all of a wait that doubles with each attempt.
fn backoff(attempts: u32, jitter: u64) -> u64 {
    let whole = FIRST_WAIT_NS << attempts.saturating_sub(1).min(MAX_ATTEMPTS);
    whole / 2 + jitter % (whole / 2)
}

#[inline(never)]
fn otlp(spans: Vec<Span>, resource: &Resource) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource.clone()), scope_spans }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}
