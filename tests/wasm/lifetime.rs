//! What the filter does around the core over the life of a plugin, and what is left of its streams in the end.

use std::time::Instant;

use proxy_wasm_test_framework::{Call, HeaderMap, Host, LogLevel, Status};

use crate::edge::{StreamId, Vm, start};
use crate::scenarios::support::{
    BAD_CONFIG, INBOUND, Line, NEW, OBSERVE, OTHER, SAMPLED, UPPER, request, respond, started,
    with_bystanders,
};

#[test]
fn requests_before_any_configuration_pass_untouched() {
    // The id of a VM's first plugin, which in this VM has refused its configuration.
    let (_, root) = started(INBOUND);
    let mut vm = start(Host::new());
    assert!(vm.root(BAD_CONFIG.as_bytes()).unwrap().is_none());
    let sent: &[Line<'_>] = &[("traceparent", UPPER), ("tracestate", b"=")];
    let stream = vm.stream(root).unwrap();
    vm.host_mut().reset_calls();
    assert_eq!(request(&mut vm, stream, sent), with_bystanders(sent));
    assert_eq!(respond(&mut vm, stream, sent), with_bystanders(sent));
    assert_eq!(vm.host().total_calls(), 0);
    vm.finish(stream).unwrap();
    assert!(vm.reconfigure(root, INBOUND.as_bytes()).unwrap());
    let stream = vm.stream(root).unwrap();
    assert_ne!(request(&mut vm, stream, sent), with_bystanders(sent));
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
    let mut vm = start(bypassing());
    let root = vm.root(BAD_CONFIG.as_bytes()).unwrap().expect("taken, to be bypassed");
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
    for (config, bypassed) in [(INBOUND, 3), (BAD_CONFIG, 4)] {
        assert!(vm.reconfigure(root, config.as_bytes()).unwrap());
        let stream = vm.stream(root).unwrap();
        let untouched = request(&mut vm, stream, sent) == with_bystanders(sent);
        assert_eq!(untouched, config == BAD_CONFIG);
        assert_eq!(vm.host().metric(name), Some(bypassed));
    }
}

#[test]
fn memory_is_flat_over_a_hundred_thousand_streams() {
    const STREAMS: usize = 100_000;
    const SETTLED: usize = 10_000;
    let begin = Instant::now();
    let mut vm = start(Host::new());
    let configs = [
        r#"{"parent_id": "new", "access_log": {"filter_state": true}, "exclude": [{"path": "/healthz"}]}"#,
        r#"{"direction": "outbound", "response": {"inject": ["traceparent", "traceresponse", "server-timing"]}}"#,
        OBSERVE,
    ];
    let roots = configs.map(|config| vm.root(config.as_bytes()).unwrap().unwrap());
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
            assert!(vm.reconfigure(roots[root], configs[root].as_bytes()).unwrap());
        }
        vm.host_mut().logs.clear();
    }
    assert_eq!(Some(footprint(&vm)), settled, "bytes of memory, and definitions of metrics");
    println!("{STREAMS} streams, {} bytes of memory, in {:?}", vm.memory_bytes(), begin.elapsed());
}

fn footprint(vm: &Vm) -> (usize, usize) {
    (vm.memory_bytes(), vm.host().metrics().definitions())
}

fn bypassing() -> Host {
    let mut host = Host::new();
    host.environment.insert("TRACEWARDEN_ON_BAD_CONFIG".to_owned(), "bypass".to_owned());
    host
}

const SECOND: u64 = 1_000_000_000;

/// A VM of the Envoy that has this memory, at this time, for a plugin of this name.
fn vm_of(memory: &std::collections::BTreeMap<Vec<u8>, (Vec<u8>, u32)>, now_ns: u64, name: &str) -> Vm {
    let mut host = bypassing();
    host.shared_data.clone_from(memory);
    host.now_ns = now_ns;
    host.set_property(&["plugin_name"], name);
    start(host)
}

