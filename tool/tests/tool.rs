//! The command as people and programs call it.
#![expect(clippy::expect_used, reason = "a test may fail")]

mod command;

use std::process::Command;

const VALID: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

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
fn headers_of_any_format_are_explained() {
    let b3 = "b3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0";
    let rows: &[(&[&str], i32, &[&str])] = &[
        (
            &[VALID, "tracestate: ot=th:8,a=1"],
            0,
            &["format         tracecontext", "sampled        true", "tracestate     ot = th:8"],
        ),
        (&[b3], 0, &["format         b3", "parent-id      b7ad6b7169203331", "sampled        false"]),
        (
            &["Traceparent: 00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"],
            1,
            &["context        corrupt", "invalid        traceparent: hexadecimal digits are in upper case"],
        ),
        (&[VALID, "tracestate: =1"], 1, &["context        continued", "invalid        tracestate: a key is"]),
        (&[VALID, "uber-trace-id: 1:2:0:1"], 1, &["conflict       two formats name different traces"]),
        (&["accept: */*"], 1, &["no header of any format that is known here"]),
    ];
    for (headers, code, lines) in rows {
        let (status, said, _) = run(&[&["explain"], *headers].concat(), "");
        assert_eq!(status, Some(*code), "{headers:?}: {said}");
        for line in *lines {
            assert!(said.contains(line), "{headers:?}: {said}");
        }
    }
    let (_, said, _) = run(&["explain", "--json", VALID], "");
    let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (&value["trace-id"], &value["valid"]),
        (&"0af7651916cd43dd8448eb211c80319c".into(), &true.into())
    );
    assert_eq!(run(&["explain", "no colon"], "").0, Some(2));
    assert_eq!(run(&["explain"], "").0, Some(2));
}

#[test]
fn help_and_completions_are_there() {
    assert!(run(&["--help"], "").1.contains("Exit status: 0 valid, 1 not valid, 2"));
    assert!(run(&["check", "--help"], "").1.contains("tracewarden schema"));
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
