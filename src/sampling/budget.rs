//! How many traces a second the whole process may record.
//!
//! The workers share one number in the memory of their VM. Each of them takes several traces of it at a time, so that most
//! traces cost no call to the host.

use core::cell::Cell;

use crate::host::{Clock, SharedMemory};
use crate::settings::{Expected, FaultKind, Reader, Setting, Shape, Value};

/// How many traces a second may be recorded in the process. Fractions are allowed: `0.5` is one trace every two seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget(f64);

const SECOND: u64 = 1_000_000_000;
/// The most traces a second.
const MOST: u32 = 1_000_000;
/// How messages name it.
const EXPECTED: &str = "a number from 0 to 1000000";
/// A worker takes at most the traces of this part of a second at a time, so that what idle workers hold is little.
const PARTS: f64 = 32.0;
/// A worker that needs more within this time takes twice as many the next time.
const SOON: u64 = SECOND / 16;
/// How often a worker tries again if another one was faster.
const TRIES: usize = 3;

impl Budget {
    /// That many traces a second, if it can be a budget.
    #[must_use]
    pub fn per_second(traces: f64) -> Option<Self> {
        (0.0..=f64::from(MOST)).contains(&traces).then_some(Self(traces))
    }

    /// Whether it lets no trace be recorded.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 <= 0.0
    }

    /// The nanoseconds of one trace, unless there is none.
    fn cost(self) -> Option<u64> {
        // A float that is too large becomes the largest number.
        (!self.is_zero()).then(|| ((SECOND as f64 / self.0) as u64).max(1))
    }

    /// The traces that a worker takes at a time, at the most.
    fn most_at_once(self) -> u32 {
        ((self.0 / PARTS) as u32).max(1)
    }
}

impl Setting for Budget {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let number = match value {
            Value::Whole(number) => *number as f64,
            Value::Float(number) => *number,
            _ => return reader.wrong_type(EXPECTED, value),
        };
        let budget = Self::per_second(number);
        if budget.is_none() {
            reader.fault(FaultKind::OutOfRange, Expected::Phrase(EXPECTED), value);
        }
        budget
    }

    fn shape() -> Shape {
        Shape::Number(MOST)
    }

    fn value(&self) -> Value {
        let whole = self.0 as u64;
        if whole as f64 == self.0 { Value::Whole(whole) } else { Value::Float(self.0) }
    }
}

/// A budget as the workers share it: the time up to which it is spent, in nanoseconds. A trace costs the time in which the
/// budget gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account(u64);

impl Account {
    /// An account from which nothing was taken yet: one trace is there at once.
    const fn new(cost: u64, now: u64) -> Self {
        Self(now.saturating_sub(cost))
    }

    /// Other programs of the VM's memory may have written anything there.
    fn parse(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u64::from_le_bytes(bytes)))
    }

    /// Whether it is spent up to a time that no worker can have spent it to: the clock was set back, or others wrote here.
    const fn is_wrong(self, now: u64) -> bool {
        self.0 > now.saturating_add(SECOND)
    }

    /// Takes up to so many traces.
    ///
    /// # Errors
    /// There is none; the time from when on there are so many.
    fn take(&mut self, cost: u64, wanted: u32, now: u64) -> Result<u32, u64> {
        // What was not taken for a second is gone.
        let spent = self.0.max(now.saturating_sub(SECOND.max(cost)));
        let left = now.saturating_sub(spent) / cost;
        let taken = u32::try_from(left).unwrap_or(u32::MAX).min(wanted);
        self.0 = spent.saturating_add(u64::from(taken) * cost);
        if taken == 0 { Err(spent.saturating_add(u64::from(wanted) * cost)) } else { Ok(taken) }
    }
}

/// What one worker has of a budget.
#[derive(Debug)]
pub(crate) struct Share {
    /// Where the workers share the account.
    key: String,
    state: Cell<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// The traces that were taken and not recorded yet.
    left: u32,
    /// How many to take the next time, and when some were taken last.
    wanted: u32,
    taken_at: u64,
    /// Before this time there is none.
    empty_until: u64,
    /// The account as this worker knows it. Without a shared memory, it is that of the worker alone.
    account: Option<Account>,
}

impl Share {
    /// A share of the account that has this name in the memory of the workers.
    pub(crate) fn new(key: String) -> Self {
        let state = State { left: 0, wanted: 1, taken_at: 0, empty_until: 0, account: None };
        Self { key, state: Cell::new(state) }
    }

