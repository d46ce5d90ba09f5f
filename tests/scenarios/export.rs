//! The queue of spans and their way out of it; every span is accounted for.

use proxy_wasm_test_framework::{Call, Host, HttpAnswer, Status};

use crate::edge::{RootId, StreamId, Vm, start};
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

    /// Answers one of the calls.
    pub(crate) fn answer_nth(&mut self, place: usize, headers: &[Line<'_>]) {
        let token = self.vm.host().http_calls.get(place).expect("a call").token;
        self.vm.answer_http(self.root, token, HttpAnswer::new(headers, b"")).expect("no trap");
    }

    /// A stream that will have a span when it ends.
    pub(crate) fn open(&mut self) -> StreamId {
        let open = self.vm.stream(self.root).expect("no trap");
        self.vm.request(open, with_bystanders(&[("traceparent", SAMPLED)])).expect("no trap");
        open
    }

    /// How many spans each upload has.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.vm.host().http_calls.iter().map(|call| spans_of(&call.body).len()).collect()
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
fn a_full_batch_goes_at_once_and_a_lonely_span_when_it_has_waited() {
    let mut bench = Bench::new(TWO);
    assert_eq!(bench.vm.tick_period_ms(bench.root), 200);
    bench.spans(1);
    assert_eq!(bench.vm.tick_period_ms(bench.root), 200, "it waits for another");
    bench.tick_after(999);
    assert_eq!(bench.calls(), 0);
    bench.tick_after(1);
    bench.answer(&[(":status", b"200"), ("content-type", b"application/x-protobuf")], b"");
    bench.spans(3);
    assert_eq!(bench.vm.tick_period_ms(bench.root), 1, "the batch is full");
    bench.tick_after(1);
    assert_eq!((bench.calls(), bench.vm.tick_period_ms(bench.root)), (2, 200));
    bench.spans(1);
    bench.tick_after(5_000);
    assert_eq!(bench.calls(), 3, "though there is no answer");
    bench.answer_nth(1, &[(":status", b"200")]);
    bench.answer_nth(2, &[(":status", b"202")]);
    assert_eq!(bench.sizes(), [1, 2, 2]);
    assert_eq!(bench.counted(), ["export_batches exported 3", "spans_exported 5", "spans_recorded 5"]);
    let durations = bench.vm.host().metrics().histogram("tracewarden_export_duration_ms");
    assert_eq!(durations, Some(&[0, 5_000, 0][..]));
}

#[test]
fn so_many_uploads_are_on_their_way_and_no_more() {
    for (fields, most) in [("", 4), (r#", "in_flight": 2"#, 2)] {
        let mut bench = Bench::new(&format!(r#"{{"otlp": {{"cluster": "c"}}, "batch": 1{fields}}}"#));
        bench.spans(most + 2);
        bench.tick_after(0);
        assert_eq!(bench.calls(), most, "{fields}");
        assert_eq!(bench.vm.tick_period_ms(bench.root), 200, "there is nothing to do before an answer");
        bench.answer_nth(0, &[(":status", b"200")]);
        assert_eq!(bench.calls(), most + 1, "the next goes as soon as there is an answer");
        bench.spans(1);
        assert_eq!(bench.vm.tick_period_ms(bench.root), 200);
        for place in 1..most + 3 {
            bench.answer_nth(place, &[(":status", b"200")]);
        }
        let all = most + 3;
        let expected = [
            format!("export_batches exported {all}"),
            format!("spans_exported {all}"),
            format!("spans_recorded {all}"),
        ];
        assert_eq!(bench.counted(), expected);
    }
}

/// One batch says it for all: a collector that is busy is not asked by the next one.
#[test]
fn a_busy_collector_is_left_alone_by_every_batch() {
    let mut bench = Bench::new(r#"{"otlp": {"cluster": "c"}, "batch": 1}"#);
    bench.spans(2);
    bench.tick_after(0);
    bench.answer_nth(0, &[(":status", b"429"), ("retry-after", b"30")]);
    bench.answer_nth(1, &[(":status", b"503")]);
    bench.spans(1);
    assert_eq!(bench.vm.tick_period_ms(bench.root), 200);
    bench.tick_after(29_999);
    assert_eq!(bench.calls(), 2, "the longest wait counts");
    bench.tick_after(1);
    assert_eq!(bench.calls(), 5);
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

/// A plugin whose spans have so many kilobytes each.
fn heavy(kilobytes: usize, export: &str) -> Bench {
    let value = "v".repeat(1024);
    let attributes: Vec<_> =
        (0..kilobytes).map(|number| format!(r#"{{"name": "a{number}", "value": "{value}"}}"#)).collect();
    let config = format!(
        r#"{{"direction": "inbound", "span": {{"attributes": [{}]}}, "export": {export}}}"#,
        attributes.join(",")
    );
    Bench::with(&config, Host::new())
}

#[test]
fn a_batch_is_no_larger_than_a_collector_takes() {
    const LARGEST: usize = 1 << 20;
    for protocol in ["http/protobuf", "grpc"] {
        let mut bench = heavy(32, &format!(r#"{{"otlp": {{"cluster": "c", "protocol": "{protocol}"}}}}"#));
        bench.spans(70);
        bench.tick_after(0);
        let prefix = if protocol == "grpc" { 5 } else { 0 };
        let batches: Vec<_> = bench.vm.host().http_calls.iter().map(|call| call.body.len()).collect();
        let [first, second] = batches[..] else { panic!("two are full: {batches:?}") };
        assert!(LARGEST - (34 << 10) < first.min(second) && first.max(second) <= LARGEST, "{batches:?}");
        bench.tick_after(10_000);
        let sizes: Vec<usize> =
            bench.vm.host().http_calls.iter().map(|call| spans_of(&call.body[prefix..]).len()).collect();
        let [first, second, rest] = sizes[..] else { panic!("the rest has waited: {sizes:?}") };
        assert_eq!((first, first + second + rest), (second, 70));
    }
}

/// The bound is on the bytes of all that has not arrived, wherever it is.
#[test]
fn the_bytes_of_the_queue_are_bounded() {
    let mut bench = heavy(8, r#"{"otlp": {"cluster": "c"}, "queue_bytes": 65536, "batch": 2}"#);
    bench.spans(9);
    bench.tick_after(0);
    assert_eq!(bench.sizes(), [2, 2, 2, 1], "one that nothing can be added to goes too");
    let kept: usize = bench.vm.host().http_calls.iter().map(|call| call.body.len()).sum();
    assert!(kept <= 65_536, "{kept}");
    assert_eq!(bench.counted(), ["export_queue_spans 7", "spans_dropped queue_full 2", "spans_recorded 9"]);
    bench.assert_accounted("full");
    for place in 0..4 {
        bench.answer_nth(place, &[(":status", b"200")]);
        bench.spans(2);
        bench.tick_after(0);
    }
    bench.assert_accounted("and again");
}

/// A resource stands around each batch, and counts as often.
#[test]
fn what_stands_around_the_spans_counts_too() {
    let value = "v".repeat(20 << 10);
    let config = format!(
        r#"{{"direction": "inbound", "service": {{"attributes": {{"a": "{value}"}}}},
        "export": {{"otlp": {{"cluster": "c"}}, "queue_bytes": 65536, "batch": 1, "in_flight": 100}}}}"#
    );
    let mut bench = Bench::with(&config, Host::new());
    bench.spans(9);
    bench.tick_after(0);
    assert_eq!(bench.sizes(), [1, 1, 1]);
    let kept: usize = bench.vm.host().http_calls.iter().map(|call| call.body.len()).sum();
    assert!(kept <= 65_536, "{kept}");
    bench.assert_accounted("full");
}

#[test]
fn a_batch_has_half_of_the_queue_at_most() {
    let mut bench = heavy(8, r#"{"otlp": {"cluster": "c"}, "queue_bytes": 65536}"#);
    bench.spans(4);
    assert_eq!(bench.vm.tick_period_ms(bench.root), 1, "the fourth is of the next batch");
    bench.tick_after(0);
    assert_eq!(bench.sizes(), [3]);
}

#[test]
fn a_full_queue_takes_no_more_and_the_clock_may_go_back() {
    let mut bench = Bench::new(TWO);
    bench.spans(6);
    assert_eq!(bench.counted(), ["spans_dropped queue_full 2", "spans_recorded 6"]);
    bench.tick_after(0);
    bench.assert_accounted("sent");
    assert_eq!(bench.calls(), 2);
    bench.spans(1);
    bench.tick_after(0);
    bench.assert_accounted("full: what is on its way has not arrived");
    assert!(bench.counted().contains(&"spans_dropped queue_full 3".to_owned()), "{:?}", bench.counted());
    bench.vm.host_mut().now_ns = MS;
    bench.answer(&[(":status", b"503")], b"");
    bench.vm.host_mut().now_ns = 0;
    bench.tick_after(1_001);
    assert_eq!(bench.calls(), 3);
}

#[test]
fn what_cannot_be_sent_any_more_is_counted() {
    let mut bench = Bench::new(TWO);
    bench.spans(3);
    bench.tick_after(0);
    let open = bench.open();
    bench.vm.delete_root(bench.root).unwrap();
    assert_eq!(bench.counted(), ["spans_dropped shutdown 3", "spans_recorded 3"]);
    // Another plugin has a queue of its own.
    let other = format!(r#"{{"direction": "inbound", "export": {TWO}}}"#);
    bench.root = bench.vm.root(other.as_bytes()).unwrap().unwrap();
    bench.vm.finish(open).unwrap();
    assert_eq!(bench.counted(), ["spans_dropped shutdown 4", "spans_recorded 4"]);
    bench.send_two();
    bench.answer(&[(":status", b"200")], b"");
    bench.assert_accounted("the other");
    assert!(bench.counted().contains(&"spans_exported 2".to_owned()), "{:?}", bench.counted());
}

#[test]
fn a_plugin_that_exports_no_more_sends_what_it_has() {
    let mut bench = Bench::new(TWO);
    bench.spans(1);
    let open = bench.open();
    assert!(bench.vm.reconfigure(bench.root, br#"{"direction": "inbound"}"#).unwrap());
    bench.vm.finish(open).unwrap();
    bench.tick_after(0);
    assert_eq!(bench.sizes(), [2]);
    assert_eq!(bench.vm.tick_period_ms(bench.root), 200, "there may be more to do");
    bench.answer(&[(":status", b"200")], b"");
    bench.tick_after(0);
    assert_eq!(bench.vm.tick_period_ms(bench.root), 0);
    assert_eq!(bench.counted(), ["export_batches exported", "spans_exported 2", "spans_recorded 2"]);
}

/// What Envoy does when a plugin's configuration changes: the new plugin begins before the old one ends.
#[test]
fn a_new_plugin_goes_on_with_what_the_old_one_has() {
    let mut bench = Bench::sending(TWO);
    bench.spans(1);
    let open = bench.open();
    let old = bench.root;
    let config = format!(r#"{{"direction": "inbound", "mode": "enforce", "export": {TWO}}}"#);
    bench.root = bench.vm.root(config.as_bytes()).unwrap().unwrap();
    bench.vm.finish(open).unwrap();
    bench.vm.delete_root(old).unwrap();
    bench.tick_after(0);
    assert_eq!(
        bench.sizes(),
        [2, 2, 2],
        "the second batch, and the first again: its answer ended with the old plugin"
    );
    let calls = &bench.vm.host().http_calls;
    assert!(calls[1..].iter().any(|call| call.body == calls[0].body));
    bench.answer_nth(1, &[(":status", b"200")]);
    bench.answer_nth(2, &[(":status", b"200")]);
    let expected =
        ["export_batches exported 2", "export_batches retried", "spans_exported 4", "spans_recorded 4"];
    assert_eq!(bench.counted(), expected);
}

/// The attempt that ended with its plugin is not the collector's fault: five others follow.
#[test]
fn a_batch_that_was_handed_over_keeps_its_attempts() {
    let mut bench = Bench::sending(TWO);
    let old = bench.root;
    let config = format!(r#"{{"direction": "inbound", "export": {TWO}}}"#);
    bench.root = bench.vm.root(config.as_bytes()).unwrap().unwrap();
    bench.vm.delete_root(old).unwrap();
    for _ in 0..5 {
        bench.tick_after(60_000);
        bench.answer(&[(":status", b"503")], b"");
    }
    let expected =
        ["export_batches gave_up", "export_batches retried 5", "spans_dropped gave_up 2", "spans_recorded 2"];
    assert_eq!((bench.calls(), bench.counted()), (6, expected.map(str::to_owned).to_vec()));
}

/// The plugins of a VM that have the same collector and the same resource fill their batches together.
#[test]
fn plugins_share_a_collector_and_each_ends_alone() {
    let mut bench = Bench::new(TWO);
    let first = bench.root;
    let other = format!(r#"{{"direction": "outbound", "export": {TWO}}}"#);
    bench.spans(1);
    bench.root = bench.vm.root(other.as_bytes()).unwrap().unwrap();
    bench.spans(1);
    assert_eq!(bench.vm.tick_period_ms(bench.root), 1);
    bench.tick_after(0);
    assert_eq!(bench.sizes(), [2]);
    bench.vm.delete_root(first).unwrap();
    bench.answer(&[(":status", b"200")], b"");
    assert_eq!(bench.counted(), ["export_batches exported", "spans_exported 2", "spans_recorded 2"]);
}

#[test]
fn spans_go_to_the_collector_and_under_the_resource_that_they_were_made_for() {
    let mut bench = Bench::new(TWO);
    bench.spans(2);
    let open = bench.open();
    for config in [
        r#"{"direction": "inbound", "export": {"otlp": {"cluster": "other"}, "batch": 1}}"#,
        r#"{"direction": "inbound", "service": {"name": "x"}, "export": {"otlp": {"cluster": "other"}, "batch": 1}}"#,
        r#"{"direction": "inbound", "export": {"otlp": {"cluster": "other", "protocol": "grpc"}, "batch": 1}}"#,
    ] {
        assert!(bench.vm.reconfigure(bench.root, config.as_bytes()).unwrap());
        bench.spans(1);
    }
    bench.vm.finish(open).unwrap();
    bench.tick_after(5_000);
    let mut clusters: Vec<_> = bench.vm.host().http_calls.iter().map(|call| call.upstream.as_str()).collect();
    clusters.sort_unstable();
    assert_eq!(clusters, ["collector", "collector", "other", "other", "other"]);
    for place in 0..5 {
        let is_grpc = bench.vm.host().http_calls[place].headers.get("te").is_some();
        let body: &[u8] = if is_grpc { &[0; 5] } else { b"" };
        let answer = HttpAnswer::new([(":status", "200")], body).with_trailers([("grpc-status", "0")]);
        let token = bench.vm.host().http_calls[place].token;
        bench.vm.answer_http(bench.root, token, answer).unwrap();
    }
    assert_eq!(bench.counted(), ["export_batches exported 5", "spans_exported 6", "spans_recorded 6"]);
}

/// The bounds of the configuration that came last count for what waits, too.
#[test]
fn a_new_configuration_goes_on_with_the_queue_under_its_own_bounds() {
    let mut bench = Bench::new(r#"{"otlp": {"cluster": "c"}, "batch": 9, "delay_ms": 5000}"#);
    bench.spans(2);
    let other =
        r#"{"direction": "inbound", "export": {"otlp": {"cluster": "c"}, "batch": 3, "delay_ms": 5000}}"#;
    assert!(bench.vm.reconfigure(bench.root, other.as_bytes()).unwrap());
    bench.spans(1);
    bench.tick_after(0);
    assert_eq!(bench.sizes(), [3]);
}
