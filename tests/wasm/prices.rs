//! What each scenario costs: its host calls and its instructions, exactly.
//!
//! `tests/data/prices.txt` is the table. If a change of it is meant, let the test write it anew, and look at the
//! difference:
//!
//! ```sh
//! make build && UPDATE_PRICES=1 cargo test -p tracewarden-proxy-wasm --test wasm prices && git diff tests/data/prices.txt
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use proxy_wasm_test_framework::{HeaderMap, Host, Vm};

use crate::edge::MODULE;
use crate::scenarios::support::{INBOUND, Line, NEW, OBSERVE, OTHER, SAMPLED, UNSAMPLED, UPPER};

/// A configuration, and a request and its response under it.
struct Scenario {
    name: &'static str,
    config: &'static str,
    request: &'static [Line<'static>],
    response: &'static [Line<'static>],
}

/// What a filter with `"hop": "before"` leaves of a request with a `traceparent` alone, here one of trace 1 and span 2.
const HOP_RECORD: [u8; 200] = {
    let mut record = [0; 200];
    record[0] = 1;
    record[2] = 1;
    record[16] = 1;
    record[24] = 2;
    record
};
/// Streams before those that are measured: metrics are defined by then, and memory has its size.
const WARM_UP: u32 = 16;
/// Streams that are measured; the generator of ids computes a block for every ten or so.
const MEASURED: u32 = 64;

