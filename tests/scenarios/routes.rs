//! Conditions on the route and the cluster that the host chose.

use proxy_wasm_test_framework::{Call, Host, Status};

use crate::edge::{Vm, start};
use crate::scenarios::support::{Line, SAMPLED, UNSAMPLED, counters};

/// A host that leads a request there; an empty name is none.
fn leading_to(route: &str, cluster: &str) -> Host {
    let mut host = Host::new();
    host.now_ns = 1 << 60;
    host.environment.insert("TRUST_SECRET".to_owned(), "friend".to_owned());
    for (part, name) in [("route_name", route), ("cluster_name", cluster)] {
        if !name.is_empty() {
            host.set_property(&["xds", part], name);
        }
    }
    host
}

/// Sends a request, and returns the lines of `traceparent` that go on, with the verdict.
fn send(host: Host, config: &str, lines: &[Line<'_>]) -> (Vec<Vec<u8>>, String, Vm) {
    let mut vm = start(host);
    let root = vm.root(config.as_bytes()).unwrap().expect(config);
    let stream = vm.stream(root).unwrap();
    vm.request(
        stream,
        [(":path", &b"/"[..])].iter().chain(lines).copied().collect::<proxy_wasm_test_framework::HeaderMap>(),
    )
    .unwrap();
    let sent = vm.request_headers(stream).lines("traceparent").into_iter().map(<[u8]>::to_vec).collect();
    vm.finish(stream).unwrap();
    let verdict = counters(&vm).into_iter().find(|line| line.starts_with("requests")).unwrap_or_default();
    (sent, verdict, vm)
}

const CONTEXT: &[Line<'_>] = &[("traceparent", SAMPLED)];

#[test]
fn a_name_is_compared_whole_or_up_to_its_star() {
    let rows = [
        (r#""route": "api""#, "api", "shop", true),
        (r#""route": "api""#, "api-2", "shop", false),
        (r#""route": "api*""#, "api-2", "shop", true),
        (r#""route": "*""#, "api", "shop", true),
        (r#""route": "*""#, "", "shop", false),
        (r#""route": "api""#, "API", "shop", false),
        (r#""cluster": "partner""#, "api", "partner", true),
        (r#""cluster": "partner""#, "partner", "shop", false),
        (r#""cluster": "outbound|443||*""#, "", "outbound|443||partner.example.org", true),
        (r#""cluster": "partner""#, "", "", false),
        (r#""route": "api", "cluster": "partner""#, "api", "partner", true),
        (r#""route": "api", "cluster": "partner""#, "api", "shop", false),
        (r#""host": "nobody", "route": "api""#, "api", "shop", false),
    ];
    for (condition, route, cluster, holds) in rows {
        let config = format!(
            r#"{{"direction": "inbound", "egress": [{{"match": {{{condition}}}, "strip": "all"}}]}}"#
        );
        let (sent, ..) = send(leading_to(route, cluster), &config, CONTEXT);
        assert_eq!(sent.is_empty(), holds, "egress, {condition}: {route}, {cluster}");
        let config = format!(r#"{{"direction": "inbound", "exclude": [{{{condition}}}]}}"#);
        let (sent, verdict, _) = send(leading_to(route, cluster), &config, CONTEXT);
        assert_eq!(verdict.contains("excluded"), holds, "exclude, {condition}: {verdict}");
        assert_eq!(sent, [SAMPLED], "{condition}");
    }
}

/// An outsider gains nothing by a route that is excluded, and egress is asked before.
#[test]
fn a_route_that_is_excluded_is_no_way_over_the_border() {
    let untrusted = r#"{"direction": "inbound", "role": "edge", "trust": {"default": "untrusted",
        "trusted": [{"header": "x-trust", "value_env": "TRUST_SECRET"}]}, "exclude": [{"route": "health"}],
        "egress": [{"match": {"cluster": "partner"}, "strip": "all"}]}"#;
    let trusted: &[Line<'_>] = &[("traceparent", SAMPLED), ("x-trust", b"friend")];
    let rows: [(&str, &str, &[Line<'_>], usize, &str); 6] = [
        ("health", "shop", CONTEXT, 0, "excluded"),
        ("health", "shop", trusted, 1, "excluded"),
        ("health", "partner", trusted, 0, "excluded"),
        ("api", "partner", trusted, 0, "continued"),
        ("api", "partner", CONTEXT, 0, "untrusted"),
        ("api", "shop", CONTEXT, 1, "untrusted"),
    ];
    for (route, cluster, lines, count, word) in rows {
        let (sent, verdict, _) = send(leading_to(route, cluster), untrusted, lines);
        assert_eq!(sent.len(), count, "{route}, {cluster}: {sent:?}");
        assert!(verdict.contains(word), "{route}, {cluster}: {verdict}");
        assert!(word != "untrusted" || !sent.contains(&SAMPLED.to_vec()));
    }
}

#[test]
fn a_rule_for_a_route_decides_where_the_parent_does_not() {
    let config = r#"{"direction": "inbound", "sampling": {"parent": "ignore", "probability": 0,
        "rules": [{"match": {"route": "api"}, "probability": 1}]}}"#;
    for (route, sampled) in [("api", true), ("other", false), ("", false)] {
        for lines in [&[("traceparent", UNSAMPLED)][..], &[("traceparent", SAMPLED)], &[]] {
            let (sent, ..) = send(leading_to(route, "shop"), config, lines);
            let [sent] = sent.as_slice() else { panic!("{sent:?}") };
            assert_eq!(sent.ends_with(b"1") || sent.ends_with(b"3"), sampled, "{route}, {lines:?}");
        }
    }
}

#[test]
fn the_host_is_asked_only_for_what_a_condition_needs_and_once() {
    let asked = |config: &str| {
        let (.., vm) = send(leading_to("api", "shop"), config, CONTEXT);
        vm.host().calls_by_name().get("proxy_get_property").copied().unwrap_or(0)
    };
    let none = asked(r#"{"direction": "inbound"}"#);
    let rows = [
        (r#""exclude": [{"path": "/x"}]"#, 0),
        (r#""exclude": [{"route": "x"}]"#, 1),
        (
            r#""exclude": [{"route": "x"}, {"route": "y"}], "egress": [{"match": {"route": "z"}, "strip": "all"}]"#,
            1,
        ),
        (
            r#""exclude": [{"route": "x"}], "sampling": {"rules": [{"match": {"cluster": "y"}, "probability": 1}]}"#,
            2,
        ),
    ];
    for (fields, more) in rows {
        assert_eq!(asked(&format!(r#"{{"direction": "inbound", {fields}}}"#)), none + more, "{fields}");
    }
}

/// What the host does not tell holds for nothing: the context goes on as for a route without a name.
#[test]
fn a_host_that_does_not_answer_has_no_route() {
    let config = r#"{"direction": "inbound", "egress": [{"match": {"route": "*"}, "strip": "all"}]}"#;
    let mut host = leading_to("api", "shop");
    host.fault(Call::GetProperty, Status::InternalFailure);
    let (sent, ..) = send(host, config, CONTEXT);
    assert_eq!(sent, [SAMPLED]);
}

#[test]
fn observing_removes_nothing_wherever_it_leads() {
    let config = r#"{"direction": "inbound", "mode": "observe", "egress": [{"match": {"cluster": "*"}, "strip": "all"}]}"#;
    let (sent, verdict, _) = send(leading_to("api", "partner"), config, CONTEXT);
    assert_eq!((sent, verdict.contains("continued")), (vec![SAMPLED.to_vec()], true));
}
