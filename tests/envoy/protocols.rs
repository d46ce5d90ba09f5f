//! The protocols that a request may come in.

use http::Request;
use serde_json::json;

use crate::support::bootstrap::{
    all_to, bootstrap, cluster, http2_cluster, listener, listener_with, tracewarden,
};
use crate::support::client::{Client, get};
use crate::support::envoy::{Counters, Envoy, continued, table};
use crate::support::http1::Message;
use crate::support::http2::{self, GrpcUpstream, exchange};
use crate::support::upstream::{Upstream, ok};
use crate::support::{SAMPLED, assert_new_trace, assert_root};

const CONFIG: &str = r#"{"direction": "inbound"}"#;

fn lost() -> Counters {
    table(&[
        ("requests inbound internal enforce lost", 1),
        ("repairs inbound new", 1),
        ("sampled record probability", 1),
        ("responses absent", 1),
    ])
}

fn corrupt(reason: &str) -> Counters {
    let mut counters = lost();
    counters.remove("requests inbound internal enforce lost");
    counters.insert("requests inbound internal enforce corrupt".to_owned(), 1);
    counters.insert(format!("corrupt inbound traceparent {reason}"), 1);
    counters
}

#[test]
fn a_request_in_http_2_gets_what_one_in_http_1_gets() {
    let upstream = Upstream::start();
    let mut envoy = Envoy::before(&upstream, "protocols-h2", &[tracewarden(CONFIG)], all_to("upstream"));
    let rows: &[(&[(&str, &[u8])], Counters)] = &[
        (&[("traceparent", SAMPLED), ("tracestate", b"a=1"), ("tracestate", b"b=2")], continued()),
        (&[("x-bytes", b"\xff\x80"), ("traceparent", SAMPLED)], continued()),
        (&[("tracestate", b"a=1")], lost()),
        (&[("traceparent", b"\xff\xfe"), ("tracestate", b"a=1")], corrupt("version")),
        (&[("traceparent", SAMPLED), ("x", b""), ("traceparent", SAMPLED)], corrupt("repeated")),
        (&[("traceparent", b" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")], continued()),
    ];
    for (lines, counted) in rows {
        let answer = exchange(envoy.port("mesh"), http2::get("/", lines));
        assert_eq!(answer.head.status(), 200, "{lines:?}");
        let received = upstream.take_one();
        if *counted == continued() {
            assert_eq!(received.all("traceparent"), [SAMPLED], "{lines:?}");
            let sent = lines.iter().filter(|(name, _)| *name == "tracestate").map(|(_, value)| *value);
            assert_eq!(received.all("tracestate"), sent.collect::<Vec<_>>(), "{lines:?}");
        } else {
            assert_new_trace(&format!("{lines:?}"), &received);
        }
        let told = http2::all(answer.head.headers(), "traceparent");
        assert_eq!(told, received.all("traceparent"), "{lines:?}");
        assert_eq!(envoy.news(), *counted, "{lines:?}");
    }
}

/// gRPC has one header pass a call, however long the stream, and its trailers pass no filter callback of ours.
#[test]
fn a_grpc_call_has_one_verdict_and_its_trailers_are_left_alone() {
    let upstream = GrpcUpstream::start();
    let listener = listener("mesh", &[tracewarden(CONFIG)], all_to("upstream"));
    let config = bootstrap(&[listener], &[http2_cluster("upstream", upstream.port)]);
    let mut envoy = Envoy::start("protocols-grpc", &config);
    for (method, lines, counted) in [
        ("/test/Echo", &[("traceparent", SAMPLED)][..], continued()),
        ("/test/Echo", &[], lost()),
        ("/test/Fail", &[("traceparent", SAMPLED)], continued()),
    ] {
        let mut call = Request::post(format!("http://test{method}")).body(&b"\0\0\0\0\x02hi"[..]).unwrap();
        call.headers_mut()
            .extend(http2::headers(&[("content-type", b"application/grpc"), ("te", b"trailers")]));
        call.headers_mut().extend(http2::headers(lines));
        let answer = exchange(envoy.port("mesh"), call);
        let received = upstream.take_one();
        let sent = http2::all(received.head.headers(), "traceparent");
        match lines {
            [] => assert_root(method, &sent, &http2::all(received.head.headers(), "tracestate")),
            _ => assert_eq!(sent, [SAMPLED], "{method}"),
        }
        assert_eq!(received.body, b"\0\0\0\0\x02hi", "{method}");
        assert_eq!(http2::all(answer.head.headers(), "traceparent"), sent, "{method}");
        match method {
            "/test/Fail" => assert_eq!(http2::all(answer.head.headers(), "grpc-status"), [b"5"]),
            _ => {
                assert_eq!(answer.body, received.body, "{method}");
                let trailers = http2::headers(&[("grpc-status", b"0"), ("traceparent", b"of-the-trailers")]);
                assert_eq!(answer.trailers, trailers, "{method}");
            }
        }
        assert_eq!(envoy.news(), counted, "{method}");
    }
}

