//! Counters, gauges and histograms with Envoy's rules.

use std::collections::BTreeMap;

use crate::Status;

/// The lowest bits of an id tell the kind, as in Envoy.
const KIND_BITS: u32 = 2;

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The stats of the filter, by name.
///
/// Every definition gets an id of its own, also of a name defined before: the stat below it is the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    ids: BTreeMap<u32, String>,
    counters: BTreeMap<String, u64>,
    gauges: BTreeMap<String, u64>,
    histograms: BTreeMap<String, Vec<u64>>,
}

impl Metrics {
    /// The value of the counter, or else of the gauge, of that name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.counters.get(name).or_else(|| self.gauges.get(name)).copied()
    }

    /// The values recorded in the histogram of that name, in order.
    pub fn histogram(&self, name: &str) -> Option<&[u64]> {
        self.histograms.get(name).map(Vec::as_slice)
    }

    /// All counters, then all gauges, each sorted by name, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counters.iter().chain(&self.gauges).map(|(name, value)| (name.as_str(), *value))
    }

    /// How many definitions were made, repeated ones included.
    pub fn definitions(&self) -> usize {
        self.ids.len()
    }

    /// Adds to the counter of that name, which need not be defined.
    pub fn count(&mut self, name: &str, number: u64) {
        *self.counters.entry(name.to_owned()).or_default() += number;
    }

    /// Adds to the gauge of that name, which need not be defined.
    pub fn adjust(&mut self, name: &str, difference: i64) {
        let gauge = self.gauges.entry(name.to_owned()).or_default();
        *gauge = gauge.wrapping_add_signed(difference);
    }

    /// Records a value in the histogram of that name, which need not be defined.
    pub fn observe(&mut self, name: &str, value: u64) {
        self.histograms.entry(name.to_owned()).or_default().push(value);
    }

    pub(crate) fn define(&mut self, kind: u32, name: String) -> Result<u32, Status> {
        match kind_of(kind).ok_or(Status::BadArgument)? {
            Kind::Counter => {
                self.counters.entry(name.clone()).or_default();
            }
            Kind::Gauge => {
                self.gauges.entry(name.clone()).or_default();
            }
            Kind::Histogram => {
                self.histograms.entry(name.clone()).or_default();
            }
        }
        let serial = u32::try_from(self.ids.len() + 1).map_err(|_| Status::InternalFailure)?;
        let id = serial << KIND_BITS | kind;
        self.ids.insert(id, name);
        Ok(id)
    }

    pub(crate) fn increment(&mut self, id: u32, offset: i64) -> Result<(), Status> {
        match self.stat(id, Status::BadArgument)? {
            Stat::Counter(_) if offset <= 0 => return Err(Status::BadArgument),
            Stat::Counter(value) | Stat::Gauge(value) => *value = value.wrapping_add_signed(offset),
            Stat::Histogram(_) => return Err(Status::BadArgument),
        }
        Ok(())
    }

    pub(crate) fn record(&mut self, id: u32, value: u64) -> Result<(), Status> {
        match self.stat(id, Status::NotFound)? {
            Stat::Counter(count) => *count = count.wrapping_add(value),
            Stat::Gauge(gauge) => *gauge = value,
            Stat::Histogram(values) => values.push(value),
        }
        Ok(())
    }

    pub(crate) fn value(&mut self, id: u32) -> Result<u64, Status> {
        match self.stat(id, Status::BadArgument)? {
            Stat::Counter(value) | Stat::Gauge(value) => Ok(*value),
            Stat::Histogram(_) => Err(Status::BadArgument),
        }
    }

    /// The stat of an id; `NotFound` if it was never given out, `no_kind` if its bits tell no kind.
    fn stat(&mut self, id: u32, no_kind: Status) -> Result<Stat<'_>, Status> {
        let kind = kind_of(id & ((1 << KIND_BITS) - 1)).ok_or(no_kind)?;
        let name = self.ids.get(&id).ok_or(Status::NotFound)?;
        match kind {
            Kind::Counter => self.counters.get_mut(name).map(Stat::Counter),
            Kind::Gauge => self.gauges.get_mut(name).map(Stat::Gauge),
            Kind::Histogram => self.histograms.get_mut(name).map(Stat::Histogram),
        }
        .ok_or(Status::NotFound)
    }
}

enum Stat<'a> {
    Counter(&'a mut u64),
    Gauge(&'a mut u64),
    Histogram(&'a mut Vec<u64>),
}

fn kind_of(number: u32) -> Option<Kind> {
    match number {
        0 => Some(Kind::Counter),
        1 => Some(Kind::Gauge),
        2 => Some(Kind::Histogram),
        _ => None,
    }
}
