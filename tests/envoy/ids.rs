//! The ids that the filter makes, and how it names itself.

use std::collections::HashSet;

use crate::support::bootstrap::{all_to, tracewarden};
use crate::support::client::Client;
use crate::support::envoy::Envoy;
use crate::support::only_context;
use crate::support::upstream::Upstream;

const REQUESTS: usize = 10_000;
const CONNECTIONS: usize = 8;

#[test]
fn ids_are_distinct_over_ten_thousand_requests_on_two_workers() {
    let upstream = Upstream::start();
    let filters = [tracewarden(r#"{"direction": "inbound", "role": "edge"}"#)];
    let envoy = Envoy::before(&upstream, "ids", &filters, all_to("upstream"));
    let port = envoy.port("mesh");
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut client = Client::connect(port);
                for _ in 0..REQUESTS / CONNECTIONS {
                    assert_eq!(client.get("/", &[]).status(), 200);
                }
            });
        }
    });
    let (mut traces, mut parents) = (HashSet::new(), HashSet::new());
    for message in upstream.take() {
        let context = only_context("a new trace", &message.all("traceparent"));
        assert!(traces.insert(context.trace_id.to_string()), "{context}");
        assert!(parents.insert(context.parent_id.to_string()), "{context}");
    }
    assert_eq!(traces.len(), REQUESTS);
    assert_eq!(envoy.counters().get("requests inbound edge enforce started"), Some(&(REQUESTS as u64)));
    assert_eq!(busy_workers(&envoy), 2, "both workers have made ids");
}

#[test]
fn an_envoy_with_two_workers_says_once_which_build_it_runs() {
    let upstream = Upstream::start();
    let envoy = Envoy::before(&upstream, "build", &[tracewarden("{}")], all_to("upstream"));
    let gauges = envoy.stats("tracewarden_build_info");
    let [(gauge, 1)] = gauges.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>()[..]
    else {
        panic!("{gauges:?}")
    };
    let version = concat!("version=.=", env!("CARGO_PKG_VERSION"), ";.;revision=.=");
    assert!(gauge.contains(version), "{gauge}");
    let line = concat!("tracewarden: version ", env!("CARGO_PKG_VERSION"), ", revision ");
    assert_eq!(envoy.log().matches(line).count(), 1, "{}", envoy.log());
}

fn busy_workers(envoy: &Envoy) -> usize {
    let connections = envoy.stats("^listener.*worker_.*downstream_cx_total");
    connections.values().filter(|count| **count > 0).count()
}
