//! Sampling policy: who decides, in which order, about which requests.

use proxy_wasm_test_framework::Host;

use crate::edge::start;
use crate::scenarios::support::{Line, Outcome, SAMPLED, Scenario, UNSAMPLED, counters};

#[test]
fn the_first_rule_that_matches_decides() {
    // The path of every request is /cart. Rules; what is counted: a rule with probability 1 records, all else drops.
    let rows: &[(&str, &str)] = &[
        (r#"{"match": {"path": "/cart"}, "probability": 1}"#, "sampled record rule"),
        (r#"{"match": {"path_prefix": "/ca"}, "probability": 1}"#, "sampled record rule"),
        (r#"{"match": {"path_prefix": "/x"}, "probability": 1}"#, "sampled drop probability"),
        (r#"{"match": {"path_regex": "/c[a-z]+t"}, "probability": 1}"#, "sampled record rule"),
        (r#"{"match": {"path_regex": "/ca"}, "probability": 1}"#, "sampled drop probability"),
        (r#"{"match": {"path_regex": "/x|/cart"}, "probability": 1}"#, "sampled record rule"),
        (r#"{"match": {"host": "Shop.example.org"}, "probability": 1}"#, "sampled record rule"),
        (r#"{"match": {"host": "*.example.org"}, "probability": 1}"#, "sampled record rule"),
        (r#"{"match": {"host": "example.org"}, "probability": 1}"#, "sampled drop probability"),
        (r#"{"match": {"host": "*.shop.example.org"}, "probability": 1}"#, "sampled drop probability"),
        (r#"{"match": {"method": "POST"}, "probability": 1}"#, "sampled record rule"),
        (r#"{"match": {"method": "GET"}, "probability": 1}"#, "sampled drop probability"),
        (r#"{"match": {"header": {"name": "X-Tier"}}, "probability": 1}"#, "sampled record rule"),
        (
            r#"{"match": {"header": {"name": "x-tier", "value": "gold"}}, "probability": 1}"#,
            "sampled record rule",
        ),
        (
            r#"{"match": {"header": {"name": "x-tier", "value": "tin"}}, "probability": 1}"#,
            "sampled drop probability",
        ),
        (r#"{"match": {"direction": "inbound"}, "probability": 1}"#, "sampled record rule"),
        (r#"{"match": {"direction": "outbound"}, "probability": 1}"#, "sampled drop probability"),
        (r#"{"match": {"grpc_service": "cart"}, "probability": 1}"#, "sampled record rule"),
        (r#"{"match": {"grpc_service": "car"}, "probability": 1}"#, "sampled drop probability"),
        (r#"{"match": {"method": "POST", "path": "/x"}, "probability": 1}"#, "sampled drop probability"),
        (
            r#"{"match": {"path": "/cart"}, "probability": 0}, {"match": {"method": "POST"}, "probability": 1}"#,
            "sampled drop rule",
        ),
    ];
    let request: &[Line<'_>] = &[
        (":method", b"POST"),
        (":authority", b"shop.example.org:8080"),
        ("content-type", b"application/grpc+proto"),
        ("x-tier", b"silver"),
        ("x-tier", b"gold"),
    ];
    for (rules, counter) in rows {
        let sampling = format!(r#""probability": 0, "rules": [{rules}]"#);
        let outcome = run(&sampling, request);
        assert_eq!(decision(&outcome), *counter, "{rules}");
    }
}

#[test]
fn every_hop_and_worker_decides_the_same_about_a_trace() {
    let config = r#""parent": "ignore", "probability": 0.5, "rules": [{"match": {"path": "/cart"}, "probability": 0.25}]"#;
    let mut kept = 0;
    for n in 0..400_u64 {
        // Spread over the range that the threshold is compared with.
        let randomness = n * 0x00a3_d70a_3d70_a3d7 % (1 << 56);
        let traceparent = format!("00-0af7651916cd43dd00{randomness:014x}-b7ad6b7169203331-00");
        let outcome = run(config, &[("traceparent", traceparent.as_bytes())]);
        assert_eq!(
            decision(&outcome) == "sampled record rule",
            randomness >= 0xc0_0000_0000_0000,
            "{traceparent}"
        );
        kept += usize::from(decision(&outcome) == "sampled record rule");
    }
    // Five standard deviations of 400 draws at a quarter are 43.
    assert!((57..=143).contains(&kept), "{kept} of 400");
}

#[test]
fn force_goes_before_the_parent_and_the_parent_before_the_rules() {
    const FORCE: &str = r#""force": {"header": "X-Force", "value_env": "FORCE_SECRET"}"#;
    const RULE: &str = r#""rules": [{"match": {"path": "/cart"}, "probability": 1}]"#;
    let all = format!(r#""probability": 0, {RULE}, {FORCE}"#);
    let rows: &[(&[Line<'_>], &str)] = &[
        (&[("traceparent", UNSAMPLED), ("x-force", b"open sesame")], "sampled record force"),
        (&[("x-force", b"open sesame")], "sampled record force"),
        (&[("traceparent", UNSAMPLED), ("x-force", b"open")], "sampled drop parent"),
        (&[("traceparent", UNSAMPLED), ("x-force", b"open sesame"), ("x-force", b"")], "sampled drop parent"),
        (&[("traceparent", UNSAMPLED)], "sampled drop parent"),
        (&[("traceparent", SAMPLED)], "sampled record parent"),
        (&[], "sampled record rule"),
    ];
    for (request, counter) in rows {
        let outcome = run(&all, request);
        assert_eq!(decision(&outcome), *counter, "{request:?}");
        assert_eq!(outcome.request.get("x-force"), None, "the upstream learns no secret, and no guess");
        let told = outcome.request.get("tracestate").is_some();
        assert_eq!(told, *counter == "sampled record rule", "OT-10, only a probability is told");
    }
}

#[test]
fn a_forced_trace_goes_on_sampled_with_a_parent_id_of_this_hop() {
    let force = r#""force": {"header": "x-force", "value_env": "FORCE_SECRET"}"#;
    let request: &[Line<'_>] = &[("traceparent", UNSAMPLED), ("x-force", b"open sesame")];
    let outcome = run(force, request);
    let sent = outcome.request.get("traceparent").unwrap();
    assert!(sent.starts_with(&UNSAMPLED[..36]) && sent.ends_with(b"-01"));
    assert_ne!(sent[36..52], UNSAMPLED[36..52], "TP-32");
}

#[test]
fn over_the_rate_a_new_trace_is_not_sampled() {
    let mut host = Host::new();
    host.now_ns = 5_000_000_000;
    let mut vm = start(host);
    let config = br#"{"direction": "inbound", "sampling": {"max_traces_per_second_per_worker": 3}}"#;
    let root = vm.root(config).unwrap().unwrap();
    for _ in 0..10 {
        let stream = vm.stream(root).unwrap();
        vm.request(stream, [(":path", "/")]).unwrap();
        let sampled = vm.request_headers(stream).get("traceparent").unwrap().ends_with(b"-03");
        let told = vm.request_headers(stream).get("tracestate").is_some();
        assert_eq!(sampled, told, "over the rate there is no threshold to tell");
        vm.finish(stream).unwrap();
    }
    let stream = vm.stream(root).unwrap();
    vm.request(stream, [("traceparent", SAMPLED)]).unwrap();
    let counters = counters(&vm);
    for counter in ["sampled record probability 3", "sampled drop rate_limit 7", "sampled record parent"] {
        assert!(counters.contains(&counter.to_owned()), "{counter}: {counters:?}");
    }
}

fn run(sampling: &str, request: &[Line<'_>]) -> Outcome {
    let config = format!(r#"{{"direction": "inbound", "sampling": {{{sampling}}}}}"#);
    Scenario::new(&config, request, None).run()
}

fn decision(outcome: &Outcome) -> &str {
    outcome.counters.iter().find(|counter| counter.starts_with("sampled")).map_or("none", String::as_str)
}