const STATE: &[u8] = b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7";
const MATCHES: &[Line<'_>] = &[("traceparent", SAMPLED)];
/// A list of as many members as it may have, with keys that differ in two digits.
const FULL: &[u8] =
    b"vendor00@tenant=value-00,vendor01@tenant=value-01,vendor02@tenant=value-02,vendor03@tenant=value-03,\
    vendor04@tenant=value-04,vendor05@tenant=value-05,vendor06@tenant=value-06,vendor07@tenant=value-07,\
    vendor08@tenant=value-08,vendor09@tenant=value-09,vendor10@tenant=value-10,vendor11@tenant=value-11,\
    vendor12@tenant=value-12,vendor13@tenant=value-13,vendor14@tenant=value-14,vendor15@tenant=value-15,\
    vendor16@tenant=value-16,vendor17@tenant=value-17,vendor18@tenant=value-18,vendor19@tenant=value-19,\
    vendor20@tenant=value-20,vendor21@tenant=value-21,vendor22@tenant=value-22,vendor23@tenant=value-23,\
    vendor24@tenant=value-24,vendor25@tenant=value-25,vendor26@tenant=value-26,vendor27@tenant=value-27,\
    vendor28@tenant=value-28,vendor29@tenant=value-29,vendor30@tenant=value-30,vendor31@tenant=value-31";
const TRACED: &[Line<'_>] = &[("traceparent", SAMPLED), ("tracestate", STATE)];

const MANY: &[Line<'_>] = &[
    ("accept", b"*/*"),
    ("accept-language", b"en-GB,en;q=0.8"),
    ("authorization", b"Bearer 0123456789abcdef0123456789abcdef"),
    ("cache-control", b"no-cache"),
    ("cookie", b"session=0123456789abcdef; theme=dark"),
    ("if-none-match", b"W/\"0815\""),
    ("origin", b"https://shop.example.org"),
    ("pragma", b"no-cache"),
    ("referer", b"https://shop.example.org/cart"),
    ("x-forwarded-for", b"203.0.113.7, 10.0.0.7"),
    ("x-forwarded-host", b"shop.example.org"),
    ("x-forwarded-port", b"443"),
    ("x-envoy-attempt-count", b"1"),
    ("x-envoy-external-address", b"203.0.113.7"),
    ("x-tenant", b"blue"),
    ("traceparent", SAMPLED),
];

const EDGE: &str = r#"{"direction": "inbound", "role": "edge"}"#;
const BUDGET: &str = r#"{"direction": "inbound", "role": "edge", "sampling": {"max_traces_per_second": 1}}"#;
const BY_CLUSTER: &str =
    r#"{"direction": "inbound", "egress": [{"match": {"cluster": "partner"}, "strip": "all"}]}"#;
const EDGE_SILENT: &str = r#"{"direction": "inbound", "role": "edge", "response": {"inject": []}}"#;
const TWICE: &[Line<'_>] = &[("traceparent", SAMPLED), ("traceparent", SAMPLED)];
const TALKS: &[Line<'_>] = &[
    ("traceparent", OTHER),
    ("traceresponse", OTHER),
    ("server-timing", b"db;dur=5, trace;desc=00-11111111111111111111111111111111-2222222222222222-01"),
];
const NEVER: &str = r#"{"direction": "inbound", "start": "never"}"#;
const AUTO: &str = r#"{"direction": "auto"}"#;
const IGNORE: &str = r#"{"direction": "inbound", "sampling": {"parent": "ignore"}}"#;
const EXCLUDE: &str =
    r#"{"direction": "inbound", "exclude": [{"path": "/healthz"}, {"path_prefix": "/cart"}]}"#;
const EXCLUDE_OTHERS: &str =
    r#"{"direction": "inbound", "exclude": [{"path": "/healthz"}, {"user_agent_prefix": "kube-probe/"}]}"#;
const FILTER_STATE: &str = r#"{"direction": "inbound", "access_log": {"filter_state": true}}"#;
const VERDICT: &str = r#"{"direction": "inbound", "access_log": {"verdict": "every"}}"#;
const BROKEN: &str = r#"{"direction": "inbound", "access_log": {"verdict": "broken"}}"#;
const REMEMBER: &str = r#"{"direction": "inbound", "correlation": {}}"#;
const RECALL: &str = r#"{"direction": "outbound", "correlation": {}}"#;
const EVERY_FORM: &str =
    r#"{"direction": "inbound", "response": {"inject": ["traceparent", "traceresponse", "server-timing"]}}"#;
const EXPORT: &str = r#"{"direction": "inbound", "export": {"otlp": {"cluster": "collector"}}}"#;
const EXPORT_PAIR: &str =
    r#"{"direction": "inbound", "role": "edge", "export": {"otlp": {"cluster": "collector"}}}"#;
const COUNTED_BY: &str = r#"{"direction": "inbound", "metrics": {"by": "cluster"}}"#;
const HOP_BEFORE: &str = r#"{"direction": "inbound", "hop": "before"}"#;
const HOP_OBSERVED: &str = r#"{"direction": "inbound", "mode": "observe", "hop": "before"}"#;
const HOP_AFTER: &str = r#"{"direction": "inbound", "mode": "observe", "hop": "after"}"#;
const TWO_FORMATS: &str = r#"{"direction": "inbound", "propagation": {"inject": ["tracecontext", "b3"]}}"#;
const SILENT: &str = r#"{"direction": "inbound", "response": {"validate": false, "inject": []}}"#;

#[rustfmt::skip]
const SCENARIOS: &[Scenario] = &[
    Scenario { name: "forwarded", config: INBOUND, request: MATCHES, response: MATCHES },
    Scenario { name: "forwarded, with tracestate", config: INBOUND, request: TRACED, response: MATCHES },
    Scenario { name: "forwarded, among 26 headers", config: INBOUND, request: MANY, response: &[] },
    Scenario { name: "new parent-id", config: NEW, request: MATCHES, response: &[] },
    Scenario { name: "forwarded, 32 members", config: INBOUND,
        request: &[("traceparent", SAMPLED), ("tracestate", FULL)], response: MATCHES },
    Scenario { name: "new parent-id, tracestate verbatim", config: NEW, request: TRACED, response: &[] },
    Scenario { name: "new parent-id, tracestate rewritten", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", STATE), ("tracestate", b"ot=th:8;x:1")], response: &[] },
    Scenario { name: "flag set by this hop", config: IGNORE, request: &[("traceparent", UNSAMPLED)], response: &[] },
    Scenario { name: "bad tracestate removed", config: INBOUND,
        request: &[("traceparent", SAMPLED), ("tracestate", b"=")], response: MATCHES },
    Scenario { name: "started at the edge", config: EDGE, request: &[], response: &[] },
    Scenario { name: "egress by cluster", config: BY_CLUSTER, request: MATCHES, response: &[] },
    Scenario { name: "counted by cluster", config: COUNTED_BY, request: MATCHES, response: MATCHES },
    Scenario { name: "started over the budget", config: BUDGET, request: &[], response: &[] },
    Scenario { name: "lost, repaired", config: INBOUND, request: &[], response: &[] },
    Scenario { name: "corrupt, repaired", config: INBOUND,
        request: &[("traceparent", UPPER), ("tracestate", STATE)], response: &[] },
    Scenario { name: "corrupt, removed", config: NEVER,
        request: &[("traceparent", UPPER), ("tracestate", STATE)], response: &[] },
    Scenario { name: "observed", config: OBSERVE, request: TRACED, response: MATCHES },
    Scenario { name: "observed, corrupt", config: OBSERVE, request: &[("traceparent", UPPER)], response: MATCHES },
    Scenario { name: "direction asked of the host", config: AUTO, request: MATCHES, response: MATCHES },
    Scenario { name: "excluded", config: EXCLUDE, request: MATCHES, response: MATCHES },
    Scenario { name: "not excluded", config: EXCLUDE_OTHERS, request: MATCHES, response: MATCHES },
    Scenario { name: "filter state", config: FILTER_STATE, request: MATCHES, response: MATCHES },
    Scenario { name: "verdict", config: VERDICT, request: MATCHES, response: MATCHES },
    Scenario { name: "verdict, not broken", config: BROKEN, request: MATCHES, response: MATCHES },
    Scenario { name: "remembered", config: REMEMBER, request: MATCHES, response: MATCHES },
    Scenario { name: "unlinked, with evidence", config: RECALL, request: MATCHES, response: MATCHES },
    Scenario { name: "lost, with evidence", config: RECALL, request: &[], response: &[] },
    Scenario { name: "response of another trace", config: INBOUND, request: MATCHES, response: &[("traceparent", OTHER)] },
    Scenario { name: "response in every form", config: EVERY_FORM, request: MATCHES, response: &[] },
    Scenario { name: "response of two lines", config: INBOUND, request: MATCHES, response: TWICE },
    Scenario { name: "response at the edge", config: EDGE, request: &[], response: TALKS },
    Scenario { name: "response at a silent edge", config: EDGE_SILENT, request: &[], response: TALKS },
    Scenario { name: "response left alone", config: SILENT, request: MATCHES, response: MATCHES },
    Scenario { name: "span recorded", config: EXPORT, request: TRACED, response: &[] },
    Scenario { name: "pair of spans recorded", config: EXPORT_PAIR, request: &[], response: &[] },
    Scenario { name: "exports, not sampled", config: EXPORT, request: &[("traceparent", UNSAMPLED)], response: &[] },
    Scenario { name: "hop audit, before", config: HOP_BEFORE, request: MATCHES, response: MATCHES },
    Scenario { name: "hop audit, before, observed", config: HOP_OBSERVED, request: MATCHES, response: MATCHES },
    Scenario { name: "hop audit, after, another trace", config: HOP_AFTER, request: MATCHES, response: MATCHES },
    Scenario { name: "two formats", config: TWO_FORMATS, request: MATCHES, response: &[] },
    Scenario { name: "two formats, among 26 headers", config: TWO_FORMATS, request: MANY, response: &[] },
    Scenario { name: "switched off", config: r#"{"enabled": false}"#, request: MATCHES, response: MATCHES },
];

#[test]
fn every_scenario_costs_what_the_table_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/prices.txt");
    let now = table(0);
    if std::env::var_os("UPDATE_PRICES").is_some() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    let told = std::fs::read_to_string(&path).unwrap_or_default();
    let differs: Vec<String> = now
        .lines()
        .filter(|line| !told.lines().any(|told| told == *line))
        .map(|line| format!("now:  {line}"))
        .chain(
            told.lines()
                .filter(|line| !now.lines().any(|now| now == *line))
                .map(|line| format!("told: {line}")),
        )
        .collect();
    assert!(
        told == now,
        "The prices are not those of tests/data/prices.txt:\n\n{}\n\nThe table as it is now:\n\n{now}\n\
        The module must be new (`make build`) and made by the toolchain of rust-toolchain.toml. If the change is \
        meant:\n    UPDATE_PRICES=1 cargo test -p tracewarden-proxy-wasm --test wasm prices\n",
        differs.join("\n")
    );
}

#[test]
fn prices_are_the_same_in_every_run() {
    assert_eq!(table(0), table(0));
    // Other ids may take other branches, but no other calls.
    let without_fuel = |table: String| -> Vec<String> {
        let calls =
            |line: &str| line.split("  ").filter(|cell| cell.trim().parse::<u64>().is_err()).collect();
        table.lines().map(calls).collect()
    };
    assert_eq!(without_fuel(table(0)), without_fuel(table(1)));
}

/// The whole table, with the ids that this seed makes.
fn table(seed: u64) -> String {
    let mut table = String::from(
        "# What a stream costs in the test host: instructions (wasmtime's fuel, the mean of 64 streams) and host calls.\n\
         # Written by UPDATE_PRICES=1 cargo test -p tracewarden-proxy-wasm --test wasm prices\n",
    );
    for (place, scenario) in SCENARIOS.iter().enumerate() {
        let passes =
            ["create", "request", "response", "log", "delete"].into_iter().zip(scenario.prices(seed));
        // Without a span or a second format, the first callback and the last two are the same everywhere.
        let is_read_again =
            ["export", "inject\": [\"tracecontext\", "].iter().any(|one| scenario.config.contains(one));
        let differs = |pass: &str| pass.starts_with("re") || pass == "log" && is_read_again;
        for (pass, (fuel, calls)) in passes.filter(|(pass, _)| place == 0 || differs(pass)) {
            let line = format!("{:<36}{pass:<9}{fuel:>7}  {}", scenario.name, calls.join(", "));
            writeln!(table, "{}", line.trim_end()).expect("a string takes any text");
        }
    }
    table
}

impl Scenario {
    /// The fuel and the host calls of each callback.
    fn prices(&self, seed: u64) -> [(u64, Vec<String>); 5] {
        let mut host = Host::new();
        host.seed(seed);
        host.set_property(&["xds", "listener_direction"], 1_u64.to_le_bytes());
        // What Envoy knows of every stream.
        host.set_property(&["source", "address"], "10.0.0.7:1234");
        host.set_property(&["request", "protocol"], "HTTP/1.1");
        host.set_property(&["response", "code_details"], "via_upstream");
        host.set_property(&["request", "size"], 0_u64.to_le_bytes());
        host.set_property(&["response", "size"], 5_u64.to_le_bytes());
        host.set_property(&["tracewarden.hop"], HOP_RECORD);
        let mut vm = Vm::with(&MODULE, host).expect("the module starts");
        let root = vm.root(self.config.as_bytes()).expect("no trap").expect(self.config);
        let [request, response] = [(REQUEST, self.request), (RESPONSE, self.response)].map(lines);
        let mut sums = [0; 5];
        let mut calls: Option<[Vec<String>; 5]> = None;
        let mut number = 0;
        while number < WARM_UP + MEASURED {
            let stream = vm.stream(root).expect("no trap");
            let mut now = [take(&mut vm), (0, vec![]), (0, vec![]), (0, vec![]), (0, vec![])];
            let [_, asked, answered, logged, deleted] = &mut now;
            vm.request(stream, request.clone()).expect("no trap");
            *asked = take(&mut vm);
            vm.response(stream, response.clone()).expect("no trap");
            *answered = take(&mut vm);
            vm.log(stream).expect("no trap");
            *logged = take(&mut vm);
            vm.delete(stream).expect("no trap");
            *deleted = take(&mut vm);
            // One pass in 63 reads the clock, and one request in 17 is read again; it is not the price of a stream.
            let is_timed = now.iter().any(|(_, calls)| calls.contains(&"record_metric".to_owned()));
            let is_read_again = now[3].1.contains(&"2 get_header_map_value".to_owned());
            // Only what may be of another trace is worth reading all headers for.
            assert!(!is_read_again || now[3].1.len() == 1, "{}: {:?}", self.name, now[3]);
            number += u32::from(!is_timed && !is_read_again);
            if is_timed || is_read_again || number <= WARM_UP {
                continue;
            }
            let (fuel, made): (Vec<u64>, Vec<Vec<String>>) = now.into_iter().unzip();
            sums.iter_mut().zip(fuel).for_each(|(sum, fuel)| *sum += fuel);
            let made: [Vec<String>; 5] = made.try_into().expect("five callbacks");
            assert_eq!(*calls.get_or_insert(made.clone()), made, "{}: the calls of every stream", self.name);
        }
        let mut calls = calls.expect("streams were measured").into_iter();
        sums.map(|sum| (sum / u64::from(MEASURED), calls.next().unwrap_or_default()))
    }
}

/// The fuel and the host calls since the last time that somebody asked.
fn take(vm: &mut Vm) -> (u64, Vec<String>) {
    let calls: BTreeMap<&str, u64> = vm.host().calls_by_name();
    let words = calls.into_iter().map(|(name, count)| {
        let name = name.trim_start_matches("proxy_");
        if count == 1 { name.to_owned() } else { format!("{count} {name}") }
    });
    let words = words.collect();
    vm.host_mut().reset_calls();
    (vm.fuel_used(), words)
}

/// What a request has besides, coming from Envoy.
const REQUEST: &[Line<'_>] = &[
    (":authority", b"cart.shop.svc.cluster.local:8080"),
    (":path", b"/cart/items?currency=EUR"),
    (":method", b"POST"),
    (":scheme", b"http"),
    ("user-agent", b"Go-http-client/1.1"),
    ("content-length", b"342"),
    ("content-type", b"application/json"),
    ("accept-encoding", b"gzip"),
    ("x-forwarded-proto", b"http"),
    ("x-request-id", b"b1c7ac1b-83b9-9a2f-8b62-bd5c8f7a4c11"),
];

const RESPONSE: &[Line<'_>] = &[
    (":status", b"200"),
    ("content-type", b"application/json"),
    ("date", b"Sun, 22 Nov 2026 10:00:00 GMT"),
    ("content-length", b"1024"),
    ("x-envoy-upstream-service-time", b"4"),
];

fn lines((always, more): (&[Line<'_>], &[Line<'_>])) -> HeaderMap {
    always.iter().chain(more).copied().collect()
}
