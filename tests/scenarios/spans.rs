//! Which spans a hop has, and where they stand in the trace.

use proxy_wasm_test_framework::{Call, Status};

use crate::scenarios::hop::{CLIENT, GRPC_OK, Hop, OK, REMOTE_PARENT, SERVER, attributes};
use crate::scenarios::otlp::hex;
use crate::scenarios::support::{Line, PARENT_ID, SAMPLED, TRACE_ID, UNSAMPLED, UPPER, counters};

#[test]
fn an_edge_has_a_pair_whose_client_goes_upstream() {
    for config in [r#""role": "edge", "direction": "inbound""#, r#""span": {"kind": "server_and_client"}"#] {
        let done = Hop::new(config).exchange(&[], OK, &[]);
        let [server, client] = done.spans.as_slice() else { panic!("{:?}", done.spans) };
        assert_eq!((server.kind, client.kind), (SERVER, CLIENT));
        assert_eq!(server.trace_id, client.trace_id);
        assert!(server.parent_span_id.is_empty(), "a trace starts");
        assert_eq!((server.flags, client.flags), (0x103, 0x103), "the client's parent is here");
        assert_eq!(client.parent_span_id, server.span_id);
        assert_eq!(done.sent, format!("00-{}-{}-03", hex(&client.trace_id), hex(&client.span_id)));
        assert_eq!((server.trace_state.as_str(), client.trace_state.as_str()), ("ot=th:0", "ot=th:0"));
    }
}

