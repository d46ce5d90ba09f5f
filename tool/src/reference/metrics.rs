//! Every metric, made of the filter's own tables.

use std::fmt::Write;

use tracewarden::metrics::{Counter, Label, Measure, Metric, MetricKind, Scope};

/// A metric with all of its series.
struct Section {
    metric: Metric,
    /// How many series it has at most, the label `listener` left out.
    series: usize,
    labels: Vec<Column>,
}

/// The values of a label, each with all that it means.
struct Column {
    name: &'static str,
    values: Vec<(&'static str, Vec<String>)>,
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
    let sum = |of: &dyn Fn(&Section) -> bool| -> usize {
        all.iter().filter(|section| of(section)).map(|section| section.series).sum()
    };
    let (total, of_passes) = (sum(&|_| true), sum(&Section::is_of_listener));
    format!(
        "An Envoy with one build of the module, whose plugins have no `metrics.listener`, has at most {total} series, and\n\
         {of_passes} more for each name there.\n"
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
        let _ = write!(text, "\n### {name}\n\n{}", super::markdown::folded(meaning));
        let rules = rules(name);
        if !rules.is_empty() {
            let _ =
                write!(text, "\n{}", super::markdown::folded(&format!("Recorded as {}.", rules.join(", "))));
        }
        if labels.iter().any(|label| !label.values.is_empty()) {
            text.push_str("\n| label | value | |\n|---|---|---|\n");
        }
        for (place, label) in labels.iter().enumerate() {
            // Labels with the same values stand together, where the first of them does.
            let alike: Vec<&Column> = labels.iter().filter(|other| label.has_the_values_of(other)).collect();
            if labels.iter().position(|other| label.has_the_values_of(other)) != Some(place) {
                continue;
            }
            let names: Vec<String> = alike.iter().map(|label| format!("`{}`", label.name)).collect();
            for (value, meanings) in &label.values {
                let _ = writeln!(text, "| {} | `{value}` | {} |", names.join(", "), meanings.join("<br>"));
            }
        }
    }
    text
}

/// Every label, in the order in which the metrics first have it.
fn labels() -> Vec<&'static str> {
    let mut labels = Vec::new();
    for name in all().iter().flat_map(Section::label_names) {
        if !labels.contains(&name) {
            labels.push(name);
        }
    }
    labels
}

fn all() -> Vec<Section> {
    let mut all: Vec<Section> = Vec::new();
    let counters = Counter::every().into_iter().map(|counter| (counter.metric(), counter.labels()));
    let measures = Measure::every().into_iter().map(|measure| (measure.metric(), measure.labels()));
    for (metric, labels) in counters.chain(measures) {
        // The series of a metric come one after another.
        match all.last_mut() {
            Some(last) if last.metric == metric => last.add(labels),
            _ => {
                let mut section = Section { metric, series: 0, labels: Vec::new() };
                section.add(labels);
                all.push(section);
            }
        }
    }
    let of_build = BUILD.map(|name| Column { name, values: Vec::new() });
    all.push(Section { metric: BUILD_INFO, series: 1, labels: of_build.into() });
    all
}

impl Section {
    fn is_of_listener(&self) -> bool {
        self.metric.scope == Scope::Listener
    }

    fn label_names(&self) -> impl Iterator<Item = &'static str> {
        let listener = self.is_of_listener().then_some(LISTENER);
        listener.into_iter().chain(self.labels.iter().map(|label| label.name))
    }

    /// Adds a series.
    fn add(&mut self, labels: Vec<Label>) {
        self.series += if self.metric.kind == MetricKind::Histogram { OF_HISTOGRAM } else { 1 };
        for Label { name, value, meaning } in labels {
            match self.labels.iter_mut().find(|column| column.name == name) {
                Some(column) => column.add(value, meaning),
                None => self.labels.push(Column { name, values: vec![(value, vec![meaning])] }),
            }
        }
    }
}

impl Column {
    fn has_the_values_of(&self, other: &Self) -> bool {
        self.values.len() == other.values.len()
            && self.values.iter().all(|(value, _)| other.values.iter().any(|(known, _)| known == value))
    }

    fn add(&mut self, value: &'static str, meaning: String) {
        match self.values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, meanings)) if meanings.contains(&meaning) => {}
            Some((_, meanings)) => meanings.push(meaning),
            None => self.values.push((value, vec![meaning])),
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
