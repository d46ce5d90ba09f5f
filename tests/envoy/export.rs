//! Collectors that fail: no request is slower or refused for it, and every span is accounted for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bootstrap::{all_to, bootstrap, cluster, http2_cluster, listener, tracewarden};
use crate::support::client::Client;
use crate::support::collector::{Collector, spans_of, wait_until_accounted};
use crate::support::envoy::{Envoy, table};
use crate::support::http2::{GrpcUpstream, all};
use crate::support::upstream::{Upstream, ok, response};
use crate::support::{SAMPLED, free_port};

/// Batches of 10 at most, 20 spans at most in each worker, and half a second for an answer.
fn start(name: &str, protocol: &str, collector: Value) -> (Envoy, Upstream) {
    let export = format!(
        r#"{{"otlp": {{"cluster": "collector", "protocol": "{protocol}", "timeout_ms": 500}},
        "delay_ms": 1, "batch": 10, "queue": 20}}"#
    );
    let filter = tracewarden(&format!(r#"{{"direction": "inbound", "export": {export}}}"#));
    let upstream = Upstream::start();
    let clusters = [cluster("upstream", upstream.port), collector];
    let config = bootstrap(&[listener("mesh", &[filter], all_to("upstream"))], &clusters);
    (Envoy::start(name, &config), upstream)
}

/// Sends requests over a connection to each worker, none of which may be hurt.
fn send(envoy: &Envoy, requests: usize) {
    let (mut client, mut other) = (Client::connect(envoy.port("mesh")), Client::connect(envoy.port("mesh")));
    for _ in 0..requests {
        let begin = Instant::now();
        assert_eq!(client.get("/", &[("traceparent", SAMPLED)]).status(), 200);
        assert!(begin.elapsed() < Duration::from_secs(2), "a request took {:?}", begin.elapsed());
        std::mem::swap(&mut client, &mut other);
    }
}

fn count(ends: &BTreeMap<String, u64>, name: &str) -> u64 {
    ends.get(name).copied().unwrap_or(0)
}

#[test]
fn a_collector_that_refuses_gets_nothing_twice() {
    let collector = Collector::answering(|_| response("400 Bad Request", &[]));
    let (envoy, _upstream) = start("export-refused", "http/protobuf", collector.cluster());
    send(&envoy, 40);
    let ends = wait_until_accounted(&envoy, 40);
    assert_eq!(count(&ends, "spans_exported"), 0, "{ends:?}");
    assert!(count(&ends, "spans_dropped refused") > 0, "{ends:?}");
    let uploads = collector.uploads();
    let mut ids: Vec<_> = uploads.iter().flat_map(|u| spans_of(&u.body)).map(|span| span.span_id).collect();
    let sent = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), sent, "no span twice");
}

#[test]
fn a_collector_that_is_busy_at_first_gets_everything_in_the_end() {
    let busy = std::sync::atomic::AtomicUsize::new(0);
    let collector =
        Collector::answering(move |_| match busy.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => response("429 Too Many Requests", &[("retry-after", b"1")]),
            1 => response("503 Service Unavailable", &[]),
            _ => ok(&[]),
        });
    let (envoy, _upstream) = start("export-busy", "http/protobuf", collector.cluster());
    send(&envoy, 16);
    let ends = wait_until_accounted(&envoy, 16);
    assert_eq!(count(&ends, "spans_exported"), 16, "{ends:?}");
    assert_eq!(envoy.counters().get("export_batches retried"), Some(&2));
}

#[test]
fn a_partial_success_is_read() {
    // ExportTraceServiceResponse { partial_success { rejected_spans: 1 } }
    let collector = Collector::answering(|_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 4\r\n\r\n";
        [head.as_bytes(), b"\x0a\x02\x08\x01"].concat()
    });
    let (envoy, _upstream) = start("export-partial", "http/protobuf", collector.cluster());
    send(&envoy, 12);
    let ends = wait_until_accounted(&envoy, 12);
    let uploads = collector.uploads().len() as u64;
    assert_eq!(count(&ends, "spans_dropped rejected"), uploads, "{ends:?}");
    assert_eq!(count(&ends, "spans_exported"), 12 - uploads, "{ends:?}");
}

