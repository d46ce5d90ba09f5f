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

#[test]
fn the_manual_has_a_page_for_each_command() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("manual");
    let _ = std::fs::remove_dir_all(&directory);
    let place = directory.to_str().expect("a path");
    let (status, _, complaint) = run(&["man", place], "");
    assert!(status == Some(2) && complaint.contains("expected a directory that exists"), "{complaint}");

    std::fs::create_dir_all(&directory).expect("a directory");
    let (status, said, _) = run(&["man", place], "");
    assert!(status == Some(0) && said.contains("tracewarden.1"), "{said}");
    let help = run(&["--help"], "").1;
    let listed = help.split("Commands:").nth(1).expect("a list").split("Options:").next().expect("its end");
    let indented = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let commands = listed.lines().filter(indented).filter_map(|line| line.split_whitespace().next());
    let mut expected: Vec<String> = commands
        .filter(|name| *name != "help")
        .map(|name| format!("tracewarden-{name}.1"))
        .chain(["tracewarden.1".to_owned()])
        .collect();
    let pages = std::fs::read_dir(&directory).expect("pages").map(|page| page.expect("a page").file_name());
    let mut pages: Vec<String> = pages.map(|name| name.into_string().expect("UTF-8")).collect();
    expected.sort();
    pages.sort();
    assert!(pages.len() > 5, "{pages:?}");
    assert_eq!(pages, expected);
    let page = std::fs::read_to_string(directory.join("tracewarden-report.1")).expect("a page");
    assert!(page.contains(".TH tracewarden-report 1") && page.contains("Exit status"), "{page}");
}

#[test]
fn a_reader_that_closes_early_is_no_error() {
    let all = [&["completions", "bash"][..], &["schema"], &["reference", "metrics"], &["--help"]];
    for arguments in all {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tracewarden"));
        command.args(arguments).stderr(std::process::Stdio::piped());
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command.stdout(writer).output().expect("it starts");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && complaint.is_empty(),
            "{arguments:?}: {:?} {complaint}",
            output.status
        );
    }
}
