//! What counters are taken for, how much of it there is, and in which order it is told.

use std::collections::BTreeSet;

use serde_json::Value;
use tracewarden::metrics::Counter;

use crate::support::{Said, Server, report, report_with, requests, stats_json};

const CORRUPT: &str =
    "direction=.=outbound;.;header=.=traceparent;.;reason=.=upper_case;.;tracewarden_corrupt_total";
const SERVED: &str = "http.mesh.downstream_rq_total";
const BYPASSED: &str = "tracewarden_bypassed_total";
const SWITCHED_OFF: &str = "direction=.=outbound;.;tracewarden_enabled";

/// What is missing beside traces breaks none.
const BESIDE: &[&str] = &[
    "lost_by_jobs",
    "own_traces",
    "response_corrupt",
    "spans_dropped",
    "collector_unreachable",
    "host_errors",
];

type Stat<'a> = (&'a str, u64);
/// A finding: its kind, its count, and of how many it is.
type Expected<'a> = (&'a str, u64, Option<u64>);

fn internal(direction: &str, context: &str) -> String {
    requests("", direction, "internal", "enforce", context)
}

fn weighed(context: &str, evidence: &str) -> String {
    format!("mode=.=enforce;.;context=.={context};.;evidence=.={evidence};.;tracewarden_call_evidence_total")
}

fn of_envoy(stats: &[(&str, u64)], arguments: &[&str]) -> Said {
    let envoy = Server::envoy(stats);
    report(&[&[envoy.url().as_str()], arguments].concat())
}

/// Each finding as its kind, its count and of how many it is.
fn told(said: &Said) -> Vec<(String, u64, Option<u64>)> {
    let value = said.value();
    let findings = value["findings"].as_array().expect("findings");
    let of = |finding: &Value| {
        let kind = finding["kind"].as_str().expect("a kind").to_owned();
        (kind, finding["count"].as_u64().expect("a count"), finding["of"].as_u64())
    };
    findings.iter().map(of).collect()
}

