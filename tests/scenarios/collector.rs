//! What a collector is sent, and what its answers mean: one that works, fails, and lies.

use prost::Message;
use proxy_wasm_test_framework::{Host, HttpAnswer};
use serde_json::Value;
use tracewarden::otlp::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tracewarden::w3c::TraceParent;

use crate::scenarios::export::{Bench, TWO};
use crate::scenarios::otlp::spans_of;
use crate::scenarios::support::{Line, PARENT_ID, TRACE_ID};

const PROTOBUF: (&str, &[u8]) = ("content-type", b"application/x-protobuf");

#[test]
fn an_upload_is_a_request_that_nobody_records() {
    let export = r#"{"otlp": {"cluster": "otel", "authority": "collector.example", "path": "/otlp", "timeout_ms": 500}, "delay_ms": 1}"#;
    let mut host = Host::new();
    let headers = "Api-Key=s%20ecret,bad name=x, x-bad=a%0Ab";
    host.environment.insert("OTEL_EXPORTER_OTLP_HEADERS".to_owned(), headers.to_owned());
    let mut bench = Bench::with(&format!(r#"{{"direction": "inbound", "export": {export}}}"#), host);
    bench.spans(1);
    bench.tick_after(1);
    let [call] = bench.vm.host().http_calls.as_slice() else { panic!("one call") };
    assert_eq!((call.upstream.as_str(), call.timeout_ms), ("otel", 500));
    let expected: [(&str, &[u8]); 6] = [
        (":method", b"POST"),
        (":path", b"/otlp"),
        (":authority", b"collector.example"),
        ("content-type", b"application/x-protobuf"),
        ("user-agent", concat!("tracewarden/", env!("CARGO_PKG_VERSION")).as_bytes()),
        ("api-key", b"s ecret"),
    ];
    for (name, value) in expected {
        assert_eq!(call.headers.get(name), Some(value), "{name}");
    }
    assert_eq!(call.headers.len(), 7, "nothing that cannot be sent");
    let context = TraceParent::parse(call.headers.get("traceparent").unwrap()).unwrap();
    assert!(!context.flags.is_sampled());
}

#[test]
fn what_a_collector_answers_is_what_becomes_of_its_batch() {
    let partial = |rejected_spans| {
        let partial_success = Some(ExportTracePartialSuccess { rejected_spans });
        ExportTraceServiceResponse { partial_success }.encode_to_vec()
    };
    type Headers<'a> = &'a [Line<'a>];
    // The answer's headers and body; what is counted of two spans.
    let rows: &[(Headers<'_>, Vec<u8>, &[&str])] = &[
        (&[(":status", b"200"), PROTOBUF], vec![], &["export_batches exported", "spans_exported 2"]),
        (&[(":status", b"200"), PROTOBUF], partial(0), &["export_batches exported", "spans_exported 2"]),
        (
            &[(":status", b"200"), PROTOBUF],
            partial(1),
            &["export_batches partial", "spans_dropped rejected", "spans_exported"],
        ),
        (
            &[(":status", b"200"), PROTOBUF],
            partial(99),
            &["export_batches partial", "spans_dropped rejected 2"],
        ),
        (&[(":status", b"200"), PROTOBUF], partial(-1), &["export_batches exported", "spans_exported 2"]),
        (&[(":status", b"200"), PROTOBUF], vec![0xff; 99], &["export_batches exported", "spans_exported 2"]),
        (
            &[(":status", b"200"), ("content-type", b"text/html")],
            partial(1),
            &["export_batches exported", "spans_exported 2"],
        ),
        (&[(":status", b"400")], vec![], &["export_batches refused", "spans_dropped refused 2"]),
        (&[(":status", b"500")], vec![], &["export_batches refused", "spans_dropped refused 2"]),
        (&[(":status", b"x")], vec![], &["export_batches refused", "spans_dropped refused 2"]),
        (&[("no-status", b"")], vec![], &["export_batches refused", "spans_dropped refused 2"]),
        (&[(":status", b"429")], vec![], &["export_batches retried", "export_queue_spans 2"]),
        (&[(":status", b"502")], vec![], &["export_batches retried", "export_queue_spans 2"]),
        (&[(":status", b"503")], vec![], &["export_batches retried", "export_queue_spans 2"]),
        (&[(":status", b"504")], vec![], &["export_batches retried", "export_queue_spans 2"]),
        (&[], vec![], &["export_batches retried", "export_queue_spans 2"]),
    ];
    for (headers, body, counted) in rows {
        let mut bench = Bench::sending(TWO);
        bench.answer(headers, body);
        bench.assert_came_to(counted, &format!("{headers:?} {body:?}"));
    }
}

#[test]
fn a_busy_collector_is_asked_again_later_and_not_for_ever() {
    let mut bench = Bench::sending(TWO);
    for (attempt, wait) in [1_000, 2_000, 4_000, 8_000].into_iter().enumerate() {
        bench.answer(&[(":status", b"503")], b"");
        bench.tick_after(wait / 2 - 1);
        assert_eq!(bench.calls(), attempt + 1, "half of the wait at least");
        bench.tick_after(wait / 2 + 1);
        assert_eq!(bench.calls(), attempt + 2, "the whole wait at most");
    }
    let calls = &bench.vm.host().http_calls;
    assert!(calls.iter().all(|call| call.body == calls[0].body), "the same batch");
    bench.answer(&[], b"");
    let expected =
        ["export_batches gave_up", "export_batches retried 4", "spans_dropped gave_up 2", "spans_recorded 2"];
    assert_eq!(bench.counted(), expected);
}

#[test]
fn a_collector_that_says_when_to_come_back_is_heard_up_to_a_minute() {
    for (said, waited) in [("7", 7_000), ("999999", 60_000), (" 3 ", 3_000)] {
        let mut bench = Bench::sending(TWO);
        bench.answer(&[(":status", b"429"), ("retry-after", said.as_bytes())], b"");
        bench.tick_after(waited - 1);
        assert_eq!(bench.calls(), 1, "{said}");
        bench.tick_after(1);
        assert_eq!(bench.calls(), 2, "{said}");
    }
}

#[test]
fn a_collector_that_wants_no_wait_is_given_one() {
    let mut bench = Bench::sending(TWO);
    bench.answer(&[(":status", b"503"), ("retry-after", b"0")], b"");
    bench.tick_after(499);
    assert_eq!(bench.calls(), 1);
    bench.tick_after(501);
    assert_eq!(bench.calls(), 2);
}

#[test]
fn grpc_is_spoken_over_http() {
    let export = r#"{"otlp": {"cluster": "collector", "protocol": "grpc", "timeout_ms": 1500}, "batch": 2}"#;
    let bench = Bench::sending(export);
    let [call] = bench.vm.host().http_calls.as_slice() else { panic!("one call") };
    assert_eq!((call.upstream.as_str(), call.timeout_ms), ("collector", 1_500));
    let expected: [(&str, &[u8]); 7] = [
        (":method", b"POST"),
        (":path", b"/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (":authority", b"collector"),
        ("content-type", b"application/grpc"),
        ("te", b"trailers"),
        ("grpc-timeout", b"1500m"),
        ("user-agent", concat!("tracewarden/", env!("CARGO_PKG_VERSION")).as_bytes()),
    ];
    for (name, value) in expected {
        assert_eq!(call.headers.get(name), Some(value), "{name}");
    }
    assert_eq!(call.headers.len(), 8);
    assert!(call.headers.get("traceparent").unwrap().ends_with(b"-02"), "not sampled");
    let (prefix, message) = call.body.split_at(5);
    assert_eq!(prefix, [&[0], &(message.len() as u32).to_be_bytes()[..]].concat());
    assert_eq!(spans_of(message).len(), 2);
}

#[test]
fn what_a_collector_answers_over_grpc_is_what_becomes_of_its_batch() {
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans: 1 });
    let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let partial = [&[0, 0, 0, 0, message.len() as u8][..], &message].concat();
    let compressed = [&[1][..], &partial[1..]].concat();
    const TAKEN: &[&str] = &["export_batches exported", "spans_exported 2"];
    const PARTIAL: &[&str] = &["export_batches partial", "spans_dropped rejected", "spans_exported"];
    const REFUSED: &[&str] = &["export_batches refused", "spans_dropped refused 2"];
    const BUSY: &[&str] = &["export_batches retried", "export_queue_spans 2"];
    type Lines<'a> = &'a [Line<'a>];
    let ok: Lines<'_> = &[(":status", b"200")];
    // The answer's headers, body and trailers; what is counted of two spans.
    let rows: &[(Lines<'_>, &[u8], Lines<'_>, &[&str])] = &[
        (ok, &[0; 5], &[("grpc-status", b"0")], TAKEN),
        (ok, &partial, &[("grpc-status", b"0")], PARTIAL),
        (ok, &partial[..6], &[("grpc-status", b"0")], TAKEN),
        (ok, &compressed, &[("grpc-status", b"0")], REFUSED),
        (ok, b"", &[("grpc-status", b"0")], REFUSED),
        (ok, &partial, &[("grpc-status", b"14")], BUSY),
        (ok, b"", &[("grpc-status", b"8")], BUSY),
        (ok, b"", &[("grpc-status", b"3")], REFUSED),
        (ok, b"", &[("grpc-status", b"99")], REFUSED),
        (ok, b"", &[("grpc-status", b"?")], REFUSED),
        (ok, &partial, &[("x", b"y")], REFUSED),
        (ok, &partial, &[], REFUSED),
        (&[(":status", b"200"), ("grpc-status", b"14")], b"", &[], BUSY),
        (&[(":status", b"200"), ("grpc-status", b"16")], b"", &[], REFUSED),
        (&[(":status", b"200"), ("grpc-status", b"0")], b"", &[("grpc-status", b"14")], BUSY),
        (&[(":status", b"503")], b"overloaded", &[], BUSY),
        (&[(":status", b"404")], b"", &[], REFUSED),
        (&[], b"", &[], BUSY),
    ];
    for (headers, body, trailers, counted) in rows {
        let mut bench =
            Bench::sending(r#"{"otlp": {"cluster": "c", "protocol": "grpc"}, "batch": 2, "delay_ms": 1000}"#);
        bench.answer_with(HttpAnswer::new(*headers, body).with_trailers(*trailers));
        bench.assert_came_to(counted, &format!("{headers:?} {body:?} {trailers:?}"));
    }
}

#[test]
fn zipkin_gets_its_json() {
    let config = r#"{"direction": "inbound", "service": {"name": "a \"b\"\n"}, "export": {"zipkin": {"cluster": "z"}, "batch": 2}}"#;
    let mut bench = Bench::with(config, Host::new());
    bench.send_two();
    let call = bench.vm.host().http_calls[0].clone();
    assert_eq!(call.headers.get(":path"), Some(&b"/api/v2/spans"[..]));
    assert_eq!(call.headers.get("content-type"), Some(&b"application/json"[..]));
    let spans: Vec<Value> = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0]["traceId"], TRACE_ID);
    assert_eq!(spans[0]["parentId"], PARENT_ID);
    assert_eq!(spans[0]["id"].as_str().unwrap().len(), 16);
    assert_eq!((&spans[0]["kind"], &spans[0]["name"]), (&"SERVER".into(), &"HTTP".into()));
    assert_eq!(spans[0]["timestamp"], 1_000_000_000);
    assert_eq!(spans[0]["localEndpoint"]["serviceName"], "a \"b\"\n");
    assert_eq!(spans[0]["tags"]["url.path"], "/cart");
    assert_eq!(spans[0]["tags"]["http.response.status_code"], "200");
    assert!(spans[0].get("annotations").is_none());
    bench.answer(&[(":status", b"202")], b"");
    assert_eq!(bench.counted(), ["export_batches exported", "spans_exported 2", "spans_recorded 2"]);
}

/// Zipkin has no events: an annotation is a time and a text.
#[test]
fn zipkin_gets_an_event_as_an_annotation() {
    let config = r#"{"direction": "inbound", "export": {"zipkin": {"cluster": "z"}, "batch": 1}}"#;
    let mut bench = Bench::with(config, Host::new());
    let stream = bench.open();
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    bench.vm.response(stream, [(":status", "200"), ("traceparent", other)]).unwrap();
    bench.vm.finish(stream).unwrap();
    bench.tick_after(0);
    let spans: Vec<Value> = serde_json::from_slice(&bench.vm.host().http_calls[0].body).unwrap();
    let annotation = &spans[0]["annotations"][0];
    assert_eq!(annotation["timestamp"], 1_000_000_000);
    let (name, attributes) = annotation["value"].as_str().unwrap().split_once(':').unwrap();
    assert_eq!(name, r#""tracewarden.response.mismatch""#);
    let attributes: Value = serde_json::from_str(attributes).unwrap();
    assert_eq!(attributes["tracewarden.response.trace_id"], "1".repeat(32));
}
