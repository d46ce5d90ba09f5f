//! What may cross a border: who may see, decide and name what. Each row was once a leak.

use crate::scenarios::support::{
    B3, Line, Outcome, PARENT_ID, SAMPLED, Scenario, TRACE_ID, UNSAMPLED, counters, started,
};

/// What becomes of a header.
#[derive(Clone, Copy)]
enum Goes {
    /// It does not go on.
    Nowhere,
    /// It goes on with this value, on one line.
    As(&'static str),
    /// It goes on with a value that has this in it.
    With(&'static str),
    /// It goes on with a value that ends so and does not have that in it.
    New(&'static str, &'static str),
}

use Goes::{As, New, Nowhere, With};

struct Row<'a> {
    id: &'a str,
    config: &'a str,
    request: &'a [Line<'a>],
    goes: &'a [(&'a str, Goes)],
    /// Counters that there must be.
    counted: &'a [&'a str],
}

const OTHER_DATADOG: [Line<'_>; 4] = [
    ("x-datadog-trace-id", b"1"),
    ("x-datadog-parent-id", b"2"),
    ("x-datadog-sampling-priority", b"2"),
    ("x-datadog-tags", b"_dd.p.usr.id=bob"),
];

/// A header of every kind that a format owns, with the trace that it names, if it names one.
const OWNED: &[Line<'_>] = &[
    ("traceparent", SAMPLED),
    ("tracestate", b"dd=s:2;t.usr.id:evil,es=s:1"),
    ("baggage", b"user=1"),
    ("correlation-context", b"user=1"),
    ("b3", B3),
    ("x-b3-traceid", b"4bf92f3577b34da6a3ce929d0e0e4736"),
    ("x-b3-flags", b"1"),
    ("baggage-user", b"1"),
    ("uber-trace-id", b"4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1"),
    ("jaeger-debug-id", b"x"),
    ("jaeger-baggage", b"user=1"),
    ("uberctx-user", b"1"),
    ("x-amzn-trace-id", b"Root=1-4bf92f35-77b34da6a3ce929d0e0e4736"),
    ("x-cloud-trace-context", b"4bf92f3577b34da6a3ce929d0e0e4736/1;o=1"),
    ("x-datadog-trace-id", b"1"),
    ("x-datadog-origin", b"rum"),
    ("x-datadog-delegate-trace-sampling", b"delegate"),
    ("ot-tracer-traceid", b"a3ce929d0e0e4736"),
    ("ot-baggage-user", b"1"),
    ("OT-Baggage-Second", b"1"),
    ("x-ot-span-context", b"x"),
    ("grpc-trace-bin", b"AABL"),
    ("grpc-tags-bin", b"AABL"),
    ("sw8", b"1"),
    ("sw8-x", b"1-"),
    ("sw8-correlation", b"dXNlcg==:MQ=="),
    ("x-mesh-trace", b"00-11111111111111111111111111111111-2222222222222222-01"),
];
const BAGGAGE: [&str; 9] = [
    "baggage",
    "correlation-context",
    "baggage-user",
    "jaeger-baggage",
    "uberctx-user",
    "ot-baggage-user",
    "OT-Baggage-Second",
    "grpc-tags-bin",
    "sw8-correlation",
];

#[test]
fn nothing_of_an_outsiders_context_goes_on() {
    let written = ["traceparent", "x-mesh-trace", "tracestate"];
    for header in ["", r#", "header": "x-mesh-trace""#] {
        for untrusted in ["restart", "ignore_sampled", "strip"] {
            for (baggage, rest) in
                [(false, ""), (true, ""), (false, r#", "exclude": [{"path_prefix": "/"}]"#)]
            {
                let config = format!(
                    r#"{{"direction": "inbound", "sampling": {{"probability": 0}},
                    "trust": {{"default": "untrusted", "untrusted": "{untrusted}", "baggage": {baggage}}}{header}{rest}}}"#
                );
                let outcome = Scenario::new(&config, OWNED, None).run();
                for (name, value) in OWNED {
                    let lines = outcome.request.lines(name);
                    let may_stay =
                        header.is_empty() && *name == "x-mesh-trace" || baggage && BAGGAGE.contains(name);
                    if may_stay {
                        assert_eq!(lines, [*value], "{config}: {name} stays");
                    } else if written.contains(name) {
                        assert!(!lines.contains(value), "{config}: {name}");
                    } else {
                        assert!(lines.is_empty(), "{config}: {name}");
                    }
                }
                let other = if header.is_empty() { "x-none" } else { "traceparent" };
                assert_eq!(outcome.request.get(other), None, "{config}: the plain name is not ours to write");
            }
        }
    }
}

