//! The host's ids of metrics, each asked for once.

use core::cell::Cell;
use core::fmt;
use core::num::NonZeroU32;

use proxy_wasm::types::MetricType;
use tracewarden::metrics::{Counter, Measure};

use crate::host::{self, HostError};

/// The metrics of a listener that the configuration names, or those that name none.
///
/// They live as long as the VM, because every definition takes memory that the host never frees. A later plugin with
/// another configuration for the same listener uses the same ones.
pub(crate) struct Counters {
    listener: Option<String>,
    ids: [Cell<Option<NonZeroU32>>; Counter::COUNT],
    measures: [Cell<Option<NonZeroU32>>; Measure::COUNT],
}

impl Counters {
    pub(crate) const fn new(listener: Option<String>) -> Self {
        Self {
            listener,
            ids: [const { Cell::new(None) }; Counter::COUNT],
            measures: [const { Cell::new(None) }; Measure::COUNT],
        }
    }

    pub(crate) fn is_of(&self, listener: Option<&str>) -> bool {
        self.listener.as_deref() == listener
    }

    /// Adds to a counter.
    // As one function, not three: a hundredth of a request's instructions.
    #[inline(always)]
    pub(crate) fn count(&self, counter: Counter, number: u64) -> Result<(), HostError> {
        host::increment(self.id(counter)?, number.cast_signed())
    }

    /// The counter's id. The first call makes the counter visible.
    #[inline(always)]
    pub(crate) fn id(&self, counter: Counter) -> Result<NonZeroU32, HostError> {
        #[expect(clippy::indexing_slicing, reason = "the index of a counter is below their number")]
        let known = &self.ids[counter.index()];
        match known.get() {
            Some(id) => Ok(id),
            None => self.define(MetricType::Counter, &counter, known),
        }
    }

    /// The id of a gauge or a histogram.
    pub(crate) fn measure(&self, measure: Measure, kind: MetricType) -> Result<NonZeroU32, HostError> {
        #[expect(clippy::indexing_slicing, reason = "the index of a measure is below their number")]
        let known = &self.measures[measure.index()];
        match known.get() {
            Some(id) => Ok(id),
            None => self.define(kind, &measure, known),
        }
    }

    #[cold]
    fn define(
        &self,
        kind: MetricType,
        stat: &dyn fmt::Display,
        known: &Cell<Option<NonZeroU32>>,
    ) -> Result<NonZeroU32, HostError> {
        let name = match &self.listener {
            Some(listener) => format!("listener=.={listener};.;{stat}"),
            None => stat.to_string(),
        };
        let id = host::define_metric(kind, &name)?;
        known.set(Some(id));
        Ok(id)
    }
}
