//! What is legal and does nothing is warned of, and nothing that does something is.

use serde_json::{Value, json};

use crate::proxy::{any, discovered, listener, named, ours, text, wasm};
use crate::support::{found, judged, messages};

/// The codes of those warnings that are about fields without effect, and the path that each names.
fn idle(input: &str) -> Vec<(String, String)> {
    let (_, value) = judged(input);
    assert_eq!(value["errors"], json!([]), "{input}");
    let all = value["warnings"].as_array().expect("a list").iter();
    let of = |one: &Value, name: &str| one[name].as_str().expect("text").to_owned();
    let ours = all.filter(|one| ("TW0215".."TW0223").contains(&one["code"].as_str().expect("text")));
    ours.map(|one| (of(one, "code"), of(one, "path"))).collect()
}

fn said(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(code, path)| ((*code).to_owned(), (*path).to_owned())).collect()
}

/// Whether the second of two matches is behind the first, as a sampling rule, as an egress entry and as an exclusion.
fn is_behind(first: &str, second: &str, more: &str) -> bool {
    let rule = |one: &str| format!(r#"{{"match": {one}, "probability": 0.5}}"#);
    let strip = |one: &str| format!(r#"{{"match": {one}, "strip": "all"}}"#);
    let forms = [
        (
            format!(r#"{{{more} "sampling": {{"rules": [{}, {}]}}}}"#, rule(first), rule(second)),
            "sampling.rules[1]",
        ),
        (format!(r#"{{{more} "egress": [{}, {}]}}"#, strip(first), strip(second)), "egress[1]"),
        (format!(r#"{{{more} "exclude": [{first}, {second}]}}"#), "exclude[1]"),
    ];
    let answers = forms.map(|(input, path)| {
        let found = idle(&input);
        // The order of exclusions does not matter, so the first one may be behind the second.
        let other = said(&[("TW0216", "exclude[0]")]);
        assert!(
            found.is_empty() || found == said(&[("TW0216", path)]) || found == other,
            "{input} {found:?}"
        );
        !found.is_empty() && found != other
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{first} {second}: {answers:?}");
    answers[0]
}

#[test]
fn an_entry_behind_one_that_takes_all_its_requests() {
    let rows = [
        (r#"{"path_prefix": "/a"}"#, r#"{"path_prefix": "/a"}"#, true),
        (r#"{"path_prefix": "/a"}"#, r#"{"path_prefix": "/a/b"}"#, true),
        (r#"{"path_prefix": "/a"}"#, r#"{"path": "/a/b"}"#, true),
        (r#"{"path_prefix": "/a"}"#, r#"{"path_prefix": "/a", "method": "GET"}"#, true),
        (r#"{"path_prefix": "/a", "method": "GET"}"#, r#"{"path_prefix": "/a", "method": "GET"}"#, true),
        (r#"{"path_prefix": "/a", "method": "GET"}"#, r#"{"path_prefix": "/a", "method": "PUT"}"#, false),
        (r#"{"path_prefix": "/a", "method": "GET"}"#, r#"{"path_prefix": "/a"}"#, false),
        (r#"{"path_prefix": "/a/b"}"#, r#"{"path_prefix": "/a"}"#, false),
        (r#"{"path": "/a"}"#, r#"{"path": "/a"}"#, true),
        (r#"{"path": "/a"}"#, r#"{"path_prefix": "/a"}"#, false),
        (r#"{"path_regex": "/a.*"}"#, r#"{"path_regex": "/a.*"}"#, true),
        (r#"{"path_regex": "/a.*"}"#, r#"{"path": "/a"}"#, false),
        (r#"{"host": "*"}"#, r#"{"host": "a.example"}"#, true),
        (r#"{"host": "*.example"}"#, r#"{"host": "A.EXAMPLE."}"#, true),
        (r#"{"host": "*.example"}"#, r#"{"host": "*.a.example"}"#, true),
        (r#"{"host": "*.example"}"#, r#"{"host": "example"}"#, false),
        (r#"{"host": "*.example"}"#, r#"{"host": ".example"}"#, false),
        (r#"{"host": "*.a.example"}"#, r#"{"host": "*.example"}"#, false),
        (r#"{"host": "a.example"}"#, r#"{"host": "*.example"}"#, false),
        (r#"{"host": "a.example"}"#, r#"{"host": "a.Example"}"#, true),
        (r#"{"host": "a.example"}"#, r#"{"path": "/a"}"#, false),
        (r#"{"user_agent_prefix": "curl"}"#, r#"{"user_agent_prefix": "curl/8"}"#, true),
        (r#"{"user_agent_prefix": "curl/8"}"#, r#"{"user_agent_prefix": "curl"}"#, false),
        (r#"{"header": {"name": "X-A"}}"#, r#"{"header": {"name": "x-a", "value": "1"}}"#, true),
        (r#"{"header": {"name": "x-a", "value": "1"}}"#, r#"{"header": {"name": "x-a"}}"#, false),
        (
            r#"{"header": {"name": "x-a", "value": "1"}}"#,
            r#"{"header": {"name": "x-a", "value": "1"}, "path": "/"}"#,
            true,
        ),
        (r#"{"header": {"name": "x-a"}}"#, r#"{"header": {"name": "x-b"}}"#, false),
        (r#"{"grpc_service": "a"}"#, r#"{"grpc_service": "a"}"#, true),
        (r#"{"grpc_service": "a"}"#, r#"{"grpc_service": "a.b"}"#, false),
        (r#"{"direction": "inbound"}"#, r#"{"direction": "inbound", "path": "/"}"#, true),
        (r#"{"direction": "inbound"}"#, r#"{"direction": "outbound"}"#, false),
        (r#"{"direction": "inbound"}"#, r#"{"path": "/"}"#, false),
        (r#"{"direction": "auto", "path_prefix": "/"}"#, r#"{"path": "/a"}"#, true),
    ];
    for (first, second, expected) in rows {
        assert_eq!(is_behind(first, second, ""), expected, "{first} {second}");
    }
    assert!(is_behind(r#"{"direction": "inbound"}"#, r#"{"path": "/"}"#, r#""direction": "inbound","#));
}

#[test]
fn the_order_of_exclusions_and_senders_does_not_matter() {
    let rows = [
        (r#"{"exclude": [{"path": "/a/b"}, {"path_prefix": "/a"}]}"#, vec![("TW0216", "exclude[0]")]),
        (r#"{"exclude": [{"path": "/a"}, {"path": "/a"}]}"#, vec![("TW0216", "exclude[1]")]),
        (
            r#"{"exclude": [{"user_agent_prefix": "kube-probe/1"}, "default"]}"#,
            vec![("TW0216", "exclude[0]")],
        ),
        (r#"{"exclude": [{"user_agent_prefix": "kube"}, "default"]}"#, vec![]),
        (r#"{"exclude": ["default", {"path": "/"}]}"#, vec![]),
        (
            r#"{"sampling": {"rules": [{"match": {"path": "/a/b"}, "probability": 1}, {"match": {"path_prefix": "/a"}, "probability": 0.5}]}}"#,
            vec![],
        ),
    ];
    for (input, expected) in rows {
        assert_eq!(idle(input), said(&expected), "{input}");
    }
    let senders = [
        (r#"{"san": "spiffe://a/*"}, {"san": "spiffe://a/b"}"#, Some(1)),
        (r#"{"san": "spiffe://a/b/*"}, {"san": "spiffe://a/*"}"#, Some(0)),
        (r#"{"san": "spiffe://a"}, {"san": "spiffe://a/*"}"#, None),
        (r#"{"cidr": "10.0.0.0/8"}, {"cidr": "10.1.0.0/16"}"#, Some(1)),
        (r#"{"cidr": "10.0.0.1"}, {"cidr": "0.0.0.0/0"}"#, Some(0)),
        (r#"{"cidr": "10.0.0.0/8"}, {"cidr": "11.0.0.0/16"}"#, None),
        (r#"{"cidr": "0.0.0.0/0"}, {"cidr": "fd00::/8"}"#, None),
        (r#"{"cidr": "::/0"}, {"cidr": "10.0.0.0/8"}"#, None),
        (r#"{"cidr": "fd00::/8"}, {"cidr": "fd00::1"}"#, Some(1)),
        (r#"{"cidr": "10.0.0.0/8"}, {"san": "spiffe://a/*"}"#, None),
    ];
    for (senders, behind) in senders {
        let input = format!(r#"{{"trust": {{"default": "untrusted", "trusted": [{senders}]}}}}"#);
        let expected = behind.map(|number| ("TW0216".to_owned(), format!("trust.trusted[{number}]")));
        assert_eq!(idle(&input), Vec::from_iter(expected), "{input}");
    }
}

#[test]
fn an_entry_that_no_request_meets() {
    let egress = |direction: &str, entry: &str| {
        format!(r#"{{"direction": "{direction}", "egress": [{{"match": {entry}, "strip": "all"}}]}}"#)
    };
    let exclude =
        |direction: &str, entry: &str| format!(r#"{{"direction": "{direction}", "exclude": [{entry}]}}"#);
    let outbound = r#"{"direction": "outbound"}"#;
    let rows = [
        (egress("inbound", outbound), vec![("TW0215", "egress[0]")]),
        (egress("outbound", outbound), vec![]),
        (egress("auto", outbound), vec![]),
        (exclude("inbound", outbound), vec![("TW0215", "exclude[0]")]),
        (exclude("auto", outbound), vec![]),
        (exclude("auto", r#"{"host": "a.example:80"}"#), vec![("TW0215", "exclude[0]")]),
        (exclude("auto", r#"{"host": "[::1]"}"#), vec![]),
        (exclude("auto", r#"{"host": "*.example:80"}"#), vec![]),
        (exclude("auto", r#"{"path": "/a?b=1"}"#), vec![("TW0215", "exclude[0]")]),
        (exclude("auto", r#"{"path_prefix": "/a?b"}"#), vec![]),
        (exclude("auto", r#"{"path_prefix": "healthz"}"#), vec![("TW0215", "exclude[0]")]),
        (exclude("auto", r#"{"path": "/a", "path_prefix": "/b"}"#), vec![("TW0215", "exclude[0]")]),
        (exclude("auto", r#"{"path": "/a/b", "path_prefix": "/a"}"#), vec![]),
        (exclude("auto", r#"{"path": "/a", "path_prefix": "/a?b"}"#), vec![]),
    ];
    for (input, expected) in rows {
        assert_eq!(idle(&input), said(&expected), "{input}");
    }
    let behind = r#"{"direction": "inbound", "exclude": [{"direction": "outbound"}, {"direction": "outbound", "path": "/a"}]}"#;
    assert_eq!(
        idle(behind),
        said(&[("TW0215", "exclude[0]"), ("TW0215", "exclude[1]")]),
        "it takes nothing from others"
    );
}

/// The codes that one filter gets in a listener of this direction.
fn in_listener(direction: Option<&str>, configuration: &str) -> Vec<String> {
    let mut listener = listener("x", &[ours(configuration)], &json!({}));
    listener["traffic_direction"] = direction.into();
    idle(&listener.to_string()).into_iter().map(|(code, _)| code).collect()
}

#[test]
fn the_direction_is_that_of_the_listener_where_the_configuration_states_none() {
    let egress = r#"{"egress": [{"match": {"direction": "outbound", "host": "a"}, "strip": "all"}]}"#;
    let exclude = r#"{"exclude": [{"direction": "outbound"}]}"#;
    let rows = [
        (Some("INBOUND"), egress, vec!["TW0215"]),
        (Some("OUTBOUND"), egress, vec![]),
        (None, egress, vec![]),
        (Some("INBOUND"), exclude, vec!["TW0215"]),
        (None, exclude, vec!["TW0215"]),
        (Some("UNSPECIFIED"), exclude, vec!["TW0215"]),
        (Some("OUTBOUND"), exclude, vec![]),
    ];
    for (direction, configuration, expected) in rows {
        assert_eq!(in_listener(direction, configuration), expected, "{direction:?} {configuration}");
    }
    let resource = any("envoy.config.core.v3.TypedExtensionConfig", ours(egress));
    let of = |direction: &str| {
        let mut listener = listener(direction, &[discovered("tracewarden", "x")], &json!({}));
        listener["traffic_direction"] = direction.into();
        any("envoy.config.listener.v3.Listener", listener)
    };
    for (listeners, expected) in [
        (vec![of("INBOUND")], vec!["TW0215"]),
        (vec![of("INBOUND"), of("OUTBOUND")], vec![]),
        (vec![], vec![]),
    ] {
        let input = json!({"resources": ([listeners, vec![resource.clone()]].concat())}).to_string();
        let codes: Vec<String> = idle(&input).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, expected, "{input}");
    }
}

#[test]
fn a_sender_with_a_certificate_where_no_client_has_one() {
    let of = |socket: Value, more: Value| {
        let trust = r#"{"trust": {"default": "untrusted", "trusted": [{"cidr": "10.0.0.0/8"}, {"san": "spiffe://a/*"}]}}"#;
        let mut listener = listener("x", &[named("tracewarden", trust, "FAIL_RELOAD")], &json!({}));
        listener["filter_chains"][0]["transport_socket"] = socket;
        listener.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        idle(&listener.to_string())
    };
    let tls = |fields: Value| json!({"name": "tls", "typed_config": any("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", fields)});
    let quic = |fields: Value| json!({"name": "quic", "typed_config": any("envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport", json!({"downstream_tls_context": fields}))});
    let validates =
        json!({"common_tls_context": {"validation_context": {"trusted_ca": {"filename": "ca.pem"}}}});
    let shared = json!({"common_tls_context": {"combined_validation_context": {}}});
    let requires = json!({"require_client_certificate": true});
    let raw = any("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer", json!({}));
    let never = said(&[("TW0218", "trust.trusted[1]")]);
    let rows = [
        ("no TLS", Value::Null, json!({}), true),
        ("plain", json!({"name": "raw", "typed_config": raw}), json!({}), true),
        (
            "TLS that asks for none",
            tls(json!({"common_tls_context": {"tls_certificates": []}})),
            json!({}),
            true,
        ),
        ("QUIC that asks for none", quic(json!({"common_tls_context": {}})), json!({}), true),
        ("TLS that requires one", tls(requires), json!({}), false),
        ("TLS that validates one", tls(validates.clone()), json!({}), false),
        ("TLS with a shared context", tls(shared), json!({}), false),
        ("QUIC that validates one", quic(validates), json!({}), false),
        ("another socket", json!({"name": "x", "typed_config": any("x.Y", json!({}))}), json!({}), false),
        ("an internal listener", Value::Null, json!({"internal_listener": {}}), false),
    ];
    for (name, socket, more, is_warned) in rows {
        assert_eq!(of(socket, more), if is_warned { never.clone() } else { vec![] }, "{name}");
    }
    let alone = r#"{"trust": {"default": "untrusted", "trusted": [{"san": "spiffe://a/*"}]}}"#;
    assert_eq!(idle(alone), [], "nothing is known of the listener");
}

#[test]
fn fields_that_others_make_pointless() {
    let rule = r#"[{"match": {"path": "/"}, "probability": 0}]"#;
    let rows = [
        (r#"{"mode": "observe", "export": {"otlp": {"cluster": "c"}}}"#.to_owned(), vec![("TW0219", "export")]),
        (r#"{"mode": "observe", "egress": [{"match": {"host": "*"}, "strip": "all"}]}"#.to_owned(), vec![("TW0219", "egress")]),
        (r#"{"mode": "observe", "propagation": {"remove": ["b3"]}}"#.to_owned(), vec![("TW0219", "propagation.remove")]),
        (format!(r#"{{"mode": "observe", "sampling": {{"rules": {rule}}}}}"#), vec![("TW0219", "sampling.rules")]),
        (r#"{"mode": "observe", "sampling": {"probability": 0.1}, "correlation": {}, "export": null, "egress": []}"#.to_owned(), vec![]),
        (r#"{"mode": "enforce", "export": {"otlp": {"cluster": "c"}}}"#.to_owned(), vec![]),
        (r#"{"trace_id_source": "x-request-id", "trust": {"default": "untrusted"}}"#.to_owned(), vec![("TW0220", "trace_id_source")]),
        (r#"{"trace_id_source": "x-request-id", "trust": {"default": "untrusted", "trusted": [{"cidr": "10.0.0.0/8"}]}}"#.to_owned(), vec![]),
        (r#"{"trace_id_source": "x-request-id"}"#.to_owned(), vec![]),
        (r#"{"trust": {"default": "untrusted"}}"#.to_owned(), vec![]),
        (format!(r#"{{"sampling": {{"probability": 0, "rules": {rule}, "max_traces_per_second_per_worker": 5}}}}"#), vec![("TW0217", "sampling.max_traces_per_second_per_worker")]),
        (r#"{"sampling": {"probability": 0, "rules": [{"match": {"path": "/"}, "probability": 0.1}], "max_traces_per_second_per_worker": 5}}"#.to_owned(), vec![]),
        (r#"{"sampling": {"probability": 0}}"#.to_owned(), vec![]),
        (r#"{"enabled": false, "mode": "observe", "export": {"otlp": {"cluster": "c"}}}"#.to_owned(), vec![]),
    ];
    for (input, expected) in rows {
        assert_eq!(idle(&input), said(&expected), "{input}");
    }
    let several = r#"{"mode": "observe", "export": {"otlp": {"cluster": "c"}}, "egress": [{"match": {"host": "*"}, "strip": "all"}], "propagation": {"remove": ["b3"]}}"#;
    let begin = "propagation.remove, egress and export do nothing in mode: observe";
    assert!(messages(&judged(several).1)[0].2.starts_with(begin));
}

#[test]
fn a_module_from_a_server_and_a_border_that_opens() {
    let trust =
        r#"{"role": "edge", "start": "never", "trust": {"default": "untrusted", "untrusted": "strip"}}"#;
    let of = |policy: Value, configuration: &str| {
        let mut filter = ours(configuration);
        let config = &mut filter["typed_config"]["config"];
        config.as_object_mut().expect("an object").extend(policy.as_object().expect("an object").clone());
        let codes = idle(&filter.to_string()).into_iter().map(|(code, _)| code);
        codes.collect::<Vec<_>>()
    };
    let rows = [
        (json!({}), trust, vec!["TW0222"]),
        (json!({"failure_policy": "FAIL_OPEN"}), trust, vec!["TW0222"]),
        (json!({"failure_policy": "FAIL_CLOSED"}), trust, vec!["TW0222"]),
        (json!({"fail_open": true}), trust, vec!["TW0222"]),
        (json!({"failure_policy": "FAIL_RELOAD"}), trust, vec![]),
        (json!({}), r#"{"role": "internal", "trust": {"default": "untrusted"}}"#, vec![]),
        (json!({}), r#"{"role": "edge", "start": "never"}"#, vec![]),
        (json!({}), r#"{"mode": "observe", "role": "edge", "trust": {"default": "untrusted"}}"#, vec![]),
        (json!({"vm_config": {"code": {"remote": {"sha256": ""}}}}), "{}", vec!["TW0221"]),
        (json!({"vm_config": {"code": {"local": {"filename": "x"}}}}), "{}", vec![]),
    ];
    for (policy, configuration, expected) in rows {
        assert_eq!(of(policy.clone(), configuration), expected, "{policy} {configuration}");
    }
    let mut remote = wasm("tracewarden", &text("{}"), "x");
    remote["typed_config"]["config"]["vm_config"]["code"] = json!({"remote": {}});
    let patch = json!({"configPatches": [{"patch": {"value": remote}}]});
    let filter =
        json!({"apiVersion": "x/v1", "kind": "EnvoyFilter", "metadata": {"name": "x"}, "spec": patch});
    assert_eq!(idle(&filter.to_string()), [], "Istio's agent fetches it");
}

#[test]
fn each_message_has_the_line_of_its_entry() {
    let yaml = "direction: inbound\negress:\n- match: {direction: outbound}\n  strip: all\nsampling:\n  rules:\n  - \
                match: {path_prefix: /a}\n    probability: 0.1\n  - match:\n      path: /a/b\n    probability: 0.2\n";
    assert_eq!(found(yaml), [("TW0215".to_owned(), 3), ("TW0216".to_owned(), 9)]);
    let filter = "- name: tracewarden\n  typed_config:\n    '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n    \
                  config:\n      configuration:\n        '@type': type.googleapis.com/google.protobuf.StringValue\n        value: |\n          \
                  {\"exclude\": [\n            \"default\",\n            {\"path\": \"healthz\"}]}\n";
    assert_eq!(found(filter), [("TW0215".to_owned(), 10)]);
}

#[test]
fn a_long_list_is_compared_as_far_as_its_first_1_000_entries() {
    let entries: Vec<Value> =
        (0..50_000).map(|number| json!({"path": format!("/{}", number % 999)})).collect();
    let warned = idle(&json!({"exclude": entries}).to_string());
    assert_eq!(warned, said(&[("TW0216", "exclude[999]")]));
}
