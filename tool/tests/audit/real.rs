//! What two Envoys (1.40, Zipkin's tracer with B3) recorded: `shop` calls `cart` through an application.
//!
//! The application forwarded the context of three requests, lost that of two and forwarded only their `x-request-id`, and
//! forwarded nothing of two more.

use serde_json::{Value, json};

use crate::support::audit;

/// Both Envoys have one span of a request, with one id, and each says `shared` of it.
const JOINED: &str = include_str!("data/envoy-joined.json");
/// With `spawn_upstream_span`, each Envoy has a span for the request and one for its call.
const UPSTREAM: &str = include_str!("data/envoy-upstream.json");

#[test]
fn what_an_application_lost_is_found_in_spans_of_envoys() {
    for (name, input, spans, children) in [("joined", JOINED, 14, 3), ("upstream", UPSTREAM, 28, 17)] {
        let said = audit(&["--json"], input);
        assert_eq!(said.code, Some(1), "{name}: {said:?}");
        let value = said.value();
        let counts = ["spans", "traces", "children", "missing"].map(|count| value[count].as_u64());
        assert_eq!(counts, [spans, 11, children, 0].map(Some), "{name}");
        let anew = value["started_anew"].as_array().expect("a list");
        let told = ["caller", "callee", "proved", "suspected", "roots"].map(|field| anew[0][field].clone());
        assert_eq!(
            (anew.len(), told),
            (1, [json!("shop"), json!("cart"), json!(2), json!(0), json!(4)]),
            "{name}"
        );
        for (odd, count) in value["oddities"].as_object().expect("an object") {
            assert_eq!(count["count"], Value::from(0), "{name}: {odd}");
        }
    }
}
