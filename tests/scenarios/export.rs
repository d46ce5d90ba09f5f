//! The queue of spans and their way out of it; every span is accounted for.

use proxy_wasm_test_framework::{Call, Host, HttpAnswer, Status};

use crate::edge::{RootId, Vm, start};
use crate::scenarios::otlp::spans_of;
use crate::scenarios::support::{Line, SAMPLED, counters, with_bystanders};

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

    pub(crate) fn with(config: &str, mut host: Host) -> Self {
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
    pub(crate) fn assert_came_to(&self, counted: &[&str], place: &str) {
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
    bench.answer(&[(":status", b"200"), ("content-type", b"application/x-protobuf")], b"");
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
fn a_batch_is_no_larger_than_a_collector_takes() {
    const LARGEST: usize = 1 << 20;
    let value = "v".repeat(1024);
    let attributes: Vec<_> =
        (0..32).map(|number| format!(r#"{{"name": "a{number}", "value": "{value}"}}"#)).collect();
    let config = format!(
        r#"{{"direction": "inbound", "span": {{"attributes": [{}]}}, "export": {{"otlp": {{"cluster": "c"}}}}}}"#,
        attributes.join(",")
    );
    let mut bench = Bench::with(&config, Host::new());
    bench.spans(70);
    bench.tick_after(0);
    bench.answer(&[(":status", b"200")], b"");
    bench.answer(&[(":status", b"200")], b"");
    let batches: Vec<_> =
        bench.vm.host().http_calls.iter().map(|call| (call.body.len(), spans_of(&call.body).len())).collect();
    let [(first, spans), (second, others)] = batches[..] else { panic!("two are full: {batches:?}") };
    assert!(LARGEST / 2 < first.min(second) && first.max(second) <= LARGEST, "{batches:?}");
    assert_eq!(spans, others);
    bench.tick_after(10_000);
    let last = bench.vm.host().http_calls.last().expect("a call");
    assert_eq!(spans_of(&last.body).len(), 70 - spans - others, "the rest has waited");
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
