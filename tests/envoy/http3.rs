//! HTTP/3 on both sides, WebSockets over HTTP/2, and early data.

use std::net::{Ipv4Addr, UdpSocket};

use rcgen::{CertificateParams, KeyPair, SanType};
use serde_json::{Value, json};

use crate::support::bootstrap::{
    address, all_to, bootstrap, cluster, http2_cluster, listener, listener_with, merge, tracewarden, typed,
};
use crate::support::client::{Client, get};
use crate::support::envoy::{Envoy, continued};
use crate::support::upstream::{Upstream, ok, response};
use crate::support::{SAMPLED, assert_new_trace, wait_for};

const CONFIG: &str = r#"{"direction": "inbound"}"#;

/// The TLS of a server that is called `test`, and of its client.
struct Tls {
    server: Value,
    client: Value,
}

impl Tls {
    fn new() -> Self {
        let mut parameters = CertificateParams::new([]).expect("parameters");
        parameters.subject_alt_names.push(SanType::DnsName("test".try_into().expect("a name")));
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate").pem();
        let server = json!({"common_tls_context": {"tls_certificates": [{
            "certificate_chain": {"inline_string": certificate},
            "private_key": {"inline_string": key.serialize_pem()},
        }]}});
        let trusted = json!({"validation_context": {"trusted_ca": {"inline_string": certificate}}});
        Self { server, client: json!({"sni": "test", "common_tls_context": trusted}) }
    }
}

/// A UDP port that is free now.
fn free_udp_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port").local_addr().expect("an address").port()
}

/// A listener that speaks HTTP/3.
fn http3_listener(port: u16, tls: &Tls, filters: &[Value], routes: Value) -> Value {
    let more = json!({"codec_type": "HTTP3", "http3_protocol_options": {}});
    let mut listener = listener_with("quic", filters, routes, more);
    let mut udp = address(port);
    merge(udp.pointer_mut("/socket_address").expect("an address"), json!({"protocol": "UDP"}));
    let quic = typed(
        "envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport",
        json!({"downstream_tls_context": tls.server}),
    );
    let chain = listener.pointer_mut("/filter_chains/0").expect("a chain");
    merge(chain, json!({"transport_socket": {"name": "envoy.transport_sockets.quic", "typed_config": quic}}));
    let object = listener.as_object_mut().expect("an object");
    object.remove("connection_balance_config");
    merge(&mut listener, json!({"address": udp, "udp_listener_config": {"quic_options": {}}}));
    listener
}

/// A cluster that is reached by HTTP/3.
fn http3_cluster(name: &str, port: u16, tls: &Tls) -> Value {
    let mut cluster = cluster(name, port);
    let options = typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        json!({"explicit_http_config": {"http3_protocol_options": {}}}),
    );
    let quic = typed(
        "envoy.extensions.transport_sockets.quic.v3.QuicUpstreamTransport",
        json!({"upstream_tls_context": tls.client}),
    );
    merge(
        &mut cluster,
        json!({
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
            "transport_socket": {"name": "envoy.transport_sockets.quic", "typed_config": quic},
        }),
    );
    cluster
}

/// One Envoy sends by HTTP/3 what another one receives. Both have the filter.
#[test]
fn a_request_in_http_3_gets_what_one_in_http_1_gets_on_both_sides() {
    const SERVES: &str = r#"{"direction": "inbound", "correlation": {}}"#;
    let upstream = Upstream::start();
    let (port, tls) = (free_udp_port(), Tls::new());
    let behind = http3_listener(port, &tls, &[tracewarden(SERVES)], all_to("upstream"));
    let mut back = Envoy::start("http3-back", &bootstrap(&[behind], &[cluster("upstream", upstream.port)]));
    let before = listener("mesh", &[tracewarden(CONFIG)], all_to("quic"));
    let mut front = Envoy::start("http3-front", &bootstrap(&[before], &[http3_cluster("quic", port, &tls)]));
    let send = |lines: &[(&str, &[u8])]| {
        let answer = get(front.port("mesh"), "/", lines);
        assert_eq!(answer.status(), 200, "{}\n{}", String::from_utf8_lossy(&answer.body), front.log());
        (answer, upstream.take_one())
    };
    let (answer, received) =
        send(&[("traceparent", SAMPLED), ("tracestate", b"a=1"), ("tracestate", b"b=2")]);
    assert_eq!(received.all("traceparent"), [SAMPLED]);
    assert_eq!(received.all("tracestate").join(&b","[..]), b"a=1,b=2", "in one line or in two");
    assert_eq!(answer.all("traceparent").len(), 1);
    let (_, started) = send(&[]);
    assert_eq!(started.all("traceparent").len(), 1);
    let news = back.news();
    assert_eq!(
        news.get("requests inbound internal enforce continued"),
        Some(&2),
        "one verdict each: {news:?}"
    );
    assert_eq!(front.news().get("requests inbound internal enforce continued"), Some(&1));
    // Envoy tells the filter of no stream's end here, and the gauge falls all the same.
    wait_for("the requests to end", || {
        let gauge = back.stats("tracewarden_traced_requests_in_flight");
        (gauge.len() == 1 && gauge.values().all(|number| *number == 0)).then_some(())
    });
}

