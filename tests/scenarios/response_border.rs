//! What a response of the upstream may tell the caller.

use proxy_wasm_test_framework::HeaderMap;

use crate::scenarios::requests::runs;
use crate::scenarios::support::{Line, OTHER, SAMPLED, with_bystanders};

const TIMING: &[u8] =
    b"db;dur=5, traceparent;desc=\"00-11111111111111111111111111111111-2222222222222222-01\"";
const TRACE: &[u8] = b"trace;desc=00-11111111111111111111111111111111-2222222222222222-01";
/// An upstream that says all it can.
const TALKS: &[Line<'_>] = &[
    ("traceparent", OTHER),
    ("traceparent", OTHER),
    ("x-mesh-trace", OTHER),
    ("traceresponse", OTHER),
    ("server-timing", TIMING),
    ("Server-Timing", b"total;dur=1"),
    ("server-timing", TRACE),
    ("x-trace-id", b"11111111111111111111111111111111"),
    ("x-trace-kind", b"batch"),
];
const NAMES: [&str; 5] = ["traceparent", "x-mesh-trace", "traceresponse", "server-timing", "x-trace-id"];

/// The lines of the headers that can tell a trace id.
fn told(headers: &HeaderMap) -> Vec<(&'static str, &[u8])> {
    NAMES.iter().flat_map(|name| headers.lines(name).into_iter().map(|line| (*name, line))).collect()
}

/// The other lines, which nothing may change.
fn others(headers: &HeaderMap) -> Vec<(Vec<u8>, Vec<u8>)> {
    let is_other = |name: &[u8]| !NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    headers.iter().filter(|(name, _)| is_other(name)).map(|(n, v)| (n.to_vec(), v.to_vec())).collect()
}

