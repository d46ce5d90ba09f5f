//! Counters by where Envoy sends a request.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::bootstrap::{bootstrap, cluster, listener, tracewarden};
use crate::support::client::get;
use crate::support::envoy::{Counters, Envoy};
use crate::support::upstream::Upstream;
use crate::support::{SAMPLED, Scratch};

fn start(name: &str, by: &str, clusters: &[&str], workers: &str) -> (Envoy, Upstream) {
    let upstream = Upstream::start();
    let config = json!({"role": "edge", "direction": "inbound", "metrics": {"by": by}});
    let routes = json!([
        {"match": {"prefix": "/direct"}, "direct_response": {"status": 204}},
        {"match": {"prefix": "/by-header"}, "route": {"cluster_header": "x-cluster"}},
    ]);
    let listener = listener("mesh", &[tracewarden(&config.to_string())], routes);
    let clusters: Vec<Value> = clusters.iter().map(|name| cluster(name, upstream.port)).collect();
    let arguments = ["--concurrency", workers];
    (Envoy::start_in(Scratch::new(name), &bootstrap(&[listener], &clusters), &arguments), upstream)
}

fn lines(counted: &Counters) -> Vec<String> {
    counted.iter().map(|(name, count)| format!("{name} {count}")).collect()
}

#[test]
fn requests_broken_headers_and_answers_are_counted_by_cluster() {
    let istio = "outbound|80||cart.shop.svc.cluster.local";
    let (mut envoy, _upstream) = start("by-cluster", "cluster", &["own", istio], "2");
    let ask = |path: &str, cluster: &str, context: &[u8]| {
        let lines: [(&str, &[u8]); 2] = [("x-cluster", cluster.as_bytes()), ("traceparent", context)];
        get(envoy.port("mesh"), path, &lines).status()
    };
    assert_eq!(ask("/by-header", "own", SAMPLED), 200);
    assert_eq!(ask("/by-header", istio, b"broken"), 200);
    // Whoever sends a name that is no cluster's adds no label.
    for name in ["nobody", "none;.;context=.=lost", "other"] {
        assert_eq!(ask("/by-header", name, SAMPLED), 503, "{name}");
    }
    assert_eq!(ask("/direct", "own", SAMPLED), 204);
    assert_eq!(ask("/no-route", "own", SAMPLED), 404);
    let counted = lines(&envoy.news());
    let has = |part: &str| counted.iter().filter(|line| line.starts_with(part)).cloned().collect::<Vec<_>>();
    assert_eq!(
        has("requests"),
        [
            "requests none inbound edge enforce continued 5",
            "requests outbound_80_cart.shop.svc.cluster.local inbound edge enforce corrupt 1",
            "requests own inbound edge enforce continued 1",
        ]
    );
    assert_eq!(
        has("corrupt"),
        ["corrupt outbound_80_cart.shop.svc.cluster.local inbound traceparent version 1"]
    );
    assert_eq!(
        has("responses"),
        [
            "responses none absent 5",
            "responses outbound_80_cart.shop.svc.cluster.local absent 1",
            "responses own absent 1"
        ]
    );
    // The others are those of the listener.
    assert_eq!(has("sampled"), ["sampled record parent 6", "sampled record probability 1"]);
}

#[test]
fn requests_are_counted_by_virtual_host() {
    let (mut envoy, _upstream) = start("by-host", "virtual_host", &["own"], "1");
    for path in ["/direct", "/no-route"] {
        get(envoy.port("mesh"), path, &[("traceparent", SAMPLED)]);
    }
    let counted = lines(&envoy.news());
    let requests: Vec<_> = counted.iter().filter(|line| line.starts_with("requests")).collect();
    // The host is known, also if it has no route for the request.
    assert_eq!(requests, ["requests mesh inbound edge enforce continued 2"]);
}

/// All workers have the same hundred names, so that a name has all of its requests or none.
#[test]
fn a_process_has_a_hundred_names() {
    let names: Vec<String> = (0..120).map(|number| format!("cluster-{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut envoy, _upstream) = start("by-many", "cluster", &all, "4");
    let port = envoy.port("mesh");
    std::thread::scope(|scope| {
        for round in 0..8 {
            let names = &names;
            scope.spawn(move || {
                for number in 0..names.len() {
                    let name = names.get((number + round * 15) % names.len()).expect("a name");
                    let lines: [(&str, &[u8]); 1] = [("x-cluster", name.as_bytes())];
                    assert_eq!(get(port, "/by-header", &lines).status(), 200, "{name}");
                }
            });
        }
    });
    let counted = envoy.news();
    let requests: Vec<(&String, &u64)> =
        counted.iter().filter(|(name, _)| name.starts_with("requests")).collect();
    let labels: BTreeSet<&str> = requests.iter().filter_map(|(name, _)| name.split(' ').nth(1)).collect();
    assert_eq!((labels.len(), labels.contains("other")), (101, true), "{labels:?}");
    for (name, count) in &requests {
        let due = if name.contains(" other ") { 20 * 8 } else { 8 };
        assert_eq!(**count, due, "{name}");
    }
}