#[test]
fn each_counter_that_should_be_zero_is_a_finding() {
    let [inbound, outbound] = ["inbound", "outbound"].map(|way| internal(way, "continued"));
    let lost = |way: &str| internal(way, "lost");
    let observed = requests("", "inbound", "internal", "observe", "continued");
    let at_edge = |context: &str| requests("", "inbound", "edge", "enforce", context);
    let repaired =
        |direction: &str| format!("direction=.={direction};.;by=.=new;.;tracewarden_repairs_total");
    let rows: &[(&str, &[Stat<'_>], &[Expected<'_>])] = &[
        ("nothing is wrong", &[(&inbound, 9)], &[]),
        ("nothing has happened", &[(&inbound, 0)], &[]),
        ("its callers lose", &[(&inbound, 9), (&lost("inbound"), 3)], &[("lost_by_caller", 3, Some(12))]),
        (
            "the application loses what it receives",
            &[(&inbound, 9), (&outbound, 1), (&lost("outbound"), 3)],
            &[("lost_by_application", 3, Some(4))],
        ),
        ("jobs never had one", &[(&outbound, 1), (&lost("outbound"), 3)], &[("lost_by_jobs", 3, Some(4))]),
        (
            "what comes in is given to the application, though it is only observed",
            &[(&observed, 9), (&lost("outbound"), 3)],
            &[("lost_by_application", 3, Some(3))],
        ),
        (
            "behind an edge that starts traces there is an application",
            &[(&at_edge("started"), 9), (&lost("outbound"), 3)],
            &[("lost_by_application", 3, Some(3))],
        ),
        (
            "and behind one that does not trust the callers'",
            &[(&at_edge("untrusted"), 9), (&lost("outbound"), 3)],
            &[("lost_by_application", 3, Some(3))],
        ),
        (
            "an edge that only observes gives none",
            &[(&requests("", "inbound", "edge", "observe", "started"), 9), (&lost("outbound"), 3)],
            &[("lost_by_jobs", 3, Some(3))],
        ),
        (
            "what was lost on the way in is given where it is mended",
            &[(&lost("inbound"), 5), (&repaired("inbound"), 5), (&lost("outbound"), 3)],
            &[("lost_by_caller", 5, Some(5)), ("lost_by_application", 3, Some(3))],
        ),
        (
            "and where it is not, it is not",
            &[(&lost("inbound"), 5), (&repaired("outbound"), 3), (&lost("outbound"), 3)],
            &[("lost_by_caller", 5, Some(5)), ("lost_by_jobs", 3, Some(3))],
        ),
        (
            "one context may well be lost a hundred times",
            &[(&inbound, 2), (&lost("outbound"), 200)],
            &[("lost_by_application", 200, Some(200))],
        ),
        (
            "more often, others never had one",
            &[(&inbound, 2), (&lost("outbound"), 201)],
            &[("lost_by_jobs", 201, Some(201))],
        ),
        (
            "an observed application is one as well",
            &[(&observed, 9), (&requests("", "outbound", "internal", "observe", "lost"), 3)],
            &[("lost_by_application", 3, Some(3))],
        ),
        ("whose loss it is, Envoy does not say", &[(&lost("unspecified"), 2)], &[("lost", 2, Some(2))]),
        (
            "what is excluded, started or untrusted was not expected",
            &[
                (&lost("inbound"), 1),
                (&internal("inbound", "excluded"), 5),
                (&internal("inbound", "untrusted"), 5),
                (&internal("inbound", "started"), 5),
            ],
            &[("lost_by_caller", 1, Some(1))],
        ),
        (
            "modes are not mixed",
            &[(&observed, 9), (&lost("inbound"), 1), (&inbound, 1)],
            &[("lost_by_caller", 1, Some(2))],
        ),
        (
            "corruption is told by its reason",
            &[(&outbound, 3), (&internal("outbound", "corrupt"), 2), (CORRUPT, 2)],
            &[("corrupt", 2, Some(5))],
        ),
        (
            "corruption has no mode, so two modes have no share",
            &[
                (&internal("outbound", "corrupt"), 2),
                (&requests("", "outbound", "internal", "observe", "continued"), 9),
                (CORRUPT, 2),
            ],
            &[("corrupt", 2, None)],
        ),
        (
            "corruption without its reason is still told",
            &[(&outbound, 3), (&internal("outbound", "corrupt"), 2)],
            &[("corrupt", 2, Some(5))],
        ),
        ("a reason alone says enough", &[(CORRUPT, 2)], &[("corrupt", 2, None)]),
        (
            "the edge's outsiders are not the mesh",
            &[
                (&at_edge("corrupt"), 5),
                ("direction=.=inbound;.;header=.=b3;.;reason=.=shape;.;tracewarden_corrupt_total", 5),
                (&at_edge("started"), 5),
            ],
            &[],
        ),
        (
            "a trace of its own",
            &[(&outbound, 3), (&internal("outbound", "unlinked"), 1)],
            &[("unlinked", 1, Some(4))],
        ),
        (
            "two formats, two traces",
            &[(&inbound, 9), ("used=.=tracecontext;.;other=.=b3;.;tracewarden_conflicts_total", 4)],
            &[("conflict", 4, None)],
        ),
        (
            "responses that disagree, of those that tell",
            &[
                ("context=.=mismatch;.;tracewarden_responses_total", 2),
                ("context=.=match;.;tracewarden_responses_total", 3),
                ("context=.=absent;.;tracewarden_responses_total", 50),
                ("context=.=corrupt;.;tracewarden_responses_total", 1),
            ],
            &[("response_mismatch", 2, Some(6)), ("response_corrupt", 1, Some(6))],
        ),
        (
            "spans that are gone",
            &[
                ("cause=.=queue_full;.;tracewarden_spans_dropped_total", 7),
                ("tracewarden_spans_recorded_total", 10),
                ("result=.=exported;.;tracewarden_export_batches_total", 1),
            ],
            &[("spans_dropped", 7, Some(10))],
        ),
        (
            "spans that were recorded before have no share",
            &[
                ("cause=.=shutdown;.;tracewarden_spans_dropped_total", 7),
                ("tracewarden_spans_recorded_total", 3),
            ],
            &[("spans_dropped", 7, None)],
        ),
        (
            "uploads of which none arrives",
            &[
                ("result=.=retried;.;tracewarden_export_batches_total", 4),
                ("result=.=gave_up;.;tracewarden_export_batches_total", 1),
                ("result=.=exported;.;tracewarden_export_batches_total", 0),
            ],
            &[("collector_unreachable", 5, Some(5))],
        ),
        (
            "what Envoy refuses",
            &[("call=.=get_property;.;tracewarden_host_errors_total", 3)],
            &[("host_errors", 3, None)],
        ),
        (
            "a bad configuration",
            &[("tracewarden_bypassed_total", 300), (SERVED, 300)],
            &[("bypassed", 300, None)],
        ),
        ("a filter that has stopped", &[(&inbound, 30), (SERVED, 300)], &[("not_running", 270, Some(300))]),
        (
            "one that has stopped, without end",
            &[(&inbound, 0), (SERVED, u64::MAX), ("http.other.downstream_rq_total", 1)],
            &[("not_running", u64::MAX, Some(u64::MAX))],
        ),
        (
            "contexts without end",
            &[(&inbound, 1 << 62), (&lost("outbound"), 3)],
            &[("lost_by_application", 3, Some(3))],
        ),
        (
            "a filter on some listeners",
            &[(&inbound, 31), (SERVED, 300)],
            &[("partly_running", 269, Some(300))],
        ),
        ("one in twenty is under way", &[(&inbound, 285), (SERVED, 300)], &[]),
        (
            "half of the workers go on without it",
            &[(&inbound, 284), (SERVED, 300)],
            &[("partly_running", 16, Some(300))],
        ),
        (
            "what is bypassed is counted as that",
            &[(&inbound, 150), (BYPASSED, 150), (SERVED, 300)],
            &[("bypassed", 150, None)],
        ),
        ("switched off", &[(&inbound, 31), (SERVED, 300), (SWITCHED_OFF, 0)], &[]),
        ("switched off from the start", &[(SERVED, 300), (SWITCHED_OFF, 0)], &[]),
        (
            "switched on",
            &[(&inbound, 1), (SERVED, 300), (SWITCHED_OFF, 1)],
            &[("not_running", 299, Some(300))],
        ),
        (
            "a call is torn from the request that it belongs to",
            &[
                (&outbound, 3),
                (&internal("outbound", "unlinked"), 6),
                (&weighed("unlinked", "request_id"), 1),
                (&weighed("unlinked", "in_flight"), 2),
                (&weighed("unlinked", "none"), 3),
            ],
            &[("torn", 2, Some(9)), ("torn", 1, Some(9)), ("own_traces", 3, Some(9))],
        ),
        (
            "a call has lost what its request has, or is a job's",
            &[
                (&lost("outbound"), 6),
                (&weighed("lost", "request_id"), 1),
                (&weighed("lost", "in_flight"), 2),
                (&weighed("lost", "none"), 3),
            ],
            &[
                ("lost_by_application", 2, Some(6)),
                ("lost_by_application", 1, Some(6)),
                ("lost_by_jobs", 3, Some(6)),
            ],
        ),
        ("few requests say nothing", &[(&inbound, 0), (SERVED, 19)], &[]),
        ("20 requests in a day say nothing", &[(&inbound, 0), (SERVED, 20), ("server.uptime", 86_400)], &[]),
        ("no filter at all", &[(SERVED, 2)], &[("not_running", 2, Some(2))]),
        ("no filter and no request", &[], &[("not_running", 0, Some(0))]),
        (
            "who asks Envoy itself is not served",
            &[
                (&inbound, 1),
                ("http.admin.downstream_rq_total", 900),
                ("http.trace_health.downstream_rq_total", 900),
                ("http.eg-ready-http.downstream_rq_total", 900),
                ("http.eg-stats-http.downstream_rq_total", 900),
                ("http.agent.downstream_rq_total", 900),
                ("http.stats;.downstream_rq_total", 900),
            ],
            &[],
        ),
    ];
    for (name, stats, expected) in rows {
        let said = of_envoy(stats, &["--json"]);
        let expected: Vec<_> =
            expected.iter().map(|(kind, count, of)| ((*kind).to_owned(), *count, *of)).collect();
        assert_eq!(told(&said), expected, "{name}");
        let breaks = expected.iter().any(|(kind, ..)| !BESIDE.contains(&kind.as_str()));
        assert_eq!(said.code, Some(i32::from(breaks)), "{name}: {said:?}");
    }
}

