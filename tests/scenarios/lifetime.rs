//! The order in which things happen to a plugin and its streams, and what is left of them in the end.

use proxy_wasm_test_framework::{Host, LogLevel};

use crate::edge::start;
use crate::scenarios::support::{
    BAD_CONFIG, INBOUND, Line, NEW, OBSERVE, OTHER, SAMPLED, UPPER, counters, request, respond, started,
    with_bystanders,
};

#[test]
fn a_response_without_a_request_is_left_alone() {
    for config in [INBOUND, OBSERVE, r#"{"response": {"inject": ["server-timing", "traceresponse"]}}"#] {
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
fn a_stream_keeps_the_configuration_that_it_began_with() {
    let (mut vm, root) = started(NEW);
    let before = vm.stream(root).unwrap();
    let sent = request(&mut vm, before, &[("traceparent", SAMPLED)]);
    assert!(vm.reconfigure(root, OBSERVE.as_bytes()).unwrap());
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
    assert!(!vm.reconfigure(root, BAD_CONFIG.as_bytes()).unwrap());
    assert_eq!(vm.host().logged(LogLevel::Error).len(), 1);
    assert_eq!(respond(&mut vm, open, &[]).lines("traceparent"), sent.lines("traceparent"));
    let later = vm.stream(root).unwrap();
    let sent = request(&mut vm, later, &[("traceparent", SAMPLED)]);
    assert_ne!(sent.lines("traceparent"), [SAMPLED], "a new parent-id, as before");
}

#[test]
fn two_plugins_keep_apart_what_passes_at_the_same_time() {
    let mut vm = start(Host::new());
    let [inbound, outbound] = [
        &br#"{"direction": "inbound", "parent_id": "new"}"#[..],
        br#"{"direction": "outbound", "role": "edge", "start": "never", "header": "x-trace"}"#,
    ]
    .map(|config| vm.root(config).unwrap().unwrap());
    let sent: &[Line<'_>] = &[("traceparent", SAMPLED), ("x-trace", OTHER)];
    let streams: Vec<_> = [inbound, outbound, outbound, inbound].repeat(5);
    let streams: Vec<_> = streams.into_iter().map(|root| (root, vm.stream(root).unwrap())).collect();
    let received: Vec<_> = streams.iter().map(|(_, stream)| request(&mut vm, *stream, sent)).collect();
    assert!(vm.reconfigure(outbound, OBSERVE.as_bytes()).unwrap());
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
