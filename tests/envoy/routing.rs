//! What the router does after the filter has run: tries again, redirects, mirrors, and picks its route anew.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::bootstrap::{bootstrap, cluster, filter, listener, tracewarden, typed};
use crate::support::client::get;
use crate::support::envoy::{Envoy, table};
use crate::support::upstream::{Upstream, ok, response};
use crate::support::{SAMPLED, assert_new_trace, only_context, wait_for};

fn ours() -> Value {
    tracewarden(r#"{"direction": "inbound"}"#)
}

fn route(more: Value) -> Value {
    let mut route = json!({"cluster": "upstream"});
    crate::support::bootstrap::merge(&mut route, more);
    json!([{"match": {"prefix": "/"}, "route": route}])
}

#[test]
fn a_retry_carries_the_same_context_and_is_counted_once() {
    let attempts = AtomicUsize::new(0);
    let upstream = Upstream::answering(move |_| match attempts.fetch_add(1, Ordering::Relaxed) {
        0 => response("503 Service Unavailable", &[("traceparent", b"broken")]),
        _ => ok(&[]),
    });
    let routes = route(json!({"retry_policy": {"retry_on": "5xx", "num_retries": 1}}));
    let envoy = Envoy::before(&upstream, "routing-retry", &[ours()], routes);
    let answer = get(envoy.port("mesh"), "/", &[]);
    assert_eq!(answer.status(), 200);
    let received = upstream.take();
    let [first, second] = &received[..] else { panic!("{received:?}") };
    assert_new_trace("the first attempt", first);
    assert_eq!(first.all("traceparent"), second.all("traceparent"));
    assert_eq!(answer.all("traceparent"), second.all("traceparent"));
    let expected = table(&[
        ("requests inbound internal enforce lost", 1),
        ("repairs inbound new", 1),
        ("sampled record probability", 1),
        // The response that the router threw away passed no filter.
        ("responses absent", 1),
    ]);
    assert_eq!(envoy.counters(), expected);
}

/// An internal redirect is a new stream: all filters run again, on headers that ours has already repaired. It is one
/// request all the same, with one verdict.
#[test]
fn an_internal_redirect_runs_the_filter_twice_and_counts_once() {
    let upstream = Upstream::answering(|message| match message.second_word() {
        "/" => response("302 Found", &[("location", b"http://test/moved")]),
        _ => ok(&[]),
    });
    let routes = route(json!({"internal_redirect_policy": {"redirect_response_codes": [302]}}));
    let envoy = Envoy::before(&upstream, "routing-redirect", &[ours()], routes);
    let answer = get(envoy.port("mesh"), "/", &[("traceparent", b"broken"), ("tracestate", b"a=1")]);
    assert_eq!(answer.status(), 200);
    let received = upstream.take();
    let [first, second] = &received[..] else { panic!("{received:?}") };
    assert_eq!((first.second_word(), second.second_word()), ("/", "/moved"));
    assert_new_trace("before the redirect", first);
    assert_eq!(first.all("traceparent"), second.all("traceparent"));
    assert_eq!(answer.all("traceparent"), second.all("traceparent"));
    let expected = table(&[
        ("requests inbound internal enforce corrupt", 1),
        ("corrupt inbound traceparent version", 1),
        ("repairs inbound new", 1),
        ("sampled record probability", 1),
        ("responses absent", 1),
    ]);
    assert_eq!(envoy.counters(), expected);
}

#[test]
fn a_mirrored_request_carries_the_same_context_and_is_not_counted() {
    let (upstream, mirror) = (Upstream::start(), Upstream::start());
    let routes = route(json!({"request_mirror_policies": [{"cluster": "mirror"}]}));
    let clusters = [cluster("upstream", upstream.port), cluster("mirror", mirror.port)];
    let config = bootstrap(&[listener("mesh", &[ours()], routes)], &clusters);
    let envoy = Envoy::start("routing-mirror", &config);
    assert_eq!(get(envoy.port("mesh"), "/", &[]).status(), 200);
    let mirrored = wait_for("the mirrored request", || mirror.take().pop());
    let sent = upstream.take_one();
    only_context("the request", &sent.all("traceparent"));
    assert_eq!(mirrored.all("traceparent"), sent.all("traceparent"));
    assert_eq!(envoy.counters().get("requests inbound internal enforce lost"), Some(&1));
}

/// To write a header makes Envoy pick the route again. With the filter early, authorization sees the route that the
/// request takes in the end; with the filter late it has judged another one, and a request gets past it.
#[test]
fn authorization_sees_the_final_route_only_if_the_filter_runs_before_it() {
    let (open, closed) = (Upstream::start(), Upstream::start());
    let clusters = [cluster("open", open.port), cluster("closed", closed.port)];
    let early = listener("early", &[ours(), authorization()], by_traceparent());
    let late = listener("late", &[authorization(), ours()], by_traceparent());
    let envoy = Envoy::start("routing-refresh", &bootstrap(&[early, late], &clusters));

    assert_eq!(get(envoy.port("early"), "/", &[("traceparent", SAMPLED)]).status(), 403);
    assert_eq!(get(envoy.port("late"), "/", &[("traceparent", SAMPLED)]).status(), 403);
    assert_eq!(get(envoy.port("early"), "/", &[]).status(), 403, "judged on the route that it takes");
    assert!(closed.take().is_empty());

    assert_eq!(get(envoy.port("late"), "/", &[]).status(), 200, "judged on the route that it came with");
    assert_eq!(closed.take().len(), 1, "and sent on the one that authorization would have refused");
    assert!(open.take().is_empty());
}

/// Requests with a context go to `closed`, where authorization refuses everybody, all others to `open`.
fn by_traceparent() -> Value {
    let everybody = json!({"permissions": [{"any": true}], "principals": [{"any": true}]});
    let rules = json!({"rules": {"action": "DENY", "policies": {"everybody": everybody}}});
    let refuse = typed("envoy.extensions.filters.http.rbac.v3.RBACPerRoute", json!({"rbac": rules}));
    json!([
        {
            "match": {"prefix": "/", "headers": [{"name": "traceparent", "present_match": true}]},
            "route": {"cluster": "closed"},
            "typed_per_filter_config": {"envoy.filters.http.rbac": refuse},
        },
        {"match": {"prefix": "/"}, "route": {"cluster": "open"}},
    ])
}

/// Refuses a request only if its route says so.
fn authorization() -> Value {
    filter("envoy.filters.http.rbac", "rbac.v3.RBAC", json!({}))
}
