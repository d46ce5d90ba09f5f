//! The other formats: any headers are read, written in one of them, and must then read the same. The first line of
//! input names the format, the others are the request's headers.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bstr::ByteSlice;
use libfuzzer_sys::fuzz_target;
use tracewarden::filter::StreamContext;
use tracewarden_fuzz::formats::FORMATS;
use tracewarden_fuzz::host::{Host, Known, Lines, lines};
use tracewarden_fuzz::request;
use tracewarden_fuzz::setup::Setup;

/// The configuration that reads a format before W3C's and writes both, the one that reads it alone, and its headers.
type Format = (Setup, Setup, &'static [&'static str]);

static SETUPS: LazyLock<BTreeMap<&str, Format>> = LazyLock::new(|| {
    let load = |extract: String, inject: &str| {
        Setup::of(&format!(r#"{{"propagation":{{"extract":[{extract}],"inject":[{inject}]}}}}"#))
    };
    let of_label = |(label, headers): &(&'static str, &'static [&'static str])| {
        let both = format!(r#""{label}","tracecontext""#);
        (*label, (load(both.clone(), &both), load(format!("{label:?}"), ""), *headers))
    };
    FORMATS.iter().filter(|(label, _)| *label != "sw8").map(of_label).collect()
});

fuzz_target!(|data: &[u8]| {
    let mut text = data.split_str("\n");
    let label = text.next().unwrap_or_default().to_str().unwrap_or_default();
    let Some((write, read, names)) = SETUPS.get(label) else { return };
    let headers = text.take_while(|line| !line.is_empty());
    let headers = headers.map(|line| line.split_once_str(": ").unwrap_or((line, b"")));
    let (stream, sent_lines) = pass(write, &lines(headers));
    let Some(sent) = stream.sent() else { return };
    // Half of the trace-id is all that OpenTracing's format has room for, and Datadog's cannot say that this half is zero.
    if ["ottrace", "datadog"].contains(&label) && sent.trace_id.to_hex().ends_with(&[b'0'; 16]) {
        let is_said =
            sent_lines.iter().any(|(name, _)| names.iter().any(|known| known.as_bytes() == &name[..]));
        assert!(!is_said, "what this format cannot say is not said");
        return;
    }
    let (again, _) = pass(read, &sent_lines);
    let Some(again) = again.sent() else { panic!("{sent} cannot be read from {sent_lines:?}") };
    let half = if label == "ottrace" { 16 } else { 0 };
    assert_eq!(again.trace_id.to_hex()[half..], sent.trace_id.to_hex()[half..], "{sent_lines:?}");
    assert_eq!(again.parent_id, sent.parent_id, "{sent_lines:?}");
    assert_eq!(again.flags.is_sampled(), sent.flags.is_sampled(), "{sent_lines:?}");
});

fn pass(setup: &Setup, headers: &Lines) -> (StreamContext, Lines) {
    let mut host = Host::new(Known::inbound());
    let stream = request::check(setup, headers, &mut host);
    (stream, host.lines())
}
