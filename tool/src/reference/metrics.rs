//! Every metric, made of the filter's own tables.

use std::fmt::Write;

use indexmap::{IndexMap, IndexSet};
use tracewarden::metrics::{Counter, Label, Measure, Metric, MetricKind, Scope};
use tracewarden::names::MAX_NAMES;
use tracewarden::words::CountBy;

use super::markdown::folded;

/// The values of a label, each with all that it means.
type Values = IndexMap<&'static str, IndexSet<String>>;

/// A metric with all of its series.
struct Section {
    metric: Metric,
    /// How many series it has at most, the labels `listener`, `upstream_cluster` and `virtual_host` left out.
    series: usize,
    labels: IndexMap<&'static str, Values>,
}

/// The module's own gauge, whose labels have no closed sets of values.
const BUILD_INFO: Metric = Metric {
    name: "tracewarden_build_info",
    kind: MetricKind::Gauge,
    unit: "",
    scope: Scope::Module,
    meaning: "1 for each build of the module that this Envoy has run, by its `version` and its git `revision`.",
};
const BUILD: [&str; 2] = ["version", "revision"];
/// The label that is no counter's, but the plugin's.
const LISTENER: &str = "listener";
/// What Envoy makes of a histogram: 20 buckets by default, a sum and a count.
const OF_HISTOGRAM: usize = 22;

/// The metrics in a table.
pub(super) fn overview() -> String {
    let mut table = "| metric | | of | labels | series at most |\n|---|---|---|---|---|\n".to_owned();
    for section in all() {
        let labels: Vec<String> = section.label_names().map(|name| format!("`{name}`")).collect();
        let Metric { name, kind, unit, .. } = section.metric;
        let _ = writeln!(
            table,
            "| [`{name}`](#{name}) | {} | {unit} | {} | {} |",
            kind.label(),
            labels.join(", "),
            section.series
        );
    }
    table
}

/// How many series one Envoy can have.
pub(super) fn cardinality() -> String {
    let all = all();
    let total: usize = all.iter().map(|section| section.series).sum();
    let of_listener = all.iter().filter(|section| section.is_of_listener());
    let of_passes: usize = of_listener.map(|section| section.series).sum();
    let of_destination = all.iter().filter(|section| section.is_of_destination());
    let of_name: usize = of_destination.map(|section| section.series).sum();
    let names = MAX_NAMES;
    format!(
        "An Envoy with one build of the module, whose plugins have no `metrics.listener`, has at most {total} series, and\n\
         {of_passes} more for each name there. With `metrics.by`, each listener has at most {of_name} for each name of a cluster or\n\
         of a virtual host, and for `none` and `other`. The first {names} names of an Envoy have series of their own. In practice\n\
         that is ten to fifteen for each name.\n"
    )
}

/// Envoy's tag extraction, an entry for each label.
pub(super) fn tags() -> String {
    let mut tags = "stats_config:\n  stats_tags:\n".to_owned();
    for name in labels() {
        let _ = writeln!(
            tags,
            r"    - {{ tag_name: {name}, regex: '^wasmcustom\.(?:.*;\.;)?({name}=\.=(.*?);\.;)' }}"
        );
    }
    tags
}

/// The same for Istio, which knows the form of the names.
pub(super) fn istio_tags() -> String {
    let names: String = labels().iter().map(|name| format!("      - {name}\n")).collect();
    format!("meshConfig:\n  defaultConfig:\n    extraStatTags:\n{names}")
}

/// Each metric in a section of its own.
pub(super) fn sections() -> String {
    let mut text = String::new();
    for Section { metric: Metric { name, meaning, .. }, labels, .. } in all() {
        let _ = write!(text, "\n### {name}\n\n{}", folded(meaning));
        let rules = rules(name);
        if !rules.is_empty() {
            let _ = write!(text, "\n{}", folded(&format!("Recorded as {}.", rules.join(", "))));
        }
        if labels.values().any(|values| !values.is_empty()) {
            text.push_str("\n| label | value | |\n|---|---|---|\n");
        }
        // Labels with the same values share their rows, at the place of the first of them.
        let mut columns: Vec<(String, &Values)> = Vec::new();
        for (label, values) in &labels {
            match columns.iter_mut().find(|(_, known)| *known == values) {
                Some((labels, _)) => *labels += &format!(", `{label}`"),
                None => columns.push((format!("`{label}`"), values)),
            }
        }
        for (labels, values) in columns {
            for (value, meanings) in values {
                let meanings: Vec<&str> = meanings.iter().map(String::as_str).collect();
                let _ = writeln!(text, "| {labels} | `{value}` | {} |", meanings.join("<br>"));
            }
        }
    }
    text
}

/// Every label, in the order in which the metrics first have it.
fn labels() -> IndexSet<&'static str> {
    all().iter().flat_map(Section::label_names).collect()
}

fn all() -> Vec<Section> {
    let mut all: IndexMap<&str, Section> = IndexMap::new();
    let counters = Counter::every().into_iter().map(|counter| (counter.metric(), counter.labels()));
    let measures = Measure::every().into_iter().map(|measure| (measure.metric(), measure.labels()));
    for (metric, labels) in counters.chain(measures) {
        let new = || Section { metric, series: 0, labels: IndexMap::new() };
        all.entry(metric.name).or_insert_with(new).add(labels);
    }
    let of_build = BUILD.into_iter().map(|name| (name, Values::new())).collect();
    all.into_values().chain([Section { metric: BUILD_INFO, series: 1, labels: of_build }]).collect()
}

impl Section {
    fn is_of_listener(&self) -> bool {
        self.metric.scope != Scope::Module
    }

    fn is_of_destination(&self) -> bool {
        self.metric.scope == Scope::Destination
    }

    fn label_names(&self) -> impl Iterator<Item = &'static str> {
        let listener = self.is_of_listener().then_some(LISTENER);
        let destination = self.is_of_destination().then_some(CountBy::ALL).into_iter().flatten();
        listener.into_iter().chain(destination.map(|by| by.tag())).chain(self.labels.keys().copied())
    }

    fn add(&mut self, labels: Vec<Label>) {
        self.series += if self.metric.kind == MetricKind::Histogram { OF_HISTOGRAM } else { 1 };
        for Label { name, value, meaning } in labels {
            self.labels.entry(name).or_default().entry(value).or_default().insert(meaning);
        }
    }
}

/// The recording rules that read a metric.
fn rules(metric: &str) -> Vec<String> {
    const RULES: &str = include_str!("../../../envoy/prometheus/tracewarden.rules.yaml");
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let reads = |rule: &str| {
        let mut words = rule.split(|letter| !is_of_name(letter));
        words.any(|word| word.strip_suffix("_bucket").unwrap_or(word) == metric)
    };
    let (recorded, _) = RULES.split_once("- alert:").unwrap_or((RULES, ""));
    let blocks = recorded.split("- record: ").skip(1).filter(|block| reads(block));
    blocks.filter_map(|block| Some(format!("`{}`", block.lines().next()?))).collect()
}
