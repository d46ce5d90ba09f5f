//! The ids of counters in the host, which are asked for once.

use core::cell::Cell;
use core::num::NonZeroU32;

use super::abi::MetricType;
use super::host::{self, Failed};
use super::vm;
use crate::metrics::Counter;

/// The counters of a listener that the configuration names, or those that name none.
///
/// They stay for as long as the VM does, because every definition takes memory of the host that it never gives back: a
/// plugin that comes later, with another configuration for the same listener, counts with these.
pub(super) struct Counters {
    listener: Option<String>,
    ids: [Cell<Option<NonZeroU32>>; Counter::COUNT],
    next: Option<&'static Counters>,
}

thread_local! {
    static FIRST: Cell<Option<&'static Counters>> = const { Cell::new(None) };
}

impl Counters {
    /// Those of the listener of that name.
    pub(super) fn of(listener: Option<&str>) -> &'static Self {
        let first = FIRST.get();
        let mut all = core::iter::successors(first, |counters| counters.next);
        all.find(|counters| counters.listener.as_deref() == listener).unwrap_or_else(|| {
            let ids = [const { Cell::new(None) }; Counter::COUNT];
            let new = Box::leak(Box::new(Self { listener: listener.map(str::to_owned), ids, next: first }));
            FIRST.set(Some(new));
            new
        })
    }

    /// Makes counters visible before they first count, so that rates over them see the step from 0 to 1. The others
    /// (reasons of corruption, errors of the host) are defined when they first count.
    pub(super) fn define(&self, counters: Vec<Counter>) {
        for counter in counters {
            if let Err(failed) = self.id(counter) {
                vm::report(failed);
            }
        }
    }

    /// Adds to a counter.
    pub(super) fn count(&self, counter: Counter, number: u64) {
        if let Err(failed) = self.try_count(counter, number) {
            vm::report(failed);
        }
    }

    /// The same, for whom has no use for the error.
    // As one function, not three: a hundredth of a request's instructions.
    #[inline(always)]
    pub(super) fn try_count(&self, counter: Counter, number: u64) -> Result<(), Failed> {
        host::increment(self.id(counter)?, number.cast_signed())
    }

    #[inline(always)]
    fn id(&self, counter: Counter) -> Result<NonZeroU32, Failed> {
        #[expect(clippy::indexing_slicing, reason = "the index of a counter is below their number")]
        let known = &self.ids[counter.index()];
        match known.get() {
            Some(id) => Ok(id),
            None => self.define_one(counter, known),
        }
    }

    #[cold]
    fn define_one(&self, counter: Counter, known: &Cell<Option<NonZeroU32>>) -> Result<NonZeroU32, Failed> {
        let name = match &self.listener {
            Some(listener) => format!("listener=.={listener};.;{counter}"),
            None => counter.to_string(),
        };
        let id = host::define_metric(MetricType::Counter, &name)?;
        known.set(Some(id));
        Ok(id)
    }
}
