//! The command as people and programs call it.
#![expect(clippy::expect_used, reason = "a test may fail")]

mod command;

use std::process::Command;

fn run(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracewarden"));
    command::end(command.args(arguments).env_remove("OTEL_TRACES_SAMPLER"), input)
}

#[test]
fn a_configuration_is_judged_as_the_filter_judges_it() {
    let rows = [
        ("", 0, "valid\n"),
        (r#"{"role": "edge"}"#, 0, "valid\n"),
        (r#"{"role": "gate"}"#, 1, "role: expected one of \"edge\", \"internal\", found \"gate\"\n"),
        ("{", 1, "configuration: expected valid JSON"),
    ];
    for (json, code, begin) in rows {
        let (status, said, _) = run(&["check"], json);
        assert!(status == Some(code) && said.starts_with(begin), "{json}: {status:?} {said}");
    }
    let (status, said, _) = run(&["check", "--json", "-"], r#"{"mode": 1}"#);
    let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((status, &value["valid"]), (Some(1), &false.into()));
    let (status, _, complaint) = run(&["check", "no/such/file"], "");
    assert!(status == Some(2) && complaint.contains("no/such/file"), "{complaint}");
}

#[test]
fn help_and_completions_are_there() {
    assert!(run(&["--help"], "").1.contains("Exit status: 0 valid, 1 not valid, 2"));
    assert!(run(&["check", "--help"], "").1.contains("tracewarden schema"));
    let completions = run(&["completions", "bash"], "").1;
    assert!(completions.contains("_tracewarden") && completions.contains("--token-file"), "{completions}");
}
