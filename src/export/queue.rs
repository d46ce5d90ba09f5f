//! The spans of one worker that have not arrived. It knows no host and no clock.

use std::collections::VecDeque;

use super::Export;
use super::answer::Judgement;
use super::form::Form;
use crate::resource::Resource;
use crate::span::Span;
use crate::words::{BatchResult, DropCause};

/// The spans of one worker that have not arrived, from the batch that is being filled to those on their way.
#[derive(Debug)]
pub(super) struct Queue {
    form: Form,
    /// The batch that is being filled: its spans as they are written, and when the first came.
    open: Vec<u8>,
    open_spans: u64,
    since: u64,
    /// The batches that are to be sent, the oldest first.
    ready: VecDeque<Batch>,
    /// Those on their way.
    sent: Vec<Sent>,
    /// The collector is left alone until then.
    hold: u64,
    /// How many bytes and spans there are in all of them.
    bytes: usize,
    spans: u64,
}

/// Spans that are sent together.
#[derive(Debug)]
pub(super) struct Batch {
    /// The body of the upload.
    pub(super) body: Vec<u8>,
    spans: u64,
    /// How often it was sent.
    attempts: u32,
}

/// A batch on its way.
#[derive(Debug)]
struct Sent {
    batch: Batch,
    /// What the answer comes under, and who receives it.
    token: u32,
    sender: u32,
    since: u64,
}

/// What is to be counted of an attempt to send a batch.
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

/// The most bytes of a batch.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How often a batch is sent.
const MAX_ATTEMPTS: u32 = 5;
/// The wait after the first attempt, doubled after each further one, and the longest that a collector can ask for.
const FIRST_WAIT_NS: u64 = 1_000_000_000;
const LONGEST_WAIT_NS: u64 = 60_000_000_000;
const MS: u64 = 1_000_000;

impl Queue {
    pub(super) fn new(export: &Export, resource: &Resource) -> Self {
        Self {
            form: Form::new(export, resource),
            open: Vec::new(),
            open_spans: 0,
            since: 0,
            ready: VecDeque::new(),
            sent: Vec::new(),
            hold: 0,
            bytes: 0,
            spans: 0,
        }
    }

    /// How many spans have not arrived.
    pub(super) const fn len(&self) -> u64 {
        self.spans
    }

    /// Takes a span, unless the queue is full.
    ///
    /// # Errors
    /// It is.
    pub(super) fn take(&mut self, span: &Span<'_>, export: &Export, now: u64) -> Result<(), DropCause> {
        let before = self.open.len();
        let has_place = self.has_place(export);
        if has_place {
            self.form.write(span, &mut self.open);
        }
        let (around, most) = (self.form.around(), MAX_BATCH_BYTES.min(export.queue_bytes.get() / 2));
        let is_too_much = before > 0 && around + self.open.len() > most;
        let begins = self.open_spans == 0 || is_too_much;
        let written = self.open.len() - before + if begins { around } else { 0 };
        if !has_place || self.bytes + written > export.queue_bytes.get() {
            self.open.truncate(before);
            // What waits to be filled must not wait for what finds no place.
            self.close();
            return Err(DropCause::QueueFull);
        }
        if is_too_much {
            let last = self.open.split_off(before);
            self.close();
            self.open = last;
        }
        if self.open_spans == 0 {
            self.since = now;
        }
        self.open_spans += 1;
        self.spans += 1;
        self.bytes += written;
        if self.open_spans >= u64::from(export.batch.get()) || !self.has_place(export) {
            self.close();
        }
        Ok(())
    }

    /// Whether one more span is not one too many.
    fn has_place(&self, export: &Export) -> bool {
        export.queue.is_none_or(|most| self.spans < u64::from(most.get()))
    }

    /// Whether a batch can be sent now.
    pub(super) fn is_due(&self, export: &Export, now: u64) -> bool {
        !self.ready.is_empty() && !self.is_held(now) && self.sent.len() < export.in_flight.get() as usize
    }

    /// Whether the collector is left alone. A clock that was set back must not prolong that.
    const fn is_held(&self, now: u64) -> bool {
        now < self.hold && self.hold - now <= LONGEST_WAIT_NS
    }

