//! What happens to a request, each scenario run natively and in the built module.

use crate::scenarios::support::{
    INBOUND, Line, NEW, OBSERVE, Outcome, PARENT_ID, SAMPLED, Scenario, TRACE_ID, UNSAMPLED, UPPER,
    bystanders, with_bystanders,
};
use proxy_wasm_test_framework::HeaderMap;
use tracewarden::w3c::TraceParent;

pub(crate) const RANDOM: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
const RESERVED: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff";
const FUTURE: &[u8] = b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";

/// What the upstream must receive as `traceparent`.
enum Sent {
    Nothing,
    AsItCame,
    /// The same trace with a parent-id of this hop, and these flags.
    NewParent(&'static str),
    /// Another trace, with these flags.
    NewTrace(&'static str),
}
use Sent::{AsItCame, NewParent, NewTrace, Nothing};

struct Row {
    rule: &'static str,
    why: &'static str,
    config: &'static str,
    request: &'static [Line<'static>],
    sent: Sent,
    tracestate: &'static [&'static [u8]],
    counters: &'static [&'static str],
}

pub(crate) const EDGE: &str = r#"{"direction": "inbound", "role": "edge"}"#;
pub(crate) const NEVER: &str = r#"{"direction": "inbound", "start": "never"}"#;
const RENAMED: &str = r#"{"direction": "inbound", "parent_id": "new", "header": "X-Trace"}"#;
const IGNORE_ALL: &str = r#"{"direction": "inbound", "sampling": {"parent": "ignore", "probability": 1}}"#;
const IGNORE_NONE: &str = r#"{"direction": "inbound", "sampling": {"parent": "ignore", "probability": 0}}"#;
const RAISE_ALL: &str = r#"{"direction": "inbound", "sampling": {"parent": "raise", "probability": 1}}"#;
const RAISE_NONE: &str = r#"{"direction": "inbound", "sampling": {"parent": "raise", "probability": 0}}"#;
const EXCLUDE: &str = r#"{"direction": "inbound", "exclude": [{"path": "/other"}, {"path_prefix": "/ca"}]}"#;

