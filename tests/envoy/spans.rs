//! Spans of what only the real Envoy does: hops one after the other, retries, redirects, replies of its own, streams
//! that break off, gRPC, upgrades.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use crate::support::bootstrap::{
    all_to, bootstrap, cluster, http2_cluster, listener, listener_with, merge, tracewarden,
};
use crate::support::client::{Client, get, request};
use crate::support::collector::{Collector, attributes, exporting, hex};
use crate::support::envoy::Envoy;
use crate::support::http2::{self, GrpcUpstream, exchange};
use crate::support::upstream::{Upstream, ok, response};
use crate::support::{P, SAMPLED, T, free_port};
use crate::uploads::Span;

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

fn ours() -> Value {
    tracewarden(&exporting(r#""direction": "inbound""#))
}

/// One listener with our filter before an upstream, and a collector.
struct Mesh {
    envoy: Envoy,
    upstream: Upstream,
    collector: Collector,
}

impl Mesh {
    fn new(name: &str, upstream: Upstream, routes: Value) -> Self {
        Self::with(name, upstream, routes, json!({}))
    }

    fn with(name: &str, upstream: Upstream, routes: Value, more: Value) -> Self {
        let collector = Collector::start();
        let listener = listener_with("mesh", &[ours()], routes, more);
        let clusters = [cluster("upstream", upstream.port), cluster("nobody", 1), collector.cluster()];
        let envoy = Envoy::start(name, &bootstrap(&[listener], &clusters));
        Self { envoy, upstream, collector }
    }

    fn port(&self) -> u16 {
        self.envoy.port("mesh")
    }

    fn one_span(&self) -> (Span, BTreeMap<String, String>) {
        let span = self.collector.wait_for(1).remove(0);
        let told = attributes(&span);
        (span, told)
    }
}

fn picked<'a>(told: &'a BTreeMap<String, String>, names: &[&str]) -> Vec<&'a str> {
    names.iter().map(|name| told.get(*name).map_or("", String::as_str)).collect()
}

#[test]
fn a_request_through_four_hops_is_one_trace_without_an_orphan() {
    let (upstream, collector) = (Upstream::start(), Collector::start());
    let hops = [
        ("edge", r#""role": "edge", "direction": "inbound", "service": {"name": "edge"}"#),
        ("checkout", r#""direction": "inbound", "service": {"name": "checkout"}"#),
        ("checkout-out", r#""direction": "outbound", "service": {"name": "checkout"}"#),
        ("stock", r#""direction": "inbound", "service": {"name": "stock"}"#),
    ];
    let ports = [0; 4].map(|_| free_port());
    let next = ports.iter().copied().skip(1).chain([upstream.port]);
    let (mut listeners, mut clusters) = (Vec::new(), vec![collector.cluster()]);
    for (((name, fields), port), next) in hops.into_iter().zip(ports).zip(next) {
        let cluster_name = format!("after {name}");
        let mut listener = listener(name, &[tracewarden(&exporting(fields))], all_to(&cluster_name));
        merge(&mut listener, json!({"address": crate::support::bootstrap::address(port)}));
        listeners.push(listener);
        clusters.push(cluster(&cluster_name, next));
    }
    let envoy = Envoy::start("spans-hops", &bootstrap(&listeners, &clusters));
    let answer = get(envoy.port("edge"), "/cart?secret=1", &[]);
    let received = upstream.take_one();
    let spans = collector.wait_for(5);
    let trace_id = hex(&spans[0].trace_id);
    let mut chain = vec![spans.iter().find(|span| span.parent_span_id.is_empty()).expect("a root")];
    while let Some(next) = spans.iter().find(|span| span.parent_span_id == chain[chain.len() - 1].span_id) {
        chain.push(next);
    }
    assert_eq!(chain.len(), 5, "each span's parent is the one before it: {spans:#?}");
    assert_eq!(chain.iter().map(|s| s.kind).collect::<Vec<_>>(), [SERVER, CLIENT, SERVER, CLIENT, SERVER]);
    for (span, inner) in chain.iter().zip(&chain[1..]) {
        assert_eq!(hex(&span.trace_id), trace_id);
        assert!(span.start_time_unix_nano <= inner.start_time_unix_nano);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        assert_eq!(span.trace_state, "ot=th:0");
        let told = attributes(span);
        assert!(!told.values().any(|value| value.contains("secret")), "{told:?}");
    }
    let sent = format!("00-{trace_id}-{}-03", hex(&chain[4].span_id));
    assert_eq!(received.all("traceparent"), [sent.as_bytes()]);
    let told = format!("00-{trace_id}-{}-03", hex(&chain[1].span_id));
    assert_eq!(answer.all("traceparent"), [told.as_bytes()]);
}

#[test]
fn a_retry_is_one_span_with_its_attempts() {
    let attempts = std::sync::atomic::AtomicUsize::new(0);
    let upstream =
        Upstream::answering(move |_| match attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => response("503 Service Unavailable", &[]),
            _ => ok(&[]),
        });
    let collector = Collector::start();
    let policy = json!({"retry_on": "5xx", "num_retries": 1});
    let routes =
        json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "retry_policy": policy}}]);
    let outbound = tracewarden(&exporting(r#""direction": "outbound""#));
    let clusters = [cluster("upstream", upstream.port), collector.cluster()];
    let config = bootstrap(&[listener("mesh", &[outbound], routes)], &clusters);
    let envoy = Envoy::start("spans-retry", &config);
    assert_eq!(get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED)]).status(), 200);
    let span = collector.wait_for(1).remove(0);
    let told = attributes(&span);
    assert_eq!((span.kind, hex(&span.parent_span_id).as_str()), (CLIENT, P));
    let names = ["http.request.resend_count", "http.response.status_code", "network.peer.port"];
    assert_eq!(picked(&told, &names), ["1", "200", &upstream.port.to_string()]);
    assert_eq!(upstream.take().len(), 2);
}