    /// Whether one more trace may be recorded; without a clock none may.
    #[inline]
    pub(crate) fn take(&self, budget: Budget, host: &mut (impl Clock + SharedMemory)) -> bool {
        let state = self.state.get();
        match state.left.checked_sub(1) {
            Some(left) => {
                self.state.set(State { left, ..state });
                true
            }
            None => self.take_more(budget, host),
        }
    }

    /// Gives back a trace that was taken and is not recorded.
    pub(crate) fn give_back(&self) {
        let state = self.state.get();
        self.state.set(State { left: state.left.saturating_add(1), ..state });
    }

    #[inline(never)]
    fn take_more(&self, budget: Budget, host: &mut (impl Clock + SharedMemory)) -> bool {
        let (Some(cost), Some(now)) = (budget.cost(), host.now()) else { return false };
        let mut state = self.state.get();
        // It is never further away, unless the clock was set back.
        if now < state.empty_until && state.empty_until - now <= u64::from(budget.most_at_once()) * cost {
            return false;
        }
        let is_busy = now.saturating_sub(state.taken_at) <= SOON;
        let wanted = if is_busy { state.wanted.saturating_mul(2) } else { state.wanted / 2 };
        state.wanted = wanted.clamp(1, budget.most_at_once());
        let is_taken = self.charge(&mut state, cost, now, host);
        self.state.set(state);
        is_taken
    }

