//! The way of spans to a collector that works, fails, and lies; every span is accounted for.

use prost::Message;
use proxy_wasm_test_framework::{Call, Host, HttpAnswer, Status};
use serde_json::Value;
use tracewarden::otlp::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tracewarden::w3c::TraceParent;

use crate::edge::{RootId, Vm, start};
use crate::scenarios::otlp::spans_of;
use crate::scenarios::support::{Line, SAMPLED, counters, with_bystanders};

const PROTOBUF: (&str, &[u8]) = ("content-type", b"application/x-protobuf");
const MS: u64 = 1_000_000;

/// A plugin that exports, in a host whose clock the test moves.
pub(crate) struct Bench {
    pub(crate) vm: Vm,
    pub(crate) root: RootId,
}

impl Bench {
    pub(crate) fn new(export: &str) -> Self {
        Self::with(&format!(r#"{{"direction": "inbound", "export": {export}}}"#), Host::new())
    }

    fn with(config: &str, mut host: Host) -> Self {
        host.now_ns = 1_000_000 * MS;
        let mut vm = start(host);
        let root = vm.root(config.as_bytes()).expect("no trap").expect(config);
        Self { vm, root }
    }

    pub(crate) fn spans(&mut self, number: usize) {
        for _ in 0..number {
            let stream = self.vm.stream(self.root).expect("no trap");
            self.vm.request(stream, with_bystanders(&[("traceparent", SAMPLED)])).expect("no trap");
            self.vm.response(stream, [(":status", "200")]).expect("no trap");
            self.vm.finish(stream).expect("no trap");
        }
    }

    /// A plugin whose first batch, of two spans, is on its way.
    pub(crate) fn sending(export: &str) -> Self {
        let mut bench = Self::new(export);
        bench.send_two();
        bench
    }

    /// Records two spans, and has them sent.
    pub(crate) fn send_two(&mut self) {
        self.spans(2);
        self.tick_after(0);
    }

    pub(crate) fn tick_after(&mut self, milliseconds: u64) {
        self.vm.host_mut().now_ns += milliseconds * MS;
        self.vm.tick(self.root).expect("no trap");
    }

    /// Answers the last call, without trailers.
    pub(crate) fn answer(&mut self, headers: &[Line<'_>], body: &[u8]) {
        self.answer_with(HttpAnswer::new(headers, body));
    }

    /// Answers the last call.
    pub(crate) fn answer_with(&mut self, answer: HttpAnswer) {
        let token = self.vm.host().http_calls.last().expect("a call").token;
        self.vm.answer_http(self.root, token, answer).expect("no trap");
    }

    pub(crate) fn calls(&self) -> usize {
        self.vm.host().http_calls.len()
    }

    /// The counters of spans and batches.
    pub(crate) fn counted(&self) -> Vec<String> {
        let ours = ["spans_", "export_", "host_errors"];
        let mut counted = counters(&self.vm);
        counted.retain(|name| ours.iter().any(|begin| name.starts_with(begin)));
        counted.sort_unstable();
        counted
    }

    /// Checks what has been counted of the only two spans that there were.
    fn assert_came_to(&self, counted: &[&str], place: &str) {
        self.assert_accounted(place);
        let mut expected = [counted, &["spans_recorded 2"]].concat();
        expected.sort_unstable();
        assert_eq!(self.counted(), expected, "{place}");
    }

    pub(crate) fn assert_accounted(&self, place: &str) {
        let (mut recorded, mut gone) = (0, 0);
        for (name, count) in self.vm.host().metrics().iter() {
            match name {
                "tracewarden_spans_recorded_total" => recorded += count,
                "tracewarden_spans_exported_total" | "tracewarden_export_queue_spans" => gone += count,
                name if name.ends_with("tracewarden_spans_dropped_total") => gone += count,
                _ => {}
            }
        }
        assert_eq!(recorded, gone, "{place}: {:?}", self.counted());
    }
}

pub(crate) const TWO: &str =
    r#"{"otlp": {"cluster": "collector"}, "batch": 2, "delay_ms": 1000, "queue": 4}"#;

#[test]
fn a_full_batch_goes_at_the_next_tick_and_a_lonely_span_when_it_has_waited() {
    let mut bench = Bench::new(TWO);
    assert_eq!(bench.vm.tick_period_ms(bench.root), 200);
    bench.spans(1);
    bench.tick_after(999);
    assert_eq!(bench.calls(), 0, "it waits for another");
    bench.tick_after(1);
    bench.answer(&[(":status", b"200"), PROTOBUF], b"");
    bench.spans(3);
    bench.tick_after(0);
    assert_eq!(bench.calls(), 2, "the batch is full");
    bench.spans(1);
    bench.tick_after(5_000);
    assert_eq!(bench.calls(), 2, "one at a time");
    bench.answer(&[(":status", b"200")], b"");
    assert_eq!(bench.calls(), 3, "the next goes as soon as there is an answer");
    bench.answer(&[(":status", b"202")], b"");
    let sizes: Vec<usize> =
        bench.vm.host().http_calls.iter().map(|call| spans_of(&call.body).len()).collect();
    assert_eq!(sizes, [1, 2, 2]);
    assert_eq!(bench.counted(), ["export_batches exported 3", "spans_exported 5", "spans_recorded 5"]);
    let durations = bench.vm.host().metrics().histogram("tracewarden_export_duration_ms");
    assert_eq!(durations, Some(&[0, 5_000, 0][..]));
}

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
fn a_cluster_without_a_healthy_host_is_tried_again() {
    for protocol in ["http/protobuf", "grpc"] {
        let export = format!(
            r#"{{"otlp": {{"cluster": "c", "protocol": "{protocol}"}}, "batch": 2, "delay_ms": 1000}}"#
        );
        let mut bench = Bench::new(&export);
        bench.vm.host_mut().fault(Call::HttpCall, Status::InternalFailure);
        bench.send_two();
        let waiting = ["export_batches retried", "export_queue_spans 2", "spans_recorded 2"];
        assert_eq!(bench.counted(), waiting, "{protocol}: no error of the host");
        bench.vm.host_mut().clear_faults();
        bench.tick_after(1_000);
        assert_eq!(bench.calls(), 1, "{protocol}");
    }
}

#[test]
fn a_call_that_the_host_refuses_drops_its_batch() {
    let mut bench = Bench::new(TWO);
    bench.vm.host_mut().fault(Call::HttpCall, Status::BadArgument);
    bench.send_two();
    let counted =
        ["export_batches not_sent", "host_errors http_call", "spans_dropped not_sent 2", "spans_recorded 2"];
    assert_eq!(bench.counted(), counted);
    bench.vm.host_mut().clear_faults();
    bench.send_two();
    assert_eq!(bench.calls(), 1, "the next one is tried again");
}

#[test]
fn a_batch_is_no_larger_than_the_queue() {
    let mut bench = Bench::new(r#"{"otlp": {"cluster": "c"}, "queue": 3}"#);
    bench.spans(3);
    bench.tick_after(0);
    assert_eq!(bench.calls(), 1, "the queue is full, so the batch is");
}

#[test]
fn a_full_queue_takes_no_more_and_the_clock_may_go_back() {
    let mut bench = Bench::new(TWO);
    bench.spans(6);
    assert_eq!(bench.counted(), ["spans_dropped queue_full 2", "spans_recorded 6"]);
    bench.tick_after(0);
    bench.assert_accounted("sent");
    bench.vm.host_mut().now_ns = MS;
    bench.answer(&[(":status", b"503")], b"");
    bench.vm.host_mut().now_ns = 0;
    bench.tick_after(1_001);
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
    assert_eq!(spans[0]["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(spans[0]["parentId"], "b7ad6b7169203331");
    assert_eq!(spans[0]["id"].as_str().unwrap().len(), 16);
    assert_eq!((&spans[0]["kind"], &spans[0]["name"]), (&"SERVER".into(), &"HTTP".into()));
    assert_eq!(spans[0]["timestamp"], 1_000_000_000);
    assert_eq!(spans[0]["localEndpoint"]["serviceName"], "a \"b\"\n");
    assert_eq!(spans[0]["tags"]["url.path"], "/cart");
    assert_eq!(spans[0]["tags"]["http.response.status_code"], "200");
    bench.answer(&[(":status", b"202")], b"");
    assert_eq!(bench.counted(), ["export_batches exported", "spans_exported 2", "spans_recorded 2"]);
}

#[test]
fn what_cannot_be_sent_any_more_is_counted() {
    let mut bench = Bench::new(TWO);
    bench.spans(3);
    bench.tick_after(0);
    let token = bench.vm.host().http_calls[0].token;
    // A stream that is still open when its plugin no longer exports.
    let open = bench.vm.stream(bench.root).unwrap();
    bench.vm.request(open, with_bystanders(&[("traceparent", SAMPLED)])).unwrap();
    assert!(bench.vm.reconfigure(bench.root, br#"{"direction": "inbound"}"#).unwrap());
    assert_eq!(bench.counted(), ["spans_dropped shutdown 3", "spans_recorded 3"]);
    // The answer to a batch that was given up.
    bench.vm.answer_http(bench.root, token, HttpAnswer::new([(":status", "200")], b"")).unwrap();
    bench.vm.finish(open).unwrap();
    bench.vm.delete_root(bench.root).unwrap();
    bench.assert_accounted("deleted");
    assert_eq!(bench.counted(), ["spans_dropped shutdown 4", "spans_recorded 4"]);
}

#[test]
fn a_new_configuration_goes_on_with_the_queue() {
    let mut bench = Bench::new(TWO);
    bench.spans(2);
    let other = r#"{"direction": "inbound", "export": {"otlp": {"cluster": "other"}, "batch": 1}}"#;
    assert!(bench.vm.reconfigure(bench.root, other.as_bytes()).unwrap());
    bench.tick_after(0);
    assert_eq!(bench.vm.host().http_calls[0].upstream, "other");
    bench.answer(&[(":status", b"200")], b"");
    bench.answer(&[(":status", b"200")], b"");
    assert_eq!(bench.counted(), ["export_batches exported 2", "spans_exported 2", "spans_recorded 2"]);
}

#[test]
fn the_answer_to_a_batch_that_was_given_up_is_not_that_to_a_later_one() {
    let mut bench = Bench::sending(TWO);
    let token = bench.vm.host().http_calls[0].token;
    assert!(bench.vm.reconfigure(bench.root, br#"{"direction": "inbound"}"#).unwrap());
    let again = format!(r#"{{"direction": "inbound", "export": {TWO}}}"#);
    assert!(bench.vm.reconfigure(bench.root, again.as_bytes()).unwrap());
    bench.send_two();
    bench.vm.answer_http(bench.root, token, HttpAnswer::new([(":status", "200")], b"")).unwrap();
    let waiting = ["export_queue_spans 2", "spans_dropped shutdown 2", "spans_recorded 4"];
    assert_eq!(bench.counted(), waiting);
    bench.answer(&[(":status", b"200")], b"");
    bench.assert_accounted("answered");
}