/// Every pass is a span, because every pass had a parent-id of its own: the second is below the first.
#[test]
fn an_internal_redirect_is_two_spans_one_below_the_other() {
    let upstream = Upstream::answering(|message| match message.second_word() {
        "/" => response("302 Found", &[("location", b"http://test/moved")]),
        _ => ok(&[]),
    });
    let routes = json!([{"match": {"prefix": "/"}, "route": {
        "cluster": "upstream", "internal_redirect_policy": {"redirect_response_codes": [302]}}}]);
    let mesh = Mesh::new("spans-redirect", upstream, routes);
    assert_eq!(get(mesh.port(), "/", &[("traceparent", SAMPLED)]).status(), 200);
    let received = mesh.upstream.take();
    let spans = mesh.collector.wait_for(2);
    let paths: Vec<_> = spans.iter().map(|span| attributes(span)["url.path"].clone()).collect();
    assert_eq!(paths, ["/moved", "/moved"], "when the first stream ends, Envoy knows the new path alone");
    assert_eq!(hex(&spans[0].parent_span_id), P);
    assert_eq!(spans[1].parent_span_id, spans[0].span_id, "{spans:#?}");
    for (span, message) in spans.iter().zip(&received) {
        let sent = format!("00-{T}-{}-01", hex(&span.span_id));
        assert_eq!(message.all("traceparent"), [sent.as_bytes()]);
    }
}

#[test]
fn replies_of_envoys_own_have_their_spans() {
    let silent = Upstream::answering(|_| {
        std::thread::sleep(Duration::from_secs(1));
        Vec::new()
    });
    let routes = json!([
        {"match": {"path": "/direct"}, "direct_response": {"status": 418}},
        {"match": {"path": "/nobody"}, "route": {"cluster": "nobody"}},
        {"match": {"path": "/late"}, "route": {"cluster": "upstream", "timeout": "0.2s"}},
    ]);
    let mesh = Mesh::new("spans-replies", silent, routes);
    for (path, status, error) in
        [("/direct", "418", ""), ("/nobody", "503", "503"), ("/nowhere", "404", ""), ("/late", "504", "504")]
    {
        assert_eq!(get(mesh.port(), path, &[("traceparent", SAMPLED)]).status().to_string(), status);
        let (span, told) = mesh.one_span();
        let names = ["url.path", "http.response.status_code", "error.type"];
        assert_eq!(picked(&told, &names), [path, status, error]);
        assert_eq!(span.status.is_some(), !error.is_empty(), "{path}");
    }
}

#[test]
fn a_caller_that_goes_away_leaves_a_span_that_failed() {
    let silent = Upstream::answering(|_| {
        std::thread::sleep(Duration::from_secs(5));
        Vec::new()
    });
    let mesh = Mesh::new("spans-aborted", silent, all_to("upstream"));
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, mesh.port())).unwrap();
    stream.write_all(&request("/slow", &[("traceparent", SAMPLED)])).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    drop(stream);
    let (span, told) = mesh.one_span();
    assert_eq!(
        picked(&told, &["url.path", "http.response.status_code", "error.type"]),
        ["/slow", "", "_OTHER"]
    );
    assert!(span.status.is_some() && span.end_time_unix_nano - span.start_time_unix_nano > 200_000_000);
}

#[test]
fn a_response_that_breaks_off_is_a_span_that_failed() {
    let upstream = Upstream::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec());
    let mesh = Mesh::new("spans-broken", upstream, all_to("upstream"));
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, mesh.port())).unwrap();
    stream.write_all(&request("/", &[("traceparent", SAMPLED)])).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    drop(stream);
    let (span, told) = mesh.one_span();
    assert_eq!(picked(&told, &["http.response.status_code", "error.type"]), ["200", "_OTHER"]);
    assert!(span.status.is_some());
}

