//! Uploads in a host that fails, and their memory.

use proxy_wasm_test_framework::{Call, Fault, Host, HttpAnswer, LogLevel, Status};

use crate::scenarios::export::{Bench, TWO};
use crate::scenarios::hop::{Hop, OK, attributes};
use crate::scenarios::support::{SAMPLED, counters};

/// The SDK's dispatcher panics there, as the edge's documentation says; no host does it.
#[test]
fn an_answer_to_no_call_ends_the_vm() {
    for token in [0, 1, 2, u32::MAX] {
        let mut bench = Bench::sending(TWO);
        bench.answer(&[(":status", b"200")], b"");
        let trap =
            bench.vm.answer_http(bench.root, token, HttpAnswer::new([(":status", "200")], b"x")).unwrap_err();
        assert_eq!(trap.export, "proxy_on_http_call_response", "{token}");
        assert_eq!(bench.counted(), ["export_batches exported", "spans_exported 2", "spans_recorded 2"]);
    }
}

#[test]
fn a_callout_that_the_host_refuses_is_an_error_of_the_host_unless_it_may_come_to_nothing() {
    for status in (0..=13).chain([u32::MAX]) {
        let mut bench = Bench::new(TWO);
        bench.vm.host_mut().fault(Call::HttpCall, Fault::Status(status));
        bench.send_two();
        let expected: &[&str] = if status == 10 {
            &["export_batches retried", "export_queue_spans 2", "spans_recorded 2"]
        } else {
            &[
                "export_batches not_sent",
                "host_errors http_call",
                "spans_dropped not_sent 2",
                "spans_recorded 2",
            ]
        };
        assert_eq!(bench.counted(), expected, "{status}");
        let lines = bench.vm.host().logged(LogLevel::Warn);
        match status {
            0 => assert!(lines[0].contains("answer to the host call http_call is malformed"), "{lines:?}"),
            10 => assert!(lines.is_empty(), "{lines:?}"),
            _ => assert!(lines[0].contains(&format!("http_call answered status {status};")), "{lines:?}"),
        }
        bench.vm.host_mut().clear_faults();
        bench.spans(2);
        bench.tick_after(1_000);
        bench.answer(&[(":status", b"200")], b"");
        bench.assert_accounted(&format!("{status}, and later"));
        assert!(bench.counted().contains(&"spans_exported 2".to_owned()), "{status}: {:?}", bench.counted());
    }
}

#[test]
fn an_answer_is_heard_though_its_context_cannot_be_entered() {
    for status in (1..=13).chain([u32::MAX]) {
        let mut bench = Bench::sending(TWO);
        bench.vm.host_mut().fault(Call::SetEffectiveContext, Fault::Status(status));
        bench.answer(&[(":status", b"200")], b"");
        let expected = [
            "export_batches exported",
            "host_errors set_effective_context",
            "spans_exported 2",
            "spans_recorded 2",
        ];
        assert_eq!(bench.counted(), expected, "{status}");
        let lines = bench.vm.host().logged(LogLevel::Warn);
        assert!(lines[0].contains(&format!("set_effective_context answered status {status};")), "{lines:?}");
    }
}