#[test]
fn the_kind_is_what_the_configuration_says() {
    for (config, kind) in [
        (r#""direction": "inbound", "span": {"kind": "client"}"#, CLIENT),
        (r#""direction": "outbound", "span": {"kind": "server"}"#, SERVER),
        (r#""role": "edge", "direction": "outbound", "span": {"kind": "server"}"#, SERVER),
    ] {
        let (span, _) = Hop::new(config).one(&[("traceparent", SAMPLED)], OK);
        assert_eq!(span.kind, kind, "{config}");
    }
}

#[test]
fn a_context_that_was_replaced_is_linked() {
    let untrusted = r#""direction": "inbound", "trust": {"default": "untrusted"}"#;
    // What came; whether it can be read.
    let rows: &[(&str, &[u8], bool)] = &[
        (untrusted, SAMPLED, true),
        (r#""direction": "inbound""#, UPPER, true),
        (r#""direction": "inbound""#, b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", true),
        (r#""direction": "inbound""#, b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", true),
        (r#""direction": "inbound""#, b"00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
        (r#""direction": "inbound""#, TRACE_ID.as_bytes(), false),
        (r#""direction": "inbound""#, b"", false),
    ];
    for (config, came, readable) in rows {
        let (span, _) = Hop::new(config).one(&[("traceparent", came)], OK);
        assert_ne!(hex(&span.trace_id), TRACE_ID);
        assert!(span.parent_span_id.is_empty());
        let links: Vec<_> = span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect();
        let expected = if *readable { vec![(TRACE_ID.to_owned(), PARENT_ID.to_owned())] } else { Vec::new() };
        assert_eq!(links, expected, "{}", came.escape_ascii());
    }
}

#[test]
fn a_span_says_what_became_of_its_requests_context() {
    let untrusted = r#""direction": "inbound", "trust": {"default": "untrusted"}"#;
    let formats = r#""direction": "inbound", "propagation": {"extract": ["tracecontext", "b3"]}"#;
    let b3 = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
    let other = "11111111111111111111111111111111-2222222222222222-1";
    // What came; what the span says in the order of context, reason, repair, conflict.
    type Row<'a> = (&'a str, &'a [Line<'a>], [&'a str; 4]);
    let rows: &[Row<'_>] = &[
        (r#""direction": "inbound""#, &[("traceparent", SAMPLED)], [""; 4]),
        (r#""role": "edge", "span": {"kind": "server"}"#, &[], [""; 4]),
        (r#""direction": "inbound""#, &[], ["lost", "", "new", ""]),
        (
            r#""direction": "inbound", "trace_id_source": "x-request-id""#,
            &[("x-request-id", b"x")],
            ["lost", "uuid", "new", ""],
        ),
        (r#""direction": "inbound""#, &[("traceparent", UPPER)], ["corrupt", "upper_case", "new", ""]),
        (r#""direction": "inbound""#, &[("traceparent", SAMPLED), ("tracestate", b"=")], ["", "key", "", ""]),
        (untrusted, &[("traceparent", SAMPLED)], ["untrusted", "", "", ""]),
        (formats, &[("traceparent", UPPER), ("b3", b3.as_bytes())], ["", "upper_case", "format", ""]),
        (formats, &[("traceparent", SAMPLED), ("b3", other.as_bytes())], ["", "", "", "b3"]),
        (formats, &[("traceparent", SAMPLED), ("b3", b"x")], ["", "shape", "", ""]),
        (formats, &[("traceparent", SAMPLED), ("b3", b3.as_bytes())], [""; 4]),
    ];
    for (config, came, expected) in rows {
        let (span, _) = Hop::new(config).one(came, OK);
        let told = attributes(&span.attributes);
        let names = ["context", "reason", "repair", "conflict"].map(|name| format!("tracewarden.{name}"));
        let said = names.each_ref().map(|name| told.get(name.as_str()).map_or("", String::as_str));
        assert_eq!(said, *expected, "{config} {came:?}");
    }
}

#[test]
fn what_became_of_a_context_is_said_by_the_first_of_a_pair() {
    let config = r#""role": "edge", "direction": "inbound""#;
    let done = Hop::new(config).exchange(&[("traceparent", UPPER)], OK, &[]);
    let [server, client] = done.spans.as_slice() else { panic!("{:?}", done.spans) };
    assert_eq!(attributes(&server.attributes)["tracewarden.context"], "corrupt");
    assert_eq!(attributes(&client.attributes).get("tracewarden.context"), None);
}

#[test]
fn a_call_of_another_trace_says_that_it_is_unlinked() {
    let mut hop = Hop::new(r#""direction": "outbound", "correlation": {}"#);
    let (span, _) = hop.one(&[("traceparent", SAMPLED)], OK);
    assert_eq!(attributes(&span.attributes)["tracewarden.context"], "unlinked");
}

#[test]
fn a_response_that_names_another_trace_is_an_event() {
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    let everything = r#""direction": "inbound", "response": {"upstream": "remove"}"#;
    for (config, name) in [
        (r#""direction": "inbound""#, "traceparent"),
        (everything, "traceparent"),
        (everything, "traceresponse"),
    ] {
        let response: &[Line<'_>] = &[(":status", b"200"), (name, other.as_bytes())];
        let (span, _) = Hop::new(config).one(&[("traceparent", SAMPLED)], response);
        let [event] = span.events.as_slice() else { panic!("{:?}", span.events) };
        assert_eq!(
            (event.time_unix_nano, event.name.as_str()),
            (5_000_001_000, "tracewarden.response.mismatch")
        );
        let told = attributes(&event.attributes);
        assert_eq!(told["tracewarden.response.trace_id"], "11111111111111111111111111111111");
        assert_eq!(told["tracewarden.response.span_id"], "2222222222222222");
    }
    let same = format!("00-{TRACE_ID}-2222222222222222-01");
    for line in [("traceparent", same.as_bytes()), ("traceparent", b"x"), ("x-other", other.as_bytes())] {
        let (span, _) = Hop::new(r#""direction": "inbound""#)
            .one(&[("traceparent", SAMPLED)], &[(":status", b"200"), line]);
        assert!(span.events.is_empty(), "{line:?}");
    }
    let silent = r#""direction": "inbound", "response": {"validate": false}"#;
    let response: &[Line<'_>] = &[(":status", b"200"), ("traceparent", other.as_bytes())];
    assert!(Hop::new(silent).one(&[("traceparent", SAMPLED)], response).0.events.is_empty());
}

#[test]
fn only_a_recorded_request_gets_a_parent_id_of_this_hop() {
    let mut hop = Hop::new(r#""direction": "inbound""#);
    let done = hop.exchange(&[("traceparent", UNSAMPLED)], OK, &[]);
    assert_eq!(done.sent.as_bytes(), UNSAMPLED);
    assert!(done.spans.is_empty());
    for config in [r#""mode": "observe""#, r#""exclude": [{"path_prefix": "/"}]"#, r#""enabled": false"#] {
        let done = Hop::new(config).exchange(&[("traceparent", SAMPLED)], OK, &[]);
        assert_eq!(done.sent.as_bytes(), SAMPLED, "{config}");
        assert!(done.spans.is_empty(), "{config}");
    }
}

#[test]
fn a_parent_id_that_nobody_received_has_no_span() {
    let mut hop = Hop::new(r#""direction": "inbound""#);
    hop.vm.host_mut().fault(Call::ReplaceHeader, Status::InternalFailure);
    let done = hop.exchange(&[("traceparent", SAMPLED)], OK, &[]);
    assert_eq!((done.sent.as_bytes(), done.spans.len()), (SAMPLED, 0));
}

#[test]
fn a_rejoined_trace_has_its_span_below_what_the_pod_received() {
    let mut hop = Hop::new(r#""direction": "inbound", "correlation": {}"#);
    let request_id: Line<'_> = ("x-request-id", b"bae65882-2bcd-43db-89d1-000000000001");
    let (inbound, _) = hop.one(&[("traceparent", SAMPLED), request_id], OK);
    let outbound = r#"{"direction": "outbound", "correlation": {}, "export": {"otlp": {"cluster": "c"}, "delay_ms": 1}}"#;
    hop.root = hop.vm.root(outbound.as_bytes()).unwrap().unwrap();
    let (span, _) = hop.one(&[request_id], OK);
    assert_eq!((span.kind, &span.trace_id), (CLIENT, &inbound.trace_id));
    assert_eq!(span.parent_span_id, inbound.span_id);
}

#[test]
fn an_outsiders_ids_stay_its_parent_where_its_decision_does_not_count() {
    let trust = r#""direction": "inbound", "trust": {"default": "untrusted", "untrusted": "ignore_sampled"}"#;
    let (span, _) = Hop::new(trust).one(&[("traceparent", UNSAMPLED)], OK);
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE_ID.into(), PARENT_ID.into()));
}

#[test]
fn failures_are_recorded_late_within_their_rate() {
    let config = r#""direction": "inbound", "sampling": {"probability": 0, "errors_per_second": 2}"#;
    let mut hop = Hop::new(config);
    let fine = hop.exchange(&[("traceparent", UNSAMPLED)], OK, &[]);
    assert!(fine.spans.is_empty());
    assert!(fine.sent.ends_with("-00") && fine.sent.as_bytes() != UNSAMPLED, "{}", fine.sent);

    let state: &[Line<'_>] = &[("traceparent", UNSAMPLED), ("tracestate", b"ot=th:8;rv:11111111111111,a=1")];
    let (span, failed) = hop.one(state, &[(":status", b"500")]);
    assert_eq!(failed.sent, format!("00-{TRACE_ID}-{}-00", hex(&span.span_id)), "decided too late for it");
    assert_eq!(failed.told, format!("00-{TRACE_ID}-{}-01", hex(&span.span_id)), "but not for the caller");
    assert_eq!((span.trace_state.as_str(), span.flags), ("", REMOTE_PARENT | 1), "no th");

    let broken_off = hop.exchange(&[("traceparent", UNSAMPLED)], &[], &[]);
    assert!(broken_off.spans.is_empty(), "no response, so none that failed");

    let in_trailers = hop.exchange(&[("traceparent", UNSAMPLED)], GRPC_OK, &[("grpc-status", b"13")]);
    assert_eq!(in_trailers.spans.len(), 1);
    assert!(in_trailers.told.ends_with("-00"), "the response was told before");

    let beyond = hop.exchange(&[("traceparent", UNSAMPLED)], &[(":status", b"503")], &[]);
    assert!(beyond.spans.is_empty() && beyond.told.ends_with("-00"), "the rate is used up");
    let counted = counters(&hop.vm);
    assert!(counted.contains(&"sampled record error 2".to_owned()), "{counted:?}");
}

#[test]
fn what_nobody_wants_spans_of_is_excluded() {
    let rows: &[&[Line<'_>]] = &[
        &[(":method", b"POST"), (":path", b"/v1/traces")],
        &[(":method", b"POST"), (":path", b"/api/v2/spans")],
        &[
            (":method", b"POST"),
            (":path", b"/grpc.health.v1.Health/Check"),
            ("content-type", b"application/grpc"),
        ],
        &[(":method", b"OPTIONS"), (":path", b"/cart"), ("access-control-request-method", b"PUT")],
    ];
    let mut hop = Hop::new(r#""direction": "inbound""#);
    for request in rows {
        let stream = hop.vm.stream(hop.root).unwrap();
        hop.vm.request(stream, [request, &[("traceparent", SAMPLED)][..]].concat()).unwrap();
        hop.vm.finish(stream).unwrap();
        assert!(hop.exported().is_empty(), "{request:?}");
    }
    assert!(
        counters(&hop.vm).contains(&format!("requests inbound internal enforce excluded {}", rows.len()))
    );
    let others: &[&[Line<'_>]] = &[
        &[(":method", b"OPTIONS"), (":path", b"/cart")],
        &[(":method", b"PUT"), (":path", b"/cart"), ("access-control-request-method", b"PUT")],
        &[(":path", b"/grpc.health.v1.Health/Check")],
        &[(":path", b"/v1/traces/1")],
    ];
    for request in others {
        let stream = hop.vm.stream(hop.root).unwrap();
        hop.vm.request(stream, [request, &[("traceparent", SAMPLED)][..]].concat()).unwrap();
        hop.vm.finish(stream).unwrap();
    }
    assert_eq!(hop.exported().len(), others.len());
}
