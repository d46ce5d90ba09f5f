//! The metrics of the reference are the filter's, and what cuts the labels out of their names knows each label.

use std::collections::{BTreeMap, BTreeSet};
use tracewarden::words::{
    BatchResult, CorrelationResult, CountBy, DecidedBy, Direction, DropCause, Evidence, Format, HostCall,
    Labelled, Repair, ResponseContext, SamplingDecision, Verdict,
};

use regex_lite::Regex;
use serde_json::{Value, json};
use tracewarden::formats::FormatError;
use tracewarden::hop::HopChange;
use tracewarden::metrics::{Counter, Measure, TIMED_PASSES};
use tracewarden::w3c::{TraceParentError, TraceStateError};

use crate::repository::{files_in, manifests, values_of};
use crate::{file, printed};

/// A metric's labels, and the values of each.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// The names of the stats, but for the module's own gauge.
fn stats() -> Vec<String> {
    let counters = Counter::every().into_iter().map(|counter| counter.to_string());
    counters.chain(Measure::every().into_iter().map(|measure| measure.to_string())).collect()
}

/// A stat's metric and labels, by its name.
fn parts(stat: &str) -> (String, Vec<(String, String)>) {
    let mut pieces: Vec<&str> = stat.split(";.;").collect();
    let metric = pieces.pop().unwrap_or_default().to_owned();
    let label =
        |piece: &&str| piece.split_once("=.=").map(|(name, value)| (name.to_owned(), value.to_owned()));
    (metric, pieces.iter().map(|piece| label(piece).expect("a label")).collect())
}

/// The tables of the reference, metric by metric.
fn described() -> BTreeMap<String, Labels> {
    let text = printed(&["reference", "metrics"]);
    let sections = text.split("\n### ").skip(1);
    sections
        .map(|section| {
            let mut labels = Labels::new();
            for row in section.lines().filter_map(|line| line.strip_prefix("| `")) {
                let mut cells = row.split(" | ");
                let names = cells.next().unwrap_or_default().trim_end_matches('`').to_owned();
                let value = cells.next().unwrap_or_default().trim_matches('`').to_owned();
                for name in names.split("`, `") {
                    labels.entry(name.to_owned()).or_default().insert(value.clone());
                }
                assert!(
                    cells.next().is_some_and(|meaning| meaning.trim_end_matches(" |").len() > 3),
                    "{row}"
                );
            }
            (section.lines().next().unwrap_or_default().to_owned(), labels)
        })
        .collect()
}

#[test]
fn the_reference_has_every_metric_label_and_value_and_nothing_else() {
    let mut due: BTreeMap<String, Labels> = BTreeMap::new();
    for stat in stats() {
        let (metric, labels) = parts(&stat);
        let known = due.entry(metric).or_default();
        for (name, value) in labels {
            known.entry(name).or_default().insert(value);
        }
    }
    due.insert("tracewarden_build_info".to_owned(), Labels::new());
    assert_eq!(described(), due);
    let text = printed(&["reference", "metrics"]);
    assert!(text.contains(&format!("one in {TIMED_PASSES}")));
}

#[test]
fn the_reference_says_how_many_series_there_can_be() {
    fn number<T: Labelled>() -> usize {
        T::ALL.len()
    }
    let directions = number::<Direction>();
    // A role and a mode have two words each, W3C's own format no reasons of another's, and x-request-id one.
    let reasons = number::<TraceParentError>() + number::<TraceStateError>() + 1;
    let corruptions = reasons + (number::<Format>() - 1) * number::<FormatError>();
    let of_passes = directions * (2 * 2 * number::<Verdict>() + corruptions + number::<Repair>())
        // The secret and the error only record, the rate only drops.
        + number::<SamplingDecision>() * number::<DecidedBy>()
        - 3
        + number::<ResponseContext>()
        + number::<Format>() * number::<Format>()
        // Unread ones, and second traces.
        + 2 * number::<Format>()
        + number::<CorrelationResult>()
        // Calls that are lost or unlinked, in two modes.
        + 2 * 2 * number::<Evidence>()
        + number::<HopChange>()
        + 1;
    let of_spans = 2 + number::<DropCause>() + number::<BatchResult>();
    let counters = of_passes + of_spans + 1 + number::<HostCall>();
    assert_eq!(counters, Counter::every().len(), "this sum has a mistake");
    // A plugin works or not, in each direction that can be stated.
    let of_listener = of_passes + 3;
    // Three gauges more, and three histograms, each of which Envoy tells in 20 buckets, a sum and a count.
    let total = counters + 3 + 3 + 3 * 22;
    let text = printed(&["reference", "metrics"]).replace('\n', " ");
    assert!(
        text.contains(&format!("has at most {total} series, and {of_listener} more for each name")),
        "{total} {of_listener}"
    );
}

