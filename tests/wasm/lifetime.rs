//! The order in which things happen to a plugin and its streams, and what is left of them in the end.

use std::time::Instant;

use proxy_wasm_test_framework::{Action, HeaderMap, Host, LogLevel, RootId, StreamId, Vm};

use crate::support::{Line, MODULE, counters, with_bystanders};

const SAMPLED: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UPPER: &[u8] = b"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01";
const OTHER: &[u8] = b"00-11111111111111111111111111111111-2222222222222222-01";

const INBOUND: &[u8] = br#"{"direction": "inbound"}"#;
const NEW: &[u8] = br#"{"direction": "inbound", "parent_id": "new"}"#;
const OBSERVE: &[u8] = br#"{"direction": "inbound", "mode": "observe"}"#;
const BAD: &[u8] = br#"{"mode": "perhaps"}"#;

#[test]
fn a_response_without_a_request_is_left_alone() {
    for config in [INBOUND, OBSERVE, br#"{"response": {"inject": ["server-timing", "traceresponse"]}}"#] {
        let (mut vm, root) = started(config);
        let stream = vm.stream(root).unwrap();
        assert_eq!(respond(&mut vm, stream, &[("traceparent", OTHER)]).lines("traceparent"), [OTHER]);
        vm.finish(stream).unwrap();
        let stream = vm.stream(root).unwrap();
        assert_eq!(respond(&mut vm, stream, &[]), with_bystanders(&[]));
        // A request that comes all the same is one like any other.
        request(&mut vm, stream, &[("traceparent", SAMPLED)]);
        vm.finish(stream).unwrap();
        let counted = counters(&vm);
        assert!(!counted.iter().any(|counter| counter.starts_with("responses")), "{counted:?}");
        assert!(counted.iter().any(|counter| counter.ends_with("continued")), "{counted:?}");
    }
}

#[test]
fn a_stream_may_end_before_it_begins() {
    let (mut vm, root) = started(INBOUND);
    let stream = vm.stream(root).unwrap();
    vm.set_request_headers(stream, [("traceparent", UPPER)]);
    vm.set_response_headers(stream, [(":status", "400")]);
    vm.finish(stream).unwrap();
    let stream = vm.stream(root).unwrap();
    vm.log(stream).unwrap();
    request(&mut vm, stream, &[("traceparent", SAMPLED)]);
    vm.log(stream).unwrap();
    assert!(vm.done(stream).unwrap());
    vm.delete(stream).unwrap();
    assert_eq!(counters(&vm), ["sampled record parent", "requests inbound internal enforce continued"]);
}

#[test]
fn a_second_request_pass_is_a_request_of_its_own() {
    let (mut vm, root) = started(NEW);
    let stream = vm.stream(root).unwrap();
    let first = request(&mut vm, stream, &[("traceparent", SAMPLED)]);
    let second = vm.request_headers(stream).clone();
    vm.request(stream, second).unwrap();
    let second = vm.request_headers(stream).clone();
    assert_ne!(first.get("traceparent"), second.get("traceparent"));
    let told = respond(&mut vm, stream, &[]);
    assert_eq!(told.lines("traceparent"), second.lines("traceparent"), "the last one is on the wire");
    vm.finish(stream).unwrap();
    let counted = counters(&vm);
    assert!(counted.contains(&"requests inbound internal enforce continued 2".to_owned()), "{counted:?}");
}

