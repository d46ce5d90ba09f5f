//! gRPC-Web: what the spans say of a call's outcome, wherever the filter stands beside Envoy's own.

use std::collections::BTreeMap;

use http::Request;
use serde_json::{Value, json};

use crate::support::bootstrap::{all_to, bootstrap, cluster, filter, http2_cluster, listener, tracewarden};
use crate::support::client::Client;
use crate::support::collector::{Collector, attributes, spans_of};
use crate::support::envoy::Envoy;
use crate::support::http2::{self, GrpcUpstream};
use crate::support::upstream::{Upstream, ok_with};
use crate::support::wait_for;

const CONFIG: &str = r#"{"direction": "inbound", "role": "edge", "span": {"kind": "server"},
    "export": {"otlp": {"cluster": "collector"}, "batch": 1}}"#;
/// A trailer frame of gRPC-Web, which says that the call failed.
const FAILED: &[u8] = b"\x80\0\0\0\x10grpc-status:13\r\n";

/// The filter before Envoy's own, or after it.
fn ordered(is_first: bool) -> Vec<Value> {
    let web = filter("envoy.filters.http.grpc_web", "grpc_web.v3.GrpcWeb", json!({}));
    if is_first { vec![tracewarden(CONFIG), web] } else { vec![web, tracewarden(CONFIG)] }
}

/// What the only span says, with its status.
fn told(collector: &Collector) -> (BTreeMap<String, String>, bool) {
    let span = wait_for("the span", || {
        let mut spans: Vec<_> =
            collector.uploads().iter().flat_map(|upload| spans_of(&upload.body)).collect();
        spans.pop()
    });
    let is_error = span.status.as_ref().is_some_and(|status| status.code == 2);
    (attributes(&span), is_error)
}

fn call(port: u16, content_type: &str, path: &str) {
    let mut call =
        Request::post(format!("http://test{path}")).body(&b"\0\0\0\0\x02hi"[..]).expect("a request");
    call.headers_mut().extend(http2::headers(&[("content-type", content_type.as_bytes())]));
    assert_eq!(http2::exchange(port, call).head.status(), 200, "{path}");
}

#[test]
fn the_status_of_a_grpc_web_call_is_told_in_both_orders() {
    let calls = GrpcUpstream::start();
    for is_first in [true, false] {
        for (content_type, path, status) in [
            ("application/grpc-web+proto", "/test/Internal", Some("13")),
            ("application/grpc-web", "/test/Echo", Some("0")),
            ("application/grpc-web", "/test/Fail", Some("5")),
            ("application/grpc", "/test/Internal", Some("13")),
        ] {
            let collector = Collector::start();
            let clusters = [http2_cluster("upstream", calls.port), collector.cluster()];
            let name = format!("grpc-web-{is_first}");
            let envoy = Envoy::start(
                &name,
                &bootstrap(&[listener("mesh", &ordered(is_first), all_to("upstream"))], &clusters),
            );
            call(envoy.port("mesh"), content_type, path);
            let (said, is_error) = told(&collector);
            let says = |name: &str| said.get(name).map(String::as_str);
            // Where Envoy's own filter has put the trailers into the body, no later filter sees them.
            let is_seen = !is_first || content_type == "application/grpc" || path == "/test/Fail";
            let case = format!("{content_type} {path}, first: {is_first}: {said:?}");
            assert_eq!(says("rpc.grpc.status_code"), status.filter(|_| is_seen), "{case}");
            assert_eq!(says("tracewarden.outcome"), (!is_seen).then_some("unknown"), "{case}");
            assert_eq!(is_error, is_seen && status == Some("13"), "{case}");
            assert_eq!(says("error.type"), (is_seen && status == Some("13")).then_some("INTERNAL"), "{case}");
            assert_eq!(says("rpc.system"), Some("grpc"), "{case}");
        }
    }
}

/// The upstream speaks gRPC-Web itself, and its status is in the body alone.
#[test]
fn a_status_that_is_in_the_body_alone_is_unknown() {
    let upstream = Upstream::answering(|_| ok_with("application/grpc-web+proto", FAILED));
    let collector = Collector::start();
    let clusters = [cluster("upstream", upstream.port), collector.cluster()];
    let listener = listener("mesh", &[tracewarden(CONFIG)], all_to("upstream"));
    let envoy = Envoy::start("grpc-web-alone", &bootstrap(&[listener], &clusters));
    let request =
        b"POST /test.Echo/Say HTTP/1.1\r\nhost: test\r\ncontent-type: application/grpc-web+proto\r\n\
        content-length: 7\r\n\r\n\0\0\0\0\x02hi";
    assert_eq!(Client::connect(envoy.port("mesh")).send(request).status(), 200);
    let (said, is_error) = told(&collector);
    assert_eq!(said.get("tracewarden.outcome").map(String::as_str), Some("unknown"), "{said:?}");
    assert!(!is_error && !said.contains_key("error.type") && !said.contains_key("rpc.grpc.status_code"));
}
