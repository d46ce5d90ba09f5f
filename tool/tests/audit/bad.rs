//! Files that are not what they should be.

use serde_json::json;

use crate::support::{Scratch, Span, all, audit, otlp, span};

const SPANS: [Span; 3] = [
    span(1, 0, "shop", "server", (1000, 9000)),
    span(2, 1, "shop", "client", (2000, 8000)),
    span(3, 2, "cart", "server", (3000, 7000)),
];

#[test]
fn what_is_no_trace_is_refused() {
    let rows: &[(&str, &[&str])] = &[
        ("", &["-: it is empty", "resourceSpans", "Jaeger", "Zipkin"]),
        ("<html>", &["-: expected value at line 1 column 1", "no span was read"]),
        ("{}", &["-: it is no trace; expected OTLP's"]),
        ("{\"stats\": []}", &["it is no trace"]),
        ("{\"resourceMetrics\": [{}]}", &["it is no trace"]),
        ("17", &["it is no trace"]),
        ("\"resourceSpans\"", &["it is no trace"]),
        ("[1, 2]", &["it is no trace"]),
        ("[{\"name\": \"x\"}]", &["it is no trace"]),
        ("[]", &["no span was found"]),
        ("{\"data\": []}", &["no span was found"]),
        ("{\"resourceSpans\": {}}", &["no span was found"]),
        (
            "[{\"traceId\": \"1\", \"id\": \"2\"}]",
            &["no span could be read; trace-id: expected 32 hexadecimal digits"],
        ),
        ("  \n ", &["no span was found"]),
        ("{\"a\u{1b}[31m\": 1, }", &["line 1 column"]),
    ];
    for (input, parts) in rows {
        let said = audit(&["-"], input);
        said.assert_refused(parts);
        assert!(!said.err.contains('\u{1b}'), "{said:?}");
    }
    audit(&["no/such/file"], "")
        .assert_refused(&["no/such/file: No such file", "begins with http:// or https://"]);
    audit(&["127.0.0.1:16686"], "").assert_refused(&["127.0.0.1:16686: ", "begins with http:// or https://"]);
    audit(&[env!("CARGO_TARGET_TMPDIR")], "").assert_refused(&["Is a directory"]);
    let packed = Scratch::new("packed.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    audit(&[packed.path()], "").assert_refused(&["expected JSON, found gzip", "gunzip"]);
    let binary = Scratch::new("binary", [0xff, 0xfe, b'{', 0]);
    audit(&[binary.path()], "").assert_refused(&["line 1 column"]);
}

#[test]
fn a_truncated_file_is_read_as_far_as_it_goes() {
    for (format, input) in all(&SPANS) {
        let third = input.find("0000000000000003").expect("its id");
        let said = audit(&["--json"], &input[..third]);
        assert_eq!(said.code, Some(2), "{format}: {said:?}");
        assert_eq!((&said.value()["spans"], &said.value()["missing"]), (&json!(2), &json!(0)), "{format}");
        let problem = "it ends in the middle of span 3";
        assert!(
            said.err.contains(problem) && said.err.contains("what was read so far follows: 2 spans"),
            "{format}: {said:?}"
        );
        let text = audit(&[], &input[..third]);
        assert_eq!(text.code, Some(2), "{format}");
        assert!(text.out.starts_with("incomplete: -: it ends in the middle of span 3"), "{format}: {text:?}");
        assert!(text.out.contains("2 spans of 1 trace"), "{format}: {text:?}");
    }
}

#[test]
fn every_length_of_a_file_is_told_apart_from_a_whole_one() {
    for (format, input) in all(&SPANS) {
        for end in (1..input.len()).step_by(7).filter(|end| input.is_char_boundary(*end)) {
            let said = audit(&["--json"], &input[..end]);
            let is_whole_lines = format == "OTLP"
                && input[..end]
                    .trim_end()
                    .lines()
                    .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
            assert_eq!(said.code, Some(if is_whole_lines { 0 } else { 2 }), "{format}, {end}: {said:?}");
        }
    }
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let said = audit(&["--json", "no/such/file", "-"], &otlp(&SPANS));
    assert_eq!((said.code, &said.value()["spans"]), (Some(2), &json!(3)), "{said:?}");
    assert!(said.err.contains("no/such/file"), "{said:?}");
}

#[test]
fn no_more_spans_are_read_than_allowed() {
    for (format, input) in all(&SPANS) {
        let said = audit(&["--json", "--max-spans", "2"], &input);
        assert_eq!((said.code, &said.value()["spans"]), (Some(2), &json!(2)), "{format}: {said:?}");
        assert!(said.err.contains("more than 2 spans; --max-spans allows more"), "{format}: {said:?}");
        assert_eq!(audit(&["--json", "--max-spans", "3"], &input).code, Some(0), "{format}");
    }
}
