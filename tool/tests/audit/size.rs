//! How much memory spans take.

use std::fmt::Write as _;
use std::process::Command;

use crate::command::end;
use crate::support::Scratch;

/// The spans of the test.
const SPANS: u64 = 100_000;
/// What all of them, the program and its libraries may take. Each span has about 1.1 kB of JSON here: kept as a document, it
/// would be several times as much.
const KIBIBYTES: u64 = 64 * 1024;

/// Spans in Zipkin's JSON, in traces of ten, in which each fifth misses its parent.
fn document() -> String {
    let filler = "x".repeat(800);
    let mut text = "[".to_owned();
    for number in 1..=SPANS {
        let parent = if number.is_multiple_of(5) { number + SPANS } else { number - 1 };
        let comma = if number == 1 { "" } else { "," };
        let _ = write!(
            text,
            r#"{comma}{{"traceId":"{:032x}","id":"{number:016x}","parentId":"{parent:016x}","kind":"SERVER","timestamp":{},"duration":5,"localEndpoint":{{"serviceName":"service-{}"}},"tags":{{"http.path":"{filler}{number}"}}}}"#,
            1 + number / 10,
            1_700_000_000_000_000 + number,
            number % 50,
        );
    }
    text + "]"
}

#[test]
fn a_span_takes_few_bytes() {
    let file = Scratch::new("large.json", document());
    let limited = |kibibytes: u64| {
        let mut shell = Command::new("sh");
        // The address space is limited: the kernel counts, and no clock decides.
        let script = format!("ulimit -v {kibibytes} && exec \"$0\" audit --json \"$1\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_tracewarden"), file.path()]);
        end(&mut shell, "")
    };
    let (code, out, err) = limited(KIBIBYTES);
    assert_eq!(code, Some(1), "{err}");
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value["spans"], SPANS);
    assert_eq!(value["missing"], SPANS / 5);
    let (code, ..) = limited(KIBIBYTES / 8);
    assert_ne!(code, Some(1), "the limit does not limit");
}
