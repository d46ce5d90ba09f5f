//! The example that lets the filter call and be called for nothing but what it needs.

use serde_json::{Map, Value, json};

use crate::support::bootstrap::{bootstrap, cluster, listener, merge, tracewarden};
use crate::support::client::get;
use crate::support::collector::{Collector, attributes, exporting, wait_until_accounted};
use crate::support::envoy::{Envoy, table};
use crate::support::upstream::Upstream;
use crate::support::{SAMPLED, assert_new_trace, in_repository, module};

/// The example with other ports and this module, and without one line.
fn example(upstream: &Upstream, without: &str) -> String {
    let example = std::fs::read_to_string(in_repository("envoy/restricted.yaml")).expect("the example");
    let module = format!("filename: {:?}", module());
    let places = [
        ("port_value: 9901", "port_value: 0".to_owned()),
        ("port_value: 10000", "port_value: 0".to_owned()),
        ("port_value: 8080", format!("port_value: {}", upstream.port)),
        ("filename: target/tracewarden.wasm", module),
        (without, String::new()),
    ];
    places.into_iter().fold(example, |text, (place, other)| {
        assert!(text.contains(place), "{place}");
        text.replacen(place, &other, 1)
    })
}

#[test]
fn with_the_capabilities_of_the_example_nothing_is_missing() {
    let upstream = Upstream::start();
    let envoy = Envoy::start_yaml("restricted", &example(&upstream, "# What Envoy calls."));
    let answer = get(envoy.port("inbound"), "/", &[]);
    let received = upstream.take_one();
    assert_new_trace("the request", &received);
    assert_eq!(answer.all("traceparent"), received.all("traceparent"));
    let expected = table(&[
        ("requests inbound edge enforce started", 1),
        ("sampled record probability", 1),
        ("responses absent", 1),
    ]);
    assert_eq!(envoy.counters(), expected);
}

#[test]
fn with_the_capabilities_of_the_example_spans_are_exported() {
    let (upstream, collector) = (Upstream::start(), Collector::start());
    let exporting = r#""parent_id": "new", "export": {"otlp": {"cluster": "collector"}, "delay_ms": 1}"#;
    let clusters = format!("clusters:\n    - {}", collector.cluster());
    let example = example(&upstream, "# What Envoy calls.")
        .replacen(r#""parent_id": "new""#, exporting, 1)
        .replacen("clusters:", &clusters, 1);
    let envoy = Envoy::start_yaml("restricted-export", &example);
    assert_eq!(get(envoy.port("inbound"), "/", &[]).status(), 200);
    // The edge records a pair: a server's and a client's.
    let ends = wait_until_accounted(&envoy, 2);
    assert_eq!(ends.get("spans_exported"), Some(&2), "{ends:?}");
    assert!(!envoy.counters().keys().any(|name| name.starts_with("host_errors")), "{:?}", envoy.counters());
}

/// Every kind of span, of requests that end in every way, where Envoy may be asked for expressions and where not.
#[test]
fn spans_say_the_same_without_expressions() {
    let (upstream, collector) = (Upstream::start(), Collector::start());
    let [with, without] = [true, false].map(|has_expressions| {
        let routes = json!([
            {"match": {"path": "/direct"}, "direct_response": {"status": 418}},
            {"match": {"path": "/nobody"}, "route": {"cluster": "nobody"}},
            {"match": {"path": "/found"}, "name": "/{found}", "route": {"cluster": "upstream"}},
        ]);
        let listeners = KINDS.map(|kind| {
            let mut filter = tracewarden(&exporting(&format!(r#""span": {{"kind": "{kind}"}}"#)));
            if !has_expressions {
                restrict(&mut filter, "proxy_call_foreign_function");
            }
            listener(kind, &[filter], routes.clone())
        });
        let clusters = [cluster("upstream", upstream.port), cluster("nobody", 1), collector.cluster()];
        let envoy =
            Envoy::start(&format!("expressions-{has_expressions}"), &bootstrap(&listeners, &clusters));
        envoy.set_log_level("wasm", "trace");
        let mut told = Vec::new();
        for kind in KINDS {
            for path in ["/direct", "/nobody", "/nowhere", "/found"] {
                get(envoy.port(kind), path, &[("traceparent", SAMPLED)]);
                let spans = collector.wait_for(if kind == "server_and_client" { 2 } else { 1 });
                told.extend(spans.iter().map(|span| (kind, path, span.name.clone(), attributes(span))));
            }
        }
        let errors = envoy.counters().into_keys().filter(|name| name.starts_with("host_errors"));
        let expected: &[&str] = if has_expressions { &[] } else { &["host_errors call_foreign_function"] };
        assert_eq!(errors.collect::<Vec<_>>(), expected);
        let log = envoy.log();
        assert!(log.contains("proxy_call_foreign_function") && !log.contains("expr_evaluate error"));
        assert!(!log.contains("expr_evaluate value error"), "one that fails costs twice");
        told
    });
    assert_eq!(with, without);
}

const KINDS: [&str; 3] = ["server", "client", "server_and_client"];

/// Lets a filter call all that the example lets it call, but for one call.
fn restrict(filter: &mut Value, without: &str) {
    let example = std::fs::read_to_string(in_repository("envoy/restricted.yaml")).expect("the example");
    let calls = example.lines().filter_map(|line| line.trim().strip_suffix(": {}"));
    let allowed: Map<String, Value> =
        calls.filter(|call| *call != without).map(|call| (call.to_owned(), json!({}))).collect();
    assert!(allowed.len() > 20, "{allowed:?}");
    let plugin = filter.pointer_mut("/typed_config/config").expect("a plugin");
    merge(plugin, json!({"capability_restriction_config": {"allowed_capabilities": allowed}}));
}

#[test]
fn a_capability_that_is_missing_costs_what_it_is_for_and_no_request() {
    let upstream = Upstream::start();
    let envoy = Envoy::start_yaml("restricted-random", &example(&upstream, "random_get: {}"));
    assert_eq!(get(envoy.port("inbound"), "/", &[]).status(), 200);
    assert!(upstream.take_one().all("traceparent").is_empty(), "no trace can start");
    assert_eq!(envoy.counters().get("host_errors random_get"), Some(&1));
}
