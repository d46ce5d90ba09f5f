//! What all plugins of a VM share: the ids of its metrics, the generator of ids, and what was already said.

use core::cell::Cell;
use core::mem::{ManuallyDrop, needs_drop};
use core::num::NonZeroU32;

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;

use super::abi::MetricType;
use super::build_info;
use super::counters::Counters;
use super::host::{self, Failed};
use crate::metrics::{Counter, HostCall, Measure, TIMED_PASSES};
use crate::notice::Throttle;

struct Vm {
    measures: [Cell<Option<NonZeroU32>>; Measure::ALL.len()],
    /// Boxed, because it is lent and returned on every request.
    rng: Cell<Option<ManuallyDrop<Box<ChaCha12Rng>>>>,
    passes: Cell<u32>,
    said: [Cell<bool>; HostCall::ALL.len()],
    is_introduced: Cell<bool>,
    notices: Cell<Throttle>,
}

thread_local! {
    static VM: Vm = const {
        Vm {
            measures: [const { Cell::new(None) }; Measure::ALL.len()],
            rng: Cell::new(None),
            passes: Cell::new(0),
            said: [const { Cell::new(false) }; HostCall::ALL.len()],
            is_introduced: Cell::new(false),
            notices: Cell::new(Throttle::NEW),
        }
    };
}

// With nothing to drop there is no moment at which `with` finds the value gone, and panics.
const _: () = assert!(!needs_drop::<Vm>());

/// Says which build this is: in a gauge, and in the log once, by whichever of Envoy's VMs is the first.
pub(super) fn introduce() {
    if VM.with(|vm| vm.is_introduced.replace(true)) {
        return;
    }
    let gauge = host::define_metric(MetricType::Gauge, build_info::GAUGE);
    if let Err(failed) = gauge.and_then(|id| host::record(id, 1)) {
        report(failed);
    }
    // Without that memory, which only correlation needs, each VM says it, and that is no error.
    if !matches!(host::shared_data(build_info::GAUGE), Ok(Some(_))) {
        log::info!("{}", build_info::LINE);
        let _ = host::set_shared_data(build_info::GAUGE, b"said");
    }
}

/// Adds to a counter that is no listener's.
pub(super) fn count(counter: Counter, number: u64) {
    Counters::of(None).count(counter, number);
}

/// Adds to the number of spans that wait.
pub(super) fn add_queued(difference: i64) {
    let added =
        measure(Measure::QueuedSpans, MetricType::Gauge).and_then(|id| host::increment(id, difference));
    if let Err(failed) = added {
        report(failed);
    }
}

/// Adds a value to a histogram.
pub(super) fn record(histogram: Measure, value: u64) {
    let recorded = measure(histogram, MetricType::Histogram).and_then(|id| host::record(id, value));
    if let Err(failed) = recorded {
        report(failed);
    }
}

/// Makes a pass, and notes how long one in many takes.
pub(super) fn timed<T>(histogram: Measure, pass: impl FnOnce() -> T) -> T {
    let passes = VM.with(|vm| vm.passes.replace(vm.passes.get().wrapping_add(1)));
    let began =
        if passes % TIMED_PASSES == TIMED_PASSES - 1 { host::now().map_err(report).ok() } else { None };
    let done = pass();
    if let Some(began) = began
        && let Ok(ended) = host::now().map_err(report)
    {
        record(histogram, ended.saturating_sub(began));
    }
    done
}

fn measure(measure: Measure, kind: MetricType) -> Result<NonZeroU32, Failed> {
    #[expect(clippy::indexing_slicing, reason = "the index of a measure is below their number")]
    VM.with(|vm| {
        let known = &vm.measures[measure as usize];
        if known.get().is_none() {
            known.set(Some(host::define_metric(kind, measure.label())?));
        }
        known.get().ok_or(Failed { call: HostCall::DefineMetric, status: host::OK })
    })
}

/// Counts an error of the host, and logs the first of each call.
pub(super) fn report(failed: Failed) {
    // If even this counter fails, the log line is all that is left to do.
    let _ = Counters::of(None).try_count(Counter::HostError { call: failed.call }, 1);
    #[expect(clippy::indexing_slicing, reason = "the index of a call is below their number")]
    let said = VM.with(|vm| vm.said[failed.call as usize].replace(true));
    if !said {
        log::warn!("tracewarden: {failed}; counted from now on in tracewarden_host_errors_total");
    }
}

/// Whether a line about a request may be logged now, and if so how many were held back since the last.
pub(super) fn may_log_notice() -> Option<u64> {
    match host::now() {
        Ok(now) => VM.with(|vm| {
            let mut throttle = vm.notices.get();
            let held = throttle.pass(now);
            vm.notices.set(throttle);
            held
        }),
        Err(failed) => {
            report(failed);
            None
        }
    }
}

/// Lends the VM's generator; [`return_rng`] takes it back.
pub(super) fn take_rng() -> Option<Box<ChaCha12Rng>> {
    VM.with(|vm| vm.rng.take()).map(ManuallyDrop::into_inner).or_else(seed)
}

pub(super) fn return_rng(rng: Box<ChaCha12Rng>) {
    VM.with(|vm| vm.rng.set(Some(ManuallyDrop::new(rng))));
}

/// Draws with the VM's generator, if there is one.
pub(super) fn draw<T>(with: impl FnOnce(&mut ChaCha12Rng) -> T) -> Option<T> {
    let mut rng = take_rng()?;
    let drawn = with(&mut rng);
    return_rng(rng);
    Some(drawn)
}

#[cold]
fn seed() -> Option<Box<ChaCha12Rng>> {
    match host::random() {
        Ok(seed) => Some(Box::new(ChaCha12Rng::from_seed(seed))),
        Err(failed) => {
            report(failed);
            None
        }
    }
}
