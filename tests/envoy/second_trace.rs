//! Requests that go on with two traces: Envoy's tracer, or something else, writes after the filter.

use serde_json::{Value, json};

use crate::support::bootstrap::{all_to, bootstrap, cluster, listener_with, merge, tracewarden};
use crate::support::client::get;
use crate::support::envoy::Envoy;
use crate::support::upstream::{Upstream, ok, response};
use crate::support::{SAMPLED, wait_for};
use crate::tracer::{UPPER, tracing, version};

const B3: &str = r#"{"direction": "inbound", "propagation": {"inject": ["tracecontext", "b3"]}}"#;
const B3_ALONE: &str =
    r#"{"direction": "inbound", "propagation": {"extract": ["b3", "tracecontext"], "inject": ["b3"]}}"#;
const B3_HEADER: &[u8] = b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1";

/// An Envoy with the filter before the router, and these fields in its connection manager.
fn envoy(name: &str, upstream: &Upstream, filter: &str, routes: Value, manager: Value) -> Envoy {
    let clusters = [cluster("upstream", upstream.port), cluster("nobody", 1)];
    Envoy::start(
        name,
        &bootstrap(&[listener_with("mesh", &[tracewarden(filter)], routes, manager)], &clusters),
    )
}

/// The same with a tracer.
fn traced(name: &str, upstream: &Upstream, filter: &str, routes: Value) -> Envoy {
    envoy(name, upstream, filter, routes, json!({"tracing": tracing(json!({}))}))
}

/// The requests that were counted, by the format that names another trace. The count follows the end of a stream.
fn second_traces(envoy: &Envoy, format: &str) -> u64 {
    envoy.counters().get(&format!("second_trace {format}")).copied().unwrap_or_default()
}

fn wait_for_second_traces(envoy: &Envoy, number: u64) {
    wait_for("the count", || (second_traces(envoy, "tracecontext") >= number).then_some(()));
    assert_eq!(second_traces(envoy, "tracecontext"), number);
}

fn route(more: Value) -> Value {
    let mut route = json!({"cluster": "upstream"});
    merge(&mut route, more);
    json!([{"match": {"prefix": "/"}, "route": route}])
}

/// Waits until the streams before have ended: each of the two workers, which take turns, ends one stream before the next.
fn settle(envoy: &Envoy) {
    for _ in 0..4 {
        get(envoy.port("mesh"), "/later", &[("traceparent", SAMPLED)]);
    }
}

#[test]
fn every_request_with_two_traces_is_counted_and_the_log_says_so() {
    let upstream = Upstream::start();
    let envoy = traced("second-trace", &upstream, B3, all_to("upstream"));
    for _ in 0..6 {
        get(envoy.port("mesh"), "/", &[]);
        let received = upstream.take_one();
        let (w3c, b3) = (received.text("traceparent"), received.text("b3"));
        assert_ne!(w3c.get(3..35), b3.get(..32), "two traces");
    }
    wait_for_second_traces(&envoy, 6);
    // Once on each of the workers that saw one.
    let told = envoy.log().matches("a request went on with two traces").count();
    assert!((1..=2).contains(&told), "{}", envoy.log());
}

