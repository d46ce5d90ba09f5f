//! The example that lets the filter call and be called for nothing but what it needs.

use crate::support::client::get;
use crate::support::collector::{Collector, wait_until_accounted};
use crate::support::envoy::{Envoy, table};
use crate::support::upstream::Upstream;
use crate::support::{assert_new_trace, in_repository, module};

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

#[test]
fn a_capability_that_is_missing_costs_what_it_is_for_and_no_request() {
    let upstream = Upstream::start();
    let envoy = Envoy::start_yaml("restricted-random", &example(&upstream, "random_get: {}"));
    assert_eq!(get(envoy.port("inbound"), "/", &[]).status(), 200);
    assert!(upstream.take_one().all("traceparent").is_empty(), "no trace can start");
    assert_eq!(envoy.counters().get("host_errors random_get"), Some(&1));
}