#[test]
fn a_host_that_fails_loses_no_span_uncounted_and_hurts_nothing() {
    let calls = [
        Call::GetCurrentTime,
        Call::GetHeaders,
        Call::GetProperty,
        Call::CallForeignFunction,
        Call::HttpCall,
        Call::SetEffectiveContext,
        Call::GetBuffer,
        Call::RecordMetric,
        Call::RandomGet,
        Call::Log,
    ];
    let faults = |call| {
        let mut faults: Vec<Fault> = Status::ALL.into_iter().map(Fault::from).collect();
        faults.push(Fault::Status(13));
        if matches!(call, Call::GetHeaders | Call::GetProperty | Call::GetBuffer | Call::CallForeignFunction)
        {
            faults.extend([Fault::Null, Fault::NullWithSize(9), Fault::Buffer(vec![0xff; 9])]);
        }
        faults
    };
    for protocol in ["http/protobuf", "grpc"] {
        let export =
            format!(r#"{{"otlp": {{"cluster": "c", "protocol": "{protocol}"}}, "batch": 1, "queue": 2}}"#);
        for call in calls {
            for fault in faults(call) {
                let place = format!("{protocol}: {} answers {fault:?}", call.name());
                let mut bench = Bench::new(&export);
                bench.vm.host_mut().fault(call, fault);
                bench.spans(3);
                bench.tick_after(0);
                let mut answered = 0;
                for _ in 0..3 {
                    // Whatever the host does besides, it answers a call once.
                    if let Some(call) = bench.vm.host().http_calls.get(answered) {
                        let token = call.token;
                        let content_type = if protocol == "grpc" { "grpc" } else { "x-protobuf" };
                        let headers =
                            [(":status", "200"), ("content-type", &format!("application/{content_type}"))];
                        let answer =
                            HttpAnswer::new(headers, b"\x0a\0").with_trailers([("grpc-status", "0")]);
                        bench.vm.answer_http(bench.root, token, answer).expect(&place);
                        answered += 1;
                    }
                    bench.tick_after(0);
                }
                bench.assert_accounted(&place);
                bench.vm.host_mut().clear_faults();
                bench.vm.delete_root(bench.root).expect(&place);
                bench.assert_accounted(&place);
            }
        }
    }
}

/// A host without expressions, or whose expressions fail, is asked for each property.
#[test]
fn spans_say_the_same_whatever_an_expression_answers() {
    for config in [r#""direction": "inbound""#, r#""direction": "outbound""#, r#""role": "edge""#] {
        let told = |prepare: &dyn Fn(&mut Hop)| {
            let mut hop = Hop::new(config);
            prepare(&mut hop);
            let done = hop.exchange(&[("traceparent", SAMPLED)], OK, &[]);
            let texts =
                done.spans.iter().map(|span| format!("{} {:?}", span.name, attributes(&span.attributes)));
            let errors = counters(&hop.vm).into_iter().filter(|name| name.starts_with("host_errors"));
            (texts.collect::<Vec<_>>(), errors.collect::<Vec<_>>())
        };
        let healthy = told(&|_| {});
        assert!(!healthy.0.is_empty() && healthy.1.is_empty(), "{healthy:?}");
        let mut host = Hop::host();
        host.has_expressions = false;
        let mut hop = Hop::in_host(config, host);
        hop.exchange(&[("traceparent", SAMPLED)], OK, &[]);
        let made = hop.vm.host().calls_by_name();
        assert_eq!(made.get("proxy_call_foreign_function"), Some(&3), "it is asked for them once");
        assert!(made["proxy_get_property"] > 5, "{made:?}");
        assert!(!counters(&hop.vm).iter().any(|name| name.starts_with("host_errors")), "that is no error");

        let mut faults: Vec<Fault> = (1..=13).map(Fault::Status).collect();
        faults.extend([
            Fault::Null,
            Fault::NullWithSize(9),
            Fault::Buffer(vec![0xff; 9]),
            Fault::Buffer(vec![1]),
        ]);
        for fault in faults {
            let struck = told(&|hop| hop.vm.host_mut().fault(Call::CallForeignFunction, fault.clone()));
            let counted: &[&str] = match fault {
                // What Envoy answers if a stream lacks what others have; no bytes are no values.
                Fault::Status(10) | Fault::Null => &[],
                _ => &["host_errors call_foreign_function"],
            };
            assert_eq!(struck.1, counted, "{fault:?}");
            if !matches!(fault, Fault::Null) {
                assert_eq!(struck.0, healthy.0, "{config} {fault:?}");
            }
        }
    }
}

/// Plugins share a queue, so a listener has no part of its counts.
#[test]
fn spans_are_counted_for_the_vm_and_not_for_a_listener() {
    let config = r#"{"direction": "inbound", "metrics": {"listener": "edge"}, "export": {"otlp": {"cluster": "c"}, "batch": 1, "queue": 1}}"#;
    let mut bench = Bench::with(config, Host::new());
    bench.spans(2);
    bench.tick_after(0);
    bench.answer(&[(":status", b"200")], b"");
    let of_spans = |name: &str| name.contains("tracewarden_spans_") || name.contains("tracewarden_export_");
    let metrics = bench.vm.host().metrics();
    let counted: Vec<_> = metrics.iter().filter(|(name, count)| of_spans(name) && *count > 0).collect();
    assert!(counted.len() > 3, "{counted:?}");
    assert!(!counted.iter().any(|(name, _)| name.contains("listener")), "{counted:?}");
}

#[test]
fn many_spans_take_no_more_memory_than_the_queue() {
    let mut bench = Bench::new(r#"{"otlp": {"cluster": "c"}, "queue_bytes": 262144, "batch": 100}"#);
    bench.spans(2_000);
    let before = bench.vm.memory_bytes();
    for _ in 0..10 {
        bench.spans(2_000);
        bench.tick_after(5_000);
        if bench.calls() > 0 {
            bench.answer(&[(":status", b"200")], b"");
        }
    }
    bench.assert_accounted("load");
    let grown = bench.vm.memory_bytes() - before;
    assert!(grown <= 1 << 20, "{grown} bytes more");
}
