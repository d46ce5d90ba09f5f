use core::cell::Cell;
use core::num::NonZeroU32;

use crate::host::Clock;
use crate::settings::settings;

settings! {
    /// How many traces a second may be recorded in one worker.
    #[derive(Copy, Eq)]
    pub struct RateLimit(NonZeroU32);
}

/// What of a rate is left: it fills with time, up to what one second allows.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// Nanoseconds whose traces have not been recorded yet.
    credit: u64,
    seen: u64,
}

const SECOND: u64 = 1_000_000_000;

impl RateLimit {
    /// That many traces a second.
    #[must_use]
    pub const fn per_second(traces: NonZeroU32) -> Self {
        Self(traces)
    }
}

impl TokenBucket {
    /// A second's worth, before any time has passed.
    pub const FULL: Self = Self { credit: SECOND, seen: 0 };

    /// Whether one more trace may be recorded at this time (nanoseconds).
    pub fn take(&mut self, limit: RateLimit, now: u64) -> bool {
        self.credit = self.credit.saturating_add(now.saturating_sub(self.seen)).min(SECOND);
        self.seen = now;
        let cost = SECOND / u64::from(limit.0.get());
        let allowed = self.credit >= cost;
        if allowed {
            self.credit -= cost;
        }
        allowed
    }
}

/// What is left of the rates of one worker.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    /// Of traces that start here.
    pub(crate) new_traces: Rate,
    /// Of spans that are recorded because their request failed.
    pub(crate) failures: Rate,
}

/// What is left of one rate.
#[derive(Debug)]
pub(crate) struct Rate(Cell<TokenBucket>);

impl Default for Rate {
    fn default() -> Self {
        Self(Cell::new(TokenBucket::FULL))
    }
}

impl Rate {
    /// Whether one more trace may be recorded now; without a clock none may.
    pub(crate) fn take(&self, limit: RateLimit, clock: &mut impl Clock) -> bool {
        let Some(now) = clock.now() else { return false };
        let mut bucket = self.0.get();
        let allowed = bucket.take(limit, now);
        self.0.set(bucket);
        allowed
    }
}
