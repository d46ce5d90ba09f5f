//! What holds of a request under any configuration: other formats, senders that are not trusted, rules and rates.

use serde_json::Value;
use tracewarden::filter::StreamContext;
use tracewarden::metrics::Counter;
use tracewarden::words::{Mode, Verdict};

use crate::host::{Headers, Verb, Wire};
use crate::reading;
use crate::setup::Setup;

const TRACESTATE: &str = "tracestate";

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

/// Checks what a pass did to the headers that came.
///
/// # Panics
/// A rule does not hold.
pub fn check(setup: &Setup, before: &Headers, wire: &Wire, stream: &StreamContext) {
    let verdicts = wire.counted.iter().filter_map(|one| match one {
        Counter::Request { context, .. } => Some(*context),
        _ => None,
    });
    let [verdict] = verdicts.collect::<Vec<_>>()[..] else { panic!("one verdict: {:?}", wire.counted) };
    assert!(wire.changes.len() <= 48 + setup.texts("/propagation/remove").len(), "{:?}", wire.changes);
    if setup.policy().mode == Mode::Observe {
        assert!(wire.changes.is_empty(), "nothing is changed");
        return;
    }
    let ours = names(setup);
    assert_eq!(wire.headers.others(&ours), before.others(&ours), "other headers are none of our business");
    if verdict == Verdict::Excluded {
        assert_eq!(*stream, StreamContext::Untraced);
        assert!(wire.changes.iter().all(|change| change.verb == Verb::Remove), "nothing is written");
    }
    is_on_the_wire(setup, wire, stream);
    if setup.trusts_nobody() && !wire.refused_any() {
        is_kept_out(setup, before, wire, stream);
    }
}

/// All headers that a pass may touch.
fn names(setup: &Setup) -> Vec<&str> {
    let mut names = vec![&*setup.policy().header, TRACESTATE, "baggage"];
    names.extend(FORMATS.iter().flat_map(|(_, headers)| headers.iter()));
    names.extend(setup.policy().propagation.remove.iter().map(|name| &**name));
    names
}

/// W3C's headers, where they are written, and those that go in any case.
fn is_on_the_wire(setup: &Setup, wire: &Wire, stream: &StreamContext) {
    let (propagation, header) = (&setup.policy().propagation, &setup.policy().header);
    let writes = propagation.inject.iter().any(|written| written.format().label() == "tracecontext");
    let wrote = |name: &str| wire.changes_of(name).any(|change| change.verb == Verb::Set && !change.refused);
    let lines = wire.headers.lines(header);
    let is_removed = propagation.remove.contains(header);
    match stream.sent() {
        Some(context) if writes && !is_removed && !wire.refused_any() => {
            assert_eq!(lines.len(), 1, "one line");
            let written = context.to_bytes();
            assert_eq!(reading::traceparent(lines[0]).as_deref(), Some(&written[..]), "the stream knows");
        }
        Some(_) => {}
        None => assert!(!wrote(header) || is_removed, "the stream knows"),
    }
    if wrote(TRACESTATE) {
        assert!(reading::tracestate(&wire.headers.lines(TRACESTATE)).is_some(), "what goes out is valid");
    }
    for name in &propagation.remove {
        let is_left = !wire.headers.lines(name).is_empty();
        let verdict_is_excluded = *stream == StreamContext::Untraced;
        assert!(
            !is_left || wrote(name) || verdict_is_excluded || wire.refused(Verb::Remove, name),
            "{name:?} goes"
        );
    }
}

/// Nothing that came from somebody who is not trusted goes on, but what is written over.
fn is_kept_out(setup: &Setup, before: &Headers, wire: &Wire, stream: &StreamContext) {
    let (propagation, header) = (&setup.policy().propagation, &setup.policy().header);
    let wrote = |name: &str| wire.changes_of(name).any(|change| change.verb == Verb::Set);
    let written = |label: &str| {
        *stream != StreamContext::Untraced
            && propagation.inject.iter().any(|written| written.format().label() == label)
    };
    for (label, headers) in FORMATS.iter().filter(|(label, _)| !written(label)) {
        for name in *headers {
            let is_left = !wire.headers.lines(name).is_empty() && !wrote(name);
            assert!(!is_left, "{name} of {label} goes on, from {before:?}");
        }
    }
    if !written("tracecontext") {
        assert!(wire.headers.lines(header).is_empty() || wrote(header));
    }
    let keeps_baggage = setup.json("/trust/baggage").and_then(Value::as_bool).unwrap_or(false);
    assert!(keeps_baggage || wire.headers.lines("baggage").is_empty(), "baggage stays out");
    if let Some(context) = stream.sent() {
        let members = reading::tracestate(&wire.headers.lines(TRACESTATE)).unwrap_or_default();
        let ot = reading::value_of(&members, b"ot").and_then(reading::ot).unwrap_or_default();
        assert!(reading::value_of(&ot, b"rv").is_none(), "an outsider does not choose the randomness");
        assert!(reading::threshold(&ot).is_none() || context.flags.is_sampled());
    }
}
