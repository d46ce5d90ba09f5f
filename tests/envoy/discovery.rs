//! The filter's configuration from a control plane of its own (ECDS), or within its listener (LDS).

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::Request;
use serde_json::{Value, json};

use crate::reload::{
    SetWhenDropped, configure, count, counted, discover, discovered, replace, run, start_watching,
};
use crate::support::bootstrap::{
    all_to, bootstrap, cluster, http2_cluster, listener, listener_with, tracewarden, typed,
};
use crate::support::client::{Client, get};
use crate::support::envoy::{Envoy, run_to_the_end};
use crate::support::http1::Message;
use crate::support::http2::{self, GrpcUpstream, OpenRequest};
use crate::support::upstream::{Upstream, ok};
use crate::support::{PATIENCE, Scratch, wait_for};

const GOOD: &str = r#"{"direction": "inbound"}"#;
const BAD: &str = r#"{"direction": "sideways"}"#;
const WORSE: &str = r#"{"sampling": {"probability": 2}}"#;

/// How a control plane pushes a configuration, and the stat that counts what Envoy refuses.
#[derive(Clone, Copy, Debug)]
enum Push {
    Listener,
    Extension,
}

impl Push {
    /// An Envoy whose filter has this configuration.
    fn start(self, name: &str, upstream: &Upstream, plugin: &Value) -> Envoy {
        let scratch = Scratch::new(&format!("discovery-{name}-{self:?}"));
        self.push(&scratch, plugin);
        if let Self::Extension = self {
            configure(&scratch, discovered(&scratch));
        }
        start_watching(scratch, &[cluster("upstream", upstream.port)], "60")
    }

    fn push(self, scratch: &Scratch, plugin: &Value) {
        match self {
            Self::Listener => configure(scratch, plugin.clone()),
            Self::Extension => discover(scratch, plugin),
        }
    }

    /// How many pushes Envoy has taken (`update_success`) or refused (`update_rejected`).
    fn counted(self, envoy: &Envoy, what: &str) -> u64 {
        let updates = match self {
            Self::Listener => "listener_manager.lds",
            Self::Extension => "extension_config_discovery.*",
        };
        envoy.stats(&format!("{updates}.{what}$")).values().sum()
    }
}

/// Envoy remembers what a plugin refused, and would not ask it again. What it is given twice in a row by ECDS it does not try.
#[test]
fn a_push_that_is_refused_says_why_each_time() {
    const DIRECTION: &str = "direction: expected one of";
    const PROBABILITY: &str = "sampling.probability: expected";
    for (push, rows) in [
        (Push::Listener, &[(BAD, DIRECTION), (BAD, DIRECTION), (WORSE, PROBABILITY), (BAD, DIRECTION)][..]),
        (Push::Extension, &[(BAD, DIRECTION), (WORSE, PROBABILITY), (BAD, DIRECTION)]),
    ] {
        let upstream = Upstream::start();
        let envoy = push.start("refused", &upstream, &tracewarden(GOOD));
        for (place, (config, reason)) in rows.iter().enumerate() {
            push.push(envoy.scratch(), &tracewarden(config));
            let refused = place + 1;
            wait_for("the refusal", || {
                (push.counted(&envoy, "update_rejected") == refused as u64).then_some(())
            });
            let log = envoy.log();
            let said: Vec<&str> = log.lines().filter(|line| line.contains("configuration refused")).collect();
            assert_eq!(said.len(), refused, "{push:?}: one line each");
            assert!(said.last().is_some_and(|line| line.contains(reason)), "{push:?}: {said:?}");
        }
        let taken = push.counted(&envoy, "update_success");
        push.push(envoy.scratch(), &tracewarden(GOOD));
        wait_for("the good one", || (push.counted(&envoy, "update_success") > taken).then_some(()));
        push.push(envoy.scratch(), &tracewarden(BAD));
        wait_for("the refusal after it", || {
            (push.counted(&envoy, "update_rejected") > rows.len() as u64).then_some(())
        });
        assert_eq!(envoy.log().matches("configuration refused").count(), rows.len() + 1, "{push:?}");
        assert_eq!(get(envoy.port("mesh"), "/", &[]).status(), 200);
        assert_eq!(count(&envoy, "requests inbound internal enforce lost"), 1, "the good one goes on");
    }
}

