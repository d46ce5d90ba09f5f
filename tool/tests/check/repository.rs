//! What this repository ships is valid, and each doubt about it is known and has a reason.

use std::path::Path;

use serde_json::Value;

use crate::support::{judged, messages, repository, run};

/// Warnings and notes that are meant: how the file's path begins, the code, and why.
const MEANT: &[(&str, &str, &str)] = &[
    ("envoy/envoy.yaml", "TW0209", "the demo records each of the few requests that one sends"),
    (
        "envoy/envoy.yaml",
        "TW0211",
        "the listener of the health page reads the counters, so it must not count itself",
    ),
    (
        "envoy/restricted.yaml",
        "TW0208",
        "the example is about host calls; who records is the reader's choice",
    ),
    ("envoy/restricted.yaml", "TW0209", "the same"),
    ("envoy/edge/", "TW0208", "docs/envoy.md says so, and names both other choices"),
    ("envoy/gateway/edge/edge.yaml", "TW0208", "its comment says so, and names the other choice"),
    ("envoy/istio/ingress/ingress.yaml", "TW0208", "its comment says so; ingress-spans records them"),
    ("envoy/istio/chart/files/ingress", "TW0208", "the same"),
    ("envoy/istio/chart/files/trafficextension/ingress", "TW0208", "the same"),
    (
        "envoy/istio/waypoint/waypoint.yaml",
        "TW0204",
        "a waypoint has no outbound side that could give a context back",
    ),
    ("envoy/istio/chart/files/waypoint.yaml", "TW0204", "the same"),
    ("envoy/istio/chart/files/trafficextension/waypoint.yaml", "TW0204", "the same"),
    (
        "envoy/istio/chart/files/",
        "TW0205",
        "the chart's values set the image, and the chart refuses to render without",
    ),
    ("envoy/istio/pull/pull.yaml", "TW0301", "it only pulls"),
];

#[test]
fn every_manifest_is_valid_and_its_doubts_are_meant() {
    let directory = repository().join("envoy");
    let (status, said, _) = run(&["check", "--json", directory.to_str().expect("text")], "");
    let value: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (status, &value["errors"], &value["valid"]),
        (Some(0), &Value::from(Vec::<Value>::new()), &true.into())
    );
    let mut used = vec![false; MEANT.len()];
    for message in ["warnings", "notes"].iter().flat_map(|list| value[*list].as_array().expect("a list")) {
        let path = Path::new(message["file"].as_str().expect("text"))
            .strip_prefix(repository())
            .expect("a path of it");
        let path = path.to_str().expect("text");
        let is_meant =
            |(begin, code, _): &(&str, &str, &str)| path.starts_with(begin) && message["code"] == *code;
        let place = MEANT.iter().position(is_meant).unwrap_or_else(|| panic!("nobody means this: {message}"));
        used[place] = true;
    }
    let unused: Vec<_> = MEANT.iter().zip(&used).filter(|(_, used)| !**used).collect();
    assert!(unused.is_empty(), "none of this is said any more: {unused:?}");
}

#[test]
fn no_plugin_of_the_repository_is_overlooked() {
    let rows = [
        ("envoy/envoy.yaml", 7),
        ("envoy/restricted.yaml", 1),
        ("envoy/after-tracer.yaml", 1),
        ("envoy/edge", 5),
        ("envoy/istio/sidecar-enforce", 2),
        ("envoy/istio/envoyfilter", 2),
        ("envoy/istio/egress", 1),
        ("envoy/istio/chart/files/trafficextension/sidecar-spans.yaml", 2),
        ("envoy/gateway", 2),
    ];
    for (path, count) in rows {
        let (status, said, _) =
            run(&["check", "--json", repository().join(path).to_str().expect("text")], "");
        let value: Value = serde_json::from_str(&said).expect("JSON");
        let plugins = value["plugins"].as_array().expect("a list");
        assert_eq!((status, plugins.len()), (Some(0), count), "{path}: {said}");
        assert!(plugins.iter().all(|plugin| plugin["line"].as_u64() > Some(1)), "{path}: {said}");
    }
}

#[test]
fn the_examples_of_the_readme_are_valid_without_a_doubt() {
    let text = std::fs::read_to_string(repository().join("README.md")).expect("README.md");
    let mut tried = 0;
    for block in text.split("\n```").skip(1).step_by(2) {
        let (language, body) = block.split_once('\n').expect("a language");
        let input = match language {
            "yaml" => body.to_owned(),
            // The filter takes no comments.
            "jsonc" => body
                .lines()
                .map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n")
                .collect(),
            _ => continue,
        };
        let (status, value) = judged(&input);
        assert_eq!(
            (status, messages(&value), value["plugins"].as_array().map(Vec::len)),
            (Some(0), vec![], Some(1)),
            "{input}"
        );
        tried += 1;
    }
    assert_eq!(tried, 2, "an example of Envoy's configuration and one of ours");
}
