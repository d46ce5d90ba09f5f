//! The W3C vectors, each as a request of its own.

use std::collections::BTreeMap;

use crate::support::bootstrap::{all_to, tracewarden};
use crate::support::client::Client;
use crate::support::envoy::Envoy;
use crate::support::http1::Message;
use crate::support::upstream::Upstream;
use crate::support::{P, T, assert_new_trace, only_context};
use crate::vector_data::{Vector, vectors};

/// What Envoy's codec makes of a request before the filter sees it changes the outcome of no vector: the white space
/// around values, which it trims, would not have counted, and it refuses none of their bytes. Where a new trace
/// starts, the vectors have no `tracestate`, and the filter writes the trace's probability in one (rule OT-08).
#[test]
fn every_w3c_vector_leaves_envoy_as_the_rules_say() {
    let upstream = Upstream::start();
    let filters = [tracewarden(r#"{"direction": "inbound", "parent_id": "new"}"#)];
    let mut envoy = Envoy::before(&upstream, "vectors", &filters, all_to("upstream"));
    let mut client = Client::connect(envoy.port("mesh"));
    for vector in vectors() {
        let name = vector.name();
        let answer = client.get("/", &vector.request());
        assert_eq!(answer.status(), 200, "{name}");
        check(&name, &vector, &upstream.take_one());
        let verdict = format!("requests inbound internal enforce {}", vector.verdict());
        assert_eq!(verdicts(&mut envoy), [verdict], "{name}");
    }
}

fn check(name: &str, vector: &Vector, received: &Message) {
    let Some(flags) = vector.continues_with() else { return assert_new_trace(name, received) };
    let context = only_context(name, &received.all("traceparent"));
    assert_eq!(context.trace_id.to_string(), T, "{name}");
    assert_ne!(context.parent_id.to_string(), P, "{name}");
    assert!(context.to_string().ends_with(&format!("-{flags}")), "{name}: {context}");
    assert_eq!(received.all("tracestate"), vector.sent_tracestate(), "{name}");
}

/// The verdicts since the last call, each of them once.
fn verdicts(envoy: &mut Envoy) -> Vec<String> {
    let news: BTreeMap<String, u64> = envoy.news();
    news.into_iter().filter(|(name, _)| name.starts_with("requests ")).flat_map(repeated).collect()
}

fn repeated((name, count): (String, u64)) -> Vec<String> {
    vec![name; count as usize]
}
