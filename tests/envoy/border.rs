//! What the real Envoy shows a caller of a response that tells a trace.

use serde_json::{Value, json};

use crate::support::bootstrap::{all_to, filter, tracewarden, typed};
use crate::support::client::get;
use crate::support::envoy::{Counters, Envoy, table};
use crate::support::http1::Message;
use crate::support::upstream::{Upstream, ok};
use crate::support::{SAMPLED, T};

const OTHER: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const THEIRS: &[u8] = b"4bf92f3577b34da6a3ce929d0e0e4736";
const TIMING: &[u8] =
    b"db;dur=5, traceparent;desc=\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"";
const TRACE: &[u8] = b"trace;desc=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An upstream that answers with all that it can tell of a trace, as an inner hop of ours may.
fn talking() -> Upstream {
    Upstream::answering(|_| {
        ok(&[
            ("traceparent", OTHER),
            ("TraceResponse", OTHER),
            ("server-timing", TIMING),
            ("Server-Timing", TRACE),
            ("server-timing", b"total;dur=7"),
            ("x-trace-id", THEIRS),
            ("x-tenant", b"blue"),
        ])
    })
}

fn answer(envoy: &Envoy, request: &[(&str, &[u8])]) -> Message {
    let answer = get(envoy.port("mesh"), "/", request);
    assert_eq!(answer.all("x-tenant"), [b"blue"], "{answer:?}");
    answer
}

#[test]
fn an_edge_that_injects_nothing_tells_the_caller_no_trace_id() {
    let upstream = talking();
    for (name, more, request) in [
        ("traced", "", &[][..]),
        ("excluded", r#""exclude": [{"path_prefix": "/"}],"#, &[("traceparent", SAMPLED)]),
        ("untraced", r#""start": "never","#, &[]),
    ] {
        let edge = format!(
            r#"{{"direction": "inbound", "role": "edge", {more} "trust": {{"default": "untrusted"}}, "response": {{"inject": []}}}}"#
        );
        let envoy =
            Envoy::before(&upstream, &format!("border-{name}"), &[tracewarden(&edge)], all_to("upstream"));
        let answer = answer(&envoy, request);
        assert!(answer.all("traceparent").is_empty(), "{name}: {answer:?}");
        assert!(answer.all("traceresponse").is_empty(), "{name}: {answer:?}");
        assert_eq!(answer.all("server-timing"), [&b"db;dur=5"[..], b"total;dur=7"], "{name}");
        let counted = envoy.counters().get("responses mismatch").copied();
        assert_eq!(counted, (name == "traced").then_some(1), "{name}: it is counted before it goes");
    }
}

#[test]
fn an_inner_hop_keeps_what_the_upstream_says() {
    let upstream = talking();
    let inner = r#"{"direction": "inbound", "response": {"inject": []}}"#;
    let envoy = Envoy::before(&upstream, "border-inner", &[tracewarden(inner)], all_to("upstream"));
    let answer = answer(&envoy, &[("traceparent", SAMPLED)]);
    assert_eq!(answer.all("traceparent"), [OTHER]);
    assert_eq!(answer.all("traceresponse"), [OTHER]);
    assert_eq!(answer.all("server-timing"), [TIMING, TRACE, b"total;dur=7"]);
    assert_eq!(answer.all("x-trace-id"), [THEIRS]);
}

/// Envoy answers a question for one header with its first line.
#[test]
fn two_lines_of_a_context_are_corrupt_and_ours_replaces_both() {
    let upstream = Upstream::answering(|_| {
        ok(&[("traceparent", SAMPLED), ("x-tenant", b"blue"), ("traceparent", OTHER)])
    });
    let ours = tracewarden(r#"{"direction": "inbound"}"#);
    let envoy = Envoy::before(&upstream, "border-repeated", &[ours], all_to("upstream"));
    let answer = answer(&envoy, &[("traceparent", SAMPLED)]);
    assert_eq!(answer.all("traceparent"), [SAMPLED]);
    let expected: Counters = table(&[
        ("requests inbound internal enforce continued", 1),
        ("sampled record parent", 1),
        ("responses corrupt", 1),
    ]);
    assert_eq!(envoy.counters(), expected);
}

/// The example of docs/trust.md.
#[test]
fn a_trace_id_in_a_header_of_its_own_is_shown_to_scripts() {
    let upstream = talking();
    let policy: Value = typed(
        "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        json!({
            "allow_origin_string_match": [{"exact": "https://shop.example.org"}],
            "expose_headers": "x-trace-id",
        }),
    );
    let routes = json!([{
        "match": {"prefix": "/"},
        "route": {"cluster": "upstream"},
        "typed_per_filter_config": {"envoy.filters.http.cors": policy},
    }]);
    let cors = filter("envoy.filters.http.cors", "cors.v3.Cors", json!({}));
    let edge =
        r#"{"direction": "inbound", "role": "edge", "response": {"inject": [{"header": "x-trace-id"}]}}"#;
    let envoy = Envoy::before(&upstream, "border-cors", &[cors, tracewarden(edge)], routes);
    let request: &[(&str, &[u8])] = &[("traceparent", SAMPLED), ("origin", b"https://shop.example.org")];
    let answer = answer(&envoy, request);
    assert_eq!(answer.all("x-trace-id"), [T.as_bytes()], "only ours");
    assert_eq!(answer.all("access-control-expose-headers"), [b"x-trace-id"]);
    assert!(answer.all("traceparent").is_empty(), "{answer:?}");
}
