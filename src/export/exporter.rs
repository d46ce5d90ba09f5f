use rand::Rng;

use super::answer::Judgement;
use super::queue::Queue;
use super::upload::{Upload, UploadError, Uploads};
use super::{Answer, Export};
use crate::host::{Clock, Metrics, Random};
use crate::metrics::{Counter, Measure};
use crate::otlp::{Resource, Span};
use crate::words::DropCause;

/// The way of one worker's spans to their collector.
#[derive(Debug, Default)]
pub struct Exporter {
    queue: Queue,
    /// The number under which the answer to the upload on its way will come.
    token: Option<u32>,
    /// The number of spans that the gauge shows.
    shown: u64,
    is_closed: bool,
}

impl Exporter {
    /// How often it looks whether a batch is to be sent, in milliseconds.
    pub const TICK_MS: u32 = 200;

    /// Takes the spans of a stream. Without a clock there are none.
    pub fn take(&mut self, spans: Vec<Span>, export: &Export, host: &mut (impl Clock + Metrics)) {
        let Some(now) = host.now() else { return };
        for span in spans {
            host.count(Counter::SpanRecorded, 1);
            let taken =
                if self.is_closed { Err(DropCause::Shutdown) } else { self.queue.take(span, export, now) };
            if let Err(cause) = taken {
                host.count(Counter::SpanDropped { cause }, 1);
            }
        }
    }

    /// Sends the next batch, if it is time.
    pub fn tick(
        &mut self,
        export: &Export,
        resource: &Resource,
        host: &mut (impl Clock + Random + Metrics + Uploads),
    ) {
        let Some(now) = host.now() else { return };
        if let Some(body) = self.queue.next(export, resource, now) {
            let upload = Upload::new(export, body, host);
            match host.send(&upload) {
                Ok(token) => self.token = Some(token),
                Err(UploadError::NoHost) => self.conclude(Judgement::UNANSWERED, host),
                Err(UploadError::NotSent) => self.conclude(Judgement::NotSent, host),
            }
        }
        self.show_length(host);
    }

    /// Takes the answer to an upload, or that there is none, and sends the next batch. The answer to an upload that was
    /// given up is passed over.
    pub fn answered(
        &mut self,
        token: u32,
        answer: Option<Answer<'_>>,
        export: &Export,
        resource: &Resource,
        host: &mut (impl Clock + Random + Metrics + Uploads),
    ) {
        if self.token == Some(token) {
            let judgement = answer.map_or(Judgement::UNANSWERED, |answer| answer.judge(export.protocol()));
            self.conclude(judgement, host);
            self.tick(export, resource, host);
        }
    }

    /// Gives up on all that waits, and forgets what was sent.
    pub fn abandon(&mut self, host: &mut impl Metrics) {
        self.token = None;
        let dropped = self.queue.abandon();
        if dropped > 0 {
            host.count(Counter::SpanDropped { cause: DropCause::Shutdown }, dropped);
        }
        self.show_length(host);
    }

    /// Gives up for good: what streams that are still open bring is dropped.
    pub fn close(&mut self, host: &mut impl Metrics) {
        self.is_closed = true;
        self.abandon(host);
    }

    fn conclude(&mut self, judgement: Judgement, host: &mut (impl Clock + Random + Metrics)) {
        self.token = None;
        // Without a clock the batch counts as sent and answered at once.
        let now = host.now().unwrap_or_default();
        let jitter = host.rng().map(Rng::next_u64).unwrap_or_default();
        let Some(outcome) = self.queue.answered(judgement, now, jitter) else { return };
        host.count(Counter::Batch { result: outcome.result }, 1);
        if outcome.exported > 0 {
            host.count(Counter::SpanExported, outcome.exported);
        }
        if let Some((cause, number)) = outcome.dropped {
            host.count(Counter::SpanDropped { cause }, number);
        }
        host.record(Measure::ExportDuration, outcome.took_ms);
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
