//! What was read, from whichever source: counters, by whose they are.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexSet;
use serde::Serialize;
use tracewarden::metrics::Counter;

use super::names::{Labels, Names};

/// Whose requests no filter is to see: the admin endpoint's, those of the trace health page in envoy/envoy.yaml, and the probes
/// and scrapes of Envoy Gateway's proxies.
pub(crate) const WITHOUT_FILTER: [&str; 4] = ["admin", "eg-ready-http", "eg-stats-http", "trace_health"];
/// In Istio's proxies neither those of probes and of scrapes.
pub(crate) const WITHOUT_FILTER_IN_ISTIO: [&str; 4] = ["admin", "agent", "stats", "trace_health"];

/// All of these.
pub(crate) fn without_filter() -> impl Iterator<Item = &'static str> {
    WITHOUT_FILTER.into_iter().chain(WITHOUT_FILTER_IN_ISTIO)
}

/// The gauge that says whether a plugin works.
pub(crate) const ENABLED: &str = "tracewarden_enabled";

/// The gauge that says which version of the filter runs.
pub(crate) const BUILD_INFO: &str = "tracewarden_build_info";

/// The label that says which of several sources it is.
pub(crate) const SOURCE: &str = "source";

/// The longest value of a label that is shown.
const MAX_VALUE: usize = 120;

/// Whose counters they are: labels of the scrape, and the listener that the plugin is configured with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "Labels")]
pub(crate) struct Who {
    owner: Vec<(String, String)>,
    listener: Option<String>,
}

/// The version and the revision of a filter that runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Build {
    pub(crate) version: String,
    pub(crate) revision: String,
}

#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) who: &'a Who,
    pub(crate) counter: Counter,
    pub(crate) count: u64,
}

/// Everything that was read.
#[derive(Clone, Default)]
pub(crate) struct Reading {
    counts: BTreeMap<(Who, usize), (Counter, f64)>,
    /// The requests that Envoy itself counted.
    served: BTreeMap<Who, f64>,
    /// Whose Envoy has counters of Tracewarden.
    pub(crate) loaded: BTreeSet<Who>,
    /// Whose calls are held against what their pod received.
    pub(crate) correlated: BTreeSet<Who>,
    /// Whose plugins, or one of them, are switched off.
    pub(crate) switched_off: BTreeSet<Who>,
    pub(crate) builds: BTreeSet<Build>,
    /// Metrics that this version does not know.
    strange: BTreeSet<String>,
    /// What the reader should know.
    pub(crate) notes: IndexSet<String>,
    /// The time that the counts are of, where it is known.
    pub(crate) seconds: Option<u64>,
    /// Whether it is the reading of one Envoy, not of a Prometheus that scrapes many.
    pub(crate) is_of_one: bool,
}

impl Build {
    /// The version, and as much of the revision as git shows.
    pub(crate) fn name(&self) -> String {
        let Self { version, revision } = self;
        let (hash, dirty) =
            revision.split_once('-').map_or((revision.as_str(), ""), |(hash, _)| (hash, ", dirty"));
        format!("{version} ({}{dirty})", hash.get(..12).unwrap_or(hash))
    }
}

impl Who {
    /// Labels and values as they came; those that are missing are left out.
    pub(crate) fn new<'a>(
        owner: impl IntoIterator<Item = (&'a str, Option<&'a String>)>,
        listener: Option<&String>,
    ) -> Self {
        let owner = owner.into_iter().filter_map(|(label, value)| Some((label.to_owned(), clean(value?))));
        Self { owner: owner.collect(), listener: listener.map(|name| clean(name)) }
    }

    /// The same, whichever the listener.
    pub(crate) fn owner(&self) -> Self {
        Self { owner: self.owner.clone(), listener: None }
    }

    /// The same, of a source with that name.
    fn within(mut self, source: &str) -> Self {
        self.owner.insert(0, (SOURCE.to_owned(), clean(source)));
        self
    }

    /// The workload; of a single Envoy without a name it is the listener.
    pub(crate) fn row(&self) -> Self {
        if self.owner.is_empty() { self.clone() } else { self.owner() }
    }

    /// The most specific label of the scrape; of a single Envoy the listener, without its direction.
    pub(crate) fn workload(&self) -> Option<String> {
        let of_listener = |name: &String| {
            name.strip_suffix("_outbound")
                .or_else(|| name.strip_suffix("_inbound"))
                .unwrap_or(name)
                .to_owned()
        };
        let of_scrape = self.owner.last().map(|(_, value)| value.clone());
        of_scrape.or_else(|| self.listener.as_ref().map(of_listener))
    }

    pub(crate) fn name(&self) -> String {
        let values: Vec<&str> = self.owner.iter().map(|(_, value)| value.as_str()).collect();
        let parts = [values.join("/"), self.listener.clone().unwrap_or_default()];
        let name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        if name.is_empty() { "this Envoy".to_owned() } else { name }
    }
}

impl From<Who> for Labels {
    fn from(Who { owner, listener }: Who) -> Self {
        owner.into_iter().chain(listener.map(|name| ("listener".to_owned(), name))).collect()
    }
}

