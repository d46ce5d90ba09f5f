//! The hop audit: two filters of one stream. The host of these tests has a stream for each of them, so a test carries over what
//! the first one leaves.

use proxy_wasm_test_framework::HeaderMap;

use crate::scenarios::support::{
    Line, NEW, OTHER, SAMPLED, UPPER, bystanders, counters, request, respond, started, with_bystanders,
};

const BEFORE: &str = r#"{"direction": "inbound", "hop": "before"}"#;
const AFTER: &str = r#"{"direction": "inbound", "hop": "after"}"#;
const WATCHES_BEFORE: &str = r#"{"direction": "inbound", "mode": "observe", "hop": "before"}"#;
const AUDITS: &str =
    r#"{"direction": "inbound", "mode": "observe", "hop": "after", "access_log": {"filter_state": true}}"#;
/// The upstream's filter gives every request a parent-id of its own.
const WRITES_AFTER: &str = r#"{"direction": "inbound", "parent_id": "new", "hop": "after"}"#;

const TRACED: &[Line<'_>] = &[("traceparent", SAMPLED), ("tracestate", b"a=1")];

/// What became of a request at one filter.
struct Passed {
    request: HeaderMap,
    response: HeaderMap,
    counted: Vec<String>,
    /// What it leaves for the next one.
    record: Option<Vec<u8>>,
    verdict: bool,
}

/// Takes a request through a filter that finds this in the filter state.
fn pass(config: &str, record: Option<&[u8]>, lines: &[Line<'_>]) -> Passed {
    let (mut vm, root) = started(config);
    if let Some(record) = record {
        vm.host_mut().set_property(&["tracewarden.hop"], record);
    }
    let stream = vm.stream(root).expect("no trap");
    let request = request(&mut vm, stream, lines);
    let response = respond(&mut vm, stream, &[]);
    let state = |key: &str| vm.filter_state(stream, &format!("wasm.{key}")).map(<[u8]>::to_vec);
    let (record, verdict) = (state("tracewarden.hop"), state("trace_context").is_some());
    vm.finish(stream).expect("no trap");
    Passed { request, response, counted: counters(&vm), record, verdict }
}

/// The changes among what was counted.
fn changes(passed: &Passed) -> Vec<&str> {
    passed.counted.iter().filter_map(|counter| counter.strip_prefix("hop ")).collect()
}

#[test]
fn the_second_filter_counts_what_was_done_since_the_first() {
    let rows: &[(&[Line<'_>], &[Line<'_>], &[&str])] = &[
        (TRACED, TRACED, &["kept"]),
        (TRACED, &[("traceparent", OTHER), ("tracestate", b"a=1")], &["replaced"]),
        (TRACED, &[("traceparent", UPPER)], &["removed", "tracestate"]),
        (&[], TRACED, &["added", "tracestate"]),
        (&[], &[("b3", b"0")], &["format"]),
    ];
    for (went, came, expected) in rows {
        let first = pass(WATCHES_BEFORE, None, went);
        assert!(changes(&first).is_empty(), "{went:?}");
        for config in [AUDITS, AFTER, WRITES_AFTER] {
            let second = pass(config, first.record.as_deref(), came);
            assert_eq!(changes(&second), *expected, "{config}: {went:?}, {came:?}");
        }
    }
}

#[test]
fn what_the_first_filter_wrote_is_what_went_on() {
    let new = NEW.replace('}', r#", "hop": "before"}"#);
    for (config, lines) in [(BEFORE, &[][..]), (BEFORE, &[("traceparent", UPPER)]), (&new, TRACED)] {
        let first = pass(config, None, lines);
        assert_ne!(first.request, with_bystanders(lines), "{config}: it wrote something");
        let wire: Vec<Line<'_>> = first
            .request
            .iter()
            .map(|(name, value)| (std::str::from_utf8(name).expect("a name"), value))
            .collect();
        let wire: Vec<Line<'_>> = wire.into_iter().filter(|(name, _)| name.starts_with("trace")).collect();
        let second = pass(AUDITS, first.record.as_deref(), &wire);
        assert_eq!(changes(&second), ["kept"], "{config}: {lines:?}");
    }
}

#[test]
fn a_filter_that_audits_alone_does_nothing_else() {
    let first = pass(WATCHES_BEFORE, None, TRACED);
    for lines in [TRACED, &[], &[("traceparent", UPPER)]] {
        let second = pass(AUDITS, first.record.as_deref(), lines);
        assert!(second.counted.iter().all(|counter| counter.starts_with("hop ")), "{:?}", second.counted);
        assert_eq!(second.request, with_bystanders(lines));
        assert_eq!(second.response, with_bystanders(&[]));
        assert_eq!((second.record, second.verdict), (None, false));
    }
}

#[test]
fn without_a_first_filter_nothing_is_counted_and_nothing_left() {
    let garbage: [Option<&[u8]>; 3] = [None, Some(b"garbage"), Some(&[0xff; 200])];
    for record in garbage {
        assert!(pass(AUDITS, record, TRACED).counted.is_empty());
        let second = pass(WRITES_AFTER, record, TRACED);
        assert!(changes(&second).is_empty() && second.record.is_none());
        assert!(second.counted.contains(&"requests inbound internal enforce continued".to_owned()));
    }
    // What is not configured leaves nothing.
    assert_eq!(pass(NEW, None, TRACED).record, None);
}

/// Envoy keeps what the upstream's filters wrote for the next attempt.
#[test]
fn a_retry_counts_what_the_proxy_did_and_not_what_the_second_filter_wrote() {
    let first = pass(WATCHES_BEFORE, None, TRACED);
    let mut record = first.record;
    let mut lines: Vec<(String, Vec<u8>)> = vec![("tracestate".to_owned(), b"a=1".to_vec())];
    for attempt in 0..3 {
        let came: Vec<Line<'_>> =
            lines.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let passed = pass(WRITES_AFTER, record.as_deref(), &came);
        assert_eq!(changes(&passed), ["removed"], "attempt {attempt}");
        assert_eq!(bystanders(&passed.request), bystanders(&with_bystanders(&[])));
        lines = ["traceparent", "tracestate"]
            .into_iter()
            .flat_map(|name| {
                passed.request.lines(name).into_iter().map(move |value| (name.to_owned(), value.to_vec()))
            })
            .collect();
        record = passed.record;
    }
}
