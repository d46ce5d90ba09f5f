//! The rules that `explain` names.

use tracewarden::metrics::Corruption;

#[path = "../../src/explain/rules.rs"]
mod named;

/// A file of the repository.
fn repository(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_rule_that_is_named_is_in_the_list() {
    let list = repository("docs/rules.md");
    let mut named = 0;
    for corruption in Corruption::every() {
        for rule in named::broken(corruption) {
            assert!(list.contains(&format!("\n| {rule} | ")), "{corruption}: {rule}");
            assert!(named::reason(corruption).contains(rule));
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}

/// The source says at each reason which rule it is of.
#[test]
fn the_rules_of_w3c_headers_are_those_of_the_source() {
    let source = repository("src/w3c/traceparent.rs") + &repository("src/w3c/tracestate.rs");
    let mut checked = 0;
    for corruption in Corruption::every() {
        let [header, reason] = named::labels(corruption);
        if !matches!(corruption, Corruption::TraceParent(_) | Corruption::TraceState(_)) {
            continue;
        }
        let of_header: &str = if header == "traceparent" { "TP-" } else { "TS-" };
        let lines = source.lines().filter(|line| line.contains(&format!("= \"{reason}\", // {of_header}")));
        let comments: Vec<&str> =
            lines.filter_map(|line| line.split_once("// ")).map(|(_, rules)| rules).collect();
        let [comment] = comments.as_slice() else { panic!("{header} {reason}: {comments:?}") };
        let rules = comment.split(':').next().expect("rules").split(", ").collect::<Vec<_>>();
        assert_eq!(named::broken(corruption), rules, "{header} {reason}");
        checked += 1;
    }
    assert_eq!(checked, 20);
}
