//! The host's ids of metrics, each asked for once.

use core::cell::Cell;
use core::fmt;
use core::num::NonZeroU32;

use proxy_wasm::types::MetricType;
use tracewarden::host::SharedMemory;
use tracewarden::metrics::{Counter, Measure, Scope};
use tracewarden::words::CountBy;

use crate::host::{self, HostError};

/// The metrics of a listener that the configuration names, or those that name none.
///
/// They live as long as the VM, because every definition takes memory that the host never frees. A later plugin with
/// another configuration for the same listener uses the same ones.
pub(crate) struct Counters {
    listener: Option<String>,
    /// The others of the listener, and the label, if these are those of one destination. It has few of its own.
    of: Option<(&'static Self, String)>,
    destinations: [Destinations; CountBy::ALL.len()],
    ids: [Cell<Option<NonZeroU32>>; Counter::COUNT],
    measures: [Cell<Option<NonZeroU32>>; Measure::COUNT],
}

/// The counters of a listener's destinations, by their names.
struct Destinations {
    /// The labels of the process, as this VM saw them last.
    labels: Cell<Vec<u8>>,
    known: Cell<Vec<(Box<[u8]>, &'static Counters)>>,
}

/// How many names a VM remembers. Others are looked up in the list of labels each time.
const MAX_KNOWN: usize = 200;

impl Destinations {
    const fn new() -> Self {
        Self { labels: Cell::new(Vec::new()), known: Cell::new(Vec::new()) }
    }
}

impl Counters {
    pub(crate) const fn new(listener: Option<String>) -> Self {
        Self {
            listener,
            of: None,
            destinations: [const { Destinations::new() }; CountBy::ALL.len()],
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
            None => self.begin(counter, known),
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
    fn begin(&self, counter: Counter, known: &Cell<Option<NonZeroU32>>) -> Result<NonZeroU32, HostError> {
        match &self.of {
            Some((listener, _)) if counter.scope() != Scope::Destination => {
                let id = listener.id(counter)?;
                known.set(Some(id));
                Ok(id)
            }
            _ => self.define(MetricType::Counter, &counter, known),
        }
    }

    /// Those of one destination, and whether they are new.
    #[inline(never)]
    pub(crate) fn of_destination(
        &'static self,
        by: CountBy,
        name: &[u8],
        host: &mut impl SharedMemory,
    ) -> (&'static Self, bool) {
        #[expect(clippy::indexing_slicing, reason = "the index of a word is below their number")]
        let Destinations { labels, known } = &self.destinations[by.index()];
        let mut all = known.take();
        let of_name = all.iter().find(|(known, _)| **known == *name);
        let found = of_name.map(|(_, counters)| (*counters, false)).unwrap_or_else(|| {
            let mut list = labels.take();
            let label = format!("{}=.={};.;", by.tag(), by.admitted(by.label_of(name), &mut list, host));
            labels.set(list);
            let same =
                all.iter().find(|(_, counters)| matches!(&counters.of, Some((_, known)) if *known == label));
            let counters = same.map(|(_, counters)| *counters).unwrap_or_else(|| {
                let mut new = Self::new(self.listener.clone());
                new.of = Some((self, label));
                Box::leak(Box::new(new))
            });
            let is_new = same.is_none();
            if is_new || all.len() < MAX_KNOWN {
                all.push((name.into(), counters));
            }
            (counters, is_new)
        });
        known.set(all);
        found
    }

    #[cold]
    fn define(
        &self,
        kind: MetricType,
        stat: &dyn fmt::Display,
        known: &Cell<Option<NonZeroU32>>,
    ) -> Result<NonZeroU32, HostError> {
        let mut name = match &self.listener {
            Some(listener) => format!("listener=.={listener};.;"),
            None => String::new(),
        };
        if let Some((_, label)) = &self.of {
            name += label;
        }
        let name = name + &stat.to_string();
        let id = host::define_metric(kind, &name)?;
        known.set(Some(id));
        Ok(id)
    }
}