    /// Takes traces of the account, the first of which is recorded at once.
    fn charge(&self, state: &mut State, cost: u64, now: u64, host: &mut impl SharedMemory) -> bool {
        for _ in 0..TRIES {
            let found = host.recall(&self.key);
            let known = found.as_ref().and_then(|(bytes, _)| Account::parse(bytes)).or(state.account);
            let known = known.filter(|account| !account.is_wrong(now));
            let mut account = known.unwrap_or(Account::new(cost, now));
            match account.take(cost, state.wanted, now) {
                Err(next) => {
                    (state.empty_until, state.account) = (next, Some(account));
                    return false;
                }
                Ok(taken) => {
                    let version = found.map(|(_, version)| version);
                    if host.remember(&self.key, &account.0.to_le_bytes(), version) {
                        (state.left, state.taken_at, state.account) = (taken - 1, now, Some(account));
                        return true;
                    }
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use rand::rngs::ChaCha12Rng;
    use rand::{Rng, SeedableRng};

    /// The memory and the clock of a process.
    #[derive(Default)]
    struct Process {
        now: u64,
        memory: BTreeMap<String, (Vec<u8>, u32)>,
        /// Of how many writes one meets another worker's.
        contention: u64,
        writes: u64,
        calls: u64,
        is_deaf: bool,
    }

    impl Clock for Process {
        fn now(&mut self) -> Option<u64> {
            Some(self.now)
        }
    }

    impl SharedMemory for Process {
        fn recall(&mut self, key: &str) -> Option<(Vec<u8>, u32)> {
            self.calls += 1;
            self.memory.get(key).cloned()
        }

        fn remember(&mut self, key: &str, value: &[u8], version: Option<u32>) -> bool {
            self.writes += 1;
            if self.is_deaf {
                return true;
            }
            let known = self.memory.get(key).map(|(_, version)| *version);
            if version.is_some() && version != known
                || self.contention > 0 && self.writes.is_multiple_of(self.contention)
            {
                return false;
            }
            self.memory.insert(key.to_owned(), (value.to_vec(), known.unwrap_or(0) + 1));
            true
        }
    }

    fn budget(traces: f64) -> Budget {
        Budget::per_second(traces).unwrap()
    }

    fn workers(number: usize) -> Vec<Share> {
        (0..number).map(|_| Share::new("account".to_owned())).collect()
    }

    /// How many traces are recorded in so many seconds, if `requests` a second come, each to a worker that is drawn.
    fn recorded(
        process: &mut Process,
        budget: Budget,
        workers: &[Share],
        (requests, seconds): (u64, u64),
        mut draw: impl FnMut() -> usize,
    ) -> u64 {
        let mut recorded = 0;
        for _ in 0..requests * seconds {
            process.now += SECOND / requests;
            recorded += u64::from(workers[draw() % workers.len()].take(budget, process));
        }
        recorded
    }

    #[test]
    fn all_workers_together_record_what_the_budget_says_and_use_it() {
        for contention in [0, 3] {
            for (rate, requests) in [(0.5, 50), (1.0, 200), (2.5, 300), (100.0, 1_000), (2_000.0, 6_000)] {
                for number in [1, 2, 4, 16] {
                    // All alike, one alone, and some more than others.
                    for skew in 0..3 {
                        let mut rng = ChaCha12Rng::from_seed([number as u8; 32]);
                        let draw = || match (skew, rng.next_u64() as usize) {
                            (0, place) => place,
                            (1, _) => 0,
                            (_, place) => place % 97 % 16 / 3,
                        };
                        let mut process = Process { now: 1 << 60, contention, ..Process::default() };
                        let seconds = if rate < 10.0 { 60 } else { 15 };
                        let all =
                            recorded(&mut process, budget(rate), &workers(number), (requests, seconds), draw);
                        let expected = rate * seconds as f64;
                        let name = format!("{rate}/s, {number} workers, skew {skew}: {all} of {expected}");
                        assert!(all as f64 <= expected + 1.0, "{name}");
                        assert!(all as f64 >= 0.9 * expected - 1.0, "{name}");
                    }
                }
            }
        }
    }

    #[test]
    fn over_no_time_more_is_recorded_than_a_second_and_what_the_workers_hold() {
        let mut rng = ChaCha12Rng::from_seed([5; 32]);
        for _ in 0..200 {
            let rate = 1.0 + (rng.next_u64() % 2_000) as f64 / 4.0;
            let workers = workers(1 + rng.next_u64() as usize % 16);
            let mut process = Process { now: 1 << 60, ..Process::default() };
            // Idle for a while, so that the account and the shares are full.
            let draw = |rng: &mut ChaCha12Rng| rng.next_u64() as usize;
            recorded(&mut process, budget(rate), &workers, (1 + rng.next_u64() % 500, 5), || draw(&mut rng));
            process.now += SECOND * (rng.next_u64() % 5);
            let all = recorded(&mut process, budget(rate), &workers, (4_000, 3), || draw(&mut rng));
            let held = workers.len() as f64 * f64::from(budget(rate).most_at_once());
            assert!(all as f64 <= rate * (3.0 + 1.0) + held + 1.0, "{rate}: {all}");
        }
    }

    #[test]
    fn a_trace_seldom_costs_a_call_and_an_empty_account_is_not_asked_again() {
        let (mut process, workers) = (Process { now: 1 << 60, ..Process::default() }, workers(1));
        let all = recorded(&mut process, budget(1_000.0), &workers, (10_000, 10), || 0);
        assert!(all > 9_000, "{all}");
        assert!(process.calls < all / 10 + 1_000, "{} calls for {all} traces", process.calls);
    }

    #[test]
    fn a_budget_of_zero_records_nothing_and_asks_nobody() {
        let (mut process, workers) = (Process { now: 1 << 60, ..Process::default() }, workers(1));
        assert_eq!(recorded(&mut process, budget(0.0), &workers, (100, 10), || 0), 0);
        assert_eq!(process.calls, 0);
    }

    #[test]
    fn what_is_given_back_can_be_recorded() {
        let (mut process, workers) = (Process { now: 1 << 60, ..Process::default() }, workers(1));
        assert!(workers[0].take(budget(1.0), &mut process));
        assert!(!workers[0].take(budget(1.0), &mut process));
        workers[0].give_back();
        assert!(workers[0].take(budget(1.0), &mut process));
    }

    #[test]
    fn a_new_configuration_goes_on_with_the_account() {
        let mut process = Process { now: 1 << 60, ..Process::default() };
        let mut all = 0;
        for _ in 0..20 {
            all += recorded(&mut process, budget(1.0), &workers(4), (100, 1), || 0);
        }
        assert!((18..=21).contains(&all), "{all} in 20 s");
    }

    #[test]
    fn a_clock_that_is_set_and_bytes_of_others_stop_nothing_for_long() {
        let mut process = Process { now: 1 << 60, ..Process::default() };
        let workers = workers(2);
        recorded(&mut process, budget(10.0), &workers, (100, 5), || 0);
        for step in [-3_600_i64, 3_600, -1, 1] {
            process.now = process.now.saturating_add_signed(step * SECOND as i64);
            let all = recorded(&mut process, budget(10.0), &workers, (100, 10), || 0);
            assert!((85..=111).contains(&all), "{all} after {step} s");
        }
        for bytes in [&b""[..], b"x", &[0xff; 8], &[0; 8], &[0xff; 9]] {
            process.memory.insert("account".to_owned(), (bytes.to_vec(), 7));
            let all = recorded(&mut process, budget(10.0), &workers, (100, 10), || 0);
            assert!((85..=111).contains(&all), "{all} after {bytes:?}");
        }
    }

    #[test]
    fn without_a_shared_memory_each_worker_has_the_budget() {
        let mut process = Process { now: 1 << 60, is_deaf: true, ..Process::default() };
        let mut turn = 0;
        let all = recorded(&mut process, budget(10.0), &workers(2), (200, 10), || {
            turn += 1;
            turn
        });
        assert!((180..=202).contains(&all), "{all}");
    }
}
