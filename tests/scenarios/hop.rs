//! A hop that exports its spans, and what a request gets from it.

use std::collections::BTreeMap;

use proxy_wasm_test_framework::{Host, HttpAnswer};

use crate::edge::{RootId, StreamId, Vm, start};
use crate::scenarios::otlp::{KeyValue, Span, Value, spans_of};
use crate::scenarios::support::Line;

pub(crate) const SERVER: i32 = 2;
pub(crate) const CLIENT: i32 = 3;
pub(crate) const REMOTE_PARENT: u32 = 0x300;

const GET: &[Line<'_>] = &[
    (":method", b"GET"),
    (":path", b"/cart/42?token=secret"),
    (":scheme", b"https"),
    (":authority", b"shop.example:8443"),
    ("user-agent", b"curl/8"),
    ("cookie", b"session=1"),
    ("authorization", b"Bearer x"),
];
pub(crate) const OK: &[Line<'_>] = &[(":status", b"200")];
pub(crate) const GRPC_OK: &[Line<'_>] = &[(":status", b"200"), ("content-type", b"application/grpc+proto")];

/// A plugin that exports every span by itself.
pub(crate) struct Hop {
    pub(crate) vm: Vm,
    pub(crate) root: RootId,
}

/// What became of one request.
pub(crate) struct Done {
    pub(crate) spans: Vec<Span>,
    pub(crate) sent: String,
    pub(crate) told: String,
}

impl Hop {
    pub(crate) fn new(config: &str) -> Self {
        Self::in_host(config, Self::host())
    }

    /// A host that knows of a stream what Envoy knows.
    pub(crate) fn host() -> Host {
        let mut host = Host::new();
        host.now_ns = 5_000_000_000;
        host.environment.insert("POD".to_owned(), "cart-1".to_owned());
        host.environment.insert("FORCE_SECRET".to_owned(), "x".to_owned());
        for (path, value) in [
            (&["request", "protocol"][..], &b"HTTP/2"[..]),
            (&["source", "address"], b"10.0.0.7:4711"),
            (&["upstream", "address"], b"[fd00::1]:80"),
            (&["upstream", "request_attempt_count"], &[3, 0, 0, 0, 0, 0, 0, 0]),
            (&["request", "size"], &[5, 0, 0, 0, 0, 0, 0, 0]),
            (&["response", "size"], &[7, 0, 0, 0, 0, 0, 0, 0]),
            (&["xds", "route_name"], b"/cart/{id}"),
            (&["upstream", "cluster"], b"outbound|80||cart"),
            (&["xds", "node", "id"], b"node-1"),
            (&["xds", "node", "metadata", "WORKLOAD_NAME"], b"cart"),
            (&["xds", "node", "metadata", "NAMESPACE"], b"shop"),
        ] {
            host.set_property(path, value);
        }
        host
    }

    pub(crate) fn in_host(config: &str, host: Host) -> Self {
        let mut vm = start(host);
        let config = format!(r#"{{"export": {{"otlp": {{"cluster": "c"}}, "delay_ms": 1}}, {config}}}"#);
        let root = vm.root(config.as_bytes()).expect("no trap").expect(&config);
        Self { vm, root }
    }

    pub(crate) fn request(&mut self, request: &[Line<'_>]) -> StreamId {
        let stream = self.vm.stream(self.root).expect("no trap");
        self.vm.request(stream, [GET, request].concat()).expect("no trap");
        stream
    }

    /// A request with these lines, its response with those, and its trailers.
    pub(crate) fn exchange(
        &mut self,
        request: &[Line<'_>],
        response: &[Line<'_>],
        trailers: &[Line<'_>],
    ) -> Done {
        let stream = self.request(request);
        self.vm.host_mut().now_ns += 1_000;
        if !response.is_empty() {
            self.vm.response(stream, response.to_vec()).expect("no trap");
        }
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let sent = text(self.vm.request_headers(stream).get("traceparent"));
        let told = text(self.vm.response_headers(stream).get("traceparent"));
        self.vm.set_response_trailers(stream, trailers.to_vec());
        self.vm.finish(stream).expect("no trap");
        Done { spans: self.exported(), sent, told }
    }

    pub(crate) fn exported(&mut self) -> Vec<Span> {
        let before = self.vm.host().http_calls.len();
        self.vm.host_mut().now_ns += 1_000_000;
        self.vm.tick(self.root).expect("no trap");
        let Some(call) = self.vm.host().http_calls.get(before).cloned() else { return Vec::new() };
        self.vm
            .answer_http(self.root, call.token, HttpAnswer::new([(":status", "200")], b""))
            .expect("no trap");
        spans_of(&call.body)
    }

    pub(crate) fn one(&mut self, request: &[Line<'_>], response: &[Line<'_>]) -> (Span, Done) {
        let mut done = self.exchange(request, response, &[]);
        assert_eq!(done.spans.len(), 1, "{:?}", done.spans);
        (done.spans.remove(0), done)
    }
}

pub(crate) fn attributes(all: &[KeyValue]) -> BTreeMap<&str, String> {
    let value = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Number(number)) => format!("#{number}"),
        None => "nothing".to_owned(),
    };
    let found: BTreeMap<&str, String> = all.iter().map(|kv| (kv.key.as_str(), value(kv))).collect();
    assert_eq!(found.len(), all.len(), "no name twice: {all:?}");
    found
}
