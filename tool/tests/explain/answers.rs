//! The form of the answer: what the document shows and lists.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::command::{File, ask};

fn document() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/explain.md")).expect("docs/explain.md")
}

/// Blocks that need a mesh; `tool/tests/commands` runs them.
const IN_A_MESH: &str = "curl ";

#[test]
fn the_commands_of_the_document_print_what_it_shows() {
    let text = document();
    let parts: Vec<(&str, &str)> =
        text.split("\n```").skip(1).step_by(2).filter_map(|part| part.split_once('\n')).collect();
    let directory =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("explain-{}", std::process::id()));
    fs::create_dir_all(directory.join("target/release")).expect("a directory");
    symlink(env!("CARGO_BIN_EXE_tracewarden"), directory.join("target/release/tracewarden")).expect("a link");
    let mut run = 0;
    for pair in parts.windows(2) {
        let [("sh", commands), ("", shown)] = pair else { continue };
        if commands.starts_with(IN_A_MESH) {
            continue;
        }
        let output = Command::new("bash").args(["-c", commands]).current_dir(&directory).output();
        let printed = String::from_utf8(output.expect("bash runs").stdout).expect("text");
        assert_eq!(printed.trim_end(), shown.trim_end(), "{commands}\n{printed}");
        assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
        run += 1;
    }
    fs::remove_dir_all(directory).expect("the directory");
    assert_eq!(run, 2);
}

/// The names of the fields in an answer; those of headers, labels and the like are not fields.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(name.clone());
                if !["labels", "log_fields", "tracestate"].contains(&name.as_str()) {
                    fields(value, found);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn the_document_lists_every_field_and_no_other() {
    let config = File::new(
        br#"{"direction": "outbound", "propagation": {"extract": ["tracecontext", "b3"]},
        "egress": [{"match": {"host": "a"}, "strip": "baggage"}], "access_log": {"filter_state": true}}"#,
    );
    let input = "> GET / HTTP/1.1\n> Host: a\n> traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n\
        > tracestate: a\n> b3: 11111111111111111111111111111111-2222222222222222-1\n> baggage: a=1\n< HTTP/1.1 200 OK\n";
    let mut found = BTreeSet::new();
    fields(&ask(&["--json", "--config", config.path()], input).json(), &mut found);
    let text = document();
    let table =
        text.split("\n## JSON\n").nth(1).and_then(|text| text.split("\n## ").next()).expect("the section");
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let names = cells.flat_map(|cell| cell.split("`, `").map(|name| name.trim_end_matches('`').to_owned()));
    assert_eq!(found, names.collect(), "what is there, and what is listed");
}

const VALID: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UPPER: &str = "traceparent: 00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01";

/// A configuration, headers, the exit status, and how the first lines begin.
type Row = (Option<&'static str>, &'static [&'static str], i32, &'static [&'static str]);

const FIRST_LINES: &[Row] = &[
    (None, &[VALID], 0, &["valid: tracecontext names a trace that is sampled."]),
    (None, &[UPPER], 1, &["invalid: traceparent: hexadecimal digits are in upper case (TP-05)"]),
    (None, &["accept: a"], 1, &["none: no header holds a context in a format that is read"]),
    (Some("{}"), &[VALID], 0, &["continued: a valid context", "No header is changed. It is recorded."]),
    (Some("{}"), &[UPPER], 1, &["corrupt: traceparent: hexadecimal", "A new trace starts. It is recorded."]),
    (Some(r#"{"start": "never"}"#), &[UPPER], 1, &["corrupt: ", "No context goes on."]),
    (Some(r#"{"parent_id": "new"}"#), &[VALID], 0, &["continued", "The trace goes on with a new parent-id."]),
    (Some(r#"{"mode": "observe"}"#), &[UPPER], 1, &["corrupt: ", "No header is changed."]),
    (
        Some(r#"{"exclude": [{"path": "/"}]}"#),
        &[VALID, ":path: /"],
        0,
        &["excluded: ", "No header is changed."],
    ),
    (Some(r#"{"role": "edge"}"#), &["accept: a"], 1, &["started: no context", "A new trace starts."]),
    (Some(r#"{"enabled": false}"#), &[VALID], 0, &["no verdict: the filter judges no request"]),
];

#[test]
fn the_first_lines_say_what_matters() {
    for (config, headers, status, begins) in FIRST_LINES {
        let file = config.map(|config| File::new(config.as_bytes()));
        let option: Vec<&str> = file.iter().flat_map(|file| ["--config", file.path()]).collect();
        let said = ask(&[option.as_slice(), headers].concat(), "");
        let text = said.printed;
        assert_eq!(said.status, Some(*status), "{config:?} {headers:?}: {text}");
        for (line, begin) in text.lines().zip(*begins) {
            assert!(line.starts_with(begin), "{config:?} {headers:?}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.contains("--config FILE"), config.is_none());
    }
}

#[test]
fn help_is_true() {
    let help = ask(&["--help"], "").printed;
    for option in [
        "--config",
        "--direction",
        "--method",
        "--path",
        "--authority",
        "--source-address",
        "--peer-uri",
        "--route",
        "--cluster",
    ] {
        assert!(help.contains(option), "{option}: {help}");
        assert!(document().contains(option), "{option}");
    }
    assert!(
        help.contains("2 the input is not understood") || help.contains("2\nthe input is not understood"),
        "{help}"
    );
}
