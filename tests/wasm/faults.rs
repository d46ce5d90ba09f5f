//! A host that fails: every call that the module makes is answered with everything that it may and may not be.

mod bench;
mod cases;
mod check;
mod plan;

use std::collections::{BTreeMap, BTreeSet};

use proxy_wasm_test_framework::{Call, Fault, LogLevel, Status, Vm};

use crate::edge::MODULE;
use crate::scenarios::support::{SAMPLED, UPPER, counters};
use bench::{Bench, Exchange, Outcome};
use cases::{CASES, Case, NEW};
use check::{Problems, configured, request_struck, response_struck};
use plan::{ELSEWHERE, Strike, USED, answers, label};

/// When the host fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Configure,
    Request,
    Response,
}

#[test]
fn every_import_is_in_the_table() {
    let name = |call: &Call| format!("{}.{}", call.module(), call.name());
    let mut listed: Vec<String> = USED.iter().map(|(call, _)| name(call)).collect();
    listed.extend(ELSEWHERE.iter().map(|name| (*name).to_owned()));
    listed.sort_unstable();
    assert_eq!(MODULE.imports(), listed, "a new host call needs a row in tests/wasm/faults/plan.rs");
}

#[test]
fn every_call_in_the_table_is_struck() {
    let mut struck = BTreeSet::new();
    for case in CASES {
        struck.extend(Outcome::healthy(case).calls.into_values().flat_map(BTreeMap::into_keys));
    }
    let listed: BTreeSet<Call> = USED.iter().map(|(call, _)| *call).collect();
    assert_eq!(struck, listed, "the calls that the cases make");
}

#[test]
fn a_request_goes_on_whatever_a_call_answers() {
    sweep(Phase::Request, request_struck);
}

#[test]
fn a_response_goes_on_whatever_a_call_answers() {
    sweep(Phase::Response, response_struck);
}

#[test]
fn a_configuration_is_loaded_or_refused_whatever_a_call_answers() {
    sweep(Phase::Configure, configured);
}

#[test]
fn two_calls_that_fail_together_leave_a_context_whole() {
    let mut problems = Problems::default();
    for case in CASES {
        let healthy = Outcome::healthy(case);
        for first in [Call::RandomGet, Call::ReplaceHeader, Call::RemoveHeader, Call::GetCurrentTime] {
            for (second, _) in USED.iter().filter(|(call, _)| *call != first) {
                let strike = Strike::pair(first, *second);
                let found = request_struck(case, &healthy, &strike);
                problems.note(case.name, &strike, found);
            }
        }
    }
    problems.none();
}

/// Strikes each call that a case makes with each answer, always and one at a time.
fn sweep(phase: Phase, check: fn(&Case, &Outcome, &Strike) -> Vec<String>) {
    let mut problems = Problems::default();
    for case in CASES {
        let healthy = Outcome::healthy(case);
        for (call, made) in healthy.calls.get(&phase).into_iter().flatten() {
            for fault in answers(*call, case) {
                let strike = Strike::always(*call, fault);
                problems.note(case.name, &strike, check(case, &healthy, &strike));
            }
            for nth in 1..=*made {
                let strike = Strike::nth(*call, nth);
                problems.note(case.name, &strike, check(case, &healthy, &strike));
            }
        }
    }
    problems.none();
}

#[test]
fn without_random_bytes_nothing_is_started_until_there_are_some() {
    let case = Case { name: "corrupt", config: NEW, request: &[("traceparent", UPPER)], response: &[] };
    let mut bench = Bench::new(&case);
    bench.vm.host_mut().fault(Call::RandomGet, Fault::Status(52));
    for _ in 0..3 {
        let Exchange { request, response, .. } = bench.exchange(&case, None).unwrap();
        let sent = (request.get("traceparent"), response.get("traceparent"));
        assert_eq!(sent, (None, None), "TP-43: no other source stands in");
    }
    // A context that is valid goes on as it came.
    let valid = Case { request: &[("traceparent", SAMPLED)], ..case };
    let Exchange { request, response, .. } = bench.exchange(&valid, None).unwrap();
    assert_eq!(request.lines("traceparent"), [SAMPLED]);
    assert_eq!(response.lines("traceparent"), [SAMPLED]);
    let counted = counters(&bench.vm);
    for counter in ["host_errors random_get 4", "requests inbound internal enforce corrupt 3"] {
        assert!(counted.contains(&counter.to_owned()), "{counted:?}");
    }
    assert!(!counted.iter().any(|counter| counter.starts_with("repairs")), "{counted:?}");
    bench.vm.host_mut().clear_faults();
    let Exchange { request, response, .. } = bench.exchange(&case, None).unwrap();
    assert_eq!(request.lines("traceparent").len(), 1);
    assert_eq!(request.lines("traceparent"), response.lines("traceparent"));
    assert!(counters(&bench.vm).contains(&"repairs inbound new".to_owned()));
}