#[test]
fn collectors_that_break_every_rule_hurt_nobody() {
    // What the collector does on the wire.
    let garbage = Collector::answering(|_| b"\x16\x03\x01 no http at all\r\n\r\n".to_vec());
    let silent = Collector::answering(|_| {
        std::thread::sleep(Duration::from_secs(2));
        Vec::new()
    });
    let half = Collector::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec());
    // Nobody listens where a listener was.
    let nobody = free_port();
    let collectors = [
        ("garbage", garbage.cluster()),
        ("silent", silent.cluster()),
        ("half", half.cluster()),
        ("nobody", cluster("collector", nobody)),
    ];
    for (name, collector) in collectors {
        let (envoy, _upstream) = start(&format!("export-{name}"), "http/protobuf", collector);
        send(&envoy, 60);
        let counters = envoy.counters();
        assert_eq!(count(&counters, "spans_recorded"), 60, "{name}");
        // Two workers hold 20 spans and a batch of 10 each.
        assert!(count(&counters, "export_queue_spans") <= 60, "{name}: {counters:?}");
        let ended: u64 =
            counters.iter().filter(|(name, _)| name.starts_with("spans_dropped")).map(|(_, n)| n).sum();
        let retried = crate::support::wait_for("a second attempt", || {
            envoy.counters().get("export_batches retried").copied()
        });
        assert!(retried >= 1 && ended <= 60, "{name}");
        assert_eq!(envoy.counters().get("spans_exported"), None, "{name}");
        assert!(!envoy.counters().keys().any(|name| name.starts_with("host_errors")), "{name}");
    }
}

#[test]
fn a_cluster_without_hosts_is_tried_again() {
    for protocol in ["http/protobuf", "grpc"] {
        let name = format!("export-no-host-{}", &protocol[..4]);
        let empty =
            json!({"name": "collector", "load_assignment": {"cluster_name": "collector", "endpoints": []}});
        let (envoy, _upstream) = start(&name, protocol, empty);
        send(&envoy, 5);
        crate::support::wait_for("a second attempt", || {
            envoy.counters().get("export_batches retried").filter(|retried| **retried > 1).copied()
        });
        let counters = envoy.counters();
        assert_eq!(count(&counters, "spans_dropped not_sent"), 0, "{protocol}: {counters:?}");
        assert!(!counters.keys().any(|name| name.starts_with("host_errors")), "{protocol}: {counters:?}");
    }
}

#[test]
fn a_cluster_that_is_not_there_is_counted_at_once() {
    for protocol in ["http/protobuf", "grpc"] {
        let name = format!("export-no-cluster-{}", &protocol[..4]);
        let (envoy, _upstream) = start(&name, protocol, cluster("another", 1));
        send(&envoy, 5);
        let ends = wait_until_accounted(&envoy, 5);
        assert_eq!(count(&ends, "spans_dropped not_sent"), 5, "{protocol}: {ends:?}");
        assert!(envoy.counters().contains_key("host_errors http_call"), "{protocol}");
    }
}

#[test]
fn grpc_is_spoken_and_its_answers_are_understood() {
    // It echoes the message, which is no answer that reports a loss.
    let collector = GrpcUpstream::start();
    let (envoy, _upstream) = start("export-grpc", "grpc", http2_cluster("collector", collector.port));
    send(&envoy, 1);
    let ends = wait_until_accounted(&envoy, 1);
    assert_eq!(count(&ends, "spans_exported"), 1, "{ends:?}");
    let call = collector.take_one();
    assert_eq!(call.head.uri().path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "500m")]
    {
        assert_eq!(all(call.head.headers(), name), [value.as_bytes()], "{name}");
    }
    let (prefix, message) = call.body.split_at(5);
    assert_eq!(prefix, [&[0], &(message.len() as u32).to_be_bytes()[..]].concat());
    assert_eq!(spans_of(message).len(), 1);
    let nobody = cluster("collector", 1);
    let (envoy, _upstream) = start("export-grpc-nobody", "grpc", nobody);
    send(&envoy, 3);
    crate::support::wait_for("a second attempt", || envoy.counters().get("export_batches retried").copied());
}

