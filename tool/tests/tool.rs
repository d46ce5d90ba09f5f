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
