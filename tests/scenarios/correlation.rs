//! Correlation: what the inbound side of a pod received, its outbound side knows.

use proxy_wasm_test_framework::{Call, Fault, HeaderMap, Host};

use crate::edge::{RootId, Vm, start};
use crate::scenarios::support::{Line, OTHER, SAMPLED, UPPER, counters};

const REQUEST: &[u8] = b"bae65882-2bcd-43db-89d1-7fbd1d746a13";
/// The same request, with Envoy's note that it samples it.
const NOTED: &[u8] = b"bae65882-2bcd-93db-89d1-7fbd1d746a13";
const ANOTHER: &[u8] = b"c0ffee00-2bcd-43db-89d1-7fbd1d746a13";
const SECOND: u64 = 1_000_000_000;

/// A pod: its two plugins, in one VM.
struct Pod {
    vm: Vm,
    inbound: RootId,
    outbound: RootId,
}

impl Pod {
    fn new(host: Host, fields: &str) -> Self {
        let mut vm = start(host);
        let [inbound, outbound] = ["inbound", "outbound"].map(|direction| {
            let config = format!(r#"{{"direction": "{direction}", {fields}}}"#);
            vm.root(config.as_bytes()).expect("no trap").expect("the configuration is valid")
        });
        Self { vm, inbound, outbound }
    }

    fn receives(&mut self, headers: &[Line<'_>]) -> HeaderMap {
        self.pass(self.inbound, headers)
    }

    fn calls(&mut self, headers: &[Line<'_>]) -> HeaderMap {
        self.pass(self.outbound, headers)
    }

    fn pass(&mut self, root: RootId, headers: &[Line<'_>]) -> HeaderMap {
        let stream = self.vm.stream(root).expect("no trap");
        self.vm.request(stream, headers).expect("no trap");
        let sent = self.vm.request_headers(stream).clone();
        self.vm.finish(stream).expect("no trap");
        sent
    }

    fn counted(&self, counter: &str) -> bool {
        counters(&self.vm).contains(&counter.to_owned())
    }
}

fn pod(fields: &str) -> Pod {
    Pod::new(
        Host::new(),
        &format!(r#""correlation": {{}}{}{fields}"#, if fields.is_empty() { "" } else { ", " }),
    )
}

#[test]
fn a_trace_that_the_pod_did_not_receive_is_unlinked() {
    let mut pod = pod("");
    pod.receives(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
    assert_eq!(pod.calls(&[("traceparent", SAMPLED)]).lines("traceparent"), [SAMPLED]);
    assert!(pod.counted("requests outbound internal enforce continued"));
    assert_eq!(pod.calls(&[("traceparent", OTHER)]).lines("traceparent"), [OTHER], "it goes on all the same");
    assert!(pod.counted("requests outbound internal enforce unlinked"));
}

#[test]
fn a_lost_or_corrupt_context_rejoins_the_trace_of_its_request() {
    let lost: &[Line<'_>] = &[("x-request-id", NOTED), ("tracestate", b"a=1")];
    let corrupt: &[Line<'_>] = &[("x-request-id", REQUEST), ("traceparent", UPPER), ("tracestate", b"a=1")];
    for (fields, call, verdict) in
        [("", lost, "lost"), ("", corrupt, "corrupt"), (r#""start": "never""#, lost, "lost")]
    {
        let mut pod = pod(fields);
        pod.receives(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
        let sent = pod.calls(call);
        assert_eq!(
            sent.lines("traceparent"),
            [SAMPLED],
            "{fields} {verdict}: the inbound context is the parent"
        );
        assert_eq!(sent.get("tracestate"), None, "{fields} {verdict}: that of nobody knows what");
        assert!(pod.counted(&format!("requests outbound internal enforce {verdict}")), "{fields}");
        assert!(pod.counted("repairs outbound correlation"), "{fields} {verdict}");
    }
}

#[test]
fn a_trace_that_was_started_for_the_request_is_rejoined_as_well() {
    let mut pod = pod(r#""parent_id": "new""#);
    let received = pod.receives(&[("x-request-id", REQUEST)]);
    let sent = pod.calls(&[("x-request-id", REQUEST)]);
    let [received, sent] =
        [&received, &sent].map(|headers| headers.get("traceparent").expect("a context").to_vec());
    assert_eq!(sent[..36], received[..36], "the same trace");
    assert_ne!(sent[36..52], received[36..52], "with a parent-id of this hop");
    assert_eq!(sent[52..], received[52..]);
}

#[test]
fn a_call_of_another_request_rejoins_nothing() {
    let mut pod = pod(r#""start": "never""#);
    pod.receives(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
    for call in [&[("x-request-id", ANOTHER)][..], &[("x-request-id", b"req-1")], &[(":path", b"/")]] {
        assert_eq!(pod.calls(call).get("traceparent"), None, "{call:?}");
    }
    assert!(pod.counted("requests outbound internal enforce lost 3"));
}

#[test]
fn a_later_request_takes_the_slot_and_an_old_entry_does_not_count() {
    let mut pod = Pod::new(Host::new(), r#""start": "never", "correlation": {"slots": 1, "ttl_seconds": 2}"#);
    pod.receives(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
    pod.receives(&[("traceparent", OTHER), ("x-request-id", ANOTHER)]);
    assert_eq!(pod.calls(&[("x-request-id", REQUEST)]).get("traceparent"), None, "its slot was taken");
    pod.vm.host_mut().now_ns += 2 * SECOND;
    assert_eq!(pod.calls(&[("x-request-id", ANOTHER)]).lines("traceparent"), [OTHER]);
    pod.vm.host_mut().now_ns += 1;
    assert_eq!(pod.calls(&[("x-request-id", ANOTHER)]).get("traceparent"), None, "too old");
    pod.calls(&[("traceparent", OTHER)]);
    assert!(pod.counted("requests outbound internal enforce unlinked"));
}

#[test]
fn the_memory_is_bounded_and_shared_by_vms() {
    let mut first = Pod::new(Host::new(), r#""correlation": {"slots": 100}"#);
    for _ in 0..2_000 {
        let sent = first.receives(&[("x-request-id", REQUEST)]);
        assert!(sent.get("traceparent").is_some());
    }
    first.receives(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
    let memory = first.vm.host().shared_data.clone();
    assert!(memory.len() <= 200, "{} entries", memory.len());
    assert!(memory.values().all(|(entry, _)| entry.len() <= 64));

    let mut host = Host::new();
    host.shared_data = memory;
    let mut second = Pod::new(host, r#""correlation": {"slots": 100}"#);
    assert_eq!(second.calls(&[("x-request-id", REQUEST)]).lines("traceparent"), [SAMPLED]);
}

#[test]
fn entries_of_any_bytes_are_survived() {
    for length in [0, 1, 48, 49, 50, 1000] {
        for byte in [0, 0xff] {
            let mut pod = pod("");
            pod.vm.host_mut().fault(Call::GetSharedData, Fault::Buffer(vec![byte; length]));
            let sent = pod.calls(&[("x-request-id", REQUEST)]);
            assert!(sent.get("traceparent").is_some(), "{length} times {byte}");
            pod.calls(&[("traceparent", SAMPLED)]);
        }
    }
}