/// Extended CONNECT (RFC 8441): the answer is a 200, and what follows passes untouched.
#[test]
fn a_websocket_over_http_2_has_one_verdict_and_its_bytes_pass() {
    let upstream = Upstream::answering(|message| match message.start.as_str() {
        "ping" => b"pong\r\n\r\n".to_vec(),
        _ => {
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_vec()
        }
    });
    let upgrades = json!({"upgrade_configs": [{"upgrade_type": "websocket"}]});
    let mut over_http2 = upgrades.clone();
    merge(&mut over_http2, json!({"codec_type": "HTTP2", "http2_protocol_options": {"allow_connect": true}}));
    let back_listener = listener_with("mesh", &[tracewarden(CONFIG)], all_to("upstream"), over_http2);
    let back = Envoy::start(
        "http2-websocket-back",
        &bootstrap(&[back_listener], &[cluster("upstream", upstream.port)]),
    );
    let mut to_back = http2_cluster("back", back.port("mesh"));
    let options = to_back
        .pointer_mut(
            "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        )
        .expect("options");
    merge(options, json!({"explicit_http_config": {"http2_protocol_options": {"allow_connect": true}}}));
    let front_listener = listener_with("mesh", &[tracewarden(CONFIG)], all_to("back"), upgrades);
    let front = Envoy::start("http2-websocket-front", &bootstrap(&[front_listener], &[to_back]));

    let mut client = Client::connect(front.port("mesh"));
    let answer = client.get("/", &[("connection", b"upgrade"), ("upgrade", b"websocket")]);
    assert_eq!(answer.status(), 101);
    let received = upstream.take_one();
    assert_new_trace("the upgrade", &received);
    assert_eq!(answer.all("traceparent"), received.all("traceparent"));
    for _ in 0..3 {
        assert_eq!(client.send(b"ping\r\n\r\n").start, "pong");
    }
    assert_eq!(front.counters().get("requests inbound internal enforce lost"), Some(&1));
    assert_eq!(back.counters().get("requests inbound internal enforce continued"), Some(&1));
}

/// A server that refuses early data answers 425. Envoy passes that on to a caller that has marked its request, and sends any
/// other request again by itself: one verdict, and the same context.
#[test]
fn a_request_that_came_too_early_is_sent_again_with_its_context() {
    let upstream = Upstream::answering(|message| match message.text("x-envoy-attempt-count").as_str() {
        "1" => response("425 Too Early", &[]),
        _ => ok(&[]),
    });
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "retry_policy": {
        "retry_on": "retriable-status-codes", "retriable_status_codes": [425], "num_retries": 1}}}]);
    let hosts = json!({"route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"],
        "include_request_attempt_count": true, "routes": routes}]}});
    let listener = listener_with("mesh", &[tracewarden(CONFIG)], json!([]), hosts);
    let mut envoy =
        Envoy::start("http3-early", &bootstrap(&[listener], &[cluster("upstream", upstream.port)]));
    for (marked, status, attempts) in [(true, 425, 1), (false, 200, 2)] {
        let mut lines = vec![("traceparent", SAMPLED)];
        lines.extend(marked.then_some(("early-data", &b"1"[..])));
        assert_eq!(get(envoy.port("mesh"), "/", &lines).status(), status);
        let received = wait_for("the attempts", || Some(upstream.take()).filter(|all| !all.is_empty()));
        assert_eq!(received.len(), attempts, "{received:?}");
        assert!(received.iter().all(|attempt| attempt.all("traceparent") == [SAMPLED]), "{received:?}");
        assert_eq!(envoy.news(), continued(), "marked: {marked}");
    }
}
