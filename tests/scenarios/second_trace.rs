//! Requests whose headers something rewrites after the filter, as Envoy's tracer does in the router.

use proxy_wasm_test_framework::{HeaderMap, LogLevel};

use crate::edge::{RootId, Vm};
use crate::scenarios::support::{B3, Line, OTHER, SAMPLED, counters, request, respond, started};

const BOTH: &str = r#"{"direction": "inbound", "propagation": {"inject": ["tracecontext", "b3"]}}"#;
const MULTI: &str = r#"{"direction": "inbound", "propagation": {"inject": ["tracecontext", "b3multi"]}}"#;
const DATADOG: &str = r#"{"direction": "inbound", "propagation": {"inject": ["tracecontext", "datadog"]}}"#;
const B3_ALONE: &str =
    r#"{"direction": "inbound", "propagation": {"extract": ["b3", "tracecontext"], "inject": ["b3"]}}"#;
const UNREAD: &str = r#"{"direction": "inbound", "propagation": {"extract": ["b3"], "inject": ["b3"]}}"#;
const RETIRED: &str =
    r#"{"direction": "inbound", "propagation": {"inject": ["b3"], "remove": ["traceparent"]}}"#;
/// The trace of `SAMPLED`, under another parent-id and not sampled.
const SAME_TRACE: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-1111111111111111-00";
/// The right half of the trace-id of `SAMPLED`.
const SHORT_B3: &[u8] = b"8448eb211c80319c-b7ad6b7169203331-1";
/// A header of Zipkin's tracer.
const ZIPKIN: &[Line<'_>] =
    &[("x-b3-traceid", b"4bf92f3577b34da6a3ce929d0e0e4736"), ("x-b3-spanid", b"00f067aa0ba902b7")];
/// A mark of Envoy's on a request that it redirects by itself.
const MARK: &str = "x-envoy-original-url";

/// One request: what it brings, and what stands in its headers later, in place of what the filter left there.
struct Case<'a> {
    name: &'a str,
    config: &'a str,
    brings: &'a [Line<'a>],
    later: &'a [Line<'a>],
    counted: &'a [&'a str],
}

const fn case<'a>(
    name: &'a str,
    config: &'a str,
    brings: &'a [Line<'a>],
    later: &'a [Line<'a>],
    counted: &'a [&'a str],
) -> Case<'a> {
    Case { name, config, brings, later, counted }
}