#[test]
fn what_is_open_stays_open_while_configurations_are_pushed_under_load() {
    const PUSHES: usize = 10;
    let (upstream, calls) = (Upstream::answering(websocket_or_ok), GrpcUpstream::start());
    let envoy = start_for_streams("streams", &upstream, &calls);
    let port = envoy.port("mesh");

    let mut socket = Client::connect(port);
    assert_eq!(socket.get("/socket", &[("connection", b"upgrade"), ("upgrade", b"websocket")]).status(), 101);
    let mut call = OpenRequest::begin(port, grpc_call());
    let mut upload = Upload::begin(port, PUSHES);
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _over = SetWhenDropped(&over);
        for keeps_connections in [true, false] {
            let (over, sent) = (&over, &sent);
            scope.spawn(move || run(port, keeps_connections, over, sent));
        }
        for push in 0..PUSHES {
            let (config, verdict) = CONFIGS[push % CONFIGS.len()];
            let before = count(&envoy, verdict);
            discover(envoy.scratch(), &tracewarden(config));
            wait_for("requests under it", || counted(&envoy, verdict, before + 50));
            assert_eq!(socket.send(b"ping\r\n\r\n").start, "pong", "push {push}");
            call.send(b"\0\0\0\0\x02hi");
            upload.send();
        }
    });
    let answer = call.end();
    assert_eq!(answer.body, b"\0\0\0\0\x02hi".repeat(PUSHES));
    assert_eq!(http2::all(&answer.trailers, "grpc-status"), [b"0"]);
    assert_eq!(upload.end().status(), 200);

    let verdicts: u64 = CONFIGS.iter().map(|(_, verdict)| count(&envoy, verdict)).sum();
    assert_eq!(verdicts, sent.load(Ordering::Relaxed) + 3, "each has one verdict, across configurations");
    assert_eq!(Push::Extension.counted(&envoy, "update_rejected"), 0);
    let closed = envoy.stats("http.mesh.downstream_cx_drain_close");
    assert!(closed.values().all(|closed| *closed == 0), "{closed:?}");
}

/// Configurations whose requests count under different names.
const CONFIGS: [(&str, &str); 3] = [
    (r#"{"direction": "inbound", "mode": "observe"}"#, "requests inbound internal observe lost"),
    (GOOD, "requests inbound internal enforce lost"),
    (r#"{"direction": "inbound", "role": "edge"}"#, "requests inbound edge enforce started"),
];

/// Envoy makes a new listener, and closes what is left of the old one after its drain time.
#[test]
fn a_push_of_the_listener_closes_what_is_open() {
    let (upstream, calls) = (Upstream::answering(websocket_or_ok), GrpcUpstream::start());
    let envoy = start_for_streams("closing", &upstream, &calls);
    let mut socket = Client::connect(envoy.port("mesh"));
    assert_eq!(socket.get("/socket", &[("connection", b"upgrade"), ("upgrade", b"websocket")]).status(), 101);
    assert_eq!(socket.send(b"ping\r\n\r\n").start, "pong");
    replace(envoy.scratch(), "listeners", &[streaming_listener(&tracewarden(GOOD))]);
    wait_for("the WebSocket to close", || match socket.try_send(b"ping\r\n\r\n") {
        Ok(Some(_)) => None,
        Ok(None) | Err(_) => Some(()),
    });
}

fn start_for_streams(name: &str, upstream: &Upstream, calls: &GrpcUpstream) -> Envoy {
    let scratch = Scratch::new(&format!("discovery-{name}"));
    discover(&scratch, &tracewarden(GOOD));
    replace(&scratch, "listeners", &[streaming_listener(&discovered(&scratch))]);
    start_watching(scratch, &[cluster("upstream", upstream.port), http2_cluster("calls", calls.port)], "1")
}

/// A listener for calls and WebSockets, as LDS has it.
fn streaming_listener(plugin: &Value) -> Value {
    let mut routes = json!([{"match": {"prefix": "/test/"}, "route": {"cluster": "calls"}}]);
    routes.as_array_mut().expect("a list").extend(all_to("upstream").as_array().cloned().expect("a list"));
    let more = json!({"upgrade_configs": [{"upgrade_type": "websocket"}]});
    typed("envoy.config.listener.v3.Listener", listener_with("mesh", from_ref(plugin), routes, more))
}

fn websocket_or_ok(message: &Message) -> Vec<u8> {
    match (message.start.as_str(), message.second_word()) {
        ("ping", _) => b"pong\r\n\r\n".to_vec(),
        (_, "/socket") => {
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_vec()
        }
        _ => ok(&[]),
    }
}

fn grpc_call() -> Request<()> {
    let mut call = Request::post("http://test/test/Echo").body(()).expect("a request");
    call.headers_mut().extend(http2::headers(&[("content-type", b"application/grpc"), ("te", b"trailers")]));
    call
}

/// An upload that is sent piece by piece.
struct Upload(TcpStream);

static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];

impl Upload {
    fn begin(port: u16, pieces: usize) -> Self {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        let length = pieces * PIECE.len();
        let head = format!("POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("an open connection");
        Self(stream)
    }

    fn send(&mut self) {
        self.0.write_all(&PIECE).expect("an open connection");
    }

    fn end(self) -> Message {
        Message::read(&mut BufReader::new(self.0)).expect("an answer").expect("an answer")
    }
}

/// Envoy hands a `Struct` over as protobuf.
#[test]
fn a_configuration_that_is_a_struct_is_refused_with_what_to_use_instead() {
    let mut plugin = tracewarden(GOOD);
    let configuration = plugin.pointer_mut("/typed_config/config/configuration").expect("a configuration");
    *configuration = typed("google.protobuf.Struct", json!({"value": {"mode": "observe"}}));
    let config = bootstrap(&[listener("mesh", &[plugin], all_to("upstream"))], &[cluster("upstream", 9)]);
    let (status, log) = run_to_the_end("discovery-struct", &config);
    assert!(!status.success(), "{status}");
    let said = "expected JSON in a google.protobuf.StringValue, found bytes that are no text \
                (is the configuration a google.protobuf.Struct? Use a StringValue)";
    assert!(log.contains(said), "{log}");
}