    /// The batch that is to be sent now. One that is not full is, if it has waited long enough.
    pub(super) fn next(&mut self, export: &Export, now: u64) -> Option<Batch> {
        let delay = u64::from(export.delay_ms.get()) * MS;
        if self.open_spans > 0 && (now < self.since || now - self.since >= delay) {
            self.close();
        }
        if !self.is_due(export, now) {
            return None;
        }
        let mut batch = self.ready.pop_front()?;
        batch.attempts += 1;
        Some(batch)
    }

    /// Notes that a batch is on its way.
    pub(super) fn note_sent(&mut self, batch: Batch, token: u32, sender: u32, since: u64) {
        self.sent.push(Sent { batch, token, sender, since });
    }

    /// Notes what became of the batch whose answer comes under this number, if it still waits for one.
    pub(super) fn answered(
        &mut self,
        token: u32,
        sender: u32,
        judgement: Judgement,
        now: u64,
        jitter: u64,
    ) -> Option<Outcome> {
        let place = self.sent.iter().position(|sent| sent.token == token && sent.sender == sender)?;
        let Sent { batch, since, .. } = self.sent.swap_remove(place);
        let outcome = self.conclude(batch, judgement, now, jitter);
        Some(Outcome { took_ms: now.saturating_sub(since) / MS, ..outcome })
    }

    /// Notes what became of a batch; `jitter` spreads the workers' further attempts.
    pub(super) fn conclude(&mut self, batch: Batch, judgement: Judgement, now: u64, jitter: u64) -> Outcome {
        let (spans, attempts) = (batch.spans, batch.attempts);
        let outcome = |result, exported, dropped| Outcome { result, exported, dropped, took_ms: 0 };
        let outcome = match judgement {
            Judgement::Taken { rejected: 0 } => outcome(BatchResult::Exported, spans, None),
            Judgement::Taken { rejected } => {
                let rejected = rejected.min(spans);
                outcome(BatchResult::Partial, spans - rejected, Some((DropCause::Rejected, rejected)))
            }
            Judgement::Refused => outcome(BatchResult::Refused, 0, Some((DropCause::Refused, spans))),
            Judgement::NotSent => outcome(BatchResult::NotSent, 0, Some((DropCause::NotSent, spans))),
            Judgement::Busy { .. } if attempts >= MAX_ATTEMPTS => {
                outcome(BatchResult::GaveUp, 0, Some((DropCause::GaveUp, spans)))
            }
            Judgement::Busy { seconds } => {
                let asked = seconds.unwrap_or(0).saturating_mul(1_000 * MS);
                let wait = asked.max(backoff(attempts, jitter)).min(LONGEST_WAIT_NS);
                let until = now.saturating_add(wait);
                self.hold = if self.is_held(now) { self.hold.max(until) } else { until };
                self.ready.push_front(batch);
                return outcome(BatchResult::Retried, 0, None);
            }
        };
        self.forget(&batch);
        outcome
    }

    /// Has the batches that this sender has on their way sent again, for their answers end with it. Returns how many.
    pub(super) fn forsake(&mut self, sender: u32) -> u64 {
        let mut forsaken = 0;
        for mut sent in self.sent.extract_if(.., |sent| sent.sender == sender) {
            // It was not the collector's fault.
            sent.batch.attempts -= 1;
            self.ready.push_front(sent.batch);
            forsaken += 1;
        }
        forsaken
    }

    /// Gives up on everything. Returns how many spans that were.
    pub(super) fn abandon(&mut self) -> u64 {
        self.open.clear();
        self.ready.clear();
        self.sent.clear();
        (self.open_spans, self.bytes) = (0, 0);
        core::mem::take(&mut self.spans)
    }

    /// Makes a batch of the spans that wait for others.
    fn close(&mut self) {
        if self.open_spans > 0 {
            let body = self.form.body(&self.open);
            // What stands around them has counted since the first, as the most that it can be.
            self.bytes = self.bytes + body.len() - (self.form.around() + self.open.len());
            self.ready.push_back(Batch { body, spans: self.open_spans, attempts: 0 });
            self.open.clear();
            self.open_spans = 0;
        }
    }

    fn forget(&mut self, batch: &Batch) {
        self.spans -= batch.spans;
        self.bytes -= batch.body.len();
    }
}

/// Between a half and all of a wait that doubles with each attempt.
fn backoff(attempts: u32, jitter: u64) -> u64 {
    let whole = FIRST_WAIT_NS << attempts.saturating_sub(1).min(MAX_ATTEMPTS);
    whole / 2 + jitter % (whole / 2)
}