const IN_W3C: &[&str] = &["second_trace tracecontext"];
const OTHER_W3C: &[Line<'_>] = &[("traceparent", OTHER)];
const CAME: &[Line<'_>] = &[("traceparent", SAMPLED)];

#[rustfmt::skip]
const CASES: &[Case<'_>] = &[
    case("a trace that starts here", BOTH, &[], OTHER_W3C, IN_W3C),
    case("a trace that came", BOTH, CAME, OTHER_W3C, IN_W3C),
    case("a corrupt one", BOTH, &[("traceparent", b"x")], OTHER_W3C, IN_W3C),
    case("both of our formats", BOTH, CAME, &[("traceparent", OTHER), ("b3", B3)],
        &["second_trace b3", "second_trace tracecontext"]),
    case("a format of several headers", MULTI, CAME, ZIPKIN, &["second_trace b3multi"]),
    // What is not written is not looked at, to keep the price down; `tracewarden check` finds the tracer.
    case("one that we do not write", BOTH, CAME, ZIPKIN, &[]),
    case("W3C's, which we do not write", B3_ALONE, &[], OTHER_W3C, IN_W3C),
    case("W3C's, which we remove", RETIRED, CAME, OTHER_W3C, IN_W3C),
    // A child of the tracer's is in the same trace.
    case("the same trace", BOTH, CAME, &[("traceparent", SAME_TRACE)], &[]),
    case("the same trace in 64 bits", BOTH, CAME, &[("b3", SHORT_B3)], &[]),
    case("the same trace in decimal digits", DATADOG, CAME, &[], &[]),
    case("the same trace in 64 bits and decimal digits", DATADOG, CAME, &[("x-datadog-tags", b"")], &[]),
    case("another one in decimal digits", DATADOG, CAME, &[("x-datadog-trace-id", b"7")], &["second_trace datadog"]),
    case("nothing", BOTH, CAME, &[], &[]),
    case("an invalid context", BOTH, CAME, &[("traceparent", b"x")], &[]),
    // What came and is neither read nor written is the caller's business.
    case("what came unread", UNREAD, &[("traceparent", OTHER), ("b3", B3)], &[], &[]),
    case("what came unread, and was rewritten", UNREAD, &[("traceparent", OTHER), ("b3", B3)], CAME, &[]),
    // The last to write `traceparent` wins, and there is one trace.
    case("W3C alone", r#"{"direction": "inbound"}"#, CAME, OTHER_W3C, &[]),
    case("a second format that is removed",
        r#"{"propagation": {"inject": ["tracecontext", "b3"], "remove": ["b3"]}}"#, CAME, OTHER_W3C, &[]),
    case("observed", r#"{"mode": "observe", "propagation": {"inject": ["tracecontext", "b3"]}}"#, CAME, OTHER_W3C, &[]),
    case("excluded", r#"{"exclude": [{"path": "/cart"}], "propagation": {"inject": ["tracecontext", "b3"]}}"#,
        &[], OTHER_W3C, &[]),
    case("withheld", r#"{"egress": [{"match": {"path_prefix": "/"}, "strip": "all"}], "propagation": {"inject": ["tracecontext", "b3"]}}"#,
        CAME, OTHER_W3C, &[]),
];

/// Has something write headers after the filter.
fn rewrite(vm: &mut Vm, stream: crate::edge::StreamId, left: &HeaderMap, lines: &[Line<'_>]) {
    let is_rewritten = |name: &[u8]| lines.iter().any(|(other, _)| other.as_bytes() == name);
    let left = left.iter().filter(|(name, _)| !is_rewritten(name));
    let lines = lines.iter().map(|(name, value)| (name.as_bytes(), *value));
    vm.set_request_headers(stream, left.chain(lines).collect::<HeaderMap>());
}

/// Passes one request, rewrites it, and ends it.
fn pass(vm: &mut Vm, root: RootId, brings: &[Line<'_>], later: &[Line<'_>], is_answered: bool) {
    let stream = vm.stream(root).expect("no trap");
    let left = request(vm, stream, brings);
    rewrite(vm, stream, &left, later);
    if is_answered {
        respond(vm, stream, &[]);
    }
    vm.finish(stream).expect("no trap");
}

fn second_traces(vm: &Vm) -> Vec<String> {
    counters(vm).into_iter().filter(|name| name.starts_with("second_trace")).collect()
}

#[test]
fn a_second_trace_is_counted_by_the_format_that_names_it() {
    for Case { name, config, brings, later, counted } in CASES {
        for is_answered in [true, false] {
            let (mut vm, root) = started(config);
            pass(&mut vm, root, brings, later, is_answered);
            assert_eq!(second_traces(&vm), *counted, "{name}, answered: {is_answered}");
        }
    }
}

#[test]
fn the_log_names_it_once() {
    let (mut vm, root) = started(BOTH);
    for _ in 0..3 {
        pass(&mut vm, root, CAME, OTHER_W3C, true);
    }
    assert_eq!(second_traces(&vm), ["second_trace tracecontext 3"]);
    let lines = vm.host().logged(LogLevel::Warn);
    let told: Vec<_> = lines.iter().filter(|line| line.contains("two traces")).collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    assert!(told[0].contains("tracewarden_second_trace_total"), "{told:?}");
}

#[test]
fn one_request_in_17_is_looked_at_until_a_second_trace_is_found() {
    let (mut vm, root) = started(BOTH);
    // The first is looked at, and has one trace; the next that is looked at is the eighteenth.
    pass(&mut vm, root, CAME, &[], true);
    for _ in 2..18 {
        pass(&mut vm, root, CAME, OTHER_W3C, true);
        assert_eq!(second_traces(&vm), [""; 0]);
    }
    pass(&mut vm, root, CAME, OTHER_W3C, true);
    assert_eq!(second_traces(&vm), IN_W3C);
    pass(&mut vm, root, CAME, OTHER_W3C, true);
    assert_eq!(second_traces(&vm), ["second_trace tracecontext 2"]);
}

#[test]
fn a_request_that_envoy_redirects_counts_once() {
    // Read first, our own `b3` tears the second pass from the tracer's `traceparent` again.
    let config = r#"{"propagation": {"extract": ["b3", "tracecontext"], "inject": ["tracecontext", "b3"]}}"#;
    let (mut vm, root) = started(config);
    let marked: &[Line<'_>] = &[(MARK, b"http://shop/first"), ("traceparent", OTHER)];
    pass(&mut vm, root, &[("b3", B3)], marked, false);
    let again: &[Line<'_>] = &[(MARK, b"http://shop/first"), ("traceparent", OTHER), ("b3", B3)];
    pass(&mut vm, root, again, OTHER_W3C, true);
    assert_eq!(second_traces(&vm), IN_W3C);
    // The mark alone hides nothing.
    pass(&mut vm, root, again, OTHER_W3C, true);
    assert_eq!(second_traces(&vm), ["second_trace tracecontext 2"]);
}
