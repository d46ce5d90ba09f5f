//! The other formats: any headers are read, written in one of them, and must then read the same. The first line of
//! input names the format, the others are the request's headers.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tracewarden::filter::StreamContext;
use tracewarden::words::Direction;
use tracewarden_fuzz::formats::FORMATS;
use tracewarden_fuzz::host::{Headers, Known, Wire};
use tracewarden_fuzz::request;
use tracewarden_fuzz::scenario::Scenario;
use tracewarden_fuzz::setup::Setup;

/// For each format the configuration that reads it before W3C's and writes both, and the one that reads it alone.
static SETUPS: LazyLock<BTreeMap<&str, [Setup; 2]>> = LazyLock::new(|| {
    let load = |extract: String, inject: String| {
        let json = format!(r#"{{"propagation":{{"extract":[{extract}],"inject":[{inject}]}}}}"#);
        Setup::load(json.as_bytes()).expect("the configuration is valid")
    };
    let both = |format: &&str| format!(r#""{format}","tracecontext""#);
    let labels = FORMATS.iter().map(|(label, _)| label).filter(|label| **label != "sw8");
    labels
        .map(|label| (*label, [load(both(label), both(label)), load(format!("{label:?}"), String::new())]))
        .collect()
});

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|octet| *octet == b'\n').unwrap_or(data.len());
    let (label, headers) = data.split_at(end);
    let Some([write, read]) = core::str::from_utf8(label).ok().and_then(|label| SETUPS.get(label)) else {
        return;
    };
    let Scenario { request, .. } = Scenario::parse(&[b"\n", headers].concat());
    let (sent, wire) = pass(write, &request);
    let Some(sent) = sent.sent() else { return };
    if [&b"ottrace"[..], b"datadog"].contains(&label) && sent.trace_id.to_hex().ends_with(&[b'0'; 16]) {
        let named = FORMATS.iter().filter(|(other, _)| other.as_bytes() == label);
        let mut lines = named.flat_map(|(_, names)| names.iter()).flat_map(|name| wire.headers.lines(name));
        assert_eq!(lines.next(), None, "what this format cannot say is not said");
        return;
    }
    let (again, _) = pass(read, &wire.headers);
    let Some(again) = again.sent() else { panic!("{sent} cannot be read from {:?}", wire.headers) };
    let id = |trace_id: tracewarden::w3c::TraceId| -> Vec<u8> {
        // Half of the trace-id is all that this format has room for.
        let half = if label == b"ottrace" { 16 } else { 0 };
        trace_id.to_hex()[half..].to_vec()
    };
    assert_eq!(id(again.trace_id), id(sent.trace_id), "{:?}", wire.headers);
    assert_eq!(again.parent_id, sent.parent_id, "{:?}", wire.headers);
    assert_eq!(again.flags.is_sampled(), sent.flags.is_sampled(), "{:?}", wire.headers);
});

fn pass(setup: &Setup, headers: &Headers) -> (StreamContext, Wire) {
    let mut known = Known::new(Direction::Inbound, true);
    let mut wire = Wire::new(Headers::default(), Vec::new());
    let stream = request::check(setup, headers, &mut known, &mut wire);
    (stream, wire)
}
