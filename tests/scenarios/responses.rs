//! What happens to a response, and what it is compared with.

use crate::scenarios::requests::{NEVER, RANDOM, runs};
use crate::scenarios::support::{
    INBOUND, Line, NEW, OBSERVE, OTHER, SAMPLED, UNSAMPLED, UPPER, bystanders, with_bystanders,
};

#[test]
fn a_context_on_the_response_is_read_in_each_form() {
    const ALL: &str = r#"{"direction": "inbound", "mode": "observe", "response": {"inject": ["server-timing", "traceresponse"]}}"#;
    const QUOTED: &[u8] = b"db;dur=5;desc=\"a, b;c\", traceparent;desc=\"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01\"";
    const ESCAPED: &[u8] =
        b"db;desc=\"a\\\\\", traceparent;desc=\"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01\"";
    const TOKEN: &[u8] = b"Trace ; dur=1 ; Desc = 00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
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
    let everything = config(r#""traceparent", "traceresponse", "server-timing""#, "always");
    let response: &[Line<'_>] = &[("server-timing", b"db;dur=5")];
    let outcome = runs(&everything, &[("traceparent", SAMPLED)], Some(response));
    let received = outcome.response.expect("a response came");
    assert_eq!(received.lines("traceparent"), [SAMPLED]);
    assert_eq!(received.lines("traceresponse"), [SAMPLED]);
    assert_eq!(received.lines("server-timing"), [&b"db;dur=5"[..], &timing], "RS-06, appended");
    // RS-08: the upstream's own metric stays the only one.
    let response: &[Line<'_>] = &[("server-timing", b"traceparent;desc=\"x\"")];
    let outcome = runs(&everything, &[("traceparent", SAMPLED)], Some(response));
    let received = outcome.response.expect("a response came");
    assert_eq!(received.lines("server-timing"), [b"traceparent;desc=\"x\""], "RS-08");
    let sampled_only = config(r#""traceparent""#, "sampled");
    for (sent, received) in [(SAMPLED, vec![SAMPLED]), (UNSAMPLED, vec![])] {
        let request: &[Line<'_>] = &[("traceparent", sent)];
        let outcome = runs(&sampled_only, request, Some(&[]));
        assert_eq!(outcome.response.expect("a response came").lines("traceparent"), received);
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
        (INBOUND, SAMPLED, &[OTHER, SAMPLED], &[SAMPLED], Some("responses mismatch")),
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
