use core::cell::Cell;
use core::num::NonZeroU32;

use super::Sampler;
use super::budget::Share;
use crate::host::{Clock, SharedMemory};
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

/// What is left of the limits in one worker.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Of traces that start here.
    new_traces: Rate,
    /// Of the same in the whole process, and of those of each rule.
    budget: Share,
    of_rules: Vec<Share>,
    /// Of spans that are recorded because their request failed.
    pub(crate) failures: Rate,
}

impl Rates {
    /// The limits of a plugin of this name.
    pub(crate) fn new(sampler: &Sampler, plugin: &str) -> Self {
        let of_rule = |place| Share::new(format!("tracewarden.budget.{plugin}.{place}"));
        Self {
            new_traces: Rate::default(),
            budget: Share::new(format!("tracewarden.budget.{plugin}")),
            of_rules: if sampler.has_budget() {
                (0..sampler.rules.len()).map(of_rule).collect()
            } else {
                Vec::new()
            },
            failures: Rate::default(),
        }
    }

    /// Whether a trace may be recorded that starts here, by this rule if by any. A trace that another limit refuses takes
    /// nothing of the budgets.
    pub(crate) fn allow(
        &self,
        sampler: &Sampler,
        rule: Option<usize>,
        host: &mut (impl Clock + SharedMemory),
    ) -> bool {
        let of_rule =
            rule.and_then(|place| Some((self.of_rules.get(place)?, sampler.rules.get(place)?.budget?)));
        if of_rule.is_some_and(|(share, budget)| !share.take(budget, host)) {
            return false;
        }
        let is_within = sampler.budget.is_none_or(|budget| self.budget.take(budget, host));
        let is_allowed = is_within && sampler.rate.is_none_or(|limit| self.new_traces.take(limit, host));
        if !is_allowed {
            of_rule.inspect(|(share, _)| share.give_back());
        }
        if is_within && !is_allowed && sampler.budget.is_some() {
            self.budget.give_back();
        }
        is_allowed
    }
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