const CONTINUED: &str = "requests inbound internal enforce continued";
const LOST: &str = "requests inbound internal enforce lost";
const CORRUPT: &str = "requests inbound internal enforce corrupt";
const BY_PARENT: &str = "sampled record parent";
const BY_PROBABILITY: &str = "sampled record probability";
/// OT-08: a trace that starts here tells its threshold, which is zero at probability 1.
const TH_0: &[&[u8]] = &[b"ot=th:0"];
const REPAIRED: &str = "repairs inbound new";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { rule: "TP-40", why: "the edge starts a trace where none came", config: EDGE,
        request: &[], sent: NewTrace("03"), tracestate: TH_0,
        counters: &["requests inbound edge enforce started", BY_PROBABILITY] },
    Row { rule: "TP-40", why: "inside of the mesh the same is a loss, and repaired", config: INBOUND,
        request: &[], sent: NewTrace("03"), tracestate: TH_0, counters: &[LOST, REPAIRED, BY_PROBABILITY] },
    Row { rule: "TP-41 TS-02", why: "a tracestate without a traceparent goes", config: INBOUND,
        request: &[("tracestate", b"a=1")], sent: NewTrace("03"), tracestate: TH_0,
        counters: &[LOST, REPAIRED, BY_PROBABILITY] },
    Row { rule: "TP-42 OT-17", why: "a trace that starts unsampled says so, and that its id is random",
        config: r#"{"direction": "inbound", "sampling": {"probability": 0}}"#,
        request: &[], sent: NewTrace("02"), tracestate: &[],
        counters: &[LOST, REPAIRED, "sampled drop probability"] },

    Row { rule: "TP-34", why: "a valid context goes on untouched", config: INBOUND,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1, b=2"), ("tracestate", b"")],
        sent: AsItCame, tracestate: &[b"a=1, b=2", b""], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TP-17", why: "and so does one of a future version", config: INBOUND,
        request: &[("traceparent", FUTURE)], sent: AsItCame, tracestate: &[], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TP-26", why: "forwarding does not even clear reserved flags", config: INBOUND,
        request: &[("traceparent", RESERVED)], sent: AsItCame, tracestate: &[], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TP-01", why: "names are matched without regard to case", config: INBOUND,
        request: &[("TraceParent", SAMPLED), ("TRACESTATE", b"a=1")], sent: AsItCame, tracestate: &[b"a=1"],
        counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TP-38", why: "an unsampled trace stays unsampled", config: INBOUND,
        request: &[("traceparent", UNSAMPLED)], sent: AsItCame, tracestate: &[],
        counters: &[CONTINUED, "sampled drop parent"] },
    Row { rule: "TP-31 TS-30", why: "a bad tracestate is removed, and spoils nothing else", config: INBOUND,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1,B=2")], sent: AsItCame, tracestate: &[],
        counters: &[CONTINUED, "corrupt inbound tracestate key", BY_PARENT] },

    Row { rule: "TP-30 TS-40 TS-44", why: "a new parent-id for every request", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1,b=2")], sent: NewParent("01"),
        tracestate: &[b"a=1,b=2"], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TP-33 TP-35", why: "the random flag is copied when it is set", config: NEW,
        request: &[("traceparent", RANDOM)], sent: NewParent("03"), tracestate: &[], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TP-26", why: "reserved flags are cleared when the header is written", config: NEW,
        request: &[("traceparent", RESERVED)], sent: NewParent("03"), tracestate: &[], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TP-16 TS-31", why: "a future version is written as 00, and its tracestate is read", config: NEW,
        request: &[("traceparent", FUTURE), ("tracestate", b"a=1, b=2")], sent: NewParent("01"),
        tracestate: &[b"a=1,b=2"], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TS-03 TS-04 TS-05", why: "tracestate is written in one line", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1, ,b=2 "), ("x-between", b""), ("tracestate", b"c=3,a=4")],
        sent: NewParent("01"), tracestate: &[b"a=1,b=2,c=3"], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TS-04", why: "an empty tracestate is not sent", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"")], sent: NewParent("01"), tracestate: &[],
        counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "TS-25 TS-30", why: "a bad tracestate is removed here, too", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a")], sent: NewParent("01"), tracestate: &[],
        counters: &[CONTINUED, "corrupt inbound tracestate no_equals", BY_PARENT] },

    Row { rule: "TP-05 TP-36", why: "a corrupt context is replaced by a new trace, its tracestate dropped", config: INBOUND,
        request: &[("traceparent", UPPER), ("tracestate", b"a=1")], sent: NewTrace("03"), tracestate: TH_0,
        counters: &[CORRUPT, "corrupt inbound traceparent upper_case", REPAIRED, BY_PROBABILITY] },
    Row { rule: "TS-02", why: "a tracestate beside a corrupt traceparent is not even read", config: INBOUND,
        request: &[("traceparent", UPPER), ("tracestate", b"=")], sent: NewTrace("03"), tracestate: TH_0,
        counters: &[CORRUPT, "corrupt inbound traceparent upper_case", REPAIRED, BY_PROBABILITY] },
    Row { rule: "TP-06", why: "two lines are no context, even if they agree", config: INBOUND,
        request: &[("traceparent", SAMPLED), ("traceparent", SAMPLED)], sent: NewTrace("03"), tracestate: TH_0,
        counters: &[CORRUPT, "corrupt inbound traceparent repeated", REPAIRED, BY_PROBABILITY] },
    Row { rule: "TP-06", why: "an empty line counts as a line", config: INBOUND,
        request: &[("traceparent", b""), ("traceparent", SAMPLED)], sent: NewTrace("03"), tracestate: TH_0,
        counters: &[CORRUPT, "corrupt inbound traceparent repeated", REPAIRED, BY_PROBABILITY] },
    Row { rule: "TP-02", why: "an empty header is corrupt, at the edge as well", config: EDGE,
        request: &[("traceparent", b"")], sent: NewTrace("03"), tracestate: TH_0,
        counters: &["requests inbound edge enforce corrupt", "corrupt inbound traceparent empty", REPAIRED,
            BY_PROBABILITY] },

    Row { rule: "start: never", why: "a loss is counted, and nothing is written", config: NEVER,
        request: &[("tracestate", b"a=1")], sent: Nothing, tracestate: &[], counters: &[LOST] },
    Row { rule: "start: never", why: "a corrupt context is removed", config: NEVER,
        request: &[("traceparent", UPPER), ("tracestate", b"a=1")], sent: Nothing, tracestate: &[],
        counters: &[CORRUPT, "corrupt inbound traceparent upper_case"] },
    Row { rule: "start: never", why: "a valid context goes on", config: NEVER,
        request: &[("traceparent", SAMPLED)], sent: AsItCame, tracestate: &[], counters: &[CONTINUED, BY_PARENT] },

    Row { rule: "mode: observe", why: "a loss is counted only", config: OBSERVE,
        request: &[("tracestate", b"a=1")], sent: Nothing, tracestate: &[b"a=1"],
        counters: &["requests inbound internal observe lost"] },
    Row { rule: "mode: observe", why: "so is corruption", config: OBSERVE,
        request: &[("traceparent", UPPER), ("tracestate", b"a=1")], sent: AsItCame, tracestate: &[b"a=1"],
        counters: &["requests inbound internal observe corrupt", "corrupt inbound traceparent upper_case"] },
    Row { rule: "mode: observe", why: "and so is a bad tracestate", config: OBSERVE,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a")], sent: AsItCame, tracestate: &[b"a"],
        counters: &["requests inbound internal observe continued", "corrupt inbound tracestate no_equals"] },
    Row { rule: "OT-11 E7", why: "a threshold that contradicts the sampled flag is removed", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1,ot=th:8")], sent: NewParent("01"),
        tracestate: &[b"a=1"], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "OT-09 E8", why: "an unsampled trace has no threshold; what else OpenTelemetry keeps there stays",
        config: NEW, request: &[("traceparent", UNSAMPLED), ("tracestate", b"a=1,ot=th:c;foo:1")],
        sent: NewParent("00"), tracestate: &[b"ot=foo:1,a=1"], counters: &[CONTINUED, "sampled drop parent"] },
    Row { rule: "OT-10 OT-18 E9", why: "nobody knows the probability, so no threshold is added", config: NEW,
        request: &[("traceparent", SAMPLED)], sent: NewParent("01"), tracestate: &[], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "OT-03 OT-11 TS-10", why: "a threshold that holds stays where it is", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1,ot=th:4;rv:6e6d1a75832a2f")],
        sent: NewParent("01"), tracestate: &[b"a=1,ot=th:4;rv:6e6d1a75832a2f"], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "OT-14", why: "a malformed threshold counts as none, and is removed", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"ot=th:C;x:1,a=1")], sent: NewParent("01"),
        tracestate: &[b"ot=x:1,a=1"], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "OT-01", why: "a member that is not made of pairs says nothing, and is left alone", config: NEW,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1,ot=th:8;")], sent: NewParent("01"),
        tracestate: &[b"a=1,ot=th:8;"], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "OT-11", why: "forwarding touches no threshold", config: INBOUND,
        request: &[("traceparent", SAMPLED), ("tracestate", b"ot=th:8")], sent: AsItCame, tracestate: &[b"ot=th:8"],
        counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "OT-12 TP-32 TS-41 TS-42", why: "a hop that ignores the flag sets it, with a parent-id of its own",
        config: IGNORE_ALL,
        request: &[("traceparent", UNSAMPLED), ("tracestate", b"a=1")], sent: NewParent("01"),
        tracestate: &[b"ot=th:0,a=1"], counters: &[CONTINUED, BY_PROBABILITY] },
    Row { rule: "OT-12 TP-32 TP-52", why: "and clears it", config: IGNORE_NONE,
        request: &[("traceparent", RANDOM), ("tracestate", b"a=1,ot=th:0;rv:6e6d1a75832a2f")], sent: NewParent("02"),
        tracestate: &[b"ot=rv:6e6d1a75832a2f,a=1"], counters: &[CONTINUED, "sampled drop probability"] },
    Row { rule: "OT-08 TS-30", why: "what this hop decides is told in place of a bad tracestate", config: IGNORE_ALL,
        request: &[("traceparent", UNSAMPLED), ("tracestate", b"a")], sent: NewParent("01"), tracestate: TH_0,
        counters: &[CONTINUED, "corrupt inbound tracestate no_equals", BY_PROBABILITY] },
    Row { rule: "OT-12 TP-34", why: "where it would say the same, the context goes on untouched", config: IGNORE_ALL,
        request: &[("traceparent", SAMPLED), ("tracestate", b"a=1,ot=th:0")], sent: AsItCame,
        tracestate: &[b"a=1,ot=th:0"], counters: &[CONTINUED, BY_PROBABILITY] },
    Row { rule: "parent: raise", why: "an unset flag may be set", config: RAISE_ALL,
        request: &[("traceparent", UNSAMPLED)], sent: NewParent("01"), tracestate: TH_0,
        counters: &[CONTINUED, BY_PROBABILITY] },
    Row { rule: "parent: raise", why: "a set one is never cleared", config: RAISE_NONE,
        request: &[("traceparent", SAMPLED)], sent: AsItCame, tracestate: &[], counters: &[CONTINUED, BY_PARENT] },
    Row { rule: "parent: raise", why: "an unset one stays unset where the probability says so", config: RAISE_NONE,
        request: &[("traceparent", UNSAMPLED)], sent: AsItCame, tracestate: &[],
        counters: &[CONTINUED, "sampled drop probability"] },

    Row { rule: "exclude", why: "a request that a rule matches is counted and left alone", config: EXCLUDE,
        request: &[("traceparent", UPPER), ("tracestate", b"a=1")], sent: AsItCame, tracestate: &[b"a=1"],
        counters: &["requests inbound internal enforce excluded"] },

    Row { rule: "enabled: false", why: "nothing is done", config: r#"{"enabled": false}"#,
        request: &[("traceparent", UPPER)], sent: AsItCame, tracestate: &[], counters: &[] },
];

