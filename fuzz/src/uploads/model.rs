//! An exporter next to what must be in it.

use std::collections::VecDeque;
use std::mem;

use tracewarden::export::{Answer, Export, Exporters, Outlet, UploadError};
use tracewarden::metrics::Counter;
use tracewarden::resource::Resource;
use tracewarden::words::{BatchResult, DropCause};

use super::hold::{Hold, Meaning, meaning};
use super::{Reply, Step, body};
use crate::collected::{lend, owned};
use crate::host::{Host, Known, lines, of_core};
use crate::otlp::Span;

/// The exporters of a worker, of which one is used, and what must be in it.
pub(super) struct Model<'a> {
    pub(super) export: &'a Export,
    resource: &'a Resource,
    pub(super) exporters: Exporters,
    /// None once no configuration has the exporter any more.
    pub(super) outlet: Option<Outlet>,
    pub(super) host: Host,
    /// The plugins that send, each with the number of its last upload.
    pub(super) senders: Vec<(u32, u32)>,
    /// The number of the last plugin, and of the last span.
    last_sender: u32,
    last_span: u64,
    /// The spans that were never sent, in order.
    pub(super) waiting: VecDeque<Taken>,
    /// How many of them certainly do not wait for others.
    ready: usize,
    /// The batches that were sent and wait to be sent again, and those on their way.
    pub(super) again: Vec<Batch>,
    pub(super) sent: Vec<Sent>,
    /// What was on its way, by number and sender.
    pub(super) gone: Vec<(u32, u32)>,
    pub(super) hold: Hold,
    pub(super) count: Count,
}

/// A span that was taken.
pub(super) struct Taken {
    span: Span,
    since: u64,
    /// The fewest and the most bytes that it has in a body.
    bytes: (usize, usize),
}

/// A batch that was sent at least once.
pub(super) struct Batch {
    body: Vec<u8>,
    spans: u64,
    attempts: u32,
}

/// A batch on its way.
pub(super) struct Sent {
    batch: Batch,
    token: u32,
    sender: u32,
}

/// What was counted.
#[derive(Default)]
pub(super) struct Count {
    recorded: u64,
    pub(super) exported: u64,
    pub(super) dropped: u64,
    /// Since it was last looked at: why spans were dropped, how many arrived, and what became of batches.
    causes: Vec<DropCause>,
    arrived: u64,
    results: VecDeque<BatchResult>,
}

const MAX_ATTEMPTS: u32 = 5;
const MAX_BODY: usize = 1 << 20;
pub(super) const MS: u64 = 1_000_000;

impl<'a> Model<'a> {
    pub(super) fn new(export: &'a Export, resource: &'a Resource) -> Self {
        let exporters = Exporters::new();
        let mut model = Self {
            export,
            resource,
            outlet: None,
            exporters,
            host: Host::new(Known { now: Some(0), ..Known::inbound() }),
            senders: Vec::new(),
            last_sender: 0,
            last_span: 0,
            waiting: VecDeque::new(),
            ready: 0,
            again: Vec::new(),
            sent: Vec::new(),
            gone: Vec::new(),
            hold: Hold::default(),
            count: Count::default(),
        };
        model.join();
        model
    }

    pub(super) fn step(&mut self, spans: &[Span], step: &Step) {
        match step {
            Step::Take(times) => (0..*times).for_each(|_| spans.iter().for_each(|span| self.take(span))),
            Step::Tick => self.tick(0),
            Step::TickOf(place) => self.tick(*place),
            Step::Answer(reply) => self.answer(0, Some(reply)),
            Step::AnswerTo(place, reply) => self.answer(*place, Some(reply)),
            Step::NoAnswer => self.answer(0, None),
            Step::NoAnswerTo(place) => self.answer(*place, None),
            Step::Late(place) => self.answer_late(*place),
            Step::NoHost => self.host.refusal = Some(UploadError::NoHost),
            Step::NotSent => self.host.refusal = Some(UploadError::NotSent),
            Step::Clock(now) => self.host.known.now = Some(*now),
            Step::Pass(ms) => self.host.known.now = Some(self.now().saturating_add(u64::from(*ms) * MS)),
            Step::NoClock => self.host.known.now = None,
            Step::Join => self.join(),
            Step::Leave(place) if self.senders.len() > 1 => {
                self.leave(usize::from(*place) % self.senders.len())
            }
            Step::Leave(_) => {}
            Step::Reload => {
                self.join();
                while self.senders.len() > 1 {
                    self.leave(0);
                }
            }
            Step::Abandon => self.abandon(),
        }
        self.read_counts();
        let Count { causes, arrived, results, .. } = &self.count;
        assert!(causes.is_empty() && *arrived == 0 && results.is_empty(), "nothing else is counted");
        assert!(self.host.calls.uploads.is_empty(), "nothing else is sent");
    }

