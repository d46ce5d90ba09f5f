//! What the documents name is there: alerts, recording rules, metrics and files.

use std::collections::BTreeSet;
use std::fs;

use crate::documents::{documents, files, read, root};

#[test]
fn every_alert_and_every_recording_rule_that_a_document_names_is_there() {
    let rules: String =
        files("envoy/prometheus", "yaml").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let stated = |key: &str| -> BTreeSet<String> {
        let lines = rules.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(key));
        lines.map(|name| name.trim().to_owned()).collect()
    };
    let (alerts, records) = (stated("alert:"), stated("record:"));
    let mut named = 0;
    for (path, text) in documents() {
        for word in words(&text, |byte| byte == b':') {
            let is_alert =
                word.strip_prefix("Tracewarden").is_some_and(|rest| rest.starts_with(char::is_uppercase));
            let is_record = word.starts_with("tracewarden:") && word.matches(':').count() == 2;
            if is_alert || is_record {
                named += 1;
                let is_there = alerts.contains(word.trim_end_matches(':')) || records.contains(word);
                assert!(is_there, "{}: there is no {word}", path.display());
            }
        }
    }
    assert!(named > 80, "{named} are named");
}

#[test]
fn every_metric_that_a_document_names_is_there() {
    let reference = read("docs/metrics.md");
    let metrics: BTreeSet<&str> = reference.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut named = 0;
    for (path, text) in documents() {
        for word in words(&text, |_| false).filter(|word| word.starts_with("tracewarden_")) {
            // How all of them begin.
            if word == "tracewarden_" {
                continue;
            }
            named += 1;
            let series = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
            let is_there = metrics.contains(word) || series.is_some_and(|name| metrics.contains(name));
            assert!(is_there, "{}: there is no {word}", path.display());
        }
    }
    assert!(named > 100, "{named} are named");
}

#[test]
fn every_file_of_the_repository_that_a_document_names_is_there() {
    const FOLDERS: &[&str] =
        &["benches", "docs", "edges", "envoy", "fuzz", "make", "src", "tests", "tool", "xtask"];
    let mut named = 0;
    for (path, text) in documents() {
        for word in text.split('`').filter(|word| !word.contains(char::is_whitespace)) {
            if word.split_once('/').is_some_and(|(folder, _)| FOLDERS.contains(&folder)) {
                named += 1;
                let file = word.split('#').next().unwrap_or(word);
                assert!(root().join(file).exists(), "{}: there is no {word}", path.display());
            }
        }
    }
    assert!(named > 60, "{named} are named");
}

#[test]
fn the_document_on_spans_names_every_attribute() {
    let text = read("docs/spans.md");
    let mut attributes = 0;
    for path in files("src/span", "rs") {
        let source = fs::read_to_string(path).unwrap();
        for word in source.split('"').filter(|word| is_attribute(word)) {
            attributes += 1;
            assert!(text.contains(&format!("`{word}`")), "docs/spans.md: {word}");
        }
    }
    assert!(attributes > 20, "{attributes} attributes");
}

/// Whether a text of the source is the name of an attribute, by its namespace.
fn is_attribute(text: &str) -> bool {
    const NAMESPACES: &[&str] =
        &["client", "error", "http", "network", "rpc", "server", "tracewarden", "url", "user_agent"];
    let is_name = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
    text.split_once('.').is_some_and(|(namespace, _)| NAMESPACES.contains(&namespace))
        && text.bytes().all(is_name)
}

/// The words of letters, digits, `_` and what else belongs to them.
fn words(text: &str, also: impl Fn(u8) -> bool) -> impl Iterator<Item = &str> {
    let is_apart = move |sign: char| {
        !(sign.is_ascii_alphanumeric() || sign == '_' || u8::try_from(sign).is_ok_and(&also))
    };
    text.split(is_apart)
}
