//! What the filter does around the core over the life of a plugin, and what is left of its streams in the end.

use std::time::Instant;

use proxy_wasm_test_framework::{HeaderMap, Host, LogLevel};

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