#[test]
fn a_streamed_response_is_measured_to_its_end() {
    let upstream = Upstream::answering(|_| {
        let chunk = "400\r\n".to_owned() + &"x".repeat(0x400) + "\r\n";
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        (head.to_owned() + &chunk.repeat(64) + "0\r\n\r\n").into_bytes()
    });
    let mesh = Mesh::new("spans-streamed", upstream, all_to("upstream"));
    let body = [request("/up", &[("traceparent", SAMPLED), ("content-length", b"5")]), b"hello".to_vec()];
    let bytes = String::from_utf8(body.concat()).unwrap().replacen("GET", "POST", 1);
    let answer = Client::connect(mesh.port()).send(bytes.as_bytes());
    assert_eq!(answer.body.len(), 64 * 0x400);
    let (span, told) = mesh.one_span();
    let names = ["http.request.body.size", "http.response.body.size", "http.request.method"];
    assert_eq!((picked(&told, &names), span.name.as_str()), (vec!["5", "65536", "POST"], "POST"));
}

#[test]
fn a_grpc_call_has_its_status_from_wherever_it_stands() {
    let (upstream, collector) = (GrpcUpstream::start(), Collector::start());
    let clusters = [http2_cluster("upstream", upstream.port), collector.cluster()];
    let config = bootstrap(&[listener("mesh", &[ours()], all_to("upstream"))], &clusters);
    let envoy = Envoy::start("spans-grpc", &config);
    for (method, status, version) in [("test/Echo", "0", "2"), ("test/Fail", "5", "2")] {
        let mut call = Request::post(format!("http://test/{method}")).body(&b"\0\0\0\0\x02hi"[..]).unwrap();
        let lines: &[(&str, &[u8])] =
            &[("content-type", b"application/grpc"), ("te", b"trailers"), ("traceparent", SAMPLED)];
        call.headers_mut().extend(http2::headers(lines));
        exchange(envoy.port("mesh"), call);
        upstream.take_one();
        let span = collector.wait_for(1).remove(0);
        let told = attributes(&span);
        let names = ["rpc.system", "rpc.grpc.status_code", "network.protocol.version"];
        assert_eq!(picked(&told, &names), ["grpc", status, version]);
        assert_eq!((span.name.as_str(), span.status), (method, None), "not the server's fault");
    }
}

#[test]
fn an_upgrade_is_one_span_for_as_long_as_it_lasts() {
    let upstream = Upstream::answering(|message| match message.start.as_str() {
        "ping" => b"pong\r\n\r\n".to_vec(),
        _ => {
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_vec()
        }
    });
    let more = json!({"upgrade_configs": [{"upgrade_type": "websocket"}]});
    let mesh = Mesh::with("spans-upgrade", upstream, all_to("upstream"), more);
    let mut client = Client::connect(mesh.port());
    let lines: &[(&str, &[u8])] =
        &[("connection", b"upgrade"), ("upgrade", b"websocket"), ("traceparent", SAMPLED)];
    assert_eq!(client.get("/ws", lines).status(), 101);
    assert_eq!(client.send(b"ping\r\n\r\n").start, "pong");
    std::thread::sleep(Duration::from_millis(300));
    assert!(mesh.collector.uploads().is_empty(), "it lasts");
    drop(client);
    let (_, told) = mesh.one_span();
    assert_eq!(picked(&told, &["url.path", "http.response.status_code"]), ["/ws", "101"]);
}

#[test]
fn the_resource_is_named_after_the_node() {
    let (upstream, collector) = (Upstream::start(), Collector::start());
    let clusters = [cluster("upstream", upstream.port), collector.cluster()];
    let mut config = bootstrap(&[listener("mesh", &[ours()], all_to("upstream"))], &clusters);
    // What Istio puts there.
    let metadata =
        json!({"WORKLOAD_NAME": "cart", "NAMESPACE": "shop", "NAME": "cart-1", "CLUSTER_ID": "east"});
    merge(
        &mut config,
        json!({"node": {"id": "sidecar~cart-1", "cluster": "cart.shop", "metadata": metadata}}),
    );
    let envoy = Envoy::start("spans-node", &config);
    assert_eq!(get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED)]).status(), 200);
    let upload = crate::support::wait_for("an upload", || collector.uploads().pop());
    let decoded: crate::uploads::ExportTraceServiceRequest =
        prost::Message::decode(upload.body.as_slice()).unwrap();
    let resource = decoded.resource_spans[0].resource.clone().unwrap();
    let told = attributes(&Span { attributes: resource.attributes, ..Span::default() });
    let names =
        ["service.name", "k8s.namespace.name", "k8s.pod.name", "k8s.cluster.name", "service.instance.id"];
    assert_eq!(picked(&told, &names), ["cart-proxy", "shop", "cart-1", "east", "sidecar~cart-1"]);
    let context = String::from_utf8(upload.all("traceparent")[0].to_vec()).unwrap();
    assert!(context.ends_with("-02"), "{context}: nobody on the way records the upload");
}
