//! What crosses a border in the real Envoy: the faults of privacy and trust that were once seen there.

use serde_json::{Value, json};

use crate::support::bootstrap::{
    all_to, bootstrap, cluster, listener, merge, tracewarden, tracewarden_in, typed,
};
use crate::support::client::{Client, get, request};
use crate::support::envoy::Envoy;
use crate::support::http1::Message;
use crate::support::upstream::{Upstream, ok, response};
use crate::support::{SAMPLED, T};

const OTHER: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const B3: &[u8] = b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1";
/// A header of each kind that a format owns.
const OWNED: &[(&str, &[u8])] = &[
    ("traceparent", SAMPLED),
    ("tracestate", b"a=1"),
    ("baggage", b"user=1"),
    ("b3", B3),
    ("uber-trace-id", b"1:1:0:1"),
    ("jaeger-debug-id", b"x"),
    ("uberctx-user", b"1"),
    ("ot-baggage-user", b"1"),
    ("x-datadog-origin", b"rum"),
    ("sw8-x", b"1-"),
];

/// A plugin that knows the secret.
fn trusting(configuration: &str) -> Value {
    let mut plugin = tracewarden_in("", configuration);
    let vm = plugin.pointer_mut("/typed_config/config/vm_config").expect("a plugin has a VM");
    merge(vm, json!({"environment_variables": {"key_values": {"TRUST_SECRET": "friend"}}}));
    plugin
}

fn is_of(trace: &[u8], message: &Message) -> bool {
    message.all("traceparent").iter().any(|value| value.windows(32).any(|id| id == trace))
}

#[test]
fn nothing_leaves_for_a_host_of_egress_excluded_or_not() {
    let upstream = Upstream::start();
    let config =
        r#"{"direction": "outbound", "egress": [{"match": {"host": "*.example.org"}, "strip": "all"}]}"#;
    let envoy = Envoy::before(&upstream, "privacy-egress", &[tracewarden(config)], all_to("upstream"));
    for start in ["GET /", "GET /v1/traces", "POST /v1/traces", "OPTIONS /"] {
        for host in ["api.example.org", "API.Example.Org:80", "api.example.org."] {
            let mut lines = format!("{start} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n").into_bytes();
            lines.extend_from_slice(b"access-control-request-method: GET\r\n");
            for (name, value) in OWNED {
                lines.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
            }
            lines.extend_from_slice(b"\r\n");
            assert_eq!(Client::connect(envoy.port("mesh")).send(&lines).status(), 200, "{start} {host}");
            let received = upstream.take_one();
            for (name, _) in OWNED {
                assert!(received.all(name).is_empty(), "A1, {start} {host}: {name}: {received:?}");
            }
        }
    }
}

#[test]
fn nothing_of_an_outsider_gets_in_whatever_the_header_is_called() {
    let upstream = Upstream::start();
    for (name, untrusted) in [("restart", "restart"), ("ignore", "ignore_sampled"), ("strip", "strip")] {
        let config = format!(
            r#"{{"direction": "inbound", "header": "x-mesh-trace",
            "trust": {{"default": "untrusted", "trusted": [{{"san": "*"}}], "untrusted": "{untrusted}"}}}}"#
        );
        let filters = [tracewarden(&config)];
        let envoy = Envoy::before(&upstream, &format!("privacy-{name}"), &filters, all_to("upstream"));
        let mut lines = OWNED.to_vec();
        lines.push(("x-mesh-trace", OTHER));
        assert_eq!(get(envoy.port("mesh"), "/", &lines).status(), 200);
        let received = upstream.take_one();
        for (header, value) in OWNED {
            // A trace that starts here has a list of its own.
            let is_theirs = *header != "tracestate" || received.all(header).contains(value);
            let is_gone = received.all(header).is_empty() || !is_theirs;
            assert!(is_gone, "A2, A7, A8, {untrusted}: {header}: {received:?}");
        }
        assert!(!received.all("x-mesh-trace").contains(&OTHER), "A2, {untrusted}");
    }
}