#[test]
fn one_trace_is_not_counted_whoever_writes_it() {
    let quiet = json!({"tracing": tracing(json!({"no_context_propagation": true}))});
    let is_known = version() >= (1, 38);
    let rows = [
        ("second-trace-none", B3, json!({}), &b""[..]),
        ("second-trace-quiet", B3, if is_known { quiet } else { json!({}) }, &b""[..]),
        // The tracer goes on with the trace that came, under a parent-id of its own.
        ("second-trace-valid", B3, json!({"tracing": tracing(json!({}))}), SAMPLED),
        // The last to write `traceparent` wins.
        ("second-trace-w3c", r#"{"direction": "inbound"}"#, json!({"tracing": tracing(json!({}))}), &b""[..]),
    ];
    for (name, filter, manager, came) in rows {
        let upstream = Upstream::start();
        let envoy = envoy(name, &upstream, filter, all_to("upstream"), manager);
        let brings = [("traceparent", came)];
        for _ in 0..2 {
            get(envoy.port("mesh"), "/", if came.is_empty() { &[] } else { &brings });
        }
        settle(&envoy);
        let counted = envoy.counters();
        assert!(!counted.keys().any(|key| key.starts_with("second_trace")), "{name}: {counted:?}");
        assert!(!envoy.log().contains("two traces"), "{name}");
    }
}

#[test]
fn an_unsampled_trace_is_a_second_one_too() {
    let upstream = Upstream::start();
    let unsampled = tracing(json!({"random_sampling": {"value": 0}}));
    let envoy =
        envoy("second-trace-unsampled", &upstream, B3, all_to("upstream"), json!({"tracing": unsampled}));
    get(envoy.port("mesh"), "/", &[]);
    assert!(upstream.take_one().text("traceparent").ends_with("-00"));
    wait_for_second_traces(&envoy, 1);
}

#[test]
fn a_format_that_the_filter_does_not_write_is_compared_if_it_did_not_come() {
    let upstream = Upstream::start();
    let envoy = traced("second-trace-b3", &upstream, B3_ALONE, all_to("upstream"));
    get(envoy.port("mesh"), "/", &[("b3", B3_HEADER)]);
    let received = upstream.take_one();
    assert_eq!((received.all("b3"), received.all("traceparent").len()), (vec![B3_HEADER], 1));
    wait_for_second_traces(&envoy, 1);
}

#[test]
fn a_retry_and_a_redirect_count_once() {
    let upstream = Upstream::answering(|message| match message.second_word() {
        "/redirect" => response("302 Found", &[("location", b"http://test/moved")]),
        "/retry" => response("503 Service Unavailable", &[]),
        _ => ok(&[]),
    });
    let routes = route(json!({
        "retry_policy": {"retry_on": "5xx", "num_retries": 2, "retry_back_off": {"base_interval": "0.001s"}},
        "internal_redirect_policy": {"redirect_response_codes": [302]},
    }));
    let envoy = traced("second-trace-twice", &upstream, B3, routes);
    get(envoy.port("mesh"), "/retry", &[]);
    assert_eq!(upstream.take().len(), 3);
    wait_for_second_traces(&envoy, 1);
    get(envoy.port("mesh"), "/redirect", &[]);
    assert_eq!(upstream.take().len(), 2);
    settle(&envoy);
    wait_for_second_traces(&envoy, 2);
}

/// The tracer writes once a host was picked, whatever comes of the connection and of the answer.
#[test]
fn a_request_that_no_host_was_picked_for_is_not_counted() {
    let upstream = Upstream::answering(|message| match message.second_word() {
        "/silent" => Vec::new(),
        _ => ok(&[]),
    });
    let routes = json!([
        {"match": {"prefix": "/direct"}, "direct_response": {"status": 200}},
        {"match": {"prefix": "/empty"}, "route": {"cluster": "empty"}},
        {"match": {"prefix": "/refused"}, "route": {"cluster": "nobody"}},
        {"match": {"prefix": "/silent"}, "route": {"cluster": "upstream", "timeout": "0.2s"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
    ]);
    let manager = json!({"tracing": tracing(json!({}))});
    let empty = json!({"name": "empty", "load_assignment": {"cluster_name": "empty", "endpoints": []}});
    let clusters = [cluster("upstream", upstream.port), cluster("nobody", 1), empty];
    let listener = listener_with("mesh", &[tracewarden(B3)], routes, manager);
    let envoy = Envoy::start("second-trace-nowhere", &bootstrap(&[listener], &clusters));
    // From its first on, each of the two workers looks at every request.
    (0..2).for_each(|_| assert_eq!(get(envoy.port("mesh"), "/", &[]).status(), 200));
    wait_for_second_traces(&envoy, 2);
    for (path, status, counted) in
        [("/direct", 200, 2), ("/empty", 503, 2), ("/silent", 504, 3), ("/refused", 503, 4)]
    {
        assert_eq!(get(envoy.port("mesh"), path, &[("traceparent", UPPER)]).status(), status, "{path}");
        settle(&envoy);
        wait_for_second_traces(&envoy, counted);
    }
}

/// It need not be a tracer: here the route writes the header.
#[test]
fn whatever_writes_another_trace_is_counted() {
    let upstream = Upstream::start();
    let header =
        json!({"key": "traceparent", "value": "00-11111111111111111111111111111111-2222222222222222-01"});
    let routes = json!([{
        "match": {"prefix": "/"},
        "route": {"cluster": "upstream"},
        "request_headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    }]);
    let envoy = envoy("second-trace-route", &upstream, B3, routes, json!({}));
    get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED)]);
    wait_for_second_traces(&envoy, 1);
}