    /// Adds what was counted since it was added the last time.
    fn read_counts(&mut self) {
        for counter in mem::take(&mut self.host.calls.counted) {
            match counter {
                Counter::SpanRecorded => self.count.recorded += 1,
                Counter::SpanExported => {
                    (self.count.exported, self.count.arrived) =
                        (self.count.exported + 1, self.count.arrived + 1)
                }
                Counter::SpanDropped { cause } => {
                    self.count.dropped += 1;
                    self.count.causes.push(cause);
                }
                Counter::Batch { result } => self.count.results.push_back(result),
                other => panic!("{other} is not about spans"),
            }
        }
    }

    /// Every span has arrived, is lost, or waits; and what waits is within the bounds.
    pub(super) fn add_up(&self) {
        let Count { recorded, exported, dropped, .. } = self.count;
        assert_eq!(recorded, exported + dropped + self.left());
        assert!(self.export.queue.is_none_or(|most| self.left() <= u64::from(most.get())), "too many spans");
        let bytes = self.bodies() + self.waiting.iter().map(|taken| taken.bytes.0).sum::<usize>();
        assert!(bytes <= self.export.queue_bytes.get(), "{bytes} bytes are kept");
        assert!(self.sent.len() <= self.export.in_flight.get() as usize, "too many uploads");
    }

    /// How many spans have not arrived and are not lost.
    pub(super) fn left(&self) -> u64 {
        let again = self.again.iter().map(|batch| batch.spans).sum::<u64>();
        let sent = self.sent.iter().map(|sent| sent.batch.spans).sum::<u64>();
        self.waiting.len() as u64 + again + sent
    }

    /// How many bytes there are in the batches that were sent.
    fn bodies(&self) -> usize {
        let again = self.again.iter().map(|batch| batch.body.len()).sum::<usize>();
        again + self.sent.iter().map(|sent| sent.batch.body.len()).sum::<usize>()
    }

    pub(super) fn now(&self) -> u64 {
        self.host.known.now.unwrap_or_default()
    }

    fn take(&mut self, span: &Span) {
        self.last_span += 1;
        let (now, mut told) = (self.now(), None);
        lend(span, self.last_span, now, |span| {
            let outlet = self.outlet.as_ref().expect("a configuration has it");
            outlet.exporter().take(span, &mut self.host);
            told = Some(owned(span));
        });
        let span = told.expect("it was lent");
        let bytes = body::bounds(&span, self.export);
        self.read_counts();
        match mem::take(&mut self.count.causes)[..] {
            [] => self.waiting.push_back(Taken { span, since: now, bytes }),
            [DropCause::QueueFull] => {
                assert!(self.is_full(bytes.1), "there is a place for it");
                // What waits does not wait for what finds no place.
                self.ready = self.waiting.len();
            }
            ref others => panic!("{others:?}"),
        }
        if self.export.queue.is_some_and(|most| self.left() >= u64::from(most.get())) {
            self.ready = self.waiting.len();
        }
        self.add_up();
    }

    /// Whether so many bytes may find no place.
    fn is_full(&self, bytes: usize) -> bool {
        let around = body::around(self.resource);
        let of_waiting = self.waiting.iter().map(|taken| taken.bytes.1 + around).sum::<usize>();
        self.export.queue.is_some_and(|most| self.left() >= u64::from(most.get()))
            || self.bodies() + of_waiting + bytes + around > self.export.queue_bytes.get()
    }

    /// Whether the exporter says that a batch can be sent.
    fn is_due(&self) -> bool {
        let exporter = self.outlet.as_ref().map(Outlet::exporter);
        exporter.zip(self.host.known.now).is_some_and(|(exporter, now)| exporter.is_due(now))
    }

    pub(super) fn tick(&mut self, place: u8) {
        let place = usize::from(place) % self.senders.len();
        let sender = self.senders[place].0;
        let is_due = self.is_due();
        self.with_tokens_of(sender, |model| model.exporters.tick(sender, &mut model.host));
        let is_sent = !self.host.calls.uploads.is_empty();
        assert!(is_sent || !is_due, "what is due is sent");
        assert!(!is_sent || self.host.known.now.is_some(), "nothing is sent without a clock");
        self.read_counts();
        self.follow(sender);
        self.is_quiet();
    }

