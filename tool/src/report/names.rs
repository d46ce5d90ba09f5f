//! Counters by their names, read back as the filter writes them.

use std::collections::{BTreeMap, HashMap};

use tracewarden::metrics::Counter;
use tracewarden::words::CountBy;

use super::reading::{BUILD_INFO, ENABLED};

pub(crate) type Labels = BTreeMap<String, String>;

/// What is between the parts of a stat's name where Envoy writes it as the name of a metric: `=.=` and `;.;` become this.
const FOLDED: &str = "___";

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

    /// The metric and all labels of a series, where Envoy may have left labels in its name because it has no `stats_tags`
    /// for them. Only a listener's name may be anything, and it comes first.
    pub(crate) fn unfold(&self, name: &str, mut labels: Labels) -> (String, Labels) {
        let Some((mut rest, metric)) = name.rsplit_once(FOLDED) else { return (name.to_owned(), labels) };
        let known: Vec<&str> = match metric {
            ENABLED => vec!["direction"],
            BUILD_INFO => vec!["version", "revision"],
            _ => {
                let own = self.metrics.get(metric).into_iter().flatten().map(String::as_str);
                own.chain(CountBy::ALL.iter().map(|by| by.tag())).collect()
            }
        };
        while let Some((before, value)) = rest.rsplit_once(FOLDED) {
            let (before, label) = before.rsplit_once(FOLDED).unwrap_or(("", before));
            if !known.contains(&label) {
                break;
            }
            // Envoy writes these characters as underscores, too.
            let value = match label {
                "version" => value.replace('_', "."),
                "revision" => value.replace('_', "-"),
                _ => value.to_owned(),
            };
            labels.insert(label.to_owned(), value);
            rest = before;
        }
        if let Some(listener) = rest.strip_prefix("listener").and_then(|rest| rest.strip_prefix(FOLDED)) {
            labels.insert("listener".to_owned(), listener.to_owned());
        }
        (metric.to_owned(), labels)
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