#[test]
fn a_trace_that_is_dropped_here_is_dropped_in_every_format() {
    let upstream = Upstream::start();
    let config = r#"{"direction": "inbound", "sampling": {"parent": "ignore", "probability": 0},
        "propagation": {"extract": ["b3"], "inject": ["tracecontext", "b3", "b3multi"]}}"#;
    let envoy = Envoy::before(&upstream, "privacy-debug", &[tracewarden(config)], all_to("upstream"));
    let debug: &[u8] = b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d";
    assert_eq!(get(envoy.port("mesh"), "/", &[("b3", debug)]).status(), 200);
    let received = upstream.take_one();
    assert!(received.text("traceparent").ends_with("-00"), "A4: {received:?}");
    assert!(received.text("b3").ends_with("-0"), "A4: {received:?}");
    assert_eq!((received.all("x-b3-sampled"), received.all("x-b3-flags")), (vec![&b"0"[..]], vec![]), "A4");
}

#[test]
fn a_redirect_is_trusted_and_counted_once() {
    let upstream = Upstream::answering(|message| match message.second_word() {
        "/" => response("302 Found", &[("location", b"http://test/moved")]),
        _ => ok(&[]),
    });
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream",
        "internal_redirect_policy": {"redirect_response_codes": [302]}}}]);
    let config = r#"{"direction": "inbound", "trust": {"default": "untrusted",
        "trusted": [{"header": "x-trust", "value_env": "TRUST_SECRET"}]}}"#;
    let envoy = Envoy::before(&upstream, "privacy-redirect", &[trusting(config)], routes);
    for (secret, verdict) in [(Some(("x-trust", &b"friend"[..])), "continued"), (None, "untrusted")] {
        let lines: Vec<(&str, &[u8])> = secret.into_iter().chain([("traceparent", SAMPLED)]).collect();
        assert_eq!(get(envoy.port("mesh"), "/", &lines).status(), 200);
        let received = upstream.take();
        let [first, second] = &received[..] else { panic!("A11: {received:?}") };
        assert_eq!(first.all("traceparent"), second.all("traceparent"), "A11, {verdict}: one trace");
        assert_eq!(is_of(T.as_bytes(), second), secret.is_some(), "A11, {verdict}");
        assert!(second.all("x-trust").is_empty(), "A11: the secret goes nowhere");
        let counted = envoy.counters().get(&format!("requests inbound internal enforce {verdict}")).copied();
        assert_eq!(counted, Some(1), "D6, {verdict}: {:?}", envoy.counters());
    }
}

