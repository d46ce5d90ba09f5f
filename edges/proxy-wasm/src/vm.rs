//! What all plugins of a VM share: the ids of its metrics, the generator of ids, the spans on their way, and which log lines
//! were written.

use core::cell::{Cell, RefCell, RefMut};
use core::num::NonZeroU32;

use proxy_wasm::types::MetricType;
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use tracewarden::export::Exporters;
use tracewarden::metrics::{Counter, Measure, TIMED_PASSES};
use tracewarden::notice::Throttle;
use tracewarden::words::HostCall;

use crate::build_info;
use crate::counters::Counters;
use crate::host::{self, HostError};

/// The state of a VM, which lives as long as the VM does.
pub(crate) struct Vm {
    /// The metrics that name no listener.
    counters: Counters,
    listeners: Cell<Vec<&'static Counters>>,
    rng: RefCell<Option<ChaCha12Rng>>,
    exporters: Exporters,
    passes: Cell<u32>,
    said: [Cell<bool>; HostCall::ALL.len()],
    is_introduced: Cell<bool>,
    throttle: Cell<Throttle>,
}

thread_local! {
    static VM: &'static Vm = Box::leak(Box::new(Vm::new()));
}

impl Vm {
    const fn new() -> Self {
        Self {
            counters: Counters::new(None),
            listeners: Cell::new(Vec::new()),
            rng: RefCell::new(None),
            exporters: Exporters::new(),
            passes: Cell::new(0),
            said: [const { Cell::new(false) }; HostCall::ALL.len()],
            is_introduced: Cell::new(false),
            throttle: Cell::new(Throttle::NEW),
        }
    }

    /// This VM, for the SDK's constructors and the guards. Both pass it on to whatever they make.
    pub(crate) fn current() -> &'static Self {
        VM.with(|vm| *vm)
    }

    /// The exporters of all plugins.
    pub(crate) const fn exporters(&self) -> &Exporters {
        &self.exporters
    }

    /// Whether no plugin of this VM was configured yet. It may be the one that Envoy tries a configuration in.
    pub(crate) const fn is_new(&self) -> bool {
        !self.is_introduced.get()
    }

    /// Reports the build: in a gauge, and once in the log, by the first of Envoy's VMs.
    pub(crate) fn introduce(&self) {
        if self.is_introduced.replace(true) {
            return;
        }
        let gauge = host::define_metric(MetricType::Gauge, build_info::GAUGE);
        self.checked(gauge.and_then(|id| host::record(id, 1)));
        // Without that memory, which only correlation needs, each VM says it, and that is no error.
        if !matches!(host::shared_data(build_info::GAUGE), Ok(Some(_))) {
            log::info!("{}", build_info::LINE);
            let _ = host::set_shared_data(build_info::GAUGE, b"said", None);
        }
    }

    /// The counters of the listener of that name.
    pub(crate) fn counters(&'static self, listener: Option<&str>) -> &'static Counters {
        let mut all = self.listeners.take();
        let mut known = all.iter().copied().chain([&self.counters]);
        let counters = known.find(|counters| counters.is_of(listener)).unwrap_or_else(|| {
            let new = Box::leak(Box::new(Counters::new(listener.map(str::to_owned))));
            all.push(new);
            new
        });
        self.listeners.set(all);
        counters
    }

    /// Adds to a counter that is no listener's.
    pub(crate) fn count(&self, counter: Counter, number: u64) {
        self.checked(self.counters.count(counter, number));
    }

    /// Makes counters visible before they first count, so that rates over them see the step from 0 to 1. The others
    /// (reasons of corruption, errors of the host) are defined when they first count.
    pub(crate) fn define(&self, counters: &Counters, expected: Vec<Counter>) {
        for counter in expected {
            self.checked(counters.id(counter));
        }
    }

    /// Adds a value to a histogram.
    pub(crate) fn record(&self, histogram: Measure, value: u64) {
        let histogram = self.measure(histogram, MetricType::Histogram);
        self.checked(histogram.and_then(|id| host::record(id, value)));
    }

    /// The id of a gauge or a histogram that is no listener's.
    pub(crate) fn measure(&self, measure: Measure, kind: MetricType) -> Result<NonZeroU32, HostError> {
        self.counters.measure(measure, kind)
    }

    /// Runs a pass, and records the time of one in many.
    pub(crate) fn timed<T>(&self, histogram: Measure, pass: impl FnOnce() -> T) -> T {
        let passes = self.passes.replace(self.passes.get().wrapping_add(1));
        let began = if passes % TIMED_PASSES == TIMED_PASSES - 1 { self.now() } else { None };
        let done = pass();
        if let Some(began) = began
            && let Some(ended) = self.now()
        {
            self.record(histogram, ended.saturating_sub(began));
        }
        done
    }

    /// Nanoseconds since 1970, if the host knows.
    pub(crate) fn now(&self) -> Option<u64> {
        self.checked(host::now())
    }

    /// A property that the host has, and that is not empty.
    pub(crate) fn property(&self, path: &str) -> Option<Vec<u8>> {
        self.checked(host::property(path)).flatten().filter(|value| !value.is_empty())
    }

    /// What tells the plugin that is configured now from others, if it has a name.
    pub(crate) fn plugin_name(&self) -> Option<String> {
        let name = self.property("plugin_name")?;
        let root_id = self.property("plugin_root_id").unwrap_or_default();
        Some(format!("{}.{}", name.escape_ascii(), root_id.escape_ascii()))
    }

    /// What a host call answered, or nothing if it failed, which is reported.
    #[inline]
    pub(crate) fn checked<T>(&self, answer: Result<T, HostError>) -> Option<T> {
        answer.map_err(|error| self.report(error)).ok()
    }

    /// Counts an error of the host, and logs the first of each call.
    #[cold]
    pub(crate) fn report(&self, error: HostError) {
        // If this counter fails too, only the log line remains.
        let _ = self.counters.count(Counter::HostError { call: error.call }, 1);
        #[expect(clippy::indexing_slicing, reason = "the index of a call is below their number")]
        let said = self.said[error.call as usize].replace(true);
        if !said {
            log::warn!("tracewarden: {error}; counted from now on in tracewarden_host_errors_total");
        }
    }

    /// How many lines about requests were held back since the last one, or `None` if one may not be written now.
    pub(crate) fn held_back(&self, now: u64) -> Option<u64> {
        let mut throttle = self.throttle.get();
        let held = throttle.pass(now);
        self.throttle.set(throttle);
        held
    }

    /// The generator of ids, or `None` if the host gave no seed for it.
    pub(crate) fn rng(&self) -> Option<RefMut<'_, ChaCha12Rng>> {
        let mut rng = self.rng.try_borrow_mut().ok()?;
        if rng.is_none() {
            *rng = self.checked(host::random()).map(ChaCha12Rng::from_seed);
        }
        RefMut::filter_map(rng, Option::as_mut).ok()
    }
}
