//! What holds of a request under any configuration: other formats, senders that are not trusted, rules and rates.

use proxy_wasm_test_framework::HeaderMap;
use serde_json::Value;
use tracewarden::filter::StreamContext;
use tracewarden::headers::{BAGGAGE, TRACESTATE};
use tracewarden::metrics::Counter;
use tracewarden::words::{Mode, Verdict};

use crate::host::{Host, Verb, others};
use crate::reading;
use crate::setup::Setup;

/// The headers of each format but W3C's.
pub const FORMATS: &[(&str, &[&str])] = &[
    ("b3", &["b3"]),
    ("b3multi", &["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"]),
    ("jaeger", &["uber-trace-id"]),
    ("xray", &["x-amzn-trace-id"]),
    ("gcp", &["x-cloud-trace-context"]),
    (
        "datadog",
        &["x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-tags"],
    ),
    ("ottrace", &["ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled"]),
    ("grpc_trace_bin", &["grpc-trace-bin"]),
    ("sw8", &["sw8"]),
];

/// How the names begin of what accompanies a context.
const COMPANIONS: [&str; 12] = [
    "baggage",
    "correlation-context",
    "jaeger-",
    "uberctx-",
    "ot-baggage-",
    "x-ot-span-context",
    "x-datadog-",
    "grpc-tags-bin",
    "sw8-",
    "x-b3-",
    "b3",
    "traceparent",
];

/// Checks what a pass did to the headers that came.
pub fn check(setup: &Setup, before: &HeaderMap, host: &Host, stream: &StreamContext) {
    let calls = &host.calls;
    let verdicts = calls.counted.iter().filter_map(|one| match one {
        Counter::Request { context, .. } => Some(*context),
        _ => None,
    });
    let [verdict] = verdicts.collect::<Vec<_>>()[..] else { panic!("one verdict: {:?}", calls.counted) };
    let ours = names(setup, before);
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    assert_eq!(others(&host.headers, &ours), others(before, &ours), "other headers are none of our business");
    assert!(
        calls.changes.len() <= 64 + before.len() + setup.list("/propagation/remove").len(),
        "{:?}",
        calls.changes
    );
    if setup.policy().mode == Mode::Observe {
        let is_secret = |name: &String| secrets(setup).any(|secret| name.eq_ignore_ascii_case(secret));
        let is_kept = calls.changes.iter().all(|one| one.verb == Verb::Remove && is_secret(&one.name));
        assert!(is_kept, "nothing is changed, but secrets go: {:?}", calls.changes);
        return;
    }
    if verdict == Verdict::Excluded {
        assert!(matches!(stream, StreamContext::Untraced(_)));
        assert!(calls.changes.iter().all(|change| change.verb == Verb::Remove), "nothing is written");
    }
    is_on_the_wire(setup, host, stream);
    if setup.trusts_nobody() && !calls.refused_any() {
        is_kept_out(setup, before, host, stream);
    }
}

/// All headers that a pass may touch.
fn names(setup: &Setup, before: &HeaderMap) -> Vec<String> {
    let mut names = vec![&*setup.policy().header, "traceparent", TRACESTATE, BAGGAGE];
    names.extend(FORMATS.iter().flat_map(|(_, headers)| headers.iter()));
    names.extend(setup.policy().propagation.remove.iter().map(|name| &**name));
    names.extend(secrets(setup));
    let came = before.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok());
    names.extend(came.filter(|name| COMPANIONS.iter().any(|start| name.starts_with(start))));
    names.into_iter().map(str::to_ascii_lowercase).collect()
}

/// The headers that hold secrets.
fn secrets(setup: &Setup) -> impl Iterator<Item = &str> {
    let force = setup.json.pointer("/sampling/force/header");
    let trusted = setup.json.pointer("/trust/trusted").and_then(Value::as_array).into_iter().flatten();
    let trusted = trusted.filter_map(|peer| peer.get("header"));
    force.into_iter().chain(trusted).filter_map(Value::as_str)
}

/// Whether a format is written.
fn writes(setup: &Setup, label: &str) -> bool {
    setup.policy().propagation.inject.iter().any(|written| written.format().label() == label)
}

/// W3C's headers, where they are written, and those that go in any case.
fn is_on_the_wire(setup: &Setup, host: &Host, stream: &StreamContext) {
    let (calls, header, remove) = (&host.calls, &*setup.policy().header, &setup.policy().propagation.remove);
    let is_removed = remove.iter().any(|name| **name == *header);
    match stream.sent() {
        Some(context) if writes(setup, "tracecontext") && !is_removed && !calls.refused_any() => {
            let lines = host.headers.lines(header);
            assert_eq!(lines.len(), 1, "one line");
            let written = context.to_bytes();
            assert_eq!(reading::traceparent(lines[0]).as_deref(), Some(&written[..]), "the stream knows");
        }
        Some(_) => {}
        None => assert!(!calls.wrote(header) || is_removed, "the stream knows"),
    }
    if calls.wrote(TRACESTATE) {
        assert!(reading::tracestate(&host.headers.lines(TRACESTATE)).is_some(), "what goes out is valid");
    }
    for name in remove.iter().map(|name| &**name) {
        let is_gone = host.headers.lines(name).is_empty() || calls.refused(Verb::Remove, name);
        assert!(is_gone && !calls.wrote(name), "{name:?} goes, and is not written");
    }
}

/// Nothing that came from somebody who is not trusted goes on, but what is written over.
fn is_kept_out(setup: &Setup, before: &HeaderMap, host: &Host, stream: &StreamContext) {
    let header = &*setup.policy().header;
    let is_left = |name: &str| !host.headers.lines(name).is_empty() && !host.calls.wrote(name);
    let written = |label: &str| !matches!(stream, StreamContext::Untraced(_)) && writes(setup, label);
    for (label, headers) in FORMATS.iter().chain([&("tracecontext", &[header][..])]) {
        let is_in = !written(label) && headers.iter().any(|name| is_left(name));
        assert!(!is_in, "{label} goes on, from {before:?}");
    }
    let keeps_baggage = setup.json.pointer("/trust/baggage").and_then(Value::as_bool).unwrap_or(false);
    assert!(keeps_baggage || host.headers.lines(BAGGAGE).is_empty(), "baggage stays out");
    if let Some(context) = stream.sent() {
        let members = reading::tracestate(&host.headers.lines(TRACESTATE)).unwrap_or_default();
        let ot = reading::ot_of(&members).unwrap_or_default();
        assert!(reading::value_of(&ot, b"rv").is_none(), "an outsider does not choose the randomness");
        assert!(reading::threshold(&ot).is_none() || context.flags.is_sampled());
    }
}
