use rand::Rng;

use super::answer::Judgement;
use super::queue::{Outcome, Queue};
use super::upload::{Upload, UploadError, Uploads};
use super::{Answer, Export};
use crate::host::{Clock, Metrics, Random};
use crate::metrics::{Counter, Measure};
use crate::resource::Resource;
use crate::span::Span;
use crate::words::{BatchResult, DropCause};

/// The way of one worker's spans of one resource to their collector, for all plugins that have both.
#[derive(Debug)]
pub struct Exporter {
    export: Export,
    resource: Resource,
    queue: Queue,
    /// The number of spans that the gauge shows.
    shown: u64,
    is_closed: bool,
}

impl Exporter {
    /// How often it looks whether a batch has waited long enough, in milliseconds.
    pub const TICK_MS: u32 = 200;

    pub(super) fn new(export: &Export, resource: Resource) -> Self {
        let queue = Queue::new(export, &resource);
        Self { export: export.clone(), resource, queue, shown: 0, is_closed: false }
    }

    /// Whether it is the one for that collector and that resource.
    pub(super) fn is_for(&self, export: &Export, resource: &Resource) -> bool {
        let same = self.export.collector == export.collector && self.export.headers == export.headers;
        same && self.resource == *resource && !self.is_closed
    }

    /// Goes by the bounds of the configuration that came last.
    pub(super) fn adopt(&mut self, export: &Export) {
        self.export.clone_from(export);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    /// Takes a span that has just ended. Whether a batch can be sent then, [`Self::is_due`] says.
    pub fn take(&mut self, span: &Span<'_>, host: &mut impl Metrics) {
        host.count(Counter::SpanRecorded, 1);
        let taken = match self.is_closed {
            true => Err(DropCause::Shutdown),
            false => self.queue.take(span, &self.export, span.ended),
        };
        if let Err(cause) = taken {
            host.count(Counter::SpanDropped { cause }, 1);
        }
    }

    /// Whether a batch is full and can be sent at this time.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        self.queue.is_due(&self.export, now)
    }

    /// Sends what is to be sent now. The answers go to this sender.
    pub(super) fn send(&mut self, sender: u32, host: &mut (impl Clock + Random + Metrics + Uploads)) {
        while let Some(now) = host.now()
            && let Some(batch) = self.queue.next(&self.export, now)
        {
            let upload = Upload::new(&self.export, &batch.body, host);
            let judgement = match host.send(&upload) {
                Ok(token) => {
                    self.queue.note_sent(batch, token, sender, now);
                    continue;
                }
                Err(UploadError::NoHost) => Judgement::UNANSWERED,
                Err(UploadError::NotSent) => Judgement::NotSent,
            };
            let outcome = self.queue.conclude(batch, judgement, now, jitter(host));
            count(outcome, host);
        }
        self.show_length(host);
    }

    /// Takes the answer to an upload, or that there is none, and sends what is to be sent then. Says whether the upload
    /// was one of this exporter; the answer to one that was given up is passed over.
    pub(super) fn answered(
        &mut self,
        token: u32,
        sender: u32,
        answer: Option<Answer<'_>>,
        host: &mut (impl Clock + Random + Metrics + Uploads),
    ) -> bool {
        let judgement = answer.map_or(Judgement::UNANSWERED, |answer| answer.judge(self.export.protocol()));
        // Without a clock the batch counts as sent and answered at once.
        let now = host.now().unwrap_or_default();
        let Some(outcome) = self.queue.answered(token, sender, judgement, now, jitter(host)) else {
            return false;
        };
        count(outcome, host);
        self.send(sender, host);
        true
    }

    /// Has what this sender has on its way sent again by another.
    pub(super) fn forsake(&mut self, sender: u32, host: &mut impl Metrics) {
        let forsaken = self.queue.forsake(sender);
        if forsaken > 0 {
            host.count(Counter::Batch { result: BatchResult::Retried }, forsaken);
        }
    }

    /// Gives up for good: what streams that are still open bring is dropped.
    pub(super) fn close(&mut self, host: &mut impl Metrics) {
        self.is_closed = true;
        let dropped = self.queue.abandon();
        if dropped > 0 {
            host.count(Counter::SpanDropped { cause: DropCause::Shutdown }, dropped);
        }
        self.show_length(host);
    }

    /// Has the gauge show how many spans wait on all workers.
    fn show_length(&mut self, host: &mut impl Metrics) {
        let length = self.queue.len();
        let before = core::mem::replace(&mut self.shown, length);
        if length != before {
            host.adjust(Measure::QueuedSpans, length.cast_signed() - before.cast_signed());
        }
    }
}

fn jitter(host: &mut impl Random) -> u64 {
    host.rng().map(Rng::next_u64).unwrap_or_default()
}

fn count(outcome: Outcome, host: &mut impl Metrics) {
    host.count(Counter::Batch { result: outcome.result }, 1);
    if outcome.exported > 0 {
        host.count(Counter::SpanExported, outcome.exported);
    }
    if let Some((cause, number)) = outcome.dropped {
        host.count(Counter::SpanDropped { cause }, number);
    }
    host.record(Measure::ExportDuration, outcome.took_ms);
}