/// What a configuration says of `upstream`, and whether what the upstream says is then removed.
const BORDERS: &[(&str, &str, bool)] = &[
    ("edge", "", true),
    ("edge", r#""upstream": "auto","#, true),
    ("edge", r#""upstream": "keep","#, false),
    ("edge", r#""upstream": "remove","#, true),
    ("internal", "", false),
    ("internal", r#""upstream": "auto","#, false),
    ("internal", r#""upstream": "keep","#, false),
    ("internal", r#""upstream": "remove","#, true),
];
/// What a request is like, and whether its upstream was sent a context that callers may learn: always, if sampled, if
/// they participate.
const REQUESTS: &[(&str, &str, &[Line<'_>], [bool; 3])] = &[
    ("with a context", "", &[("traceparent", SAMPLED), ("x-mesh-trace", SAMPLED)], [true, true, true]),
    ("without one", "", &[], [true, true, false]),
    ("not sampled", r#""sampling": {"probability": 0},"#, &[], [true, false, false]),
    ("excluded", r#""exclude": [{"path_prefix": "/"}],"#, &[("traceparent", SAMPLED)], [false; 3]),
    ("untraced", r#""start": "never","#, &[], [false; 3]),
    (
        "kept back",
        r#""direction": "outbound", "egress": [{"match": {"path_prefix": "/"}, "strip": "all"}],"#,
        &[("traceparent", SAMPLED)],
        [false; 3],
    ),
];
const INJECTS: &[&str] = &[
    "",
    r#""traceparent""#,
    r#""traceresponse", "server-timing""#,
    r#""server-timing-trace", {"header": "x-trace-id"}"#,
];

/// Every combination of the options that meet at the border (rules RS-11, RS-12).
#[test]
fn at_a_border_the_caller_is_told_what_this_hop_tells_alone() {
    for mode in ["enforce", "observe"] {
        for header in ["traceparent", "x-mesh-trace"] {
            for border in BORDERS {
                for request in REQUESTS {
                    for inject in INJECTS {
                        for (place, when) in ["always", "sampled", "participating"].into_iter().enumerate() {
                            let is_told = request.3[place] && mode == "enforce";
                            let case = Case { mode, header, border, request, inject, when, is_told };
                            case.holds();
                        }
                    }
                }
            }
        }
    }
}

struct Case {
    mode: &'static str,
    header: &'static str,
    border: &'static (&'static str, &'static str, bool),
    request: &'static (&'static str, &'static str, &'static [Line<'static>], [bool; 3]),
    inject: &'static str,
    when: &'static str,
    is_told: bool,
}

impl Case {
    fn holds(&self) {
        let Self { mode, header, border: (role, upstream, removes), inject, when, .. } = self;
        let (name, options, request, _) = self.request;
        let options = if options.contains("direction") {
            (*options).to_owned()
        } else {
            format!(r#""direction": "inbound", {options}"#)
        };
        let config = format!(
            r#"{{"mode": "{mode}", "header": "{header}", "role": "{role}", {options}
                "response": {{{upstream} "when": "{when}", "inject": [{inject}]}}}}"#
        );
        let outcome = runs(&config, request, Some(TALKS));
        let response = outcome.response.expect("a response came");
        let came = with_bystanders(TALKS);
        let what = format!("{name}: {config}");
        assert_eq!(others(&response), others(&came), "{what}");
        if *mode == "observe" {
            assert_eq!(response, came, "{what}: observing touches nothing");
            return;
        }
        let sent = outcome.request.get(header).unwrap_or_default();
        let mut expected = came;
        if *removes {
            for name in ["traceparent", header, "traceresponse", "server-timing"] {
                expected.remove(name);
            }
            if inject.contains("x-trace-id") {
                expected.remove("x-trace-id");
            }
            expected.add("server-timing", b"db;dur=5");
            expected.add("server-timing", b"total;dur=1");
        }
        if self.is_told {
            self.tell(sent, &mut expected);
        }
        assert_eq!(told(&response), told(&expected), "{what}");
    }

    /// What this hop writes into the headers that are left.
    fn tell(&self, sent: &[u8], expected: &mut HeaderMap) {
        let names = |word: &str| self.inject.contains(&format!("\"{word}\""));
        let is_free = |expected: &HeaderMap, metric: &str| {
            let lines = expected.lines("server-timing");
            !lines.iter().any(|line| String::from_utf8_lossy(line).contains(&format!("{metric};")))
        };
        if names("traceparent") {
            expected.replace(self.header, sent);
        }
        if names("traceresponse") {
            expected.replace("traceresponse", sent);
        }
        if names("x-trace-id") {
            expected.replace("x-trace-id", sent.get(3..35).unwrap_or_default());
        }
        if names("server-timing") && is_free(expected, "traceparent") {
            expected.add("server-timing", [b"traceparent;desc=\"", sent, b"\""].concat());
        }
        if names("server-timing-trace") && is_free(expected, "trace") {
            expected.add("server-timing", [b"trace;desc=", sent].concat());
        }
    }
}

/// RS-12: no reader finds a metric of a trace in what goes on, and no other metric is lost with it.
#[test]
fn a_line_of_server_timing_goes_on_without_the_metrics_of_a_trace() {
    const EDGE: &str = r#"{"direction": "inbound", "role": "edge", "response": {"inject": []}}"#;
    let rows: &[(&str, &[u8], Option<&[u8]>)] = &[
        (
            "a line of others stays as it is",
            b" db ;dur=5,,\tcache; desc=\"a, b;c\" ",
            Some(b" db ;dur=5,,\tcache; desc=\"a, b;c\" "),
        ),
        ("the first", b"traceparent;desc=\"x\" ,  db;dur=5", Some(b"db;dur=5")),
        ("the last", b"db;dur=5 ,TRACE;desc=x", Some(b"db;dur=5")),
        ("one among others", b"a;dur=1, TraceParent ; dur=1;desc=\"a,b\" , b", Some(b"a;dur=1, b")),
        ("several", b"trace,a,traceparent;desc=x,b,trace;desc=y", Some(b"a,b")),
        ("nothing else", b"trace;desc=x", None),
        ("nothing else but commas", b" , traceparent;desc=x,\t,", None),
        (
            "names that only begin so",
            b"traces;dur=1, tracer, x-trace, retrace;desc=\"q\"",
            Some(b"traces;dur=1, tracer, x-trace, retrace;desc=\"q\""),
        ),
        (
            "a description that only looks so",
            b"db;desc=\"traceparent;desc=x, trace\"",
            Some(b"db;desc=\"traceparent;desc=x, trace\""),
        ),
        (
            "a quote within quotes",
            b"db;desc=\"a\\\", trace;desc=x\", trace;desc=y",
            Some(b"db;desc=\"a\\\", trace;desc=x\""),
        ),
        ("a backslash at the end of quotes", b"db;desc=\"a\\\\\", trace;desc=y", Some(b"db;desc=\"a\\\\\"")),
        ("a backslash outside of quotes", b"db;desc=a\\, trace;desc=y", Some(b"db;desc=a\\")),
        ("bytes of any kind in a value", b"db;desc=\xff\xfe =, trace", Some(b"db;desc=\xff\xfe =")),
        ("a quote that nothing closes", b"db;desc=\"a, trace;desc=x", None),
        ("a quote that nothing closes, after an escape", b"db;desc=\"a\\\", trace;desc=x", None),
        ("a quote in a name", b"d\"b, trace;desc=x\"", None),
        ("a quote within a value", b"db;desc=a\"b, trace;desc=x\"", None),
        ("a quote after a second =", b"db;desc=a=\"b, trace;desc=x\"", None),
        ("a quote without a parameter", b"db=\"b, trace;desc=x\"", None),
        ("something after a quoted value", b"db;desc=\"a\"b\"c, trace;desc=x\"", None),
        ("a name of two words", b"trace x;desc=y, db", None),
        ("a name in strange white space", b"\xa0trace;desc=y", None),
        ("a name in quotes", b"\"traceparent\";desc=y", None),
        ("no trace in a line that is malformed", b"db;desc=\"a, b", Some(b"db;desc=\"a, b")),
    ];
    for (why, line, left) in rows {
        let lines: &[Line<'_>] =
            &[("server-timing", b"one"), ("server-timing", line), ("server-timing", b"two")];
        let outcome = runs(EDGE, &[], Some(lines));
        let response = outcome.response.expect("a response came");
        let expected: Vec<&[u8]> = [Some(&b"one"[..]), *left, Some(b"two")].into_iter().flatten().collect();
        assert_eq!(response.lines("server-timing"), expected, "{why}");
        let outcome = runs(EDGE, &[], Some(&[("server-timing", line)]));
        let response = outcome.response.expect("a response came");
        assert_eq!(response.lines("server-timing"), left.iter().copied().collect::<Vec<_>>(), "{why}, alone");
    }
}

/// The upstream's word is counted as it came, whatever becomes of it.
#[test]
fn a_response_is_counted_before_its_context_is_removed() {
    const EDGE: &str = r#"{"direction": "inbound", "role": "edge", "response": {"inject": []}}"#;
    let same: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    let rows: &[(&str, &[Line<'_>])] = &[
        ("responses absent", &[]),
        ("responses match", &[("traceparent", same)]),
        ("responses match", &[("traceresponse", same)]),
        ("responses mismatch", &[("traceparent", OTHER), ("traceresponse", same)]),
        ("responses mismatch", &[("server-timing", TRACE)]),
        ("responses corrupt", &[("traceresponse", same), ("traceresponse", same)]),
        ("responses corrupt", &[("server-timing", b"trace, db, trace")]),
    ];
    for (counter, response) in rows {
        let outcome = runs(EDGE, &[("traceparent", SAMPLED)], Some(response));
        assert!(outcome.counters.iter().any(|one| one == counter), "{counter}: {:?}", outcome.counters);
        let received = outcome.response.expect("a response came");
        assert_eq!(told(&received), rest(response), "{counter}");
    }
}

/// What is left of the lines above.
fn rest(lines: &[Line<'_>]) -> Vec<(&'static str, &'static [u8])> {
    let has_more = lines.iter().any(|(_, value)| value.windows(2).any(|pair| pair == b"db"));
    if has_more { vec![("server-timing", b"db")] } else { Vec::new() }
}
