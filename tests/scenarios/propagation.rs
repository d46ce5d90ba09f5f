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

#[test]
fn spellings_of_64_and_of_128_bits_are_one_trace() {
    const LOW: &str = "a3ce929d0e0e4736";
    let dd: (&str, &str) = ("x-datadog-trace-id", "11803532876627986230");
    let b3 = format!("{LOW}-00f067aa0ba902b7-1");
    let ot =
        [("ot-tracer-traceid", LOW), ("ot-tracer-spanid", "00f067aa0ba902b7"), ("ot-tracer-sampled", "true")];
    // The formats in their order, and what came.
    let rows: [(&[&str], Vec<(&str, &str)>); 4] = [
        (&["datadog", "tracecontext"], vec![("traceparent", W3C), ("tracestate", "dd=s:1,a=1"), dd]),
        (&["tracecontext", "datadog"], vec![("traceparent", W3C), ("tracestate", "dd=s:1,a=1"), dd]),
        (&["b3", "tracecontext"], vec![("traceparent", W3C), ("tracestate", "dd=s:1,a=1"), ("b3", &b3)]),
        (
            &["tracecontext", "ottrace"],
            vec![("traceparent", W3C), ("tracestate", "dd=s:1,a=1"), ot[0], ot[1], ot[2]],
        ),
    ];
    for (formats, request) in rows {
        let outcome = run(&config(formats, formats), &request);
        assert_eq!(only("B1", &outcome.request, "traceparent"), W3C, "B1, {formats:?}: the long id wins");
        assert_eq!(only("B1", &outcome.request, "tracestate"), "dd=s:1,a=1", "B1, {formats:?}");
        let conflict = outcome.counters.iter().find(|counter| counter.starts_with("conflicts"));
        assert_eq!(conflict, None, "B1, {formats:?}");
    }
    let other = format!("{}0{LOW}-00f067aa0ba902b7-1", "1".repeat(15));
    let outcome = run(&config(&["b3", "tracecontext"], &["b3"]), &[("traceparent", W3C), ("b3", &other)]);
    assert!(
        outcome.counters.contains(&"conflicts b3 tracecontext".to_owned()),
        "two long ids: {:?}",
        outcome.counters
    );
}

#[test]
fn what_is_valid_and_unchanged_keeps_its_spelling() {
    let rows: &[(&str, Headers)] = &[
        ("b3", &[("b3", "a3ce929d0e0e4736-00f067aa0ba902b7-1")]),
        ("b3", &[("b3", "a3ce929d0e0e4736-00f067aa0ba902b7-d-1111111111111111")]),
        (
            "b3multi",
            &[
                ("x-b3-traceid", "a3ce929d0e0e4736"),
                ("x-b3-spanid", "00f067aa0ba902b7"),
                ("x-b3-parentspanid", "1111111111111111"),
                ("x-b3-sampled", "true"),
            ],
        ),
        ("jaeger", &[("uber-trace-id", "3ce929d0e0e4736:f067aa0ba902b7:7:1")]),
        (
            "xray",
            &[(
                "x-amzn-trace-id",
                "Sampled=1;Self=1;Parent=00f067aa0ba902b7;Root=1-4bf92f35-77b34da6a3ce929d0e0e4736",
            )],
        ),
    ];
    for (format, request) in rows {
        let outcome = run(&config(&[format], &[format]), request);
        for (header, value) in *request {
            assert_eq!(only("B3, D5", &outcome.request, header), *value, "B3, D5: {header}");
        }
    }
    // Only the parent-id is new.
    let config = r#"{"direction": "inbound", "parent_id": "new", "propagation": {"extract": ["b3"], "inject": ["b3", "jaeger"]}}"#;
    let outcome = run(config, &[("b3", "a3ce929d0e0e4736-00f067aa0ba902b7-1")]);
    let sent = only("B3", &outcome.request, "b3");
    assert!(
        sent.starts_with("a3ce929d0e0e4736-") && sent.ends_with("-1"),
        "B3, the trace-id has 16 digits still: {sent}"
    );
    let jaeger = only("B3", &outcome.request, "uber-trace-id");
    assert!(
        jaeger.starts_with("0000000000000000a3ce929d0e0e4736:"),
        "B3, this format had no spelling: {jaeger}"
    );
}

#[test]
fn datadogs_member_of_the_tracestate_goes_into_its_headers() {
    const MEMBER: &str = "dd=o:synthetics-browser;t.dm:-0;t.usr.id:baz64~~;t.tid:1";
    let config = config(&["tracecontext", "datadog"], &["tracecontext", "datadog"]);
    let tid = "_dd.p.tid=4bf92f3577b34da6";
    let own: (&str, &str) = ("x-datadog-trace-id", "11803532876627986230");
    // What came next to it; the tags and the origin that go out.
    let rows: [(Vec<(&str, &str)>, String, Option<&str>); 3] = [
        (vec![], format!("{tid},_dd.p.dm=-0,_dd.p.usr.id=baz64=="), Some("synthetics-browser")),
        (
            vec![own, ("x-datadog-tags", "_dd.p.usr.id=x"), ("x-datadog-origin", "rum")],
            format!("{tid},_dd.p.usr.id=x"),
            Some("rum"),
        ),
        (
            vec![
                ("x-datadog-trace-id", "1"),
                ("x-datadog-tags", "_dd.p.usr.id=bob"),
                ("x-datadog-origin", "rum"),
            ],
            format!("{tid},_dd.p.dm=-0,_dd.p.usr.id=baz64=="),
            Some("synthetics-browser"),
        ),
    ];
    for (next_to_it, tags, origin) in rows {
        let mut request = vec![("traceparent", W3C), ("tracestate", MEMBER)];
        request.extend(&next_to_it);
        let outcome = run(&config, &request);
        assert_eq!(only("D1", &outcome.request, "x-datadog-tags"), *tags, "D1, DD-05, {next_to_it:?}");
        assert_eq!(only("D1", &outcome.request, "tracestate"), MEMBER, "D1, DD-10");
        assert_eq!(outcome.request.get("x-datadog-origin"), origin.map(str::as_bytes), "D1, {next_to_it:?}");
    }
}