impl Reading {
    /// Takes a series of Tracewarden's.
    pub(crate) fn take(&mut self, names: &Names, who: Who, metric: &str, labels: &Labels, value: f64) {
        let text = |label: &str| labels.get(label).map(|value| clean(value)).unwrap_or_default();
        if metric == BUILD_INFO {
            self.builds.insert(Build { version: text("version"), revision: text("revision") });
        } else if metric == ENABLED {
            self.loaded.insert(who.owner());
            if value == 0.0 {
                self.switched_off.insert(who.owner());
            }
        } else if let Some(counter) = names.counter(metric, labels) {
            self.loaded.insert(who.owner());
            if matches!(counter, Counter::Evidence { .. }) {
                self.correlated.insert(who.owner());
            }
            self.counts.entry((who, counter.index())).or_insert((counter, 0.0)).1 += value;
        } else if metric.ends_with("_total") && value > 0.0 {
            self.strange.insert(clean(metric));
        }
    }

    /// Takes requests that Envoy itself counted.
    pub(crate) fn take_served(&mut self, who: Who, count: f64) {
        *self.served.entry(who).or_default() += count;
    }

    pub(crate) fn served(&self, who: &Who) -> u64 {
        self.served.get(who).map_or(0, |count| count.round() as u64)
    }

    /// Whose Envoys there are, with Tracewarden or without.
    pub(crate) fn owners(&self) -> BTreeSet<&Who> {
        self.loaded.iter().chain(self.served.keys()).collect()
    }

    /// Takes away what was there so many seconds before. What counts less than before has started anew.
    pub(crate) fn since(mut self, before: &Self, seconds: u64) -> Self {
        self.seconds = Some(seconds);
        let step = |now: f64, before: f64| if now < before { now } else { now - before };
        for (key, (_, count)) in &mut self.counts {
            *count = step(*count, before.counts.get(key).map_or(0.0, |(_, count)| *count));
        }
        for (who, count) in &mut self.served {
            *count = step(*count, before.served.get(who).copied().unwrap_or(0.0));
        }
        self
    }

    /// The same, of a source with that name.
    pub(crate) fn within(self, source: &str) -> Self {
        let all = |owners: BTreeSet<Who>| owners.into_iter().map(|who| who.within(source)).collect();
        let counts =
            self.counts.into_iter().map(|((who, index), count)| ((who.within(source), index), count));
        let served = self.served.into_iter().map(|(who, count)| (who.within(source), count));
        let notes = self.notes.into_iter().map(|note| format!("{}: {note}", clean(source)));
        Self {
            counts: counts.collect(),
            served: served.collect(),
            loaded: all(self.loaded),
            correlated: all(self.correlated),
            switched_off: all(self.switched_off),
            notes: notes.collect(),
            ..self
        }
    }

    /// Both together. The time is the longest.
    pub(crate) fn join(mut self, other: Self) -> Self {
        for (key, (counter, count)) in other.counts {
            self.counts.entry(key).or_insert((counter, 0.0)).1 += count;
        }
        for (who, count) in other.served {
            self.take_served(who, count);
        }
        self.loaded.extend(other.loaded);
        self.correlated.extend(other.correlated);
        self.switched_off.extend(other.switched_off);
        self.builds.extend(other.builds);
        self.strange.extend(other.strange);
        self.notes.extend(other.notes);
        self.seconds = self.seconds.max(other.seconds);
        self.is_of_one &= other.is_of_one;
        self
    }

    /// Every counter that is above zero; what was extrapolated is no whole number.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows_from(&Who::default())
    }

    /// Those of one listener, where they say so.
    pub(crate) fn rows_at<'a>(&'a self, who: &Who) -> impl Iterator<Item = Row<'a>> {
        self.rows_from(who).take_while(move |row| row.who == who)
    }

    /// Those of all listeners of one Envoy, or of one workload's.
    pub(crate) fn rows_of<'a>(&'a self, who: &Who) -> impl Iterator<Item = Row<'a>> {
        self.rows_from(&who.owner()).take_while(move |row| row.who.owner == who.owner)
    }

    fn rows_from<'a>(&'a self, who: &Who) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let rows = self.counts.range((who.clone(), 0)..);
        rows.map(|((who, _), &(counter, count))| Row { who, counter, count: count.round() as u64 })
            .filter(|row| row.count > 0)
    }

    /// The notes, and what was not understood.
    pub(crate) fn all_notes(&self) -> Vec<String> {
        let strange = (!self.strange.is_empty()).then(|| {
            let names: Vec<&str> = self.strange.iter().map(String::as_str).collect();
            format!("Not understood by this version of the command: {}.", names.join(", "))
        });
        self.notes.iter().cloned().chain(strange).collect()
    }
}

/// A text of others as it can go to a terminal: only what Rust's own tables of Unicode print as it is. No control or format
/// characters, no separators but the space, and no marks that change the character before them.
pub(crate) fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|&c| matches!(c, '\\' | '"' | '\'') || c.escape_debug().eq([c]))
}

/// The same, and not without end.
pub(crate) fn clean(text: &str) -> String {
    let end = printable(text).nth(MAX_VALUE).map(|_| '…');
    printable(text).take(MAX_VALUE).chain(end).collect()
}