    pub(super) fn answer(&mut self, place: u8, reply: Option<&Reply>) {
        if self.sent.is_empty() {
            return;
        }
        let Sent { batch, token, sender } = self.sent.remove(usize::from(place) % self.sent.len());
        self.gone.push((token, sender));
        self.tell(token, sender, reply);
        assert!(!self.count.results.is_empty(), "an answer means something");
        let meaning = meaning(reply, self.export.protocol());
        self.conclude(batch, meaning);
        self.follow(sender);
        self.is_quiet();
    }

    /// An answer to what is not on its way changes nothing.
    fn answer_late(&mut self, place: u8) {
        if let Some(of_gone) = usize::from(place).checked_rem(self.gone.len()) {
            let (token, sender) = self.gone[of_gone];
            self.tell(
                token,
                sender,
                Some(&Reply { headers: lines([(":status", "200")]), ..Reply::default() }),
            );
        }
    }

    fn tell(&mut self, token: u32, sender: u32, reply: Option<&Reply>) {
        let maps = reply.map(|reply| (of_core(&reply.headers), of_core(&reply.trailers)));
        let answer = maps.as_ref().zip(reply).map(|((headers, trailers), reply)| Answer {
            headers,
            body: &reply.body,
            trailers,
        });
        self.with_tokens_of(sender, |model| model.exporters.answered(token, sender, answer, &mut model.host));
        self.read_counts();
    }

    /// Uploads are numbered by each sender for itself.
    fn with_tokens_of(&mut self, sender: u32, call: impl FnOnce(&mut Self)) {
        let place = self.senders.iter().position(|(number, _)| *number == sender);
        self.host.token = place.map_or(0, |place| self.senders[place].1);
        call(self);
        if let Some(place) = place {
            self.senders[place].1 = self.host.token;
        }
    }

    /// Follows what was sent, and what the host refused to send.
    fn follow(&mut self, sender: u32) {
        while let Some((body, said)) = self.host.calls.uploads.pop_front() {
            assert!(!self.hold.is_held(self.now()), "the collector is left alone");
            let mut batch = match self.again.iter().position(|batch| batch.body == body) {
                Some(place) => self.again.remove(place),
                None => self.form(body),
            };
            batch.attempts += 1;
            assert!(batch.attempts <= MAX_ATTEMPTS, "a batch is not sent for ever");
            match said {
                Ok(token) => self.sent.push(Sent { batch, token, sender }),
                Err(UploadError::NoHost) => self.conclude(batch, Some(Meaning::Busy(None))),
                Err(UploadError::NotSent) => {
                    assert_eq!(self.count.results.front(), Some(&BatchResult::NotSent));
                    self.conclude(batch, None);
                }
            }
            self.add_up_uploads();
        }
    }

    fn add_up_uploads(&self) {
        assert!(self.sent.len() <= self.export.in_flight.get() as usize, "too many uploads at a time");
        assert!(self.bodies() <= self.export.queue_bytes.get(), "too many bytes at a time");
    }

    /// A new batch: the spans that have waited longest, in order.
    fn form(&mut self, body: Vec<u8>) -> Batch {
        let shown = body::read(&body, self.export, self.resource);
        let spans = shown.len();
        assert!((1..=self.export.batch.get() as usize).contains(&spans), "{spans} spans");
        assert!(spans <= self.waiting.len(), "they wait");
        let most = MAX_BODY.min(self.export.queue_bytes.get() / 2);
        assert!(spans == 1 || body.len() <= most, "{} bytes", body.len());
        shown.are(self.waiting.iter().map(|taken| &taken.span).take(spans));
        self.waiting.drain(..spans);
        self.ready = self.ready.saturating_sub(spans);
        Batch { body, spans: spans as u64, attempts: 0 }
    }

