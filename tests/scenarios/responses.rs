//! What happens to a response, and what it is compared with.

use crate::scenarios::requests::{NEVER, RANDOM, runs};
use crate::scenarios::support::{
    B3, INBOUND, Line, NEW, OBSERVE, OTHER, SAMPLED, TRACE_ID, UNSAMPLED, UPPER, bystanders, with_bystanders,
};

#[test]
fn a_context_on_the_response_is_read_in_each_form() {
    const ALL: &str = r#"{"direction": "inbound", "mode": "observe", "response": {"inject": ["server-timing", "traceresponse"]}}"#;
    const QUOTED: &[u8] = b"db;dur=5;desc=\"a, b;c\", traceparent;desc=\"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01\"";
    const ESCAPED: &[u8] =
        b"db;desc=\"a\\\\\", traceparent;desc=\"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01\"";
    const TOKEN: &[u8] = b"Trace ; dur=1 ; Desc = 00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    const TWICE: &[u8] =
        b"traceparent;desc=\"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01\",db,TraceParent";
    const BOTH: &[u8] =
        b"trace, traceparent;desc=\"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01\"";
    const ZERO: &[u8] = b"trace;desc=00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
    const CAPITALS: &[u8] = b"trace;desc=00-0af7651916cd43dd8448eb211c80319c-00F067AA0BA902B7-01";
    let rows: &[(&str, &[Line<'_>], &str)] = &[
        ("RS-01", &[], "responses absent"),
        ("RS-01", &[("traceresponse", SAMPLED)], "responses match"),
        ("RS-01", &[("traceresponse", OTHER)], "responses mismatch"),
        ("RS-01", &[("traceparent", SAMPLED), ("traceresponse", OTHER)], "responses match"),
        ("RS-06", &[("server-timing", QUOTED)], "responses match"),
        ("RS-06", &[("server-timing", ESCAPED)], "responses match"),
        ("RS-02", &[("server-timing", b"cache;desc=hit"), ("server-timing", TOKEN)], "responses match"),
        ("RS-03", &[("server-timing", ZERO)], "responses corrupt"),
        ("RS-03", &[("server-timing", CAPITALS)], "responses corrupt"),
        ("RS-06", &[("server-timing", b"traceparent;desc=\"00-0\"")], "responses corrupt"),
        ("RS-06", &[("server-timing", b"traceparent")], "responses corrupt"),
        ("RS-06", &[("server-timing", b"db;desc=\"traceparent;desc=x\"")], "responses absent"),
        ("RS-06", &[("server-timing", b"\xff\xff;;,,=\"\\")], "responses absent"),
        ("RS-10", &[("traceresponse", SAMPLED), ("traceresponse", SAMPLED)], "responses corrupt"),
        ("RS-10", &[("server-timing", TOKEN), ("server-timing", TOKEN)], "responses corrupt"),
        ("RS-10", &[("server-timing", TWICE)], "responses corrupt"),
        ("RS-10", &[("server-timing", BOTH)], "responses match"),
        ("RS-10", &[("traceparent", SAMPLED), ("server-timing", TWICE)], "responses match"),
    ];
    for (rule, response, counter) in rows {
        let request: &[Line<'_>] = &[("traceparent", SAMPLED)];
        let outcome = runs(ALL, request, Some(response));
        let counted = outcome.counters.iter().find(|counter| counter.starts_with("responses"));
        assert_eq!(counted.map(String::as_str), Some(*counter), "{rule}");
        let received = outcome.response.expect("a response came");
        assert_eq!(received, with_bystanders(response), "{rule}: observing touches nothing");
    }
}

#[test]
fn a_context_is_put_on_the_response_in_each_form() {
    let config = |inject: &str, when: &str| {
        format!(r#"{{"direction": "inbound", "response": {{"inject": [{inject}], "when": "{when}"}}}}"#)
    };
    let timing = [&b"traceparent;desc=\""[..], SAMPLED, b"\""].concat();
    let draft = [&b"trace;desc="[..], SAMPLED].concat();
    let everything = config(
        r#""traceparent", "traceresponse", "server-timing", "server-timing-trace", {"header": "X-Trace-Id"}"#,
        "always",
    );
    let response: &[Line<'_>] = &[("server-timing", b"db;dur=5")];
    let outcome = runs(&everything, &[("traceparent", SAMPLED)], Some(response));
    let received = outcome.response.expect("a response came");
    assert_eq!(received.lines("traceparent"), [SAMPLED]);
    assert_eq!(received.lines("traceresponse"), [SAMPLED]);
    assert_eq!(received.lines("server-timing"), [&b"db;dur=5"[..], &timing, &draft], "RS-06 RS-09, appended");
    assert_eq!(received.lines("x-trace-id"), [TRACE_ID.as_bytes()], "RS-11");
}

#[test]
fn a_metric_of_the_upstream_is_the_only_one_of_its_name() {
    const OURS: &[u8] = b"traceparent;desc=\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"";
    const THEIRS: &[u8] = b"traceparent;desc=\"00-11111111111111111111111111111111-2222222222222222-01\"";
    const DRAFT: &[u8] = b"trace;desc=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const KEEP: &str = r#"{"direction": "inbound", "response": {"inject": ["server-timing"]}}"#;
    const KEEP_BOTH: &str =
        r#"{"direction": "inbound", "response": {"inject": ["server-timing", "server-timing-trace"]}}"#;
    const REMOVE: &str =
        r#"{"direction": "inbound", "response": {"inject": ["server-timing"], "upstream": "remove"}}"#;
    type Lines = &'static [&'static [u8]];
    let rows: &[(&str, &str, Lines, Lines)] = &[
        ("RS-08: a valid one stays", KEEP, &[b"db", THEIRS], &[b"db", THEIRS]),
        (
            "RS-08: a corrupt one is replaced",
            KEEP,
            &[b"db, traceparent;desc=\"x\";dur=1 ,a"],
            &[b"db,a", OURS],
        ),
        ("RS-10: two are replaced by ours", KEEP, &[THEIRS, b"db;dur=1", THEIRS], &[b"db;dur=1", OURS]),
        ("RS-09: the other name is no obstacle", KEEP_BOTH, &[THEIRS], &[THEIRS, DRAFT]),
        ("RS-09: one of another name stays", KEEP, &[b"trace;desc=x"], &[b"trace;desc=x", OURS]),
        ("RS-12: removed, ours is written", REMOVE, &[THEIRS, b"db", b"trace;desc=x"], &[b"db", OURS]),
    ];
    for (why, config, upstream, caller) in rows {
        let upstream: Vec<Line<'_>> = upstream.iter().map(|line| ("server-timing", *line)).collect();
        let outcome = runs(config, &[("traceparent", SAMPLED)], Some(&upstream));
        let received = outcome.response.expect("a response came");
        assert_eq!(received.lines("server-timing"), *caller, "{why}");
    }
}

#[test]
fn the_caller_is_told_when_the_configuration_says() {
    let config = |role: &str, when: &str| {
        format!(
            r#"{{"direction": "inbound", "role": "{role}", "trust": {{"default": "untrusted"}},
                "propagation": {{"extract": ["tracecontext", "b3", "xray"]}},
                "exclude": [{{"method": "OPTIONS"}}], "response": {{"when": "{when}"}}}}"#
        )
    };
    const XRAY: &[u8] = b"Root=1-5759e988-bd862e3fe1be46a994272793";
    // What the caller sent; whether it is told always, if sampled, if it participates.
    let rows: &[(&str, &[Line<'_>], [bool; 3])] = &[
        ("nothing", &[], [true, true, false]),
        ("a context", &[("traceparent", SAMPLED)], [true, true, true]),
        ("a context in another format", &[("b3", B3)], [true, true, true]),
        ("a load balancer's trace-id", &[("x-amzn-trace-id", XRAY)], [true, true, false]),
        ("a decision alone", &[("b3", b"0")], [true, true, false]),
        ("a format that is not read", &[("uber-trace-id", b"1:2:0:1")], [true, true, false]),
        ("a corrupt one", &[("traceparent", UPPER)], [true, true, false]),
        ("an excluded one", &[("traceparent", SAMPLED), (":method", b"OPTIONS")], [false, false, false]),
    ];
    for (role, (sent, request, told)) in
        ["edge", "internal"].into_iter().flat_map(|role| rows.iter().map(move |row| (role, row)))
    {
        for (when, told) in ["always", "sampled", "participating"].into_iter().zip(told) {
            let outcome = runs(&config(role, when), request, Some(&[]));
            let response = outcome.response.expect("a response came");
            assert_eq!(response.lines("traceparent").len(), usize::from(*told), "{role} {when}: {sent}");
        }
    }
    for (sent, when, told) in [
        (SAMPLED, "sampled", 1),
        (UNSAMPLED, "sampled", 0),
        (UNSAMPLED, "participating", 1),
        (UNSAMPLED, "always", 1),
    ] {
        let config = format!(r#"{{"direction": "inbound", "response": {{"when": "{when}"}}}}"#);
        let outcome = runs(&config, &[("traceparent", sent)], Some(&[]));
        assert_eq!(outcome.response.expect("a response came").lines("traceparent").len(), told, "{when}");
    }
}

#[test]
fn a_response_is_compared_with_what_was_sent() {
    const SILENT: &str = r#"{"direction": "inbound", "response": {"inject": []}}"#;
    const BLIND: &str = r#"{"direction": "inbound", "response": {"validate": false}}"#;
    const SAME_TRACE: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    type Values = &'static [&'static [u8]];
    // configuration; the request's value, the upstream's, the caller's; what is counted
    let rows: &[(&str, &[u8], Values, Values, Option<&str>)] = &[
        (INBOUND, SAMPLED, &[], &[SAMPLED], Some("responses absent")),
        (INBOUND, SAMPLED, &[SAMPLED], &[SAMPLED], Some("responses match")),
        (INBOUND, SAMPLED, &[SAME_TRACE], &[SAMPLED], Some("responses match")),
        (INBOUND, SAMPLED, &[OTHER], &[SAMPLED], Some("responses mismatch")),
        (INBOUND, SAMPLED, &[UPPER], &[SAMPLED], Some("responses corrupt")),
        // RS-10: of two lines nobody knows which one counts.
        (INBOUND, SAMPLED, &[OTHER, SAMPLED], &[SAMPLED], Some("responses corrupt")),
        (INBOUND, SAMPLED, &[SAMPLED, OTHER], &[SAMPLED], Some("responses corrupt")),
        (INBOUND, SAMPLED, &[SAMPLED, SAMPLED], &[SAMPLED], Some("responses corrupt")),
        (SILENT, SAMPLED, &[SAMPLED, OTHER], &[SAMPLED, OTHER], Some("responses corrupt")),
        (BLIND, SAMPLED, &[SAMPLED, OTHER], &[SAMPLED], None),
        (OBSERVE, SAMPLED, &[SAMPLED, OTHER], &[SAMPLED, OTHER], Some("responses corrupt")),
        (SILENT, SAMPLED, &[OTHER], &[OTHER], Some("responses mismatch")),
        (BLIND, SAMPLED, &[OTHER], &[SAMPLED], None),
        (OBSERVE, SAMPLED, &[OTHER], &[OTHER], Some("responses mismatch")),
        (OBSERVE, UPPER, &[OTHER], &[OTHER], None),
        (NEVER, UPPER, &[OTHER], &[OTHER], None),
        (r#"{"enabled": false}"#, SAMPLED, &[OTHER], &[OTHER], None),
    ];
    for (config, request, answered, received, counter) in rows {
        let answered: Vec<Line<'_>> = answered.iter().map(|value| ("traceparent", *value)).collect();
        let request: &[Line<'_>] = &[("traceparent", request)];
        let outcome = runs(config, request, Some(&answered));
        let name = format!("{config}, {}", outcome.counters.join(", "));
        let response = outcome.response.expect("a response came");
        assert_eq!(response.lines("traceparent"), *received, "{name}");
        assert_eq!(bystanders(&response), bystanders(&with_bystanders(&[])), "{name}");
        let counted = outcome.counters.iter().find(|counter| counter.starts_with("responses"));
        assert_eq!(counted.map(String::as_str), *counter, "{name}");
    }
}

#[test]
fn the_caller_learns_the_context_that_the_upstream_received() {
    for config in [NEW, INBOUND] {
        // RS-04: the random flag too is the one that was sent.
        for request in
            [&[("traceparent", RANDOM)][..], &[("traceparent", SAMPLED)], &[("traceparent", UPPER)], &[]]
        {
            let outcome = runs(config, request, Some(&[]));
            let response = outcome.response.expect("a response came");
            assert_eq!(response.lines("traceparent"), outcome.request.lines("traceparent"));
        }
    }
}
