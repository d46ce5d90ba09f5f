//! The counters: each has a place and a name of its own.

use std::collections::HashSet;
use tracewarden::words::{
    DecidedBy, Direction, Evidence, Format, HostCall, Mode, Repair, ResponseContext, Role, SamplingDecision,
    Verdict,
};

use tracewarden::config::Config;
use tracewarden::formats::FormatError;
use tracewarden::metrics::{Corruption, Counter, Measure, Metric, MetricKind, Scope};
use tracewarden::w3c::TraceParentError;

#[test]
fn every_counter_has_its_own_place_and_name() {
    let all = Counter::every();
    let places: HashSet<usize> = all.iter().map(|counter| counter.index()).collect();
    let names: HashSet<String> = all.iter().map(Counter::to_string).collect();
    assert_eq!((places.len(), names.len()), (all.len(), all.len()));
    assert!(places.iter().all(|place| *place < Counter::COUNT));
    // What the table has room for and cannot be: W3C's format with another's reasons, a format against itself, the
    // secret and the error that drop, the rate that records, and evidence about what is neither lost nor unlinked.
    let weighed = Mode::ALL.len() * (Verdict::ALL.len() - 2) * Evidence::ALL.len();
    let idle = Direction::ALL.len() * FormatError::ALL.len() + Format::ALL.len() + 3 + weighed;
    assert_eq!(all.len(), Counter::COUNT - idle, "a counter is missing in `Counter::every`");
}

#[test]
fn names_carry_their_labels_as_istio_extracts_them() {
    let rows = [
        (
            Counter::Request {
                direction: Direction::Inbound,
                role: Role::Internal,
                mode: Mode::Enforce,
                context: Verdict::Lost,
            },
            "direction=.=inbound;.;role=.=internal;.;mode=.=enforce;.;context=.=lost;.;tracewarden_requests_total",
        ),
        (
            Counter::Corrupt {
                direction: Direction::Outbound,
                corruption: Corruption::TraceParent(TraceParentError::UpperCase),
            },
            "direction=.=outbound;.;header=.=traceparent;.;reason=.=upper_case;.;tracewarden_corrupt_total",
        ),
        (
            Counter::Repair { direction: Direction::Unspecified, by: Repair::New },
            "direction=.=unspecified;.;by=.=new;.;tracewarden_repairs_total",
        ),
        (
            Counter::Sampled { decision: SamplingDecision::Record, by: DecidedBy::Parent },
            "decision=.=record;.;by=.=parent;.;tracewarden_sampled_total",
        ),
        (
            Counter::Response { context: ResponseContext::Match },
            "context=.=match;.;tracewarden_responses_total",
        ),
        (Counter::Bypassed, "tracewarden_bypassed_total"),
        (
            Counter::HostError { call: HostCall::GetHeaders },
            "call=.=get_header_map_pairs;.;tracewarden_host_errors_total",
        ),
    ];
    for (counter, name) in rows {
        assert_eq!(counter.to_string(), name);
    }
}

#[test]
fn only_what_a_configuration_can_reach_is_expected() {
    let load = |json: &str| Config::load(json.as_bytes(), |_| None).unwrap().config;
    let expected = |json: &str| load(json).expected_counters(Scope::Listener);
    let has =
        |json: &str, part: &str| expected(json).iter().any(|counter| counter.to_string().contains(part));
    assert!(has("{}", "direction=.=outbound") && has("{}", "direction=.=inbound"));
    assert!(!has(r#"{"direction": "inbound"}"#, "outbound"));
    assert!(has("{}", "lost") && !has("{}", "started"));
    assert!(has(r#"{"role": "edge"}"#, "started") && !has(r#"{"role": "edge"}"#, "lost"));
    assert!(has("{}", "repairs") && !has(r#"{"start": "never"}"#, "repairs"));
    assert!(!has(r#"{"mode": "observe"}"#, "repairs") && !has(r#"{"mode": "observe"}"#, "sampled"));
    assert!(has("{}", "by=.=new") && !has("{}", "by=.=request_id"));
    let of_request = r#"{"trace_id_source": "x-request-id", "correlation": {}}"#;
    assert!(has(of_request, "by=.=new") && has(of_request, "by=.=request_id"));
    assert!(!has(of_request, "by=.=correlation") && !has(of_request, "by=.=format"));
    assert!(!has(r#"{"response": {"validate": false}}"#, "responses"));
    assert!(has("{}", "excluded") && !has(r#"{"exclude": []}"#, "excluded"));
    assert!(expected(r#"{"enabled": false}"#).is_empty());
    assert!(has(r#"{"hop": "after"}"#, "hop_total") && has(r#"{"hop": "after"}"#, "requests"));
    assert!(!has("{}", "hop_total") && !has(r#"{"hop": "before"}"#, "hop_total"));
    let audits = expected(r#"{"hop": "after", "mode": "observe"}"#);
    assert!(audits.len() == 8 && audits.iter().all(|counter| matches!(counter, Counter::Hop { .. })));
    let of_export = |json: &str| load(json).expected_counters(Scope::Module);
    assert!(of_export(r#"{"export": {"otlp": {"cluster": "c"}}}"#).contains(&Counter::SpanExported));
    for json in ["{}", r#"{"enabled": false, "export": {"otlp": {"cluster": "c"}}}"#] {
        assert!(of_export(json).is_empty(), "{json}");
    }
}

#[test]
fn every_metric_is_of_the_kind_that_its_name_says() {
    let measures = Measure::every().into_iter().map(Measure::metric);
    let metrics = Counter::every().into_iter().map(Counter::metric).chain(measures);
    for Metric { name, kind, unit, .. } in metrics {
        let expected = match name.rsplit('_').next().unwrap() {
            "total" => MetricKind::Counter,
            "spans" | "flight" | "enabled" => MetricKind::Gauge,
            "ms" | "ns" => MetricKind::Histogram,
            _ => panic!("{name} has a suffix of its own"),
        };
        assert_eq!(kind, expected, "{name}");
        assert!(!unit.is_empty(), "{name}");
    }
}
