//! The counters: each has a place and a name of its own.

use std::collections::HashSet;
use tracewarden::words::{
    CountBy, DecidedBy, Direction, Evidence, Format, HostCall, Mode, Repair, ResponseContext, Role,
    SamplingDecision, Verdict,
};

use tracewarden::config::Config;
use tracewarden::formats::FormatError;
use tracewarden::host::SharedMemory;
use tracewarden::metrics::{Corruption, Counter, Measure, Metric, MetricKind, Scope};
use tracewarden::names::MAX_NAMES;
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
    let expected = |json: &str| {
        let of = |scope| load(json).expected_counters(scope);
        [of(Scope::Destination), of(Scope::Listener)].concat()
    };
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

/// A memory that workers share, and in which another worker can come first.
#[derive(Default)]
struct Memory {
    list: Option<(Vec<u8>, u32)>,
    /// What another worker writes before the next write of this one.
    rival: Option<&'static str>,
    calls: usize,
}

impl SharedMemory for Memory {
    fn recall(&mut self, _: &str) -> Option<(Vec<u8>, u32)> {
        self.calls += 1;
        self.list.clone()
    }

    fn remember(&mut self, _: &str, value: &[u8], version: Option<u32>) -> bool {
        self.calls += 1;
        if let Some(rival) = self.rival.take() {
            let (mut list, version) = self.list.take().unwrap_or_default();
            list.extend_from_slice(rival.as_bytes());
            self.list = Some((list, version + 1));
        }
        let now = self.list.as_ref().map(|(_, version)| *version);
        if version.is_some() && version != now {
            return false;
        }
        self.list = Some((value.to_vec(), now.unwrap_or_default() + 1));
        true
    }
}

fn admitted(name: &str, known: &mut Vec<u8>, memory: &mut Memory) -> String {
    CountBy::Cluster.admitted(CountBy::Cluster.label_of(name.as_bytes()), known, memory)
}

#[test]
fn a_name_becomes_a_label_that_every_sink_takes() {
    let label = |name: &[u8]| CountBy::Cluster.label_of(name);
    assert_eq!(label(b"own-1.example_a"), "own-1.example_a");
    assert_eq!(label(b"outbound|80||cart.shop.svc.cluster.local"), "outbound_80_cart.shop.svc.cluster.local");
    assert_eq!(label(b"a;.;context=.=lost"), "a_._context_._lost");
    assert_eq!(label(b"a\n\xff\0b"), "a_b");
    assert_eq!(label(b""), "none");
    assert_eq!(label(&[b'a'; 1000]).len(), 128);
}

#[test]
fn the_first_names_of_the_process_have_labels() {
    let (mut memory, mut first, mut second) = (Memory::default(), Vec::new(), Vec::new());
    for number in 0..MAX_NAMES {
        let name = format!("cluster-{number}");
        assert_eq!(admitted(&name, &mut first, &mut memory), name);
    }
    // Another worker takes them from there, and has no room for others either.
    assert_eq!(admitted("cluster-7", &mut second, &mut memory), "cluster-7");
    for known in [&mut first, &mut second] {
        let calls = memory.calls;
        assert_eq!(admitted("late", known, &mut memory), "other");
        assert_eq!(admitted("cluster-99", known, &mut memory), "cluster-99");
        assert_eq!(memory.calls, calls, "a full list is not read again");
    }
}

#[test]
fn workers_that_write_at_the_same_time_lose_no_name() {
    for written in [None, Some((b"a\n".to_vec(), 1))] {
        let mut memory = Memory { list: written.clone(), rival: Some("rival\n"), calls: 0 };
        let mut known = Vec::new();
        assert_eq!(admitted("mine", &mut known, &mut memory), "mine");
        let list = memory.list.clone().unwrap().0;
        assert_eq!(known, list);
        // The first write knows no version and wins; the rival reads its name again, does not find it, and writes once more.
        let mut of_rival = Vec::new();
        assert_eq!(admitted("rival", &mut of_rival, &mut memory), "rival");
        let list = String::from_utf8(memory.list.unwrap().0).unwrap();
        assert!(list.contains("mine\n") && list.contains("rival\n"), "{list}");
    }
}

/// A host without such a memory: no name is in all workers, so none has a label.
#[test]
fn without_a_shared_memory_every_name_is_other() {
    struct Forgetful;
    impl SharedMemory for Forgetful {}
    assert_eq!(CountBy::VirtualHost.admitted("own".to_owned(), &mut Vec::new(), &mut Forgetful), "other");
}