#[test]
fn tag_extraction_makes_the_labels_of_the_reference_out_of_every_name() {
    let manifests = manifests();
    let of = |path: &str, name: &str| {
        let found = values_of(name, &manifests).into_iter().find(|(other, _)| other == path);
        found.unwrap_or_else(|| panic!("{path} has no {name}")).1
    };
    let shipped = of("envoy/envoy.yaml", "stats_tags");
    let tags: Vec<(String, Regex)> = shipped
        .as_array()
        .expect("a list")
        .iter()
        .map(|tag| (text(&tag["tag_name"]), Regex::new(&text(&tag["regex"])).expect("a regular expression")))
        .collect();
    let gauge = "version=.=0.1.0;.;revision=.=0123abcd-dirty;.;tracewarden_build_info".to_owned();
    let by_listener = stats().into_iter().map(|stat| format!("listener=.=a-B_3.;.;{stat}"));
    let of_name = |by: &CountBy| {
        let label = format!("listener=.=a;.;{}=.=outbound_80_cart.shop.svc;.;", by.tag());
        stats().into_iter().map(move |stat| format!("{label}{stat}"))
    };
    let by_name = CountBy::ALL.iter().flat_map(of_name);
    for stat in stats().into_iter().chain(by_listener).chain(by_name).chain([gauge]) {
        assert_eq!(extracted(&stat, &tags), parts(&stat));
    }
    let names: BTreeSet<&str> = tags.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, labels_in_the_source().iter().map(String::as_str).collect(), "envoy/envoy.yaml");

    let sorted = |value: Value| {
        let mut items: Vec<String> = value.as_array().expect("a list").iter().map(Value::to_string).collect();
        items.sort();
        items
    };
    assert_eq!(sorted(of("docs/metrics.md", "stats_tags")), sorted(shipped), "docs/metrics.md");
    // Istio has a rule for each name of its own making.
    for (path, listed) in values_of("extraStatTags", &manifests) {
        assert_eq!(sorted(listed), sorted(json!(names)), "{path}: extraStatTags");
    }
}

/// A metric and its labels, as Envoy finds them: each tag's first group is cut out of the name, its second is the value.
fn extracted(stat: &str, tags: &[(String, Regex)]) -> (String, Vec<(String, String)>) {
    let whole = format!("wasmcustom.{stat}");
    let mut found = Vec::new();
    for (name, regex) in tags {
        if let Some(captures) = regex.captures(&whole) {
            let (cut, value) = (captures.get(1).expect("a group"), captures.get(2).expect("a group"));
            found.push((cut.range(), name.clone(), value.as_str().to_owned()));
        }
    }
    found.sort_by_key(|(range, ..)| range.start);
    let mut metric = whole.clone();
    found.iter().rev().for_each(|(range, ..)| metric.replace_range(range.clone(), ""));
    let metric = metric.strip_prefix("wasmcustom.").unwrap_or_default().to_owned();
    (metric, found.into_iter().map(|(_, name, value)| (name, value)).collect())
}

/// The labels that the source gives to anything: those of counters, and those that stand in a name as it is.
fn labels_in_the_source() -> BTreeSet<String> {
    let verbatim = Regex::new(r"(\w+)=\.=").expect("a regular expression");
    let files = [files_in("src", "rs"), files_in("edges", "rs")].concat();
    let source: String = files.iter().map(|path| file(path)).collect();
    let verbatim = verbatim.captures_iter(&source).map(|found| found[1].to_owned());
    let of_stats = stats().into_iter().flat_map(|stat| parts(&stat).1).map(|(name, _)| name);
    // `key=.=value` is how a comment explains the form.
    let of_names = CountBy::ALL.iter().map(|by| by.tag().to_owned());
    verbatim.chain(of_stats).chain(of_names).filter(|name| name != "key").collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
