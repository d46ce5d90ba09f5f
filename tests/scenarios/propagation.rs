//! Several formats in one request: which of them counts, what is written, and what is removed.

use crate::scenarios::formats::{Headers, W3C, config, only, pieces, run};

#[test]
fn formats_that_name_the_same_trace_complete_each_other() {
    const DATADOG: [(&str, &str); 4] = [
        ("x-datadog-trace-id", "11803532876627986230"),
        ("x-datadog-parent-id", "1"),
        ("x-datadog-sampling-priority", "2"),
        ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6"),
    ];
    let config = config(&["datadog", "b3", "tracecontext"], &["datadog", "tracecontext"]);
    let mut request = DATADOG.to_vec();
    request.extend([("traceparent", W3C), ("tracestate", "dd=s:2;p:00f067aa0ba902b7,a=1")]);
    let outcome = run(&config, &request);
    assert_eq!(only("what goes on", &outcome.request, "traceparent"), W3C, "DD-08, W3C's parent-id");
    assert_eq!(only("what goes on", &outcome.request, "x-datadog-parent-id"), "67667974448284343");
    assert_eq!(only("what goes on", &outcome.request, "tracestate"), "dd=s:2;p:00f067aa0ba902b7,a=1");
    assert!(!outcome.counters.iter().any(|counter| counter.starts_with("conflicts")));
}

#[test]
fn a_format_that_is_only_read_is_a_fallback() {
    let rows: &[(&str, &str, &str, &str)] = &[
        ("JA-07", "jaeger", "uber-trace-id", "11111111111111111111111111111111:2222222222222222:0:1"),
        ("GC-05", "gcp", "x-cloud-trace-context", "11111111111111111111111111111111/1;o=1"),
    ];
    for (rule, format, header, value) in rows {
        let config = config(&["tracecontext", format], &["tracecontext"]);
        let outcome = run(&config, &[("traceparent", W3C), (header, value)]);
        assert_eq!(only("what goes on", &outcome.request, "traceparent"), W3C, "{rule}: preferred");
        let outcome = run(&config, &[(header, value)]);
        let sent = only("what goes on", &outcome.request, "traceparent");
        assert_eq!(pieces(&sent)[1], &"1".repeat(32), "{rule}: read");
        assert_eq!(only("what goes on", &outcome.request, header), *value, "{rule}: left as it came");
        let outcome = run(&config, &[("traceparent", W3C)]);
        assert_eq!(outcome.request.get(header), None, "{rule}: not written unless asked for");
    }
}

#[test]
fn the_first_valid_format_holds_the_context() {
    const B3: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1";
    const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";
    const BAD: &str = "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01";
    let both = config(&["tracecontext", "b3"], &["tracecontext", "b3"]);
    let rows: &[(&str, Headers, &str, &[&str])] = &[
        (
            "absent first, valid second",
            &[("b3", B3)],
            W3C,
            &["requests inbound internal enforce continued", "formats b3"],
        ),
        (
            "corrupt first, valid second",
            &[("traceparent", BAD), ("tracestate", "a=1"), ("b3", B3)],
            W3C,
            &[
                "requests inbound internal enforce continued",
                "corrupt inbound traceparent upper_case",
                "repairs inbound format",
                "formats b3",
            ],
        ),
        (
            "valid first, corrupt second",
            &[("traceparent", W3C), ("b3", "x-y")],
            W3C,
            &[
                "requests inbound internal enforce continued",
                "corrupt inbound b3 trace_id",
                "formats tracecontext",
            ],
        ),
        (
            "two that disagree",
            &[("traceparent", OTHER), ("b3", B3)],
            OTHER,
            &[
                "requests inbound internal enforce continued",
                "conflicts tracecontext b3",
                "formats tracecontext",
            ],
        ),
        (
            "two that agree",
            &[("traceparent", W3C), ("b3", B3)],
            W3C,
            &["requests inbound internal enforce continued", "formats tracecontext"],
        ),
    ];
    for (why, headers, traceparent, counters) in rows {
        let outcome = run(&both, headers);
        let name = format!("OT-19, {why}");
        assert_eq!(only(&name, &outcome.request, "traceparent"), *traceparent, "{name}");
        let [_, trace_id, parent_id, _] = pieces(traceparent);
        assert_eq!(only(&name, &outcome.request, "b3"), format!("{trace_id}-{parent_id}-1"), "{name}");
        assert_eq!(outcome.request.get("tracestate"), None, "{name}");
        let mut expected: Vec<&str> = [*counters, &["sampled record parent"]].concat();
        expected.sort_unstable();
        let mut counted = outcome.counters;
        counted.sort();
        assert_eq!(counted, expected, "{name}");
    }
}

#[test]
fn a_corrupt_format_that_is_not_written_is_removed() {
    let rows: &[(&str, &str, &str)] =
        &[("b3", "b3", "x"), ("b3multi", "x-b3-traceid", "x"), ("jaeger", "uber-trace-id", "x")];
    for (format, header, value) in rows {
        let outcome = run(&config(&["tracecontext", format], &["tracecontext"]), &[(header, value)]);
        assert_eq!(outcome.request.get(header), None, "{format}");
        assert!(outcome.request.get("traceparent").is_some(), "{format}: a new trace");
    }
    let outcome = run(&config(&["b3"], &["b3"]), &[("traceparent", "left alone"), ("b3", "x")]);
    assert_eq!(outcome.request.get("traceparent"), Some(&b"left alone"[..]), "not read, not ours");
}

#[test]
fn named_headers_are_removed_whatever_becomes_of_the_context() {
    // The rest of the configuration; whether the context goes on.
    let rows = [
        (r#""direction": "inbound""#, true),
        (r#""direction": "inbound", "exclude": [{"path_prefix": "/"}]"#, true),
        (r#""direction": "outbound", "egress": [{"match": {"host": "shop"}, "strip": "all"}]"#, false),
        (r#""direction": "inbound", "trust": {"default": "untrusted", "untrusted": "strip"}"#, false),
    ];
    let request = [
        (":authority", "shop"),
        (":path", "/"),
        ("traceparent", W3C),
        ("X-Old-Trace", "1"),
        ("x-old-trace", "2"),
        ("x-new-trace", "0"),
    ];
    for (rest, goes_on) in rows {
        let config = format!(r#"{{"propagation": {{"remove": ["x-old-trace", "uber-trace-id"]}}, {rest}}}"#);
        let outcome = run(&config, &request);
        assert_eq!(outcome.request.get("x-old-trace"), None, "{rest}");
        assert_eq!(outcome.request.lines("x-new-trace"), [b"0"], "{rest}: not named");
        assert_eq!(outcome.request.get("traceparent").is_some(), goes_on, "{rest}");
    }
}

#[test]
fn with_no_format_nothing_is_read_or_written() {
    let outcome = run(&config(&[], &[]), &[("traceparent", W3C), ("b3", "0")]);
    assert_eq!(only("what goes on", &outcome.request, "traceparent"), W3C);
    assert_eq!(outcome.request.lines("b3"), [b"0"]);
}
