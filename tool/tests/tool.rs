//! The command as people and programs call it.
#![expect(clippy::expect_used, reason = "a test may fail")]

mod command;

use std::process::Command;

fn run(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracewarden"));
    command::end(command.args(arguments).env_remove("OTEL_TRACES_SAMPLER"), input)
}

#[test]
fn help_and_completions_are_there() {
    assert!(run(&["--help"], "").1.contains("Exit status: 0 valid, 1 not valid, 2"));
    let check = run(&["check", "--help"], "").1;
    for part in [
        "tracewarden schema",
        "WasmPlugin",
        "Exit status: 0 valid, also with warnings",
        "--allow <CODE>",
        "github",
    ] {
        assert!(check.contains(part), "{part}: {check}");
    }
    let completions = run(&["completions", "bash"], "").1;
    assert!(completions.contains("_tracewarden") && completions.contains("--token-file"), "{completions}");
}
