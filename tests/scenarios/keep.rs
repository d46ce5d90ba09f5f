//! `trust.keep`: what passes from untrusted senders, and two secrets at once.

use proxy_wasm_test_framework::Host;

use crate::edge::start;
use crate::scenarios::support::{Line, Outcome, SAMPLED, Scenario};

const RUM: &str = r#"{"header": "x-datadog-origin", "values": ["rum", "lambda"]}"#;
const TENANT: &str =
    r#"{"baggage": "tenant", "pattern": "[a-z]{1,16}"}, {"baggage": "tier", "values": ["gold"]}"#;

/// An edge that trusts nobody without the secret, and keeps this.
fn edge(untrusted: &str, keep: &str, more: &str) -> String {
    format!(
        r#"{{"direction": "inbound", "role": "edge", "trust": {{"default": "untrusted", "untrusted": "{untrusted}",
        "trusted": [{{"header": "x-trust", "value_env": "TRUST_SECRET"}}], "keep": [{keep}]}}{more}}}"#
    )
}

fn run(config: &str, lines: &[Line<'_>]) -> Outcome {
    Scenario::new(config, lines, None).run()
}

#[test]
fn a_companion_passes_once_with_a_value_that_is_expected() {
    let rows: &[(&[Line<'_>], &[&[u8]])] = &[
        (&[("x-datadog-origin", b"rum")], &[b"rum"]),
        (&[("X-Datadog-Origin", b"lambda")], &[b"lambda"]),
        (&[("x-datadog-origin", b"evil")], &[]),
        (&[("x-datadog-origin", b"rum,evil")], &[]),
        (&[("x-datadog-origin", b"RUM")], &[]),
        (&[("x-datadog-origin", b"")], &[]),
        (&[("x-datadog-origin", b"rum"), ("x-datadog-origin", b"rum")], &[]),
        (&[("x-datadog-origin", b"rum"), ("x-datadog-origin", b"evil")], &[]),
        (&[("x-datadog-sampling-priority", b"2"), ("x-datadog-origin", b"rum")], &[b"rum"]),
    ];
    for untrusted in ["restart", "ignore_sampled", "strip"] {
        for (lines, kept) in rows {
            let lines = [&[("traceparent", SAMPLED)], *lines].concat();
            let outcome = run(&edge(untrusted, RUM, ""), &lines);
            assert_eq!(outcome.request.lines("x-datadog-origin"), *kept, "{untrusted}: {lines:?}");
            assert_eq!(outcome.request.get("x-datadog-sampling-priority"), None, "{untrusted}");
            assert!(!outcome.request.lines("traceparent").contains(&SAMPLED), "{untrusted}");
        }
    }
}

#[test]
fn members_of_baggage_pass_one_by_one() {
    let rows: &[(&[&[u8]], Option<&[u8]>)] = &[
        (&[b"tenant=shop,session=abc,secret=x"], Some(b"tenant=shop")),
        (&[b"session=abc, tenant = shop ;ttl=3, tier=gold"], Some(b"tenant=shop,tier=gold")),
        (&[b"tier=gold", b"tenant=shop"], Some(b"tenant=shop,tier=gold")),
        (&[b"tenant=Shop"], None),
        (&[b"tenant=shop%2Cevil"], None),
        (&[b"tenant=seventeenletters1"], None),
        (&[b"Tenant=shop"], None),
        (&[b"tenant=shop,tenant=other"], None),
        (&[b"tenant=shop,tenant=shop"], None),
        (&[b"tenant=shop", b"tenant=EVIL"], None),
        (&[b"tier=silver,tenant=a"], Some(b"tenant=a")),
        (&[b"tenant"], None),
        (&[b"=shop,,;,tenant=,"], None),
        (&[b"tenant=sh op"], None),
        (&[b"tenant=\xff"], None),
    ];
    for untrusted in ["restart", "ignore_sampled", "strip"] {
        for (baggage, kept) in rows {
            let lines: Vec<Line<'_>> = baggage.iter().map(|line| ("baggage", *line)).collect();
            let outcome = run(&edge(untrusted, TENANT, ""), &lines);
            assert_eq!(outcome.request.lines("baggage"), kept.as_slice(), "{untrusted}: {baggage:?}");
        }
    }
    let many = vec![&b"a=1"[..]; 5_000].join(&b","[..]);
    let outcome = run(&edge("restart", TENANT, ""), &[("baggage", &many), ("baggage", b"tenant=a")]);
    assert_eq!(outcome.request.lines("baggage"), [b"tenant=a"]);
}

/// What else says what may cross is as it was.
#[test]
fn what_is_kept_crosses_no_other_border() {
    let all = format!("{RUM}, {TENANT}");
    let lines: &[Line<'_>] = &[
        (":authority", b"api.example.org"),
        ("traceparent", SAMPLED),
        ("x-datadog-origin", b"rum"),
        ("baggage", b"tenant=shop,session=abc"),
    ];
    let egress = |strip: &str| {
        format!(r#", "egress": [{{"match": {{"host": "api.example.org"}}, "strip": "{strip}"}}]"#)
    };
    let rows: &[(&str, bool, bool)] = &[
        ("", true, true),
        (&egress("all"), false, false),
        (&egress("baggage"), true, false),
        (&egress("tracestate"), true, true),
        (r#", "propagation": {"remove": ["x-datadog-origin", "baggage"]}"#, false, false),
        (r#", "exclude": [{"host": "api.example.org"}]"#, true, true),
        (
            r#", "propagation": {"extract": ["tracecontext", "datadog"], "inject": ["tracecontext", "datadog"]}"#,
            true,
            true,
        ),
        (r#", "propagation": {"extract": ["datadog"], "inject": ["datadog"]}"#, true, true),
        (r#", "baggage": {"limit": true}"#, true, true),
        (r#", "start": "never""#, true, true),
    ];
    for (more, origin, baggage) in rows {
        let outcome = run(&edge("restart", &all, more), lines);
        let expected = |is_there: bool, value: &'static [u8]| if is_there { vec![value] } else { Vec::new() };
        assert_eq!(outcome.request.lines("x-datadog-origin"), expected(*origin, b"rum"), "{more}");
        assert_eq!(outcome.request.lines("baggage"), expected(*baggage, b"tenant=shop"), "{more}");
    }
    // A trusted sender's is not cut.
    let trusted = [lines, &[("x-trust", b"friend")]].concat();
    let outcome = run(&edge("restart", &all, ""), &trusted);
    assert_eq!(outcome.request.lines("baggage"), [b"tenant=shop,session=abc"]);
    assert_eq!(outcome.request.get("x-trust"), None);
    // Without it, as before.
    let outcome = run(&edge("restart", "", ""), lines);
    assert_eq!((outcome.request.get("x-datadog-origin"), outcome.request.get("baggage")), (None, None));
    // Observing removes nothing.
    let outcome = run(&edge("restart", &all, r#", "mode": "observe""#), lines);
    assert_eq!(outcome.request.lines("baggage"), [b"tenant=shop,session=abc"]);
}

#[test]
fn a_companion_of_a_prefix_is_named_whole() {
    let keep = r#"{"header": "ot-baggage-tenant", "pattern": "[a-z]+"}"#;
    let lines: &[Line<'_>] =
        &[("ot-baggage-tenant", b"shop"), ("ot-baggage-user", b"x"), ("uberctx-tenant", b"shop")];
    let outcome = run(&edge("restart", keep, ""), lines);
    assert_eq!(outcome.request.get("ot-baggage-tenant"), Some(&b"shop"[..]));
    assert_eq!((outcome.request.get("ot-baggage-user"), outcome.request.get("uberctx-tenant")), (None, None));
    // All baggage may pass beside a companion that is kept.
    let both = r#"{"direction": "inbound", "trust": {"default": "untrusted", "baggage": true,
        "keep": [{"header": "x-datadog-origin", "values": ["rum"]}]}}"#;
    let outcome = run(both, &[("baggage", b"a=1"), ("x-datadog-origin", b"rum"), ("jaeger-debug-id", b"1")]);
    assert_eq!(outcome.request.get("baggage"), Some(&b"a=1"[..]));
    assert_eq!(outcome.request.get("x-datadog-origin"), Some(&b"rum"[..]));
    assert_eq!(outcome.request.get("jaeger-debug-id"), None);
}

/// The secret of the variable and that of the one which takes its place are good, and no other.
#[test]
fn a_secret_can_be_replaced() {
    let config = r#"{"direction": "inbound", "trust": {"default": "untrusted",
        "trusted": [{"header": "x-trust", "value_env": "TRUST_SECRET"}]},
        "sampling": {"probability": 0, "force": {"header": "x-force", "value_env": "TRUST_SECRET"}}}"#;
    let rows: &[(Option<&str>, &[&[u8]], &[&[u8]])] = &[
        (None, &[b"friend"], &[b"", b"x", b"comrade"]),
        (Some("comrade"), &[b"friend", b"comrade"], &[b"", b"x", b"friendcomrade", b"Friend"]),
        (Some(""), &[b"friend"], &[b"", b"comrade"]),
    ];
    for (next, good, bad) in rows {
        let mut host = Host::new();
        host.environment.insert("TRUST_SECRET".to_owned(), "friend".to_owned());
        host.environment.extend(next.map(|next| ("TRUST_SECRET_NEXT".to_owned(), next.to_owned())));
        let mut vm = start(host);
        let root = vm.root(config.as_bytes()).unwrap().expect(config);
        for (secrets, is_good) in [(good, true), (bad, false)] {
            for secret in *secrets {
                let stream = vm.stream(root).unwrap();
                vm.request(stream, [("traceparent", SAMPLED), ("x-trust", *secret)]).unwrap();
                let sent = vm.request_headers(stream).get("traceparent") == Some(SAMPLED);
                assert_eq!(sent, is_good, "{next:?}: {secret:?}");
                let stream = vm.stream(root).unwrap();
                vm.request(stream, [("x-bystander", &b"1"[..]), ("x-force", *secret)]).unwrap();
                let sent = vm.request_headers(stream).get("traceparent").unwrap();
                assert_eq!(sent.last().unwrap() & 1 == 1, is_good, "{next:?}: {secret:?}");
                assert_eq!(vm.request_headers(stream).get("x-force"), None);
            }
        }
    }
    let mut host = Host::new();
    host.environment.insert("TRUST_SECRET_NEXT".to_owned(), "comrade".to_owned());
    assert!(start(host).root(config.as_bytes()).unwrap().is_none(), "the one that it follows is needed");
}
