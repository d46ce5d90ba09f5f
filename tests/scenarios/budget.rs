//! `max_traces_per_second`: what the whole process may record, by rule and in all.

use proxy_wasm_test_framework::{Call, HeaderMap, Host, Status};

use crate::edge::{RootId, Vm, start};
use crate::scenarios::support::{Line, SAMPLED, UNSAMPLED, counters};

const SECOND: u64 = 1_000_000_000;
const BEGIN: u64 = 1_700_000_000 * SECOND;

/// A worker with this sampling.
fn worker(sampling: &str, host: Host) -> (Vm, RootId) {
    let config = format!(r#"{{"direction": "inbound", "sampling": {{{sampling}}}}}"#);
    let mut vm = start(host);
    let root = vm.root(config.as_bytes()).unwrap().expect(&config);
    (vm, root)
}

fn host() -> Host {
    let mut host = Host::new();
    host.now_ns = BEGIN;
    host.environment.insert("FORCE_SECRET".to_owned(), "open sesame".to_owned());
    host
}

/// Sends a request, and says whether its trace is sampled.
fn send(vm: &mut Vm, root: RootId, lines: &[Line<'_>]) -> bool {
    let stream = vm.stream(root).unwrap();
    vm.request(stream, lines.iter().chain(&[("x-bystander", &b"1"[..])]).copied().collect::<HeaderMap>())
        .unwrap();
    let sent = vm.request_headers(stream).get("traceparent");
    let sampled = sent.is_some_and(|sent| sent.last().is_some_and(|digit| digit & 1 == 1));
    vm.finish(stream).unwrap();
    sampled
}

/// How many of the requests are sampled, of which each comes a part of a second after the one before.
fn sampled(vm: &mut Vm, root: RootId, lines: &[Line<'_>], (requests, a_second): (u64, u64)) -> u64 {
    let mut sampled = 0;
    for _ in 0..requests {
        vm.host_mut().now_ns += SECOND / a_second;
        sampled += u64::from(send(vm, root, lines));
    }
    sampled
}

#[test]
fn a_second_has_as_many_traces_as_the_budget_says() {
    for (budget, requests, least, most) in
        [("10", (1_000, 100), 95, 101), ("0.5", (1_000, 100), 5, 6), ("0", (1_000, 100), 0, 0)]
    {
        let (mut vm, root) = worker(&format!(r#""max_traces_per_second": {budget}"#), host());
        let all = sampled(&mut vm, root, &[(":path", b"/")], requests);
        assert!((least..=most).contains(&all), "{budget}: {all}");
        let told = counters(&vm);
        let count = |words: &str| {
            told.iter().find_map(|line| line.strip_prefix(words)?.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        assert_eq!(count("sampled record probability"), all, "{told:?}");
        assert_eq!(count("sampled drop rate_limit"), 1_000 - all, "{told:?}");
    }
}

#[test]
fn the_budget_is_asked_for_nothing_that_is_decided_otherwise() {
    let force = r#""force": {"header": "x-force", "value_env": "FORCE_SECRET"}"#;
    let rows: &[(&str, &[Line<'_>], bool)] = &[
        (r#""parent": "respect""#, &[("traceparent", SAMPLED)], true),
        (r#""parent": "respect""#, &[("traceparent", UNSAMPLED)], false),
        (r#""parent": "raise""#, &[("traceparent", SAMPLED)], true),
        (force, &[("x-force", b"open sesame")], true),
        (r#""probability": 0"#, &[], false),
    ];
    for (more, lines, is_sampled) in rows {
        let (mut vm, root) = worker(&format!(r#""max_traces_per_second": 1, {more}"#), host());
        for _ in 0..5 {
            assert_eq!(send(&mut vm, root, lines), *is_sampled, "{more}");
        }
        // Nothing was taken of it.
        assert_eq!(
            vm.host().calls_by_name().get("proxy_set_shared_data").copied().unwrap_or(0),
            told(&vm),
            "{more}"
        );
    }
    for parent in ["ignore", "raise"] {
        let sampling = format!(r#""max_traces_per_second": 1, "parent": "{parent}""#);
        let (mut vm, root) = worker(&sampling, host());
        let lines: &[Line<'_>] = &[("traceparent", UNSAMPLED)];
        assert_eq!((send(&mut vm, root, lines), send(&mut vm, root, lines)), (true, false), "{parent}");
    }
}

/// A module says once which build it is.
fn told(vm: &Vm) -> u64 {
    u64::from(vm.host().shared_data.keys().any(|key| key.ends_with(b"tracewarden_build_info")))
}

#[test]
fn a_rule_has_a_budget_of_its_own_within_that_of_all() {
    let rules = r#""rules": [{"match": {"path": "/a"}, "probability": 1, "max_traces_per_second": 2},
        {"match": {"path": "/b"}, "probability": 1}]"#;
    let (mut vm, root) = worker(rules, host());
    let (a, b): (&[Line<'_>], &[Line<'_>]) = (&[(":path", b"/a")], &[(":path", b"/b")]);
    let of_a = sampled(&mut vm, root, a, (1_000, 100));
    assert!((19..=21).contains(&of_a), "{of_a}");
    assert_eq!(sampled(&mut vm, root, b, (100, 100)), 100, "the other rule has none");

    // What the limit of all refuses takes nothing of the rule's.
    let (mut vm, root) = worker(&format!(r#""max_traces_per_second": 1, {rules}"#), host());
    assert!(send(&mut vm, root, b), "the first takes what there is");
    for _ in 0..5 {
        assert!(!send(&mut vm, root, a));
    }
    vm.host_mut().now_ns += SECOND;
    assert!(send(&mut vm, root, a), "the rule still has its own");
}

#[test]
fn both_limits_hold() {
    let limits = r#""max_traces_per_second": 100, "max_traces_per_second_per_worker": 3"#;
    let (mut vm, root) = worker(limits, host());
    let all = sampled(&mut vm, root, &[], (1_000, 100));
    assert!((30..=34).contains(&all), "{all}");
    let limits = r#""max_traces_per_second": 3, "max_traces_per_second_per_worker": 100"#;
    let (mut vm, root) = worker(limits, host());
    let all = sampled(&mut vm, root, &[], (1_000, 100));
    assert!((28..=31).contains(&all), "{all}");
}

/// The workers and a new configuration find what the others have taken.
#[test]
fn workers_and_configurations_share_the_budget() {
    let sampling = r#""max_traces_per_second": 10"#;
    let (mut first, root) = worker(sampling, host());
    let mut of_first = 0;
    for _ in 0..5 {
        of_first += sampled(&mut first, root, &[], (100, 100));
        assert!(first.reconfigure(root, format!(r#"{{"sampling": {{{sampling}}}}}"#).as_bytes()).unwrap());
    }
    assert!((45..=51).contains(&of_first), "{of_first}");
    let mut other = host();
    other.now_ns = first.host().now_ns;
    other.shared_data.clone_from(&first.host().shared_data);
    let (mut second, root) = worker(sampling, other);
    assert!(!send(&mut second, root, &[]), "the first has just taken what there was");
}

/// Observing decides nothing.
#[test]
fn a_mode_that_decides_nothing_takes_nothing() {
    let config = br#"{"direction": "inbound", "mode": "observe", "sampling": {"max_traces_per_second": 1}}"#;
    let mut vm = start(host());
    let root = vm.root(config).unwrap().unwrap();
    for _ in 0..3 {
        let stream = vm.stream(root).unwrap();
        vm.request(stream, [(":path", "/")]).unwrap();
        vm.finish(stream).unwrap();
    }
    assert!(!vm.host().shared_data.keys().any(|key| key.starts_with(b"tracewarden.budget")));
}

#[test]
fn without_a_clock_nothing_is_recorded_and_without_a_shared_memory_the_worker_has_the_budget() {
    let (mut vm, root) = worker(r#""max_traces_per_second": 10"#, host());
    vm.host_mut().fault(Call::GetCurrentTime, Status::InternalFailure);
    assert!(!send(&mut vm, root, &[]));
    for call in [Call::GetSharedData, Call::SetSharedData] {
        let (mut vm, root) = worker(r#""max_traces_per_second": 10"#, host());
        vm.host_mut().fault(call, Status::InternalFailure);
        let all = sampled(&mut vm, root, &[], (1_000, 100));
        assert!((90..=101).contains(&all), "{call:?}: {all}");
    }
}