#[test]
fn inside_of_the_mesh_a_context_keeps_its_companions() {
    let outcome = Scenario::new(r#"{"direction": "inbound"}"#, OWNED, None).run();
    for (name, value) in OWNED {
        assert_eq!(outcome.request.lines(name), [*value], "{name}");
    }
}

#[test]
fn nothing_of_a_context_leaves_where_egress_says_so() {
    const PREFLIGHT: &[Line<'_>] = &[(":method", b"OPTIONS"), ("access-control-request-method", b"GET")];
    const UPLOAD: &[Line<'_>] = &[(":method", b"POST"), (":path", b"/v1/traces")];
    let kinds: [&[Line<'_>]; 3] = [&[], PREFLIGHT, UPLOAD];
    let hosts = ["api.example.org", "API.example.ORG:443", "api.example.org.", "me:pw@api.example.org.:80"];
    let configs = [
        r#""direction": "outbound""#,
        r#""direction": "outbound", "exclude": [{"path_prefix": "/"}]"#,
        r#""direction": "outbound", "header": "x-mesh-trace""#,
        r#""direction": "outbound", "export": {"otlp": {"cluster": "c"}}"#,
        r#""direction": "inbound""#,
        // No direction is known: privacy goes first.
        r#""mode": "enforce""#,
    ];
    for wanted in ["*.example.org", "api.example.org", "api.example.org."] {
        for config in configs {
            let config =
                format!(r#"{{{config}, "egress": [{{"match": {{"host": "{wanted}"}}, "strip": "all"}}]}}"#);
            for host in hosts {
                for kind in kinds {
                    let request = [&[(":authority", host.as_bytes())], kind, OWNED].concat();
                    let outcome = Scenario::new(&config, &request, None).run();
                    for (name, _) in OWNED {
                        let is_ours = *name != "x-mesh-trace" || config.contains("x-mesh-trace");
                        let is_there = outcome.request.get(name).is_some();
                        assert_eq!(is_there, !is_ours, "A1, A5, {config}, {host}: {name}");
                    }
                    let verdicts = outcome.counters.iter().filter(|counter| counter.starts_with("requests"));
                    assert_eq!(verdicts.count(), 1, "{config}: {:?}", outcome.counters);
                }
            }
        }
    }
}

#[test]
fn egress_without_a_direction_is_said_once() {
    let config = |rest: &str| {
        format!(
            r#"{{{rest} "egress": [{{"match": {{"host": "*.org", "direction": "outbound"}}, "strip": "all"}}]}}"#
        )
    };
    // The listener's direction, the configuration's, whether the context leaves, and how many lines are logged.
    for (listener, rest, leaves, logged) in [
        (None, "", false, 1),
        (Some(2), "", false, 0),
        (Some(1), "", true, 0),
        (None, r#""direction": "inbound","#, true, 0),
    ] {
        let request: &[Line<'_>] = &[(":authority", b"api.example.org"), ("traceparent", SAMPLED)];
        let config = config(rest);
        let outcome = Scenario { listener, ..Scenario::new(&config, request, None) }.run();
        assert_eq!(outcome.request.get("traceparent").is_some(), leaves, "A6, {config}, {listener:?}");
        assert_eq!(outcome.logged, logged, "A6, {config}, {listener:?}");
    }
}

#[test]
fn each_rule_of_the_border_holds() {
    const IGNORE: &str = r#""trust": {"default": "untrusted", "untrusted": "ignore_sampled"}"#;
    let ignore = format!(
        r#"{{"direction": "inbound", {IGNORE}, "sampling": {{"probability": 0}},
        "propagation": {{"extract": ["tracecontext"], "inject": ["tracecontext", "datadog", "xray"]}}}}"#
    );
    let strip = r#"{"direction": "inbound", "trust": {"default": "untrusted", "untrusted": "strip"}}"#;
    let rows = [
        Row {
            id: "A4, a trace that is dropped here is dropped in every format",
            config: r#"{"direction": "inbound", "sampling": {"parent": "ignore", "probability": 0},
                "propagation": {"extract": ["b3"], "inject": ["tracecontext", "b3", "b3multi", "jaeger"]}}"#,
            request: &[("b3", b"0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-d")],
            goes: &[
                ("traceparent", New("-00", PARENT_ID)),
                ("b3", New("-0", PARENT_ID)),
                ("x-b3-flags", Nowhere),
                ("x-b3-sampled", As("0")),
                ("uber-trace-id", New(":0:0", PARENT_ID)),
            ],
            counted: &["sampled drop probability"],
        },
        Row {
            id: "A9, of an outsider's context only the ids go on",
            config: &ignore,
            request: &[
                ("traceparent", SAMPLED),
                ("tracestate", b"dd=s:2;t.usr.id:evil,es=s:1"),
                ("x-datadog-trace-id", b"9532127138774266268"),
                ("x-datadog-sampling-priority", b"2"),
                ("x-datadog-tags", b"_dd.p.tid=0af7651916cd43dd,_dd.p.usr.id=evil"),
                ("x-amzn-trace-id", b"Root=1-0af76519-16cd43dd8448eb211c80319c;Evil=1"),
            ],
            goes: &[
                ("traceparent", New("-00", PARENT_ID)),
                ("traceparent", With(TRACE_ID)),
                ("tracestate", Nowhere),
                ("x-datadog-sampling-priority", As("0")),
                ("x-datadog-tags", As("_dd.p.tid=0af7651916cd43dd")),
                ("x-amzn-trace-id", New("Sampled=0", "Evil")),
            ],
            counted: &["requests inbound internal enforce continued"],
        },
        Row {
            id: "A10, the extras of another trace do not go on",
            config: r#"{"direction": "inbound", "propagation": {
                "extract": ["tracecontext", "datadog", "xray"], "inject": ["tracecontext", "datadog", "xray"]}}"#,
            request: &[
                ("traceparent", SAMPLED),
                OTHER_DATADOG[0],
                OTHER_DATADOG[1],
                OTHER_DATADOG[2],
                OTHER_DATADOG[3],
                ("x-datadog-origin", b"rum"),
                ("x-amzn-trace-id", b"Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Evil=1"),
            ],
            goes: &[
                ("traceparent", As("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
                ("x-datadog-sampling-priority", As("1")),
                ("x-datadog-tags", As("_dd.p.tid=0af7651916cd43dd")),
                ("x-datadog-origin", Nowhere),
                ("x-amzn-trace-id", New("Sampled=1", "Evil")),
            ],
            counted: &["conflicts tracecontext datadog", "conflicts tracecontext xray"],
        },
        Row {
            id: "A10, nor do those of a context that is invalid, whether it is read or not",
            config: r#"{"direction": "inbound", "propagation": {
                "extract": ["tracecontext"], "inject": ["tracecontext", "datadog", "xray"]}}"#,
            request: &[
                ("traceparent", SAMPLED),
                ("x-datadog-trace-id", b"x"),
                OTHER_DATADOG[2],
                OTHER_DATADOG[3],
                ("x-amzn-trace-id", b"Root=1-1-1;Evil=1"),
            ],
            goes: &[
                ("x-datadog-sampling-priority", As("1")),
                ("x-datadog-tags", As("_dd.p.tid=0af7651916cd43dd")),
                ("x-amzn-trace-id", New("Sampled=1", "Evil")),
            ],
            counted: &["requests inbound internal enforce continued"],
        },
        Row {
            id: "A14, what is removed is not written either",
            config: r#"{"direction": "inbound", "sampling": {"probability": 0.999999},
                "propagation": {"inject": ["tracecontext", "b3"], "remove": ["tracestate", "b3"]}}"#,
            request: &[],
            goes: &[("traceparent", With("00-")), ("tracestate", Nowhere), ("b3", Nowhere)],
            counted: &["repairs inbound new"],
        },
        Row {
            id: "A14, the first header of a format takes the rest with it",
            config: r#"{"direction": "inbound", "propagation": {"remove": ["traceparent", "uber-trace-id"]}}"#,
            request: &[
                ("traceparent", SAMPLED),
                ("tracestate", b"a=1"),
                ("baggage", b"a=1"),
                ("uber-trace-id", b"1:1:0:1"),
                ("jaeger-debug-id", b"1"),
                ("uberctx-user", b"1"),
            ],
            goes: &[
                ("traceparent", Nowhere),
                ("tracestate", Nowhere),
                ("baggage", As("a=1")),
                ("uber-trace-id", Nowhere),
                ("jaeger-debug-id", Nowhere),
                ("uberctx-user", As("1")),
            ],
            counted: &["requests inbound internal enforce continued"],
        },
        Row {
            id: "A14 with egress, our own tracestate stays here as well",
            config: r#"{"direction": "outbound", "sampling": {"probability": 0.999999},
                "egress": [{"match": {"host": "a.org"}, "strip": "tracestate"}]}"#,
            request: &[(":authority", b"a.org")],
            goes: &[("traceparent", With("00-")), ("tracestate", Nowhere)],
            counted: &["repairs outbound new"],
        },
        Row {
            id: "A16, strip counts what came",
            config: strip,
            request: &[("traceparent", SAMPLED)],
            goes: &[("traceparent", Nowhere)],
            counted: &["requests inbound internal enforce untrusted"],
        },
        Row {
            id: "B2, a decision does not change under its parent-id",
            config: r#"{"direction": "inbound", "propagation": {
                "extract": ["b3", "tracecontext"], "inject": ["tracecontext"]}}"#,
            request: &[
                ("b3", b"0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"),
                ("traceparent", SAMPLED),
            ],
            goes: &[("traceparent", New("-00", PARENT_ID)), ("traceparent", With(TRACE_ID)), ("b3", Nowhere)],
            counted: &["sampled drop parent"],
        },
        Row {
            id: "B2, a decision that is left open in one format is taken from the other",
            config: r#"{"direction": "inbound", "propagation": {
                "extract": ["b3", "tracecontext"], "inject": ["tracecontext", "b3"]}}"#,
            request: &[
                ("b3", b"0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"),
                ("traceparent", UNSAMPLED),
            ],
            goes: &[
                ("traceparent", As("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")),
                ("b3", As("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0")),
            ],
            counted: &["sampled drop parent"],
        },
        Row {
            id: "B6, no stale context stays",
            config: r#"{"direction": "inbound", "parent_id": "new", "propagation": {
                "extract": ["b3", "jaeger", "tracecontext"], "inject": ["tracecontext", "b3multi"]}}"#,
            request: &[
                ("b3", b"0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"),
                ("uber-trace-id", b"1:1:0:1"),
                ("jaeger-debug-id", b"1"),
            ],
            goes: &[
                ("b3", Nowhere),
                ("uber-trace-id", Nowhere),
                ("jaeger-debug-id", Nowhere),
                ("x-b3-traceid", As(TRACE_ID)),
                ("traceparent", New("-01", PARENT_ID)),
            ],
            counted: &["conflicts b3 jaeger"],
        },
    ];
    for row in &rows {
        let outcome = Scenario::new(row.config, row.request, None).run();
        for (header, goes) in row.goes {
            check(row.id, &outcome, header, *goes);
        }
        for counter in row.counted {
            assert!(outcome.counters.iter().any(|one| one == counter), "{}: {:?}", row.id, outcome.counters);
        }
    }
}