#[test]
fn a_broken_tracestate_breaks_no_trace() {
    let stat = "direction=.=inbound;.;header=.=tracestate;.;reason=.=key;.;tracewarden_corrupt_total";
    let said = of_envoy(&[(stat, 8), (&internal("inbound", "continued"), 9)], &["--json"]);
    assert_eq!((told(&said), said.code), (vec![("corrupt".to_owned(), 8, Some(9))], Some(0)));
}

#[test]
fn a_gateways_losses_may_be_those_of_who_calls_through_it() {
    let [lost, corrupt] = ["lost", "corrupt"].map(|context| internal("outbound", context));
    let what = |stats: &[Stat<'_>]| {
        let value = of_envoy(stats, &["--json"]).value();
        let finding = &value["findings"][0];
        format!("{} {}", finding["what"], finding["cause"])
    };
    assert!(what(&[(&lost, 3)]).contains("or at a gateway who calls through it"));
    let gateway = "its own application, or at a gateway who calls through it, sends a broken trace";
    let application = "its own application sends a broken trace";
    for counters in [&[(&*corrupt, 2), (CORRUPT, 2)][..], &[(&corrupt, 2)]] {
        assert!(what(counters).contains(gateway), "{counters:?}");
        let inbound = internal("inbound", "excluded");
        let said = what(&[counters, &[(&inbound, 1)]].concat());
        assert!(said.contains(application), "{said}");
    }
}