#[test]
fn a_request_gets_what_the_rules_say() {
    for row in ROWS {
        let outcome = runs(row.config, row.request, None);
        let name = format!("{}: {}", row.rule, row.why);
        check_sent(&name, row, &outcome.request);
        assert_eq!(outcome.request.lines("tracestate"), row.tracestate, "{name}");
        assert_eq!(bystanders(&outcome.request), bystanders(&with_bystanders(row.request)), "{name}");
        assert_eq!(
            sorted(outcome.counters),
            sorted(row.counters.iter().map(|c| c.to_string()).collect()),
            "{name}"
        );
    }
}

#[test]
fn the_direction_is_the_listeners_unless_it_is_stated() {
    let rows = [
        ("{}", Some(1), "inbound"),
        ("{}", Some(2), "outbound"),
        ("{}", Some(0), "unspecified"),
        ("{}", None, "unspecified"),
        (r#"{"direction": "auto"}"#, Some(2), "outbound"),
        (INBOUND, Some(2), "inbound"),
        (r#"{"direction": "outbound"}"#, None, "outbound"),
    ];
    for (config, listener, direction) in rows {
        let request: &[Line<'_>] = &[("traceparent", SAMPLED)];
        let scenario = Scenario { listener, ..Scenario::new(config, request, None) };
        let outcome = scenario.run();
        let counter = format!("requests {direction} internal enforce continued");
        assert!(outcome.counters.contains(&counter), "{config}: {:?}", outcome.counters);
    }
}

#[test]
fn a_renamed_header_is_read_and_written_under_its_name() {
    let request: &[Line<'_>] = &[("X-Trace", SAMPLED)];
    let outcome = runs(RENAMED, request, Some(&[]));
    let sent = only_context("what goes on", &outcome.request.lines("x-trace"));
    assert_eq!(sent.trace_id.to_string(), TRACE_ID);
    assert_ne!(sent.to_bytes(), SAMPLED);
    assert_eq!(outcome.request.get("traceparent"), None);
    let response = outcome.response.expect("a response came");
    assert_eq!(response.lines("x-trace"), outcome.request.lines("x-trace"));
    let request: &[Line<'_>] = &[("traceparent", SAMPLED)];
    let outcome = runs(RENAMED, request, None);
    assert!(outcome.counters.contains(&LOST.to_owned()), "{:?}", outcome.counters);
    assert_eq!(outcome.request.get("traceparent"), Some(SAMPLED), "a header like any other");
}

#[test]
fn a_trace_can_take_its_id_from_the_request_id() {
    const FROM_REQUEST: &str = r#"{"direction": "inbound", "trace_id_source": "x-request-id"}"#;
    const UUID: &[u8] = b"bae65882-2bcd-93db-89d1-7fbd1d746a13";
    const REPAIRED: &str = "repairs inbound request_id";
    // What comes in; the trace-id and flags that go out, or None for a random one; what is counted.
    type Row<'a> = (&'a [Line<'a>], Option<(&'a str, &'a str)>, &'a [&'a str]);
    let id = "bae658822bcd43db89d17fbd1d746a13";
    let rows: &[Row<'_>] = &[
        (&[("x-request-id", UUID)], Some((id, "03")), &[REPAIRED]),
        (&[("x-request-id", UUID), ("traceparent", UPPER)], Some((id, "03")), &[REPAIRED]),
        (
            &[("x-request-id", b"bae65882-2bcd-13db-89d1-7fbd1d746a13")],
            Some(("bae658822bcd13db89d17fbd1d746a13", "01")),
            &[REPAIRED],
        ),
        (&[("x-request-id", b"req-1")], None, &["repairs inbound new", "corrupt inbound x-request-id uuid"]),
        (&[], None, &["repairs inbound new", "corrupt inbound x-request-id uuid"]),
        (&[("x-request-id", UUID), ("traceparent", SAMPLED)], Some((TRACE_ID, "01")), &[]),
    ];
    for (request, sent, counters) in rows {
        let outcome = runs(FROM_REQUEST, request, None);
        let context = only_context("what goes on", &outcome.request.lines("traceparent"));
        let trace_id = context.trace_id.to_string();
        match sent {
            Some((expected, flags)) => {
                assert_eq!(trace_id, *expected);
                assert!(context.to_string().ends_with(flags), "{context}");
            }
            None => assert!(trace_id != id && context.to_string().ends_with("03"), "{context}"),
        }
        for counter in *counters {
            assert!(outcome.counters.contains(&(*counter).to_owned()), "{:?}", outcome.counters);
        }
    }
}

#[test]
fn exclude_rules_match_what_they_say() {
    // The path of every request is /cart.
    let request: &[Line<'_>] =
        &[(":method", b"GET"), ("user-agent", b"kube-probe/1.29"), ("traceparent", UPPER)];
    let rows = [
        (r#"{"path": "/cart"}"#, true),
        (r#"{"path": "/car"}"#, false),
        (r#"{"path_prefix": "/car"}"#, true),
        (r#"{"path_prefix": "/healthz"}"#, false),
        (r#"{"method": "GET"}"#, true),
        (r#"{"method": "get"}"#, false),
        (r#"{"user_agent_prefix": "kube-probe/"}"#, true),
        (r#"{"user_agent_prefix": "kube-probe/", "method": "POST"}"#, false),
        (r#"{"user_agent_prefix": "kube-probe/", "method": "GET", "path": "/cart"}"#, true),
        (r#"{"path": "/x"}, {"method": "GET"}"#, true),
    ];
    for (rules, matches) in rows {
        let config = format!(r#"{{"exclude": [{rules}], "mode": "observe", "direction": "inbound"}}"#);
        let outcome = runs(&config, request, Some(&[]));
        let excluded = outcome.counters == ["requests inbound internal observe excluded"];
        assert_eq!(excluded, matches, "{rules}: {:?}", outcome.counters);
    }
}

pub(crate) fn runs<'a>(
    config: &'a str,
    request: &'a [Line<'a>],
    response: Option<&'a [Line<'a>]>,
) -> Outcome {
    Scenario::new(config, request, response).run()
}

fn check_sent(name: &str, row: &Row, request: &HeaderMap) {
    let lines = request.lines("traceparent");
    let came: Vec<&[u8]> =
        row.request.iter().filter(|(n, _)| n.eq_ignore_ascii_case("traceparent")).map(|(_, v)| *v).collect();
    match row.sent {
        Nothing => assert!(lines.is_empty(), "{name}: {lines:?}"),
        AsItCame => assert_eq!(lines, came, "{name}"),
        NewParent(flags) => {
            let sent = only_context(name, &lines);
            assert_eq!(sent.trace_id.to_string(), TRACE_ID, "{name}");
            assert_ne!(sent.parent_id.to_string(), PARENT_ID, "{name}");
            assert!(sent.to_string().ends_with(flags), "{name}: {sent}");
        }
        NewTrace(flags) => {
            let sent = only_context(name, &lines);
            assert_ne!(sent.trace_id.to_string(), TRACE_ID, "{name}");
            assert_ne!(sent.parent_id.to_string(), PARENT_ID, "{name}");
            assert!(sent.to_string().ends_with(flags), "{name}: {sent}");
        }
    }
}

pub(crate) fn only_context(name: &str, lines: &[&[u8]]) -> TraceParent {
    let [line] = lines else { panic!("{name}: {} lines", lines.len()) };
    let context = TraceParent::parse(line).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(context.to_bytes().as_slice(), *line, "{name}: written as version 00, without more");
    context
}

fn sorted(mut counters: Vec<String>) -> Vec<String> {
    counters.sort();
    counters
}