fn check(id: &str, outcome: &Outcome, header: &str, goes: Goes) {
    let lines = outcome.request.lines(header);
    let name = format!(
        "{id}: {header}: {:?}",
        lines.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>()
    );
    if let Nowhere = goes {
        assert!(lines.is_empty(), "{name}");
        return;
    }
    let [line] = lines[..] else { panic!("{name}") };
    let value = std::str::from_utf8(line).expect(id);
    match goes {
        Nowhere => {}
        As(expected) => assert_eq!(value, expected, "{name}"),
        With(part) => assert!(value.contains(part), "{name}"),
        New(end, old) => assert!(value.ends_with(end) && !value.contains(old), "{name}"),
    }
}

#[test]
fn a_response_says_nothing_of_a_context_that_the_upstream_never_got() {
    let config = r#"{"direction": "inbound", "propagation": {"remove": ["traceparent"]}}"#;
    for request in [&[][..], &[("traceparent", SAMPLED)]] {
        let outcome = Scenario::new(config, request, Some(&[])).run();
        assert_eq!(
            outcome.response.and_then(|response| response.get("traceparent").map(<[u8]>::to_vec)),
            None,
            "A14"
        );
        assert!(
            !outcome.counters.iter().any(|counter| counter.starts_with("repairs")),
            "{:?}",
            outcome.counters
        );
    }
}