#[test]
fn a_grpc_status_without_a_message_is_understood() {
    let collector = GrpcUpstream::start();
    let filter = tracewarden(
        r#"{"direction": "inbound", "export": {"otlp": {"cluster": "collector", "protocol": "grpc",
        "authority": "fail"}, "delay_ms": 1}}"#,
    );
    let upstream = Upstream::start();
    let clusters = [cluster("upstream", upstream.port), http2_cluster("collector", collector.port)];
    let envoy = Envoy::start(
        "export-grpc-refused",
        &bootstrap(&[listener("mesh", &[filter], all_to("upstream"))], &clusters),
    );
    send(&envoy, 1);
    let ends = wait_until_accounted(&envoy, 1);
    assert_eq!(count(&ends, "spans_dropped refused"), 1, "{ends:?}");
    assert_eq!(all(collector.take_one().head.headers(), "te"), [b"trailers"]);
}

/// Two workers, several clients without a pause, and the bounds that hold by default.
#[test]
fn no_span_is_lost_where_the_collector_answers() {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 2_000;
    let (collector, upstream) = (Collector::start(), Upstream::start());
    let filter = tracewarden(
        r#"{"direction": "inbound", "export": {"otlp": {"cluster": "collector"}, "delay_ms": 1000}}"#,
    );
    let clusters = [cluster("upstream", upstream.port), collector.cluster()];
    let config = bootstrap(&[listener("mesh", &[filter], all_to("upstream"))], &clusters);
    let envoy = Envoy::start("export-all", &config);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(envoy.port("mesh"));
                for _ in 0..REQUESTS {
                    assert_eq!(client.get("/", &[("traceparent", SAMPLED)]).status(), 200);
                }
            });
        }
    });
    let all = (CLIENTS * REQUESTS) as u64;
    assert_eq!(wait_until_accounted(&envoy, all), table(&[("spans_exported", all)]));
    let uploads = collector.uploads();
    let mut ids: Vec<_> = uploads.iter().flat_map(|u| spans_of(&u.body)).map(|span| span.span_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() as u64, all, "each arrives, and once");
}

#[test]
fn ten_seconds_of_load_at_full_sampling_are_accounted_for() {
    let collector = Collector::answering(|_| {
        std::thread::sleep(Duration::from_millis(100));
        ok(&[])
    });
    let (envoy, upstream) = start("export-load", "http/protobuf", collector.cluster());
    let port = envoy.port("mesh");
    let begin = Instant::now();
    let clients = [0; 4].map(|_| {
        std::thread::spawn(move || {
            let (mut client, mut sent) = (Client::connect(port), 0_u64);
            while begin.elapsed() < Duration::from_secs(10) {
                assert_eq!(client.get("/", &[("traceparent", SAMPLED)]).status(), 200);
                sent += 1;
            }
            sent
        })
    });
    let mut most = 0;
    while !clients.iter().all(std::thread::JoinHandle::is_finished) {
        upstream.take();
        most = most.max(count(&envoy.counters(), "export_queue_spans"));
        std::thread::sleep(Duration::from_millis(200));
    }
    let sent: u64 = clients.into_iter().map(|client| client.join().expect("no panic")).sum();
    let ends = wait_until_accounted(&envoy, sent);
    assert!(most <= 60, "{most} spans waited");
    assert!(count(&ends, "spans_exported") > 0 && count(&ends, "spans_dropped queue_full") > 0, "{ends:?}");
    let arrived: u64 = collector.uploads().iter().map(|upload| spans_of(&upload.body).len() as u64).sum();
    assert_eq!(count(&ends, "spans_exported"), arrived);
}
