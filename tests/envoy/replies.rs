//! Responses that no upstream has made: by filters before and after ours, by routes, and by Envoy itself.

use serde_json::{Value, json};

use crate::support::SAMPLED;
use crate::support::bootstrap::{all_to, bootstrap, cluster, filter, listener, tracewarden};
use crate::support::client::{Client, get};
use crate::support::envoy::{Counters, Envoy, continued};
use crate::support::upstream::Upstream;

/// A filter that answers 403 to everything.
fn refusing() -> Value {
    let everybody = json!({"permissions": [{"any": true}], "principals": [{"any": true}]});
    let rules = json!({"action": "DENY", "policies": {"everybody": everybody}});
    filter("envoy.filters.http.rbac", "rbac.v3.RBAC", json!({"rules": rules}))
}

fn ours() -> Value {
    tracewarden(r#"{"direction": "inbound"}"#)
}

fn routes() -> Value {
    json!([
        {"match": {"path": "/direct"}, "direct_response": {"status": 418}},
        {"match": {"path": "/redirect"}, "redirect": {"path_redirect": "/elsewhere"}},
        {"match": {"path": "/nobody"}, "route": {"cluster": "nobody"}},
        {"match": {"path": "/late"}, "route": {"cluster": "upstream", "timeout": "0.2s"}},
    ])
}

#[test]
fn a_reply_by_a_filter_before_ours_is_neither_counted_nor_touched() {
    let upstream = Upstream::start();
    let envoy = Envoy::before(&upstream, "replies-before", &[refusing(), ours()], all_to("upstream"));
    let answer = get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED)]);
    assert_eq!(answer.status(), 403);
    assert!(answer.all("traceparent").is_empty(), "{answer:?}");
    assert_eq!(envoy.counters(), Counters::new());
}

#[test]
fn a_reply_by_a_filter_after_ours_has_one_verdict_and_its_context() {
    let upstream = Upstream::start();
    let envoy = Envoy::before(&upstream, "replies-after", &[ours(), refusing()], all_to("upstream"));
    let answer = get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED)]);
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.all("traceparent"), [SAMPLED]);
    assert_eq!(envoy.counters(), continued());
}

#[test]
fn a_request_that_reaches_no_upstream_has_one_verdict_and_its_context() {
    let silent = Upstream::answering(|_| {
        std::thread::sleep(std::time::Duration::from_secs(1));
        Vec::new()
    });
    let listener = listener("mesh", &[ours()], routes());
    let clusters = [cluster("upstream", silent.port), cluster("nobody", 1)];
    let mut envoy = Envoy::start("replies-routes", &bootstrap(&[listener], &clusters));
    for (path, status) in
        [("/direct", 418), ("/redirect", 301), ("/nobody", 503), ("/no-such-route", 404), ("/late", 504)]
    {
        let answer = get(envoy.port("mesh"), path, &[("traceparent", SAMPLED)]);
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.all("traceparent"), [SAMPLED], "{path}");
        assert_eq!(envoy.news(), continued(), "{path}");
    }
}

#[test]
fn what_envoy_refuses_before_any_filter_runs_is_not_counted() {
    let upstream = Upstream::start();
    let envoy = Envoy::before(&upstream, "replies-codec", &[ours()], all_to("upstream"));
    let long = [b"GET / HTTP/1.1\r\nhost: test\r\nx-long: ", &b"x".repeat(70_000)[..], b"\r\n\r\n"].concat();
    for (bytes, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], 400),
        (b"GET / HTTP/1.1\r\nhost: test\r\ntraceparent: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: test\r\ntrace parent: a\r\n\r\n", 400),
        (&long, 431),
        // An upgrade that the connection manager does not allow.
        (b"GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 403),
    ] {
        let answer = Client::connect(envoy.port("mesh")).send(bytes);
        assert_eq!(answer.status(), status, "{}", bytes.get(..60).unwrap_or(bytes).escape_ascii());
        assert!(answer.all("traceparent").is_empty(), "{answer:?}");
    }
    assert_eq!(envoy.counters(), Counters::new());
}