#[test]
fn no_number_is_too_large() {
    let [lost, continued] = ["lost", "continued"].map(|context| internal("inbound", context));
    let stats = [
        (&*lost, u64::MAX),
        (&continued, u64::MAX),
        ("direction=.=inbound;.;by=.=new;.;tracewarden_repairs_total", u64::MAX),
        ("direction=.=outbound;.;by=.=new;.;tracewarden_repairs_total", u64::MAX),
        ("direction=.=outbound;.;header=.=traceparent;.;reason=.=flags;.;tracewarden_corrupt_total", 1),
        (SERVED, u64::MAX),
        ("http.other.downstream_rq_total", u64::MAX),
        ("server.uptime", u64::MAX),
    ];
    let value = of_envoy(&stats, &["--json"]).value();
    assert_eq!(value["summary"][0]["due"], u64::MAX, "{value}");
    assert_eq!(value["mended"]["new"], u64::MAX, "{value}");
    assert_eq!(value["findings"][0]["of"], u64::MAX, "{value}");
    let said = of_envoy(&stats, &[]);
    let all = "18,446,744,073,709,551,615";
    assert!(said.out.contains(&format!("{all} of {all} requests, 100.0 %")), "{said:?}");
}

#[test]
fn who_reads_since_the_start_is_told_what_that_hides() {
    let stats = [(&*internal("inbound", "continued"), 9)];
    let is_noted = |said: &Said| said.out.contains("--for 10s");
    for arguments in [&[][..], &["--json"]] {
        let said = of_envoy(&stats, arguments);
        assert!(said.code == Some(0) && is_noted(&said), "{said:?}");
        let saved = report_with(&[&["-"], arguments].concat(), &stats_json(&stats), &[]);
        assert!(is_noted(&saved), "{saved:?}");
        let said = of_envoy(&stats, &[arguments, &["--for", "1s"]].concat());
        assert!(!is_noted(&said), "{said:?}");
    }
    assert!(
        of_envoy(&stats, &["--json"]).value()["notes"][0].as_str().is_some_and(|note| note.contains("--for"))
    );
}

#[test]
fn the_worst_is_told_first() {
    let stats = [
        ("cause=.=gave_up;.;tracewarden_spans_dropped_total", 9000),
        ("direction=.=inbound;.;header=.=tracestate;.;reason=.=key;.;tracewarden_corrupt_total", 8000),
        ("direction=.=inbound;.;header=.=traceparent;.;reason=.=repeated;.;tracewarden_corrupt_total", 40),
        (&internal("inbound", "continued"), 9000),
        (&internal("inbound", "lost"), 30),
        (&internal("outbound", "lost"), 50),
        ("tracewarden_bypassed_total", 1),
    ];
    let kinds: Vec<String> =
        told(&of_envoy(&stats, &["--json"])).into_iter().map(|(kind, ..)| kind).collect();
    // Blind first, then what breaks traces by how often it does, then what is missing beside them.
    let order = ["bypassed", "lost_by_application", "corrupt", "lost_by_caller", "spans_dropped", "corrupt"];
    assert_eq!(kinds, order);
}