/// The header passes run for the request and for the 101; what follows is no header, and passes untouched.
#[test]
fn an_upgrade_to_a_websocket_has_one_verdict_and_the_bytes_after_it_pass() {
    let upstream = Upstream::answering(|message| match message.start.as_str() {
        "ping" => b"pong\r\n\r\n".to_vec(),
        _ => {
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_vec()
        }
    });
    let more = json!({"upgrade_configs": [{"upgrade_type": "websocket"}]});
    let listener = listener_with("mesh", &[tracewarden(CONFIG)], all_to("upstream"), more);
    let config = bootstrap(&[listener], &[cluster("upstream", upstream.port)]);
    let envoy = Envoy::start("protocols-upgrade", &config);

    let mut client = Client::connect(envoy.port("mesh"));
    let answer = client.get("/", &[("connection", b"upgrade"), ("upgrade", b"websocket")]);
    assert_eq!(answer.status(), 101);
    let received = upstream.take_one();
    assert_eq!(received.text("upgrade"), "websocket");
    assert_new_trace("the upgrade", &received);
    assert_eq!(answer.all("traceparent"), received.all("traceparent"));
    for _ in 0..3 {
        assert_eq!(client.send(b"ping\r\n\r\n").start, "pong");
    }
    assert_eq!(envoy.counters(), lost());
}

/// Envoy's own limits are raised for this: 60 kB and 100 headers.
#[test]
fn sixty_kilobytes_of_headers_are_read_to_the_last_line() {
    let upstream = Upstream::answering(|_| ok(&[]));
    let more = json!({
        "max_request_headers_kb": 96,
        "common_http_protocol_options": {"max_headers_count": 3000},
    });
    let listener = listener_with("mesh", &[tracewarden(CONFIG)], all_to("upstream"), more);
    let config = bootstrap(&[listener], &[cluster("upstream", upstream.port)]);
    let mut envoy = Envoy::start("protocols-large", &config);
    let (long, short) = ("x".repeat(1000), "x".repeat(20));
    for (count, value) in [(60, long.as_bytes()), (2000, short.as_bytes())] {
        let names: Vec<String> = (0..count).map(|number| format!("x-{number:07}")).collect();
        let mut lines: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), value)).collect();
        lines.push(("traceparent", SAMPLED));
        let check = |received: &Message, name: &str| {
            assert_eq!(received.all("traceparent"), [SAMPLED], "{name}");
            let others = received.lines.iter().filter(|(name, _)| name.starts_with(b"x-0"));
            assert_eq!(others.filter(|(_, v)| v == value).count(), count, "{name}");
        };
        assert_eq!(get(envoy.port("mesh"), "/", &lines).status(), 200);
        check(&upstream.take_one(), "HTTP/1");
        assert_eq!(envoy.news(), continued());
        assert_eq!(exchange(envoy.port("mesh"), http2::get("/", &lines)).head.status(), 200);
        check(&upstream.take_one(), "HTTP/2");
        assert_eq!(envoy.news(), continued());
    }
}
