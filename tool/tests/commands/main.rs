//! The commands of the documents do what the documents show: each block of commands is run as it is written, in the demo mesh,
//! or is in a list that says what else tries it.
#![expect(clippy::expect_used, reason = "a test may fail")]

mod blocks;
#[path = "../demo/mod.rs"]
mod demo;
mod desk;
#[path = "../fences/mod.rs"]
mod fences;

use std::collections::BTreeSet;

use self::blocks::{Block, blocks};
use self::desk::Desk;

/// Blocks that are run in the demo mesh: the document, and how the block begins. Each document has a mesh that was just started
/// by the README's first block.
const RUN: &[(&str, &[&str])] = &[
    ("README.md", &["make envoy-up", "make envoy-traces", "curl -i http://127.0.0.1:10000/checkout -H"]),
    ("docs/logs.md", &["id=$(", "target/release/tracewarden report --log"]),
    ("docs/health-page.md", &["curl -s -o /dev/null -w"]),
    (
        "docs/report.md",
        &[
            "target/release/tracewarden report http://127.0.0.1:9901",
            "curl -s 'http",
            "target/release/tracewarden report cart=",
            "target/release/tracewarden report --json 127",
            "target/release/tracewarden report --json http",
        ],
    ),
    (
        "docs/check.md",
        &[
            "target/release/tracewarden check - <<",
            "curl -s http://127.0.0.1:9901/config_dump",
            "target/release/tracewarden check envoy/envoy.yaml",
        ],
    ),
    ("docs/mesh-cost.md", &["target/release/tracewarden report --json"]),
    ("docs/explain.md", &["curl -sv"]),
];

/// Blocks that are run elsewhere: the document, how the block begins, and what runs it.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("README.md", "kubectl apply", "tests/istio, the overlays"),
    ("README.md", "target/release/tracewarden report", "tool/tests; there is no Jaeger here"),
    ("CONTRIBUTING.md", "make", "by hand, before a release; .ci/run has two of them"),
    ("docs/audit.md", "target/release/tracewarden audit", "tool/tests/audit"),
    (
        "docs/check.md",
        "kubectl kustomize",
        "by hand; tool/tests/check reads the same plugins from the chart's files",
    ),
    ("docs/envoy-gateway.md", "kubectl", "tests/gateway"),
    (
        "docs/envoy.md",
        "",
        "tests/envoy/edge.rs loads the same files and sends such requests; the commands by hand",
    ),
    ("docs/explain.md", "target/release/tracewarden explain", "tool/tests/explain"),
    ("docs/explain.md", "cat > edge.yaml", "tool/tests/explain"),
    ("docs/istio.md", "", "tests/istio/test_document.py, and docs/istio.md says what was not run"),
    ("docs/local-istio.md", "", "tests/istio starts the same mesh"),
    ("docs/monitoring.md", "", "tests/manifests renders and validates; the document says what was not run"),
    ("docs/release.md", "", "xtask/tests/packages"),
    ("docs/report.md", "curl -sG", "tool/tests/report/real.rs has a Prometheus"),
    (
        "docs/report.md",
        "kubectl exec",
        "tool/tests/report/sources.rs has such answers; there is no cluster here",
    ),
    (
        "docs/report.md",
        "target/release/tracewarden report 127.0.0.1:9901 --watch",
        "tool/tests/report/watch.rs",
    ),
    ("docs/tool.md", "  tar -xzf", "xtask/tests/packages unpacks it; the command by hand"),
    ("docs/runbook.md", "", "tests/envoy/alerts.rs and tool/tests/report/real.rs have a Prometheus"),
];

#[test]
fn every_block_of_commands_is_run_or_says_who_runs_it() {
    let mut listed: BTreeSet<(&str, &str)> =
        ELSEWHERE.iter().map(|(document, begin, _)| (*document, *begin)).collect();
    listed.extend(RUN.iter().flat_map(|(document, begins)| begins.iter().map(|begin| (*document, *begin))));
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for Block { document, commands, .. } in blocks() {
        let is_its = |(of, begin): &&(&str, &str)| *of == document && commands.starts_with(begin);
        let places: Vec<&(&str, &str)> = listed.iter().filter(is_its).collect();
        assert!(!places.is_empty(), "{document}: nothing runs the block\n{commands}");
        used.extend(places.into_iter().copied());
    }
    let unused: Vec<_> = listed.iter().filter(|place| !used.contains(*place)).collect();
    assert!(unused.is_empty(), "no block begins like this: {unused:?}");
}

#[test]
fn the_commands_print_what_the_documents_show() {
    let all = blocks();
    let find = |document: &str, begin: &str| {
        let block = all.iter().find(|block| block.document == document && block.commands.starts_with(begin));
        block.unwrap_or_else(|| panic!("{document}: {begin}"))
    };
    let desk = Desk::new();
    for (document, begins) in RUN {
        if *document != "README.md" {
            desk.run(&find("README.md", "make envoy-up").commands);
        }
        begins.iter().for_each(|begin| compare(find(document, begin), &desk));
    }
}

/// Runs the commands. What the document shows are lines of what they print, in this order.
fn compare(Block { document, commands, shown }: &Block, desk: &Desk) {
    let printed = desk.run(commands);
    let mut lines = printed.lines();
    for line in shown.lines().filter(|line| *line != "…") {
        let expected = masked(line);
        let found = lines.any(|line| masked(line).starts_with(&expected));
        assert!(found, "{document}: the commands did not print {line:?}\n{commands}\n{printed}");
    }
}

/// A line without what differs from run to run: ids, times, and revisions, whether they were changed or not.
fn masked(line: &str) -> String {
    let line = &line.replace(", dirty)", ")");
    let (line, cut) = line.split_once('…').unwrap_or((line, ""));
    assert!(cut.is_empty(), "an ellipsis is the end of a line: {line}{cut}");
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let is_id = |part: &str| part.len() >= 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parts = word.split_inclusive(|byte: char| !byte.is_ascii_alphanumeric());
        let masked = parts.map(|part| {
            let text = part.trim_end_matches(|byte: char| !byte.is_ascii_alphanumeric());
            if is_id(text) { part.replace(text, "ID") } else { part.to_owned() }
        });
        let word: String = masked.collect();
        let is_number = |word: &str| word.starts_with(|byte: char| byte.is_ascii_digit());
        if word == "ms" && words.last().is_some_and(|number: &String| is_number(number)) {
            words.pop();
        }
        let is_time = word == "ms" || is_number(&word) && word.ends_with('s');
        words.push(if is_time { "TIME".to_owned() } else { word });
    }
    words.join(" ")
}
