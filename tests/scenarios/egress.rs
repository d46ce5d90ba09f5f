//! What leaves the mesh, and baggage within its bounds.

use crate::scenarios::support::{B3, Line, Outcome, SAMPLED, Scenario};

const EVERYTHING: &[Line<'_>] = &[
    (":authority", b"api.partner.example.org:443"),
    ("traceparent", SAMPLED),
    ("tracestate", b"a=1"),
    ("baggage", b"user=1"),
    ("b3", B3),
];

#[test]
fn what_is_not_to_leave_the_mesh_does_not() {
    // The direction, and whether a condition states it; what is stripped; the headers that go on.
    let rows: &[(&str, &str, &str, &[&str])] = &[
        ("outbound", "", "tracestate", &["traceparent", "baggage", "b3"]),
        ("outbound", "", "baggage", &["traceparent", "tracestate", "b3"]),
        ("outbound", "", "all", &[]),
        ("outbound", r#", "direction": "outbound""#, "all", &[]),
        ("inbound", "", "all", &[]),
        ("inbound", r#", "direction": "outbound""#, "all", &["traceparent", "tracestate", "baggage", "b3"]),
    ];
    for parent_id in ["forward", "new"] {
        for (direction, condition, strip, kept) in rows {
            let config = format!(
                r#"{{"direction": "{direction}", "parent_id": "{parent_id}",
                "egress": [{{"match": {{"host": "*.example.org"{condition}}}, "strip": "{strip}"}}]}}"#
            );
            let outcome = Scenario::new(&config, EVERYTHING, Some(&[])).run();
            for header in ["traceparent", "tracestate", "baggage", "b3"] {
                let is_there = outcome.request.get(header).is_some();
                assert_eq!(is_there, kept.contains(&header), "TP-54, {direction}, {strip}: {header}");
            }
            let verdict = format!("requests {direction} internal enforce continued");
            assert!(outcome.counters.contains(&verdict), "{:?}", outcome.counters);
        }
    }
}

#[test]
fn a_host_inside_of_the_mesh_gets_everything() {
    const CONFIG: &str = r#"{"direction": "outbound", "egress": [
        {"match": {"host": "api.partner.example.org"}, "strip": "baggage"}, {"match": {"host": "*.org"}, "strip": "all"}]}"#;
    let request: &[Line<'_>] =
        &[(":authority", b"cart.shop"), ("traceparent", SAMPLED), ("baggage", b"user=1")];
    let outcome = Scenario::new(CONFIG, request, None).run();
    assert_eq!(outcome.request.lines("baggage"), [b"user=1"]);
    let outcome = Scenario::new(CONFIG, EVERYTHING, None).run();
    assert_eq!(outcome.request.get("traceparent"), Some(SAMPLED), "the first entry that matches counts");
    assert_eq!(outcome.request.get("baggage"), None);
}

#[test]
fn nothing_is_started_for_a_host_that_gets_no_context() {
    const CONFIG: &str =
        r#"{"direction": "outbound", "egress": [{"match": {"host": "*.example.org"}, "strip": "all"}]}"#;
    let request: &[Line<'_>] =
        &[(":authority", b"api.example.org"), ("traceparent", b"x"), ("tracestate", b"a=1")];
    let outcome = Scenario::new(CONFIG, request, Some(&[])).run();
    assert!(outcome.request.get("traceparent").is_none() && outcome.request.get("tracestate").is_none());
    assert!(outcome.counters.contains(&"corrupt outbound traceparent version".to_owned()));
    assert!(!outcome.counters.iter().any(|counter| counter.starts_with("repairs")));
    assert_eq!(outcome.response.and_then(|response| response.get("traceparent").map(<[u8]>::to_vec)), None);
}

#[test]
fn baggage_is_kept_within_its_bounds_if_asked() {
    let members = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    let long = |length: usize| format!("k={}", "v".repeat(length - 2));
    let (most, more) = (members(64), members(65));
    let (longest, longer) = (long(8192), long(8193));
    let (half, rest, more_than_rest) = (long(4000), long(4191), long(4192));
    // Lines that come in; what goes on, if that is not what came.
    let rows: &[(&[&str], Option<&str>)] = &[
        (&["user=1;p=2, b=2"], None),
        (&[""], None),
        (&[&most], None),
        (&[&more], Some(&most)),
        (&[&most, "late=1"], Some(&most)),
        (&[&longest], None),
        (&[&longer], Some("")),
        (&[&half, &rest], None),
        (&[&half, &more_than_rest], Some(&half)),
        (&[&half, &rest, "b=2"], Some(&format!("{half},{rest}"))),
        (&["a=1", &longer, "b=2"], Some("a=1")),
    ];
    for (lines, goes) in rows {
        let request: Vec<Line<'_>> = lines.iter().map(|line| ("baggage", line.as_bytes())).collect();
        let came: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let outcome = run(true, &request);
        let expected: Vec<&[u8]> = match goes {
            None => came.clone(),
            Some(value) => Some(value.as_bytes()).filter(|value| !value.is_empty()).into_iter().collect(),
        };
        assert_eq!(outcome.request.lines("baggage"), expected, "BG-02, {} lines", lines.len());
        let counted = outcome.counters.contains(&"baggage_limited".to_owned());
        assert_eq!(counted, goes.is_some(), "{:?}", outcome.counters);
        let outcome = run(false, &request);
        assert_eq!(outcome.request.lines("baggage"), came, "BG-01, forwarded as it is");
    }
}

fn run(limit: bool, request: &[Line<'_>]) -> Outcome {
    let config = format!(r#"{{"direction": "inbound", "baggage": {{"limit": {limit}}}}}"#);
    Scenario::new(&config, request, None).run()
}
