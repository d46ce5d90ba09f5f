//! Every metric, made of the filter's own list of counters.

mod about;

use std::fmt::Write;

use tracewarden::metrics::{Counter, Measure};

use self::about::{About, Meaning};

/// A metric with all of its series.
struct Metric {
    name: String,
    about: About,
    /// How many series it has at most, the label `listener` left out.
    series: usize,
    labels: Vec<Label>,
}

/// A label, and what each of its values means.
struct Label {
    name: String,
    values: Vec<(String, Vec<String>)>,
}

/// What stands in front of a label's value in the name of a stat, and what behind it.
const EQUALS: &str = "=.=";
const END: &str = ";.;";
/// The labels that are no counter's: of the plugin, and of the module.
const LISTENER: &str = "listener";
const BUILD: [&str; 2] = ["version", "revision"];
/// What Envoy makes of a histogram: 20 buckets by default, a sum and a count.
const OF_HISTOGRAM: usize = 22;

/// The metrics in a table.
pub(super) fn overview() -> String {
    let mut table = "| metric | | of | labels | series at most |\n|---|---|---|---|---|\n".to_owned();
    for metric in all() {
        let labels: Vec<String> = metric.label_names().map(|name| format!("`{name}`")).collect();
        let About { kind, unit, .. } = metric.about;
        let anchor = &metric.name;
        let _ = writeln!(
            table,
            "| [`{anchor}`](#{anchor}) | {kind} | {unit} | {} | {} |",
            labels.join(", "),
            metric.series
        );
    }
    table
}

/// How many series one Envoy can have.
pub(super) fn cardinality() -> String {
    let all = all();
    let sum = |of: &dyn Fn(&Metric) -> bool| -> usize {
        all.iter().filter(|metric| of(metric)).map(|metric| metric.series).sum()
    };
    let (total, of_passes) = (sum(&|_| true), sum(&|metric| metric.about.by_listener));
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
    for metric in all() {
        let Metric { name, about, .. } = &metric;
        let _ = write!(text, "\n### {name}\n\n{}", super::markdown::folded(about.text));
        let rules = rules(name);
        if !rules.is_empty() {
            let _ =
                write!(text, "\n{}", super::markdown::folded(&format!("Recorded as {}.", rules.join(", "))));
        }
        if metric.labels.iter().any(|label| !label.values.is_empty()) {
            text.push_str("\n| label | value | |\n|---|---|---|\n");
        }
        for (place, label) in metric.labels.iter().enumerate() {
            // Labels with the same values stand together, where the first of them does.
            let alike: Vec<&Label> =
                metric.labels.iter().filter(|other| label.has_the_values_of(other)).collect();
            if metric.labels.iter().position(|other| label.has_the_values_of(other)) != Some(place) {
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
fn labels() -> Vec<String> {
    let mut labels = Vec::new();
    for name in all().iter().flat_map(Metric::label_names) {
        if !labels.iter().any(|known| known == name) {
            labels.push(name.to_owned());
        }
    }
    labels
}

fn all() -> Vec<Metric> {
    let mut all: Vec<Metric> = Vec::new();
    for counter in Counter::every() {
        add(&mut all, &counter.to_string(), about::counter(counter), about::meanings(counter));
    }
    for &measure in Measure::ALL {
        add(&mut all, measure.label(), about::measure(measure), about::meanings_of_measure(measure));
    }
    let build = BUILD.map(|name| format!("{name}{EQUALS}{END}")).concat() + "tracewarden_build_info";
    add(&mut all, &build, about::BUILD_INFO, Vec::new());
    all
}

/// Adds a series by the name of its stat.
fn add(all: &mut Vec<Metric>, stat: &str, about: About, meanings: Vec<Meaning>) {
    let mut pieces: Vec<&str> = stat.split(END).collect();
    let name = pieces.pop().unwrap_or_default();
    let series = if about.kind == "histogram" { OF_HISTOGRAM } else { 1 };
    let known = all.iter().position(|metric| metric.name == name).unwrap_or_else(|| {
        all.push(Metric { name: name.to_owned(), about, series: 0, labels: Vec::new() });
        all.len() - 1
    });
    let Some(metric) = all.get_mut(known) else { return };
    metric.series += series;
    let mut meanings = meanings.into_iter();
    for (label, value) in pieces.iter().filter_map(|piece| piece.split_once(EQUALS)) {
        metric.label(label).tell(value, meanings.next());
    }
}

impl Metric {
    fn label_names(&self) -> impl Iterator<Item = &str> {
        let listener = self.about.by_listener.then_some(LISTENER);
        listener.into_iter().chain(self.labels.iter().map(|label| label.name.as_str()))
    }

    fn label(&mut self, name: &str) -> &mut Label {
        let known = self.labels.iter().position(|label| label.name == name).unwrap_or_else(|| {
            self.labels.push(Label { name: name.to_owned(), values: Vec::new() });
            self.labels.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "it was found there, or has just been put there")]
        &mut self.labels[known]
    }
}

impl Label {
    fn has_the_values_of(&self, other: &Self) -> bool {
        self.values.len() == other.values.len()
            && self.values.iter().all(|(value, _)| other.values.iter().any(|(known, _)| known == value))
    }

    fn tell(&mut self, value: &str, meaning: Option<Meaning>) {
        let Some(meaning) = meaning else { return };
        match self.values.iter_mut().find(|(known, _)| known == value) {
            Some((_, meanings)) if meanings.contains(&meaning) => {}
            Some((_, meanings)) => meanings.push(meaning),
            None => self.values.push((value.to_owned(), vec![meaning])),
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