    /// Notes what became of a batch, which is what was counted, and what the answer meant.
    fn conclude(&mut self, batch: Batch, meaning: Option<Meaning>) {
        use BatchResult::{Exported, GaveUp, NotSent, Partial, Refused, Retried};
        let result = self.count.results.pop_front().expect("something became of it");
        let fits = match meaning {
            Some(Meaning::Taken) => matches!(result, Exported | Partial),
            Some(Meaning::Busy(_)) => matches!(result, Retried | GaveUp),
            Some(Meaning::Refused) => result == Refused,
            None => true,
        };
        assert!(fits, "{result:?}");
        let is_last = batch.attempts == MAX_ATTEMPTS;
        assert!(is_last || result != GaveUp, "{} attempts", batch.attempts);
        assert!(!is_last || result != Retried, "it is not tried again");
        let (exported, cause) = match result {
            Retried => {
                let seconds = if let Some(Meaning::Busy(seconds)) = meaning { seconds } else { None };
                self.hold.ask(self.now(), batch.attempts, seconds);
                self.again.push(batch);
                return;
            }
            Exported => (batch.spans, DropCause::Rejected),
            Partial => (self.count.causes_before(DropCause::Rejected, batch.spans), DropCause::Rejected),
            Refused => (0, DropCause::Refused),
            NotSent => (0, DropCause::NotSent),
            GaveUp => (0, DropCause::GaveUp),
        };
        self.count.settle(exported, cause, batch.spans - exported);
    }

    /// Nothing waits for longer than it should, and the gauge shows what waits.
    fn is_quiet(&self) {
        assert_eq!(self.host.calls.queued, self.left().cast_signed(), "the gauge shows what waits");
        let Some(now) = self.host.known.now else { return };
        assert!(!self.is_due(), "nothing is due after all was sent");
        let delay = u64::from(self.export.delay_ms.get()) * MS;
        let is_old = |taken: &Taken| now < taken.since || now - taken.since >= delay;
        let is_full = self.ready > 0 || self.waiting.len() >= self.export.batch.get() as usize;
        let is_due = !self.again.is_empty() || is_full || self.waiting.front().is_some_and(is_old);
        let can_send = self.sent.len() < self.export.in_flight.get() as usize && self.hold.is_over(now);
        assert!(!is_due || !can_send, "nothing waits for longer than it should");
    }

    pub(super) fn join(&mut self) {
        self.last_sender += 1;
        self.senders.push((self.last_sender, 0));
        self.exporters.join(self.last_sender);
        // The configuration that came last counts.
        self.outlet = Some(self.exporters.outlet(self.export, self.resource.clone()));
    }

    /// A plugin ends that is not the last one: what it has on its way is sent again, and the attempt does not count.
    fn leave(&mut self, place: usize) {
        let (sender, _) = self.senders.remove(place);
        self.exporters.leave(sender, &mut self.host);
        self.read_counts();
        for Sent { mut batch, token, .. } in self.sent.extract_if(.., |sent| sent.sender == sender) {
            batch.attempts -= 1;
            self.again.push(batch);
            self.gone.push((token, sender));
            assert_eq!(self.count.results.pop_front(), Some(BatchResult::Retried));
        }
    }

    /// All plugins end: what waits is dropped, and so is what still comes.
    fn abandon(&mut self) {
        while self.senders.len() > 1 {
            self.leave(0);
        }
        let (sender, _) = self.senders.remove(0);
        let left = self.left();
        self.exporters.leave(sender, &mut self.host);
        self.gone.extend(self.sent.drain(..).map(|sent| (sent.token, sent.sender)));
        self.waiting.clear();
        self.again.clear();
        (self.ready, self.hold) = (0, Hold::default());
        self.read_counts();
        self.count.settle(0, DropCause::Shutdown, left);
        assert_eq!(self.host.calls.queued, 0, "nothing waits");
        assert!(!self.exporters.is_needed());
        self.last_span += 1;
        let late = Span { trace_id: vec![1; 16], ..Span::default() };
        lend(&late, self.last_span, self.now(), |span| {
            let outlet = self.outlet.as_ref().expect("streams that are still open have it");
            outlet.exporter().take(span, &mut self.host);
        });
        self.read_counts();
        self.count.settle(0, DropCause::Shutdown, 1);
        self.join();
    }
}

impl Count {
    /// How many spans of a batch arrived, which are those that were not dropped for this cause.
    fn causes_before(&self, cause: DropCause, spans: u64) -> u64 {
        let dropped = self.causes.iter().take_while(|one| **one == cause).count();
        assert!(dropped > 0, "some were rejected");
        spans.checked_sub(dropped as u64).expect("no more than there were")
    }

    /// Takes note that so many spans arrived, and that so many were dropped for this cause.
    fn settle(&mut self, arrived: u64, cause: DropCause, dropped: u64) {
        assert!(arrived <= self.arrived, "{arrived} of them have arrived");
        self.arrived -= arrived;
        let dropped = usize::try_from(dropped).expect("there are fewer");
        assert!(dropped <= self.causes.len(), "{dropped} of them are dropped");
        assert!(self.causes.drain(..dropped).all(|one| one == cause), "for the cause {cause:?}");
    }
}
