//! Correlation: what the inbound side of a pod received, its outbound side knows.

use proxy_wasm_test_framework::{Call, Fault, HeaderMap, Host};

use crate::edge::{RootId, StreamId, Vm, start};
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

    /// Begins to serve a request.
    fn serves(&mut self, headers: &[Line<'_>]) -> StreamId {
        let stream = self.vm.stream(self.inbound).expect("no trap");
        self.vm.request(stream, headers).expect("no trap");
        stream
    }

    fn in_flight(&self) -> u64 {
        self.vm.host().metric("tracewarden_traced_requests_in_flight").unwrap_or_default()
    }

    fn evidence(&self) -> Vec<String> {
        counters(&self.vm).into_iter().filter(|counter| counter.starts_with("call_evidence")).collect()
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
    pod.calls(&[("traceparent", SAMPLED)]);
    assert!(pod.counted("requests outbound internal enforce unlinked"), "the later trace took its slot");
}

#[test]
fn the_memory_is_bounded_and_shared_by_vms() {
    let mut first = Pod::new(Host::new(), r#""correlation": {"slots": 100}"#);
    for number in 0..2_000 {
        let sent = first.receives(&[("x-request-id", format!("request-{number}").as_bytes())]);
        assert!(sent.get("traceparent").is_some());
    }
    first.receives(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
    let memory = first.vm.host().shared_data.clone();
    let entries =
        memory.keys().filter(|key| key.starts_with(b"tracewarden.t.") || key.starts_with(b"tracewarden.r."));
    let entries = entries.count();
    assert!((150..=200).contains(&entries), "{entries} entries");
    assert!(memory.values().all(|(entry, _)| entry.len() <= 80));

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

#[test]
fn any_request_id_of_bounded_length_is_a_key() {
    let longest = [b'r'; 200];
    let longer = [b'r'; 201];
    // The request's id; whether the context is given back.
    let rows: &[(&[u8], bool)] = &[
        (b"90f1fe22ab377a463d681afc59412407", true),
        (b"r", true),
        (b"\xff\xfe", true),
        (&longest, true),
        (&longer, false),
        (b"", false),
    ];
    for (id, returns) in rows {
        let mut pod = pod(r#""start": "never""#);
        pod.receives(&[("traceparent", SAMPLED), ("x-request-id", id)]);
        let sent = pod.calls(&[("x-request-id", id)]);
        assert_eq!(sent.get("traceparent").is_some(), *returns, "B9, {}", id.escape_ascii());
        assert_eq!(pod.counted("correlation remembered"), *returns, "B9, {}", id.escape_ascii());
        assert_eq!(pod.counted("correlation repaired"), *returns, "B9, {}", id.escape_ascii());
        assert_eq!(pod.counted("correlation unusable 2"), !*returns, "B9, {}", id.escape_ascii());
    }
    let mut pod = pod("");
    pod.receives(&[("traceparent", SAMPLED), ("x-request-id", b"a"), ("x-request-id", b"b")]);
    assert!(pod.counted("correlation unusable"), "two ids are none");
}

#[test]
fn nobody_is_put_into_anothers_trace() {
    let mut pod = pod("");
    for (traceparent, id) in [(SAMPLED, REQUEST), (OTHER, NOTED), (SAMPLED, REQUEST)] {
        pod.receives(&[("traceparent", traceparent), ("x-request-id", id)]);
    }
    let sent = pod.calls(&[("x-request-id", REQUEST)]);
    for came in [SAMPLED, OTHER] {
        assert!(!sent.get("traceparent").expect("a new trace").starts_with(&came[..35]), "A13, a new trace");
    }
    assert!(pod.counted("correlation ambiguous") && !pod.counted("correlation repaired"), "A13");
    assert!(pod.counted("repairs outbound new"), "A13");
    pod.vm.host_mut().now_ns += 61 * SECOND;
    pod.receives(&[("traceparent", OTHER), ("x-request-id", REQUEST)]);
    assert_eq!(
        pod.calls(&[("x-request-id", REQUEST)]).lines("traceparent"),
        [OTHER],
        "A13, only while entries count"
    );
}

#[test]
fn a_second_request_of_the_same_trace_is_no_ambiguity() {
    let mut pod = pod("");
    for _ in 0..2 {
        pod.receives(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
    }
    assert_eq!(pod.calls(&[("x-request-id", REQUEST)]).lines("traceparent"), [SAMPLED]);
}

#[test]
fn what_this_hop_sends_in_is_remembered_whoever_sent_it() {
    for untrusted in ["restart", "ignore_sampled"] {
        let mut vm = start(Host::new());
        let mut root = |config: &str| vm.root(config.as_bytes()).expect("no trap").expect("it is valid");
        let trust = format!(r#""trust": {{"default": "untrusted", "untrusted": "{untrusted}"}}"#);
        let inbound = root(&format!(r#"{{"direction": "inbound", "correlation": {{}}, {trust}}}"#));
        let outbound = root(r#"{"direction": "outbound", "correlation": {}}"#);
        let mut pod = Pod { vm, inbound, outbound };
        let received = pod.receives(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
        let received = received.get("traceparent").expect("a context").to_vec();
        assert_eq!(pod.calls(&[("traceparent", &received)]).lines("traceparent"), [&received[..]]);
        assert!(pod.counted("requests outbound internal enforce continued"), "A12, {untrusted}");
        assert_eq!(pod.calls(&[("x-request-id", REQUEST)]).lines("traceparent"), [&received[..]], "A12");
    }
}

#[test]
fn the_context_comes_back_with_its_tracestate() {
    let member =
        |length: usize| format!("{}={}", "k".repeat(length / 2), "v".repeat(length - length / 2 - 1));
    let (longest, longer) =
        (format!("{},{}", member(255), member(256)), format!("{},{}", member(255), member(257)));
    // What came in; what goes out, if anything; whether it was dropped.
    let rows: &[(Option<&str>, Option<&str>, bool)] = &[
        (Some("ot=th:8,a=1"), Some("ot=th:8,a=1"), false),
        (None, None, false),
        (Some(&longest), Some(&longest), false),
        (Some(&longer), None, true),
        (Some("bad"), None, false),
    ];
    for (came, goes, dropped) in rows {
        let mut pod = pod("");
        // The randomness of this trace-id is above th:8.
        let traceparent = b"00-0af7651916cd43dd84ffffffffffffff-b7ad6b7169203331-01";
        let mut request: Vec<Line<'_>> = vec![("traceparent", traceparent), ("x-request-id", REQUEST)];
        request.extend(came.map(|state| ("tracestate", state.as_bytes())));
        pod.receives(&request);
        // That which the application forwarded on its own goes.
        let sent = pod.calls(&[("x-request-id", REQUEST), ("tracestate", b"lost=1")]);
        assert_eq!(sent.lines("traceparent"), [traceparent], "D10");
        let state = sent.get("tracestate").map(|state| String::from_utf8_lossy(state).into_owned());
        assert_eq!(state.as_deref(), *goes, "D10, {came:?}");
        assert_eq!(pod.counted("correlation state_dropped"), *dropped, "D10, {came:?}");
    }
}

/// How a call is weighed: its headers; whether a traced request is being served; the verdict and the evidence.
type Weighed<'a> = (&'a [Line<'a>], bool, &'a str, &'a str);

#[test]
fn a_call_without_the_pods_trace_says_what_ties_it_to_a_request() {
    let rows: &[Weighed<'_>] = &[
        (&[("x-request-id", REQUEST)], true, "lost", "request_id"),
        (&[("x-request-id", REQUEST)], false, "lost", "request_id"),
        (&[("traceparent", OTHER), ("x-request-id", NOTED)], false, "unlinked", "request_id"),
        (&[("x-request-id", ANOTHER)], true, "lost", "in_flight"),
        (&[(":path", b"/")], true, "lost", "in_flight"),
        (&[("traceparent", OTHER)], true, "unlinked", "in_flight"),
        (&[(":path", b"/")], false, "lost", "none"),
        (&[("traceparent", OTHER)], false, "unlinked", "none"),
    ];
    for mode in ["enforce", "observe"] {
        for (call, is_served, verdict, evidence) in rows {
            let mut pod = pod(&format!(r#""start": "never", "mode": "{mode}""#));
            pod.receives(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
            let serving = is_served.then(|| pod.serves(&[("traceparent", SAMPLED)]));
            pod.calls(call);
            let row = format!("{mode} {call:?} {is_served}");
            assert!(pod.counted(&format!("requests outbound internal {mode} {verdict}")), "{row}");
            assert_eq!(pod.evidence(), [format!("call_evidence {mode} {verdict} {evidence}")], "{row}");
            if let Some(stream) = serving {
                pod.vm.finish(stream).expect("no trap");
            }
            assert_eq!(pod.in_flight(), 0, "{row}");
        }
    }
}

#[test]
fn what_needs_no_evidence_has_none() {
    let mut pod = pod("");
    let serving = pod.serves(&[("traceparent", SAMPLED), ("x-request-id", REQUEST)]);
    assert_eq!(pod.in_flight(), 1);
    pod.calls(&[("traceparent", SAMPLED)]);
    pod.calls(&[("traceparent", UPPER)]);
    pod.receives(&[(":path", b"/")]);
    assert_eq!(pod.evidence(), [""; 0], "continued, corrupt, and lost by the caller");
    pod.vm.finish(serving).expect("no trap");
    assert_eq!(pod.in_flight(), 0);
    let mut vm = start(Host::new());
    let root = vm.root(br#"{"direction": "outbound"}"#).expect("no trap").expect("it is valid");
    let stream = vm.stream(root).expect("no trap");
    vm.request(stream, &[] as &[Line<'_>]).expect("no trap");
    assert!(!counters(&vm).iter().any(|counter| counter.starts_with("call_evidence")), "without correlation");
}

#[test]
fn only_what_goes_in_with_a_context_is_in_flight() {
    // What is served; whether it is in flight.
    let rows: &[(&str, &[Line<'_>], u64)] = &[
        (r#""start": "never""#, &[(":path", b"/")], 0),
        (r#""start": "always""#, &[(":path", b"/")], 1),
        (r#""start": "never""#, &[("traceparent", UPPER)], 0),
        (r#""exclude": [{"path": "/"}]"#, &[(":path", b"/"), ("traceparent", SAMPLED)], 0),
        (r#""mode": "observe""#, &[("traceparent", SAMPLED)], 1),
        (r#""export": {"otlp": {"cluster": "c"}}"#, &[("traceparent", SAMPLED)], 1),
    ];
    for (fields, headers, expected) in rows {
        let mut pod = pod(fields);
        let stream = pod.serves(headers);
        assert_eq!(pod.in_flight(), *expected, "{fields} {headers:?}");
        pod.vm.finish(stream).expect("no trap");
        assert_eq!(pod.in_flight(), 0, "{fields} {headers:?}");
    }
}

#[test]
fn a_trace_stays_linked_for_as_long_as_it_is_remembered() {
    let mut pod = pod(r#""mode": "observe""#);
    pod.receives(&[("traceparent", SAMPLED)]);
    pod.vm.host_mut().now_ns += 10_000 * SECOND;
    pod.calls(&[("traceparent", SAMPLED)]);
    assert!(pod.counted("requests outbound internal observe continued"), "a stream can make calls for hours");
}

#[test]
fn a_trace_whose_slot_was_taken_is_known_by_its_request() {
    // Two traces that share the only slot of traces, and two requests that do not share theirs.
    let slots = r#""mode": "observe", "correlation": {"slots": 2}"#;
    let mut pod = Pod::new(Host::new(), slots);
    let (first, second) = (
        b"00-0af7651916cd43dd8448eb211c803190-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c803192-b7ad6b7169203331-01",
    );
    pod.receives(&[("traceparent", first), ("x-request-id", b"a")]);
    pod.receives(&[("traceparent", second), ("x-request-id", b"b")]);
    pod.calls(&[("traceparent", first), ("x-request-id", b"a")]);
    assert!(pod.counted("requests outbound internal observe continued"));
    pod.calls(&[("traceparent", first)]);
    assert!(pod.counted("requests outbound internal observe unlinked"), "without the id it is not");
}