#[test]
fn a_mistake_is_refused_only_while_a_good_configuration_of_that_plugin_runs() {
    let start_ns = 1_700_000_000 * SECOND;
    let mut worker = vm_of(&std::collections::BTreeMap::new(), start_ns, "shop");
    let root = worker.root(INBOUND.as_bytes()).unwrap().expect("it is good");
    assert_eq!(worker.tick_period_ms(root), 1_000);
    let before = worker.host().shared_data.clone();
    worker.tick(root).unwrap();
    let running = worker.host().shared_data.clone();
    // The memory, how long after the beat, the plugin's name, and whether its mistake is refused.
    let rows = [
        (&running, 0, "shop", true),
        (&running, 3 * SECOND, "shop", true),
        (&running, 3 * SECOND + 1, "shop", false),
        (&running, 0, "cart", false),
        (&running, 0, "", false),
        // It was configured and never ticked, as in the VM that Envoy throws away.
        (&before, 0, "shop", false),
    ];
    for (memory, later, name, is_refused) in rows {
        let mut vm = vm_of(memory, start_ns + later, name);
        let root = vm.root(BAD_CONFIG.as_bytes()).unwrap();
        assert_eq!(root.is_none(), is_refused, "{name:?}, {later} ns later");
        let errors = vm.host().logged(LogLevel::Error);
        let says = if is_refused { "Envoy keeps it" } else { "every request passes untouched" };
        assert!(errors.iter().any(|line| line.contains(says)), "{errors:?}");
    }
}

#[test]
fn workers_follow_what_was_decided_before_the_mistake_was_given_to_them() {
    let start_ns = 1_700_000_000 * SECOND;
    let mut tried = vm_of(&std::collections::BTreeMap::new(), start_ns, "shop");
    tried.root(BAD_CONFIG.as_bytes()).unwrap().expect("it is bypassed");
    // Another plugin of the name is good, and beats before the workers get this one.
    let mut good = vm_of(&tried.host().shared_data, start_ns + SECOND, "shop");
    let root = good.root(INBOUND.as_bytes()).unwrap().expect("it is good");
    good.tick(root).unwrap();
    let memory = good.host().shared_data.clone();
    assert!(vm_of(&memory, start_ns + 2 * SECOND, "shop").root(BAD_CONFIG.as_bytes()).unwrap().is_some());
    let other = br#"{"mode": "another mistake"}"#;
    assert!(vm_of(&memory, start_ns + 2 * SECOND, "shop").root(other).unwrap().is_none(), "a live mistake");
}

#[test]
fn a_vm_that_serves_plugins_never_refuses() {
    let mut worker = vm_of(&std::collections::BTreeMap::new(), SECOND, "shop");
    let root = worker.root(INBOUND.as_bytes()).unwrap().expect("it is good");
    worker.tick(root).unwrap();
    // Envoy would answer 500: it took the configuration because it knew it from before.
    assert!(worker.root(BAD_CONFIG.as_bytes()).unwrap().is_some());
}

#[test]
fn a_beat_is_one_call_a_second_and_none_by_default() {
    let mut vm = started(INBOUND).0;
    let root = vm.root(INBOUND.as_bytes()).unwrap().unwrap();
    assert_eq!(vm.tick_period_ms(root), 0, "without the variable nothing ticks");
    let exporting = br#"{"direction": "inbound", "export": {"otlp": {"cluster": "c"}}}"#;
    let mut vm = vm_of(&std::collections::BTreeMap::new(), SECOND, "shop");
    let root = vm.root(exporting).unwrap().unwrap();
    vm.host_mut().reset_calls();
    for _ in 0..50 {
        vm.host_mut().now_ns += SECOND / 5;
        // A batch that is full makes the plugin tick more often.
        vm.tick(root).unwrap();
        vm.tick(root).unwrap();
    }
    assert_eq!(vm.host().calls_by_name().get("proxy_set_shared_data"), Some(&10), "ten seconds of ticks");
}

#[test]
fn without_a_shared_memory_or_a_clock_a_mistake_is_bypassed() {
    for call in [Call::GetSharedData, Call::SetSharedData, Call::GetCurrentTime] {
        let mut worker = vm_of(&std::collections::BTreeMap::new(), SECOND, "shop");
        let root = worker.root(INBOUND.as_bytes()).unwrap().unwrap();
        worker.tick(root).unwrap();
        let memory = worker.host().shared_data.clone();
        let mut vm = vm_of(&memory, SECOND, "shop");
        vm.host_mut().fault(call, Status::InternalFailure);
        let is_taken = vm.root(BAD_CONFIG.as_bytes()).unwrap().is_some();
        assert_eq!(
            is_taken,
            call != Call::SetSharedData,
            "{call:?}: what cannot be read is not known to run"
        );
    }
}