#[test]
fn listeners_are_told_apart_and_share_what_their_workload_receives() {
    let stats = [
        (requests("in", "inbound", "internal", "enforce", "continued"), 100),
        (requests("a_out", "outbound", "internal", "enforce", "continued"), 10),
        (requests("a_out", "outbound", "internal", "enforce", "lost"), 2),
        (requests("b_out", "outbound", "internal", "enforce", "lost"), 3),
    ];
    let stats: Vec<(&str, u64)> = stats.iter().map(|(stat, count)| (stat.as_str(), *count)).collect();
    let said = of_envoy(&stats, &["--json"]);
    let lost = |count, of| ("lost_by_application".to_owned(), count, Some(of));
    assert_eq!(told(&said), [lost(3, 3), lost(2, 12)]);
    let value = said.value();
    assert_eq!(value.pointer("/findings/0/who/listener"), Some(&"b_out".into()));
    assert_eq!(value.pointer("/findings/1/who/listener"), Some(&"a_out".into()));
    assert_eq!(value.pointer("/findings/1/labels/direction"), Some(&"outbound".into()));
    let outbound = &value["summary"][1];
    assert_eq!((&outbound["due"], &outbound["requests"]["lost"]), (&15.into(), &5.into()));
}

#[test]
fn every_counter_of_the_filter_is_understood_and_every_reason_has_a_text() {
    let names: Vec<String> = Counter::every().iter().map(Counter::to_string).collect();
    let stats: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let value = of_envoy(&stats, &["--json"]).value();
    assert!(!value["notes"].to_string().contains("Not understood"), "{value}");
    let runbook = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbook.md"))
        .expect("the runbook");
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("## "));
    let sections: BTreeSet<String> = sections.map(|title| title.to_lowercase().replace(' ', "-")).collect();
    let findings = value["findings"].as_array().expect("findings");
    for finding in findings {
        for field in ["what", "cause", "mend"] {
            assert!(finding[field].as_str().is_some_and(|text| text.len() > 20), "{field} of {finding}");
        }
        let section = finding["runbook"].as_str().and_then(|link| link.strip_prefix("docs/runbook.md#"));
        assert!(section.is_some_and(|section| sections.contains(section)), "{finding}");
    }
    // Every counter of something wrong has a finding of its own, but for the verdict whose reasons have counters, and ...
    let of = |part: &str| findings.iter().filter(|finding| finding["kind"] == part).count();
    let counters = |is: fn(&Counter) -> bool| Counter::every().iter().filter(|counter| is(counter)).count();
    assert_eq!(of("corrupt"), counters(|counter| matches!(counter, Counter::Corrupt { .. })));
    assert_eq!(of("host_errors"), counters(|counter| matches!(counter, Counter::HostError { .. })));
    assert_eq!(of("spans_dropped"), counters(|counter| matches!(counter, Counter::SpanDropped { .. })));
    assert_eq!(of("conflict"), counters(|counter| matches!(counter, Counter::Conflict { .. })));
    // ... two modes of three directions. The calls of an application are told by their evidence instead.
    let lost = ["lost", "lost_by_caller", "lost_by_application", "lost_by_jobs"].map(of);
    assert_eq!((lost, of("unlinked"), of("bypassed")), ([2, 2, 4, 2], 4, 1));
    assert_eq!(["torn", "own_traces"].map(of), [4, 2]);
    // A proxy may record spans of its own, and speak further formats. It must not take a trace away.
    let hop = findings.iter().filter(|finding| finding["kind"] == "broken_by_proxy");
    let changes: Vec<_> =
        hop.map(|finding| finding["labels"]["change"].as_str().unwrap_or_default()).collect();
    assert_eq!(changes, ["removed", "replaced"]);
}

#[test]
fn a_newer_filter_is_not_passed_over_in_silence() {
    let stats = [("colour=.=red;.;tracewarden_surprises_total", 3), (&internal("inbound", "continued"), 1)];
    let value = of_envoy(&stats, &["--json"]).value();
    assert!(value["notes"].to_string().contains("tracewarden_surprises_total"), "{value}");
}

#[test]
fn two_readings_tell_what_is_lost_now() {
    let readings = [
        stats_json(&[
            (&internal("inbound", "lost"), 100),
            (&internal("inbound", "continued"), 50),
            ("server.uptime", 500),
        ]),
        // Envoy has started anew in between: what counts less than before counts from zero.
        stats_json(&[
            (&internal("inbound", "lost"), 103),
            (&internal("inbound", "continued"), 7),
            ("server.uptime", 1),
        ]),
    ];
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let envoy = Server::answering(move |_| {
        let place = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        (200, readings[place.min(1)].clone())
    });
    let said = report(&[&envoy.url(), "--for", "1s", "--json"]);
    assert_eq!(told(&said), [("lost_by_caller".to_owned(), 3, Some(10))]);
    let source = &said.value()["source"];
    assert_eq!((&source["since"], &source["seconds"]), (&"window".into(), &1.into()));
}