#[test]
fn requests_before_any_configuration_pass_untouched() {
    // The id of a VM's first plugin, which in this VM has refused its configuration.
    let (_, root) = started(INBOUND);
    let mut vm = Vm::start(&MODULE).unwrap();
    assert!(vm.root(BAD).unwrap().is_none());
    let sent: &[Line<'_>] = &[("traceparent", UPPER), ("tracestate", b"=")];
    let stream = vm.stream(root).unwrap();
    vm.host_mut().reset_calls();
    assert_eq!(request(&mut vm, stream, sent), with_bystanders(sent));
    assert_eq!(respond(&mut vm, stream, sent), with_bystanders(sent));
    assert_eq!(vm.host().total_calls(), 0);
    vm.finish(stream).unwrap();
    assert!(vm.reconfigure(root, INBOUND).unwrap());
    let stream = vm.stream(root).unwrap();
    assert_ne!(request(&mut vm, stream, sent), with_bystanders(sent));
}

#[test]
fn a_stream_keeps_the_configuration_that_it_began_with() {
    let (mut vm, root) = started(NEW);
    let before = vm.stream(root).unwrap();
    let sent = request(&mut vm, before, &[("traceparent", SAMPLED)]);
    assert!(vm.reconfigure(root, OBSERVE).unwrap());
    let after = vm.stream(root).unwrap();
    assert_eq!(request(&mut vm, after, &[("traceparent", SAMPLED)]).lines("traceparent"), [SAMPLED]);
    let told = respond(&mut vm, before, &[]);
    assert_eq!(told.lines("traceparent"), sent.lines("traceparent"));
    assert_eq!(respond(&mut vm, after, &[]), with_bystanders(&[]), "observing");
    vm.finish(after).unwrap();
    vm.finish(before).unwrap();
}

#[test]
fn a_configuration_that_is_refused_changes_nothing() {
    let (mut vm, root) = started(NEW);
    let open = vm.stream(root).unwrap();
    let sent = request(&mut vm, open, &[("traceparent", SAMPLED)]);
    assert!(!vm.reconfigure(root, BAD).unwrap());
    assert_eq!(vm.host().logged(LogLevel::Error).len(), 1);
    assert_eq!(respond(&mut vm, open, &[]).lines("traceparent"), sent.lines("traceparent"));
    let later = vm.stream(root).unwrap();
    let sent = request(&mut vm, later, &[("traceparent", SAMPLED)]);
    assert_ne!(sent.lines("traceparent"), [SAMPLED], "a new parent-id, as before");
}

#[test]
fn one_pass_in_63_is_timed_whichever_it_is() {
    let (mut vm, root) = started(NEW);
    for _ in 0..160 {
        let stream = vm.stream(root).unwrap();
        request(&mut vm, stream, &[("traceparent", SAMPLED)]);
        respond(&mut vm, stream, &[]);
        vm.finish(stream).unwrap();
    }
    let timed = |pass: &str| {
        let name = format!("pass=.={pass};.;tracewarden_pass_duration_ns");
        vm.host().metrics().histogram(&name).map_or(0, <[u64]>::len)
    };
    assert_eq!((timed("request"), timed("response")), (3, 2), "of 320 passes");
}

#[test]
fn a_bad_configuration_can_be_bypassed() {
    let mut vm = Vm::with(&MODULE, bypassing()).unwrap();
    let root = vm.root(BAD).unwrap().expect("taken, to be bypassed");
    let errors = vm.host().logged(LogLevel::Error);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("mode") && errors[0].contains("perhaps"), "{errors:?}");
    let name = "tracewarden_bypassed_total";
    assert_eq!(vm.host().metric(name), Some(0), "there before it counts");
    let sent: &[Line<'_>] = &[("traceparent", UPPER), ("tracestate", b"="), ("tracestate", b"a=1")];
    for streams in 1..=3 {
        let stream = vm.stream(root).unwrap();
        vm.host_mut().reset_calls();
        assert_eq!(request(&mut vm, stream, sent), with_bystanders(sent));
        assert_eq!(respond(&mut vm, stream, sent), with_bystanders(sent));
        let calls: Vec<_> = vm.host().calls_by_name().into_iter().collect();
        assert_eq!(calls, [("proxy_increment_metric", 1)]);
        vm.finish(stream).unwrap();
        assert_eq!(vm.host().metric(name), Some(streams));
    }
    // A good configuration ends it, and a bad one begins it again.
    for (config, bypassed) in [(INBOUND, 3), (BAD, 4)] {
        assert!(vm.reconfigure(root, config).unwrap());
        let stream = vm.stream(root).unwrap();
        let untouched = request(&mut vm, stream, sent) == with_bystanders(sent);
        assert_eq!(untouched, config == BAD);
        assert_eq!(vm.host().metric(name), Some(bypassed));
    }
}

#[test]
fn two_plugins_keep_apart_what_passes_at_the_same_time() {
    let mut vm = Vm::start(&MODULE).unwrap();
    let [inbound, outbound] = [
        &br#"{"direction": "inbound", "parent_id": "new"}"#[..],
        br#"{"direction": "outbound", "role": "edge", "start": "never", "header": "x-trace"}"#,
    ]
    .map(|config| vm.root(config).unwrap().unwrap());
    let sent: &[Line<'_>] = &[("traceparent", SAMPLED), ("x-trace", OTHER)];
    let streams: Vec<_> = [inbound, outbound, outbound, inbound].repeat(5);
    let streams: Vec<_> = streams.into_iter().map(|root| (root, vm.stream(root).unwrap())).collect();
    let received: Vec<_> = streams.iter().map(|(_, stream)| request(&mut vm, *stream, sent)).collect();
    assert!(vm.reconfigure(outbound, OBSERVE).unwrap());
    // The responses come in another order.
    for ((root, stream), received) in streams.iter().zip(&received).rev() {
        let told = respond(&mut vm, *stream, &[]);
        if *root == inbound {
            assert_ne!(received.lines("traceparent"), [SAMPLED]);
            assert_eq!(received.lines("x-trace"), [OTHER]);
            assert_eq!(told.lines("traceparent"), received.lines("traceparent"));
        } else {
            assert_eq!(*received, with_bystanders(sent));
            assert_eq!(told.lines("x-trace"), [OTHER]);
            assert_eq!(told.get("traceparent"), None);
        }
        vm.finish(*stream).unwrap();
    }
    let counted = counters(&vm);
    for counter in
        ["requests inbound internal enforce continued 10", "requests outbound edge enforce continued 10"]
    {
        assert!(counted.contains(&counter.to_owned()), "{counted:?}");
    }
}

#[test]
fn memory_is_flat_over_a_hundred_thousand_streams() {
    const STREAMS: usize = 100_000;
    const SETTLED: usize = 10_000;
    let begin = Instant::now();
    let mut vm = Vm::start(&MODULE).unwrap();
    let configs = [
        &br#"{"parent_id": "new", "access_log": {"filter_state": true}, "exclude": [{"path": "/healthz"}]}"#[..],
        br#"{"direction": "outbound", "response": {"inject": ["traceparent", "traceresponse", "server-timing"]}}"#,
        OBSERVE,
    ];
    let roots = configs.map(|config| vm.root(config).unwrap().unwrap());
    let long = format!("a={},b={}", "x".repeat(200), "y".repeat(250));
    let requests: [HeaderMap; 7] = [
        with_bystanders(&[("traceparent", SAMPLED)]),
        with_bystanders(&[]),
        with_bystanders(&[("traceparent", UPPER), ("tracestate", b"a=1")]),
        with_bystanders(&[
            ("traceparent", SAMPLED),
            ("tracestate", long.as_bytes()),
            ("tracestate", b"ot=th:8"),
        ]),
        with_bystanders(&[("traceparent", SAMPLED), ("tracestate", b"=")]),
        with_bystanders(&[("traceparent", SAMPLED), ("traceparent", OTHER)]),
        with_bystanders(&[("x-large", &[b'x'; 2000]), ("traceparent", SAMPLED)]),
    ];
    let responses =
        [with_bystanders(&[]), with_bystanders(&[("traceparent", OTHER), ("server-timing", b"db")])];
    let mut settled = None;
    let mut open: Vec<StreamId> = Vec::new();
    for number in 0..STREAMS {
        if number == SETTLED {
            settled = Some(footprint(&vm));
        }
        vm.host_mut().now_ns += 10_000_000;
        let [root, request, response] = [3, 7, 2].map(|kinds| number % kinds);
        let stream = vm.stream(roots[root]).unwrap();
        vm.request(stream, requests[request].clone()).unwrap();
        if number % 5 != 0 {
            vm.response(stream, responses[response].clone()).unwrap();
        }
        // Some dozens are open at any time, and they end in another order.
        open.push(stream);
        if open.len() > 40 {
            let stream = open.swap_remove(number * 7 % 41);
            vm.finish(stream).unwrap();
        }
        if number % 10_000 == 0 {
            assert!(vm.reconfigure(roots[root], configs[root]).unwrap());
        }
        vm.host_mut().logs.clear();
    }
    assert_eq!(Some(footprint(&vm)), settled, "octets of memory, and definitions of metrics");
    println!("{STREAMS} streams, {} octets of memory, in {:?}", vm.memory_bytes(), begin.elapsed());
}

fn footprint(vm: &Vm) -> (usize, usize) {
    (vm.memory_bytes(), vm.host().metrics().definitions())
}

fn started(config: &[u8]) -> (Vm, RootId) {
    let mut vm = Vm::start(&MODULE).expect("the module starts");
    let root = vm.root(config).expect("no trap").expect("a good configuration");
    (vm, root)
}

fn bypassing() -> Host {
    let mut host = Host::new();
    host.environment.insert("TRACEWARDEN_ON_BAD_CONFIG".to_owned(), "bypass".to_owned());
    host
}

/// Passes a request, and returns it as the upstream receives it.
fn request(vm: &mut Vm, stream: StreamId, lines: &[Line<'_>]) -> HeaderMap {
    assert_eq!(vm.request(stream, with_bystanders(lines)), Ok(Action::Continue));
    vm.request_headers(stream).clone()
}

/// Passes a response, and returns it as the caller receives it.
fn respond(vm: &mut Vm, stream: StreamId, lines: &[Line<'_>]) -> HeaderMap {
    assert_eq!(vm.response(stream, with_bystanders(lines)), Ok(Action::Continue));
    vm.response_headers(stream).clone()
}
