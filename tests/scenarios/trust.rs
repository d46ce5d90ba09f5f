//! Trust: whose context counts, and what an outsider can not do.

use proxy_wasm_test_framework::Host;

use crate::edge::start;
use crate::scenarios::support::{
    B3, Line, Outcome, PARENT_ID, SAMPLED, Scenario, TRACE_ID, UNSAMPLED, bystanders, with_bystanders,
};

#[derive(Clone, Copy, Default)]
struct Sender {
    san: Option<&'static str>,
    address: Option<&'static str>,
    secret: Option<&'static [u8]>,
}

const NOBODY: Sender = Sender { san: None, address: None, secret: None };

#[test]
fn senders_are_known_by_certificate_address_or_secret() {
    const SAN: &str = r#"{"san": "spiffe://mesh/ns/shop/*"}"#;
    const CIDR: &str = r#"{"cidr": "10.0.0.0/8"}"#;
    const SECRET: &str = r#"{"header": "X-Trust", "value_env": "TRUST_SECRET"}"#;
    let all = [SAN, CIDR, SECRET].join(", ");
    let san = |san| Sender { san: Some(san), ..NOBODY };
    let address = |address| Sender { address: Some(address), ..NOBODY };
    let secret = |secret| Sender { secret: Some(secret), ..NOBODY };
    let rows: &[(&str, Sender, bool)] = &[
        (SAN, san("spiffe://mesh/ns/shop/sa/cart"), true),
        (SAN, san("spiffe://mesh/ns/shopping/sa/cart"), false),
        (SAN, san(""), false),
        (SAN, NOBODY, false),
        (CIDR, address("10.1.2.3:5000"), true),
        (CIDR, address("11.1.2.3:5000"), false),
        (CIDR, NOBODY, false),
        (SECRET, secret(b"friend"), true),
        (SECRET, secret(b"frien"), false),
        (SECRET, secret(b""), false),
        (SECRET, NOBODY, false),
        (&all, san("spiffe://mesh/ns/shop/sa/cart"), true),
        (&all, address("10.1.2.3:5000"), true),
        (&all, secret(b"friend"), true),
        (&all, NOBODY, false),
        ("", address("10.1.2.3:5000"), false),
    ];
    for (peers, sender, trusted) in rows {
        let trust = format!(r#""trust": {{"default": "untrusted", "trusted": [{peers}]}}"#);
        let outcome = run(&trust, *sender, &[("traceparent", SAMPLED)]);
        let name = format!("TP-51, {peers}");
        let verdict = if *trusted { "continued" } else { "untrusted" };
        assert_eq!(verdicts(&outcome), [format!("requests inbound edge enforce {verdict}")], "{name}");
        assert_eq!(outcome.request.get("traceparent") == Some(SAMPLED), *trusted, "{name}");
        assert_eq!(
            outcome.request.get("x-trust"),
            None,
            "{name}: the upstream learns no secret, and no guess"
        );
    }
}

#[test]
fn an_outsiders_trace_is_replaced_and_reported_as_a_link() {
    let request: &[Line<'_>] =
        &[("traceparent", SAMPLED), ("tracestate", b"a=1"), ("baggage", b"k=v"), ("b3", B3)];
    let config = r#""trust": {"default": "untrusted"}, "access_log": {"filter_state": true}"#;
    let outcome = run(config, NOBODY, request);
    let sent = text(&outcome, "traceparent");
    assert!(!sent.contains(TRACE_ID) && sent.ends_with("-03"), "TP-50: {sent}");
    assert_eq!(text(&outcome, "tracestate"), "ot=th:0");
    for header in ["baggage", "b3"] {
        assert_eq!(outcome.request.get(header), None, "{header}, configured or not");
    }
    let kept = bystanders(&with_bystanders(&[]));
    assert_eq!(bystanders(&outcome.request), kept);
    let linked = (outcome.published.get("linked_trace_id"), outcome.published.get("linked_span_id"));
    assert_eq!(linked, (Some(&TRACE_ID.to_owned()), Some(&PARENT_ID.to_owned())));
    assert_eq!(outcome.published.get("trace_context").map(String::as_str), Some("untrusted"));
    assert!(!outcome.counters.iter().any(|counter| counter.starts_with("repairs")), "nothing was broken");
}

#[test]
fn an_outsiders_trace_can_be_stripped() {
    let config = r#""trust": {"default": "untrusted", "untrusted": "strip", "baggage": true}"#;
    let request: &[Line<'_>] =
        &[("traceparent", SAMPLED), ("tracestate", b"a=1"), ("baggage", b"k=v"), ("b3", B3)];
    let outcome = run(config, NOBODY, request);
    for header in ["traceparent", "tracestate", "b3"] {
        assert_eq!(outcome.request.get(header), None, "{header}");
    }
    assert_eq!(text(&outcome, "baggage"), "k=v", "allowed");
    assert_eq!(verdicts(&outcome), ["requests inbound edge enforce untrusted"]);
}

#[test]
fn an_outsider_can_not_switch_sampling_on_or_off() {
    let policy = |probability: u32| {
        format!(
            r#""trust": {{"default": "untrusted", "untrusted": "ignore_sampled"}},
            "propagation": {{"extract": ["tracecontext", "b3"], "inject": ["tracecontext"]}},
            "sampling": {{"probability": {probability}}}"#
        )
    };
    // Flags, thresholds, randomness of their own choice, debug flags, and decisions without a context.
    let requests: &[&[Line<'_>]] = &[
        &[("traceparent", SAMPLED), ("tracestate", b"ot=th:0;rv:ffffffffffffff,a=1")],
        &[("traceparent", UNSAMPLED), ("tracestate", b"ot=rv:00000000000000,a=1")],
        &[("traceparent", b"00-0af7651916cd43ddffffffffffffffff-b7ad6b7169203331-03")],
        &[("traceparent", b"00-0af7651916cd43dd0000000000000001-b7ad6b7169203331-02")],
        &[("b3", b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d")],
        &[("b3", b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0")],
        &[("b3", b"0")],
        &[("b3", b"d")],
    ];
    for request in requests {
        for (probability, sampled) in [(1, true), (0, false)] {
            let outcome = run(&policy(probability), NOBODY, request);
            let name = format!("TP-52, {probability}, {request:?}");
            let sent = text(&outcome, "traceparent");
            assert_eq!(sent.ends_with('1') || sent.ends_with('3'), sampled, "{name}: {sent}");
            let state = outcome.request.get("tracestate").unwrap_or_default();
            assert!(!state.windows(3).any(|text| text == b"rv:"), "{name}");
            assert_eq!(outcome.request.get("b3"), None, "{name}");
        }
    }
    let outcome = run(&policy(1), NOBODY, requests[0]);
    assert!(text(&outcome, "traceparent").contains(TRACE_ID), "the trace goes on");
    assert!(!text(&outcome, "traceparent").contains(PARENT_ID), "with a parent-id of this hop");
    assert_eq!(outcome.request.get("tracestate"), None, "any member may be a hint");
    assert_eq!(verdicts(&outcome), ["requests inbound edge enforce continued"]);
}

#[test]
fn an_outsiders_debug_flag_does_not_go_on() {
    let policy = r#""trust": {"default": "untrusted", "untrusted": "ignore_sampled"},
        "propagation": {"extract": ["b3"], "inject": ["b3"]}"#;
    let request: &[Line<'_>] = &[("b3", b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d")];
    let sent = text(&run(policy, NOBODY, request), "b3");
    assert!(sent.starts_with("4bf92f3577b34da6a3ce929d0e0e4736-") && sent.ends_with("-1"), "TP-52: {sent}");
}

#[test]
fn an_outsider_can_not_choose_the_trace_ids_that_are_sampled() {
    // With the randomness of the trace-id, ids of all ones would be sampled at any probability.
    let config = r#""trust": {"default": "untrusted", "untrusted": "ignore_sampled"}, "sampling": {"probability": 0.5}"#;
    let request: &[Line<'_>] = &[("traceparent", b"00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-01")];
    let config = format!(r#"{{"direction": "inbound", "role": "edge", {config}}}"#);
    let mut vm = start(Host::new());
    let root = vm.root(config.as_bytes()).unwrap().unwrap();
    let mut sampled = 0;
    for _ in 0..200 {
        let stream = vm.stream(root).unwrap();
        vm.request(stream, with_bystanders(request)).unwrap();
        sampled += usize::from(vm.request_headers(stream).get("traceparent").unwrap().ends_with(b"-01"));
        vm.finish(stream).unwrap();
    }
    // Five standard deviations of 200 throws of a coin are 35; the seed is fixed.
    assert!((65..=135).contains(&sampled), "{sampled} of 200");
}

#[test]
fn an_outsider_does_not_get_through_as_a_probe() {
    let config = r#""trust": {"default": "untrusted"}, "exclude": [{"user_agent_prefix": "kube-probe/"}]"#;
    let request: &[Line<'_>] = &[
        ("user-agent", b"kube-probe/1.29"),
        ("traceparent", SAMPLED),
        ("tracestate", b"a=1"),
        ("x-b3-traceid", b"1"),
        ("baggage", b"k=v"),
    ];
    let outcome = run(config, NOBODY, request);
    for header in ["traceparent", "tracestate", "x-b3-traceid", "baggage"] {
        assert_eq!(outcome.request.get(header), None, "{header}");
    }
    assert_eq!(verdicts(&outcome), ["requests inbound edge enforce excluded"]);
}

#[test]
fn what_an_outsider_sent_goes_wherever_nothing_is_written_over_it() {
    let request: &[Line<'_>] = &[("traceparent", SAMPLED), ("tracestate", b"a=1"), ("b3", B3)];
    let propagation = |extract: &str, inject: &str| {
        format!(
            r#""trust": {{"default": "untrusted"}}, "start": "never",
            "propagation": {{"extract": [{extract}], "inject": [{inject}]}}"#
        )
    };
    let both = r#""tracecontext", "b3""#;
    for (extract, inject) in [(both, both), (r#""b3""#, both), (both, r#""b3""#), ("", both), (both, "")] {
        let outcome = run(&propagation(extract, inject), NOBODY, request);
        for header in ["traceparent", "tracestate", "b3"] {
            assert_eq!(outcome.request.get(header), None, "{extract} to {inject}: {header}");
        }
    }
}

#[test]
fn an_outsiders_request_id_names_no_trace() {
    let config = r#""trace_id_source": "x-request-id",
        "trust": {"default": "untrusted", "trusted": [{"cidr": "10.0.0.0/8"}]}"#;
    let request: &[Line<'_>] = &[("x-request-id", b"bae65882-2bcd-43db-89d1-7fbd1d746a13")];
    let peer = Sender { address: Some("10.1.2.3:5000"), ..NOBODY };
    for (sender, is_named) in [(peer, true), (NOBODY, false)] {
        let sent = text(&run(config, sender, request), "traceparent");
        assert_eq!(sent.contains("bae658822bcd43db89d17fbd1d746a13"), is_named, "{sent}");
    }
}

#[test]
fn observing_counts_outsiders_and_touches_nothing() {
    let config = r#""mode": "observe", "trust": {"default": "untrusted"}"#;
    let request: &[Line<'_>] = &[("traceparent", SAMPLED), ("baggage", b"k=v"), ("b3", B3)];
    let outcome = run(config, NOBODY, request);
    assert_eq!(outcome.request, with_bystanders(request));
    assert_eq!(verdicts(&outcome), ["requests inbound edge observe untrusted"]);
}

fn run(fields: &str, sender: Sender, request: &[Line<'_>]) -> Outcome {
    let config = format!(r#"{{"direction": "inbound", "role": "edge", {fields}}}"#);
    let mut request = request.to_vec();
    request.extend(sender.secret.map(|secret| ("x-trust", secret)));
    let scenario = Scenario::new(&config, &request, None);
    Scenario { san: sender.san, address: sender.address, ..scenario }.run()
}

fn verdicts(outcome: &Outcome) -> Vec<&str> {
    outcome.counters.iter().map(String::as_str).filter(|counter| counter.starts_with("requests")).collect()
}

fn text(outcome: &Outcome, header: &str) -> String {
    let value = outcome.request.get(header).unwrap_or_else(|| panic!("no {header}"));
    String::from_utf8(value.to_vec()).expect("the header is text")
}