/// One side of a pod, in a VM of its own.
fn side(direction: &str, trust: &str) -> Value {
    let config = format!(r#"{{"direction": "{direction}", "correlation": {{}}{trust}}}"#);
    let mut plugin = tracewarden_in("", &config);
    let own = typed("google.protobuf.StringValue", json!({"value": direction}));
    let vm = plugin.pointer_mut("/typed_config/config/vm_config").expect("a plugin has a VM");
    merge(vm, json!({"configuration": own}));
    plugin
}

#[test]
fn a_pod_remembers_what_it_was_sent_and_puts_nobody_into_anothers_trace() {
    let upstream = Upstream::start();
    let untrusted = r#", "trust": {"default": "untrusted"}"#;
    let listeners = [("inbound", untrusted), ("outbound", "")]
        .map(|(direction, trust)| listener(direction, &[side(direction, trust)], all_to("upstream")));
    let envoy = Envoy::start("privacy-pod", &bootstrap(&listeners, &[cluster("upstream", upstream.port)]));
    let pass = |listener: &str, lines: &[(&str, &[u8])]| {
        let answer = Client::connect(envoy.port(listener)).send(&request("/", lines));
        assert_eq!(answer.status(), 200);
        upstream.take_one()
    };
    let received = pass("inbound", &[("traceparent", SAMPLED), ("x-request-id", b"request-1")]);
    let inside = received.all("traceparent").first().map(|value| value.to_vec()).expect("a context");
    let sent = pass("outbound", &[("traceparent", &inside), ("x-request-id", b"request-1")]);
    assert_eq!(sent.all("traceparent"), [&inside[..]], "A12");
    let sent = pass("outbound", &[("x-request-id", b"request-1")]);
    assert_eq!(sent.all("traceparent"), [&inside[..]], "A12: it is given back");
    pass("inbound", &[("traceparent", OTHER), ("x-request-id", b"request-1")]);
    let sent = pass("outbound", &[("x-request-id", b"request-1")]);
    assert_ne!(sent.all("traceparent"), [&inside[..]], "A13");
    let counters = envoy.counters();
    let counted = |name: &str| counters.get(name).copied().unwrap_or(0);
    assert_eq!(counted("requests outbound internal enforce unlinked"), 0, "A12: {counters:?}");
    assert_eq!(
        (counted("correlation repaired"), counted("correlation ambiguous")),
        (1, 1),
        "A13: {counters:?}"
    );
}

/// Row 10 of what was seen at an edge: a browser's RUM context passes as far as it is expected, and no further.
#[test]
fn what_is_kept_of_a_browsers_context_passes_and_nothing_else() {
    let upstream = Upstream::start();
    let config = r#"{"direction": "inbound", "role": "edge", "trust": {"default": "untrusted", "keep": [
        {"header": "x-datadog-origin", "values": ["rum"]}, {"baggage": "tenant", "pattern": "[a-z]{1,16}"},
        {"baggage": "tier", "values": ["gold"]}]}}"#;
    let envoy = Envoy::before(&upstream, "privacy-keep", &[tracewarden(config)], all_to("upstream"));
    type Lines = [&'static [u8]];
    let rows: &[(&[u8], &[u8], &Lines, &Lines)] = &[
        (b"rum", b"tenant=shop,session=abc,secret=x", &[b"rum"], &[b"tenant=shop"]),
        (b"rum", b"tier=gold,tenant=shop;ttl=5", &[b"rum"], &[b"tenant=shop,tier=gold"]),
        (b"evil", b"tenant=EVIL,tier=silver", &[], &[]),
    ];
    for (origin, baggage, kept_origin, kept_baggage) in rows {
        let lines = [
            ("traceparent", SAMPLED),
            ("tracestate", b"dd=s:2;o:rum"),
            ("x-datadog-trace-id", b"1"),
            ("x-datadog-parent-id", b"2"),
            ("x-datadog-sampling-priority", b"2"),
            ("x-datadog-origin", *origin),
            ("baggage", *baggage),
        ];
        assert_eq!(get(envoy.port("mesh"), "/", &lines).status(), 200);
        let received = upstream.take_one();
        assert_eq!(received.all("x-datadog-origin"), *kept_origin);
        assert_eq!(received.all("baggage"), *kept_baggage);
        for name in ["x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority"] {
            assert_eq!(received.all(name), [b""; 0], "{name}");
        }
        assert!(!is_of(T.as_bytes(), &received) && !received.text("tracestate").contains("dd="));
    }
}

/// Both secrets are good while one replaces the other.
#[test]
fn a_secret_is_replaced_while_both_are_good() {
    let upstream = Upstream::start();
    let config = r#"{"direction": "inbound", "trust": {"default": "untrusted",
        "trusted": [{"header": "x-trust", "value_env": "TRUST_SECRET"}]}}"#;
    for (next, good, bad) in
        [("other", &["friend", "other"][..], &["", "x"][..]), ("", &["friend"], &["other"])]
    {
        let mut plugin = trusting(config);
        let vm = plugin.pointer_mut("/typed_config/config/vm_config").expect("a plugin has a VM");
        let values = json!({"TRUST_SECRET": "friend", "TRUST_SECRET_NEXT": next});
        merge(vm, json!({"environment_variables": {"key_values": values}}));
        let envoy =
            Envoy::before(&upstream, &format!("privacy-secrets-{next}"), &[plugin], all_to("upstream"));
        for (secrets, is_good) in [(good, true), (bad, false)] {
            for secret in secrets {
                let lines = [("traceparent", SAMPLED), ("x-trust", secret.as_bytes())];
                assert_eq!(get(envoy.port("mesh"), "/", &lines).status(), 200);
                let received = upstream.take_one();
                assert_eq!(received.all("traceparent") == [SAMPLED], is_good, "{secret}");
                assert!(received.all("x-trust").is_empty());
            }
        }
        assert!(!envoy.log().contains("friend"), "no secret");
    }
}
