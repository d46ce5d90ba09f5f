//! The end: a collector that takes everything, and a clock that goes on.

use super::Reply;
use super::model::{MS, Model};
use crate::host::lines;

/// As many ticks as it takes: the first closes what waits to be filled, and the next one comes after every wait.
const TICKS: usize = 3;
const LONGEST_WAIT_MS: u64 = 60_000;

impl Model<'_> {
    /// All that waits arrives within a few ticks, also if no configuration has the exporter any more.
    pub(super) fn empties(&mut self) {
        self.host.refusal = None;
        self.outlet = None;
        let (left, before) = (self.left(), (self.count.exported, self.count.dropped));
        let step = (u64::from(self.export.delay_ms.get()) + LONGEST_WAIT_MS) * MS;
        // A clock that has come to the end of its numbers is set.
        let now = self.now().checked_add(step * (TICKS as u64 + 1)).map_or(0, |_| self.now());
        self.host.known.now = Some(now);
        for _ in 0..TICKS {
            self.host.known.now = Some(self.now() + step);
            self.tick(0);
            self.add_up();
            while !self.sent.is_empty() {
                self.answer(u8::MAX, Some(&taken()));
                self.add_up();
            }
        }
        assert_eq!((self.count.exported, self.count.dropped), (before.0 + left, before.1), "all arrives");
        assert_eq!(self.left(), 0);
        self.tick(0);
        assert!(!self.exporters.is_needed(), "an exporter that nobody uses goes");
    }
}

/// An answer that takes everything, whichever the protocol is.
fn taken() -> Reply {
    Reply {
        headers: lines([(":status", "200"), ("content-type", "application/grpc")]),
        body: vec![0; 5].into(),
        trailers: lines([("grpc-status", "0")]),
    }
}