/// A border stays closed as far as the host lets it: a header that cannot be rewritten is removed, and what cannot be
/// read is removed unseen.
#[test]
fn at_a_border_a_host_that_fails_shows_the_caller_no_trace() {
    const TALKS: [(&str, &[u8]); 6] = [
        ("traceparent", SAMPLED),
        ("traceresponse", SAMPLED),
        ("x-trace-id", b"0af7651916cd43dd8448eb211c80319c"),
        ("server-timing", b"db, trace;desc=x"),
        ("server-timing", b"total"),
        ("x-tenant", b"blue"),
    ];
    const NAMES: [&str; 4] = ["traceparent", "traceresponse", "x-trace-id", "server-timing"];
    let silent = r#""role": "edge", "response": {"inject": []}"#;
    let told = r#""role": "edge", "response": {"inject": ["traceparent", "server-timing", {"header": "x-trace-id"}]}"#;
    // Which call fails, and which headers are then left.
    let rows: &[(&str, Option<Call>, &[&str])] = &[
        (silent, None, &["x-trace-id", "server-timing"]),
        (silent, Some(Call::GetHeaders), &["x-trace-id"]),
        (silent, Some(Call::ReplaceHeader), &["x-trace-id"]),
        (silent, Some(Call::AddHeader), &["x-trace-id", "server-timing"]),
        (silent, Some(Call::IncrementMetric), &["x-trace-id", "server-timing"]),
        (told, None, &["traceparent", "x-trace-id", "server-timing"]),
        (told, Some(Call::GetHeaders), &[]),
        (told, Some(Call::ReplaceHeader), &[]),
    ];
    for (config, call, left) in rows {
        let mut vm = Vm::start(&MODULE).unwrap();
        let root = vm.root(format!("{{{config}}}").as_bytes()).unwrap().unwrap();
        let stream = vm.stream(root).unwrap();
        vm.request(stream, [(":path", "/")]).unwrap();
        if let Some(call) = call {
            vm.host_mut().fault(*call, Status::InternalFailure);
        }
        vm.response(stream, TALKS).unwrap();
        let response = vm.response_headers(stream);
        let found: Vec<&str> = NAMES.into_iter().filter(|name| response.get(name).is_some()).collect();
        assert_eq!(found, *left, "{config} {call:?}");
        assert_eq!(response.lines("x-tenant"), [b"blue"]);
        let traces = response.lines("traceparent").len() + response.lines("traceresponse").len();
        assert!(!response.lines("traceparent").contains(&SAMPLED) && traces <= 1, "{config} {call:?}");
        assert!(!response.lines("server-timing").contains(&TALKS[3].1), "{config} {call:?}");
    }
}

#[test]
fn a_configuration_that_does_not_arrive_is_not_taken_for_an_empty_one() {
    let lost = [
        Fault::from(Status::Ok),
        Status::NotFound.into(),
        Fault::Null,
        Fault::NullWithSize(20),
        Fault::Buffer(Vec::new()),
        Fault::Buffer(b"    ".to_vec()),
    ];
    let mut problems = Vec::new();
    for fault in lost {
        let mut vm = Vm::start(&MODULE).unwrap();
        vm.host_mut().fault(Call::GetBuffer, fault.clone());
        if vm.root(br#"{"mode": "observe"}"#).unwrap().is_some() {
            problems.push(format!("{fault:?}: the plugin starts with the defaults, and enforces"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn an_environment_of_any_bytes_is_read() {
    let mut vm = Vm::start(&MODULE).unwrap();
    let variables = &mut vm.host_mut().environment;
    variables.insert(String::new(), String::new());
    variables.insert("TRACE_SAMPLING_RATES".to_owned(), "x".to_owned());
    variables.insert("HUGE".to_owned(), "x".repeat(1 << 20));
    variables.insert("TRACE_HEADER_NAME".to_owned(), "x-trace".to_owned());
    let root = vm.root(b"").unwrap().unwrap();
    let stream = vm.stream(root).unwrap();
    vm.request(stream, [(":path", "/")]).unwrap();
    assert!(vm.request_headers(stream).get("x-trace").is_some());
}

#[test]
fn each_call_that_fails_is_logged_once_for_all_plugins() {
    let mut vm = Vm::start(&MODULE).unwrap();
    let roots = [NEW, r#""direction": "outbound", "parent_id": "new""#]
        .map(|config| vm.root(format!("{{{config}}}").as_bytes()).unwrap().unwrap());
    vm.host_mut().fault(Call::ReplaceHeader, Status::BadArgument);
    vm.host_mut().fault(Call::GetHeader, Status::InternalFailure);
    for root in roots.into_iter().cycle().take(20) {
        let stream = vm.stream(root).unwrap();
        vm.request(stream, [("traceparent", SAMPLED)]).unwrap();
        vm.response(stream, [(":status", "200")]).unwrap();
        vm.finish(stream).unwrap();
    }
    let lines = vm.host().logged(LogLevel::Warn);
    for call in [Call::ReplaceHeader, Call::GetHeader] {
        let about = lines.iter().filter(|line| line.contains(label(call).unwrap())).count();
        assert_eq!(about, 1, "{}: {lines:?}", call.name());
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
}