#[test]
fn nobody_is_like_a_name_of_any_kind() {
    let config = r#"{"direction": "inbound", "trust": {"default": "untrusted", "trusted": [{"san": "*"}]}}"#;
    for (san, verdict) in [(None, "untrusted"), (Some(""), "untrusted"), (Some("spiffe://a"), "continued")] {
        let scenario = Scenario::new(config, &[("traceparent", SAMPLED)], None);
        let outcome = Scenario { san, ..scenario }.run();
        let expected = format!("requests inbound internal enforce {verdict}");
        assert!(outcome.counters.contains(&expected), "A7, {san:?}: {:?}", outcome.counters);
    }
}

#[test]
fn strip_means_that_nothing_takes_the_place_of_what_came() {
    let config = r#"{"direction": "inbound", "trust": {"default": "untrusted", "untrusted": "strip"}}"#;
    // What came; whether a trace starts.
    let rows: &[(&[Line<'_>], bool)] = &[
        (&[("traceparent", SAMPLED)], false),
        (&[("traceparent", b"corrupt")], false),
        (&[("b3", B3)], false),
        (&[("x-amzn-trace-id", b"Root=1")], false),
        (&[], true),
        (&[("user-agent", b"curl")], true),
    ];
    for (request, starts) in rows {
        let outcome = Scenario::new(config, request, None).run();
        assert_eq!(outcome.request.get("traceparent").is_some(), *starts, "D11, {request:?}");
        assert_eq!(outcome.request.get("b3"), None, "{request:?}");
    }
}

#[test]
fn a_secret_is_kept_even_by_those_who_only_observe() {
    let config = r#"{"direction": "inbound", "mode": "observe", "propagation": {"remove": ["b3"]},
        "sampling": {"force": {"header": "x-force", "value_env": "FORCE_SECRET"}}}"#;
    let request: &[Line<'_>] = &[("x-force", b"open sesame"), ("b3", B3), ("traceparent", SAMPLED)];
    let outcome = Scenario::new(config, request, None).run();
    assert_eq!(outcome.request.get("x-force"), None, "D4");
    assert_eq!(outcome.request.lines("b3"), [B3], "D4, nothing else is touched");
    assert_eq!(outcome.request.lines("traceparent"), [SAMPLED]);
}

#[test]
fn a_context_that_nobody_reads_is_named() {
    let b3 = ("b3", B3);
    let xray: Line<'_> = ("x-amzn-trace-id", b"Root=1-1-1");
    // The role, what came, and the formats that are counted as unread.
    let rows: &[(&str, &[Line<'_>], &[&str])] = &[
        ("internal", &[b3], &["b3"]),
        ("edge", &[b3, xray], &["b3", "xray"]),
        ("internal", &[b3, ("traceparent", SAMPLED)], &[]),
        ("internal", &[b3, ("traceparent", b"corrupt")], &[]),
        ("internal", &[("tracestate", b"a=1"), ("baggage", b"a=1")], &[]),
    ];
    for (role, request, formats) in rows {
        let config = format!(r#"{{"direction": "inbound", "role": "{role}"}}"#);
        let outcome = Scenario::new(&config, request, None).run();
        let counted = outcome.counters.iter().filter_map(|counter| counter.strip_prefix("unread "));
        assert_eq!(counted.collect::<Vec<_>>(), *formats, "B7, {request:?}");
    }
}

#[test]
fn a_trace_that_starts_here_need_not_say_that_its_id_is_random() {
    for (flag, started) in [("true", "-03"), ("false", "-01")] {
        let config = format!(
            r#"{{"direction": "inbound", "parent_id": "new", "sampling": {{"random_flag": {flag}}}}}"#
        );
        let sent = |request: &[Line<'_>]| {
            let outcome = Scenario::new(&config, request, None).run();
            String::from_utf8_lossy(outcome.request.get("traceparent").expect("a context")).into_owned()
        };
        assert!(sent(&[]).ends_with(started), "B8, {flag}");
        for flags in ["01", "03"] {
            let came = format!("00-{TRACE_ID}-{PARENT_ID}-{flags}");
            assert!(
                sent(&[("traceparent", came.as_bytes())]).ends_with(flags),
                "B8, {flag}: it keeps its flag"
            );
        }
    }
}

#[test]
fn requests_that_need_no_trace_are_left_alone_unless_a_list_says_otherwise() {
    let agent = |agent: &'static str| vec![(":method", &b"GET"[..]), ("user-agent", agent.as_bytes())];
    let post = |path: &'static str| vec![(":method", &b"POST"[..]), (":path", path.as_bytes())];
    let preflight: Vec<Line<'_>> = vec![(":method", b"OPTIONS"), ("access-control-request-method", b"PUT")];
    // The request, and whether it is known.
    let rows: Vec<(Vec<Line<'_>>, bool)> = vec![
        (agent("kube-probe/1.29"), true),
        (agent("Envoy/HC"), true),
        (agent("GoogleHC/1.0"), true),
        (agent("ELB-HealthChecker/2.0"), true),
        (agent("Amazon-Route53-Health-Check-Service (ref 1; report x)"), true),
        (agent("Consul Health Check"), true),
        (agent("Edge Health Probe"), true),
        (agent("Prometheus/3.1.0"), true),
        (agent("vm_promscrape"), true),
        (agent("Alloy/v1.5.1 (linux; docker)"), true),
        (agent("GrafanaAgent/v0.40.0"), true),
        (agent("Libdatadog/9.0.0"), true),
        (agent("libdatadog/9.0.0"), false),
        (post("/api/traces"), true),
        (post("/api/trace"), false),
        (post("/jaeger.api_v2.CollectorService/PostSpans"), true),
        (post("/skywalking.v3.TraceSegmentReportService/collect"), true),
        (post("/envoy.service.auth.v3.Authorization/Check"), true),
        (post("/envoy.service.auth.v3.Authorization/CheckX"), false),
        (post("/v0.7/config"), true),
        (agent("Go-http-client/1.1"), false),
        (agent("kube"), false),
        (agent("kube-probe"), false),
        (agent(""), false),
        (post("/v1/traces"), true),
        (post("/v1/logs?x=1"), true),
        (post("/v0.4/traces"), true),
        (post("/api/v2/spans"), true),
        (post("/opentelemetry.proto.collector.trace.v1.TraceService/Export"), true),
        (post("/grpc.health.v1.Health/Check"), true),
        (post("/v1/traces/1"), false),
        (post("/v1/tracesx"), false),
        (post("/v1/"), false),
        (vec![(":method", b"GET"), (":path", b"/v1/traces")], false),
        (preflight, true),
        (vec![(":method", b"OPTIONS")], false),
    ];
    let lists = [
        ("", true),
        (r#", "exclude": null"#, true),
        (r#", "exclude": []"#, false),
        (r#", "exclude": [{"path": "/x"}]"#, false),
        (r#", "exclude": [{"path": "/x"}, "default"]"#, true),
    ];
    for (request, known) in &rows {
        for (list, keeps) in lists {
            let config = format!(r#"{{"direction": "inbound"{list}}}"#);
            let lines = [&request[..], &[("traceparent", SAMPLED)]].concat();
            let (mut vm, root) = started(&config);
            let stream = vm.stream(root).expect("no trap");
            vm.request(stream, lines).expect("no trap");
            let excluded = counters(&vm).contains(&"requests inbound internal enforce excluded".to_owned());
            assert_eq!(excluded, *known && keeps, "B10, {list}: {request:?}");
            assert_eq!(vm.request_headers(stream).lines("traceparent"), [SAMPLED], "B10: as it came");
        }
    }
}
