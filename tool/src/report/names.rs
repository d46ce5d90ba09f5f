//! Counters by their names, read back as the filter writes them.

use std::collections::{BTreeMap, HashMap};

use tracewarden::metrics::Counter;

pub(crate) type Labels = BTreeMap<String, String>;

/// Every counter that the filter has.
pub(crate) struct Names {
    counters: HashMap<(String, Labels), Counter>,
    metrics: BTreeMap<String, Vec<String>>,
}

impl Names {
    pub(crate) fn new() -> Self {
        let all = Counter::every().into_iter().map(|counter| (split(&counter.to_string()), counter));
        let counters: HashMap<_, _> = all.collect();
        let metrics =
            counters.keys().map(|(metric, labels)| (metric.clone(), labels.keys().cloned().collect()));
        Self { metrics: metrics.collect(), counters }
    }

    /// The counter of that name, whatever labels it has besides.
    pub(crate) fn counter(&self, metric: &str, labels: &Labels) -> Option<Counter> {
        let wanted = self.metrics.get(metric)?.iter();
        let labels = wanted.map(|label| labels.get_key_value(label).map(|(k, v)| (k.clone(), v.clone())));
        self.counters.get(&(metric.to_owned(), labels.collect::<Option<_>>()?)).copied()
    }

    /// Each metric, and its labels.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.metrics.iter().map(|(metric, labels)| (metric.as_str(), labels.as_slice()))
    }
}

/// The metric and the labels in the name of a stat.
pub(crate) fn split(stat: &str) -> (String, Labels) {
    let mut parts: Vec<&str> = stat.split(";.;").collect();
    let metric = parts.pop().unwrap_or_default();
    let labels = parts.into_iter().filter_map(|label| label.split_once("=.="));
    (metric.to_owned(), labels.map(|(label, value)| (label.to_owned(), value.to_owned())).collect())
}

pub(crate) fn labels_of(counter: Counter) -> Labels {
    split(&counter.to_string()).1
}
