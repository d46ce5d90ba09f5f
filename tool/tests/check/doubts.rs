//! What is allowed and doubtful is warned of, and nothing else is.

use serde_json::{Value, json};

use crate::support::{Directory, found, judged, messages, run};

/// The codes that are given, in order.
fn codes(input: &str) -> Vec<String> {
    let (_, value) = judged(input);
    let mut codes: Vec<String> = messages(&value).into_iter().map(|(code, ..)| code).collect();
    codes.sort();
    codes
}

fn plugin(name: &str, namespace: &str, more: Value, configuration: &str) -> String {
    let configuration: Value = serde_json::from_str(configuration).expect("JSON");
    let mut spec = json!({"pluginConfig": configuration});
    let more = more.as_object().expect("an object").clone();
    spec.as_object_mut().expect("an object").extend(more);
    json!({"apiVersion": "x/v1", "kind": "WasmPlugin", "metadata": {"name": name, "namespace": namespace}, "spec": spec})
        .to_string()
}

#[test]
fn a_configuration_that_repairs_nothing() {
    let rows = [
        (r#"{"start": "never"}"#, true),
        (
            r#"{"start": "never", "role": "internal", "direction": "inbound", "sampling": {"probability": 0.1}}"#,
            true,
        ),
        (
            r#"{"start": "never", "log": {"format": "%(trace_id)s"}, "access_log": {"filter_state": true}}"#,
            true,
        ),
        (r#"{"start": "always"}"#, false),
        (r#"{"start": "never", "mode": "observe"}"#, false),
        (r#"{"start": "never", "correlation": {}}"#, false),
        (r#"{"start": "never", "export": {"otlp": {"cluster": "c"}}}"#, false),
        (r#"{"start": "never", "egress": [{"match": {"host": "*"}, "strip": "all"}]}"#, false),
        (r#"{"start": "never", "trust": {"default": "untrusted"}}"#, false),
        (r#"{"start": "never", "propagation": {"extract": ["tracecontext", "b3"]}}"#, false),
        (r#"{"start": "never", "propagation": {"remove": ["x-mine"]}}"#, false),
        (r#"{"start": "never", "parent_id": "new"}"#, false),
        (r#"{"start": "never", "baggage": {"limit": true}}"#, false),
        (r#"{"start": "never", "sampling": {"parent": "ignore"}}"#, false),
        (r#"{"start": "never", "hop": "before"}"#, false),
    ];
    for (input, is_warned) in rows {
        assert_eq!(codes(input), if is_warned { vec!["TW0204"] } else { vec![] }, "{input}");
    }
}

#[test]
fn an_edge_whose_first_span_nobody_records_or_that_samples_everything() {
    let rows: [(&str, &[&str]); 14] = [
        (r#"{"role": "edge"}"#, &["TW0208", "TW0209"]),
        (r#"{"role": "edge", "sampling": {"probability": 1}}"#, &["TW0208", "TW0209"]),
        (r#"{"role": "edge", "sampling": {"probability": 0.1}}"#, &["TW0208"]),
        (r#"{"role": "edge", "sampling": {"probability": 0}}"#, &[]),
        (
            r#"{"role": "edge", "sampling": {"probability": 0, "rules": [{"match": {"method": "GET"}, "probability": 1}]}}"#,
            &["TW0208"],
        ),
        (
            r#"{"role": "edge", "sampling": {"rules": [{"match": {"method": "GET"}, "probability": 1}]}}"#,
            &["TW0208", "TW0209"],
        ),
        (
            r#"{"role": "edge", "sampling": {"rules": [{"match": {"path_prefix": "/"}, "probability": 0.1}]}}"#,
            &["TW0208"],
        ),
        (r#"{"role": "edge", "sampling": {"max_traces_per_second_per_worker": 100}}"#, &["TW0208"]),
        (r#"{"role": "edge", "export": {"otlp": {"cluster": "c"}}}"#, &["TW0209"]),
        (r#"{"role": "edge", "start": "never", "trust": {"default": "untrusted"}}"#, &[]),
        (r#"{"role": "edge", "mode": "observe"}"#, &[]),
        (r#"{"role": "edge", "enabled": false}"#, &["TW0301"]),
        (r#"{"role": "internal", "start": "always"}"#, &[]),
        ("{}", &[]),
    ];
    for (input, expected) in rows {
        assert_eq!(codes(input), expected, "{input}");
    }
}

#[test]
fn a_tracer_that_records_the_first_span_is_seen() {
    let edge =
        plugin("tracewarden", "shop", json!({}), r#"{"role": "edge", "sampling": {"probability": 0.1}}"#);
    let telemetry = |tracing: Value| {
        let spec = json!({"tracing": tracing});
        json!({"apiVersion": "x/v1", "kind": "Telemetry", "metadata": {"name": "t"}, "spec": spec})
            .to_string()
    };
    let rows = [
        (telemetry(json!([{"providers": [{"name": "otel"}]}])), false),
        (telemetry(json!([{"disableSpanReporting": true}])), true),
        (telemetry(json!([])), true),
    ];
    for (telemetry, is_warned) in rows {
        let input = [telemetry.as_str(), &edge].join("\n---\n");
        assert_eq!(codes(&input), if is_warned { vec!["TW0208"] } else { vec![] }, "{telemetry}");
    }
    let manager = |tracing: &str| {
        format!(
            "'@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n\
             {tracing}\nhttp_filters:\n- name: tracewarden\n  typed_config:\n    \
             '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n    config:\n      configuration:\n        \
             '@type': type.googleapis.com/google.protobuf.StringValue\n        \
             value: '{{\"role\": \"edge\", \"sampling\": {{\"probability\": 0.1}}}}'\n"
        )
    };
    for (tracing, is_warned) in [
        ("tracing: {provider: {name: envoy.tracers.zipkin}}", false),
        ("tracing: {provider: {name: envoy.tracers.zipkin}, no_context_propagation: true}", false),
        ("tracing: {}", true),
        ("", true),
    ] {
        assert_eq!(codes(&manager(tracing)), if is_warned { vec!["TW0208"] } else { vec![] }, "{tracing}");
    }
}

#[test]
fn what_a_tracer_or_its_place_makes_pointless_is_not_warned_of() {
    let filter = |configuration: &str| {
        format!(
            "- name: tracewarden\n  typed_config:\n    '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n    \
             config:\n      configuration:\n        '@type': type.googleapis.com/google.protobuf.StringValue\n        \
             value: '{configuration}'\n"
        )
    };
    let traced = "'@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n\
                  tracing: {provider: {name: envoy.tracers.zipkin}}\nhttp_filters:\n";
    let upstream = "upstream_http_filters:\n";
    let rows = [
        (traced, r#"{"role": "edge"}"#, vec![]),
        (traced, r#"{"role": "edge", "export": {"otlp": {"cluster": "c"}}}"#, vec!["TW0209"]),
        (upstream, r#"{"role": "edge"}"#, vec![]),
        (upstream, r#"{"start": "never"}"#, vec![]),
        (upstream, r#"{"correlation": {}}"#, vec!["TW0203"]),
    ];
    for (around, configuration, expected) in rows {
        assert_eq!(codes(&(around.to_owned() + &filter(configuration))), expected, "{around}{configuration}");
    }
}

#[test]
fn correlation_on_one_side_only() {
    let inbound = r#"{"direction": "inbound", "correlation": {}}"#;
    let outbound = r#"{"direction": "outbound", "correlation": {}}"#;
    let without = r#"{"direction": "outbound"}"#;
    let auto = r#"{"correlation": {}}"#;
    let fewer = r#"{"direction": "outbound", "correlation": {"slots": 100}}"#;
    let app = |name: &str| json!({"selector": {"matchLabels": {"app": name}}});
    let (all, [a, b]) = (json!({}), ["a", "b"].map(app));
    let rows = [
        ("both", vec![("shop", &all, inbound), ("shop", &all, outbound)], vec![]),
        ("inbound alone", vec![("shop", &all, inbound)], vec!["TW0207"]),
        ("outbound alone", vec![("shop", &all, outbound)], vec!["TW0207"]),
        ("the other without", vec![("shop", &all, inbound), ("shop", &all, without)], vec!["TW0207"]),
        ("auto", vec![("shop", &all, auto)], vec![]),
        ("auto is the other side", vec![("shop", &all, auto), ("shop", &all, inbound)], vec![]),
        ("other slots", vec![("shop", &all, inbound), ("shop", &all, fewer)], vec!["TW0210", "TW0210"]),
        ("two namespaces", vec![("shop", &all, inbound), ("pay", &all, outbound)], vec!["TW0207", "TW0207"]),
        ("the root namespace", vec![("shop", &all, inbound), ("istio-system", &all, outbound)], vec![]),
        ("no namespace", vec![("shop", &all, inbound), ("", &all, outbound)], vec![]),
        ("one workload", vec![("shop", &a, inbound), ("shop", &a, outbound)], vec![]),
        ("two workloads", vec![("shop", &a, inbound), ("shop", &b, outbound)], vec!["TW0207", "TW0207"]),
        ("one of all", vec![("shop", &all, inbound), ("shop", &b, outbound)], vec![]),
        ("the other is broken", vec![("shop", &all, inbound), ("shop", &all, r#"{"x": 1}"#)], vec!["TW0102"]),
    ];
    for (name, plugins, expected) in rows {
        let documents: Vec<String> = plugins
            .into_iter()
            .map(|(namespace, more, configuration)| {
                plugin("tracewarden", namespace, more.clone(), configuration)
            })
            .collect();
        assert_eq!(codes(&documents.join("\n---\n")), expected, "{name}");
    }
}

#[test]
fn an_envoy_is_on_both_sides_alone() {
    let inbound = r#"{"direction": "inbound", "correlation": {}}"#;
    let outbound = r#"{"direction": "outbound", "correlation": {}}"#;
    let [one, other] = [inbound, outbound].map(|configuration| {
        format!(
            "name: tracewarden\ntyped_config:\n  '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n  \
             config:\n    configuration:\n      '@type': type.googleapis.com/google.protobuf.StringValue\n      \
             value: '{configuration}'\n"
        )
    });
    let directory = Directory::new("sides", &[("in.yaml", &one), ("out.yaml", &other)]);
    let said = run(&["check", directory.text()], "").1;
    assert_eq!(said.matches("warning TW0207").count(), 2, "two Envoys: {said}");
    assert_eq!(codes(&[one, other].join("---\n")), [""; 0], "one Envoy");
    assert_eq!(codes(inbound), [""; 0], "a configuration alone does not say what is around it");
}

#[test]
fn an_image_that_was_never_set_or_has_no_digest() {
    let digest = "0".repeat(64);
    let of = |url: &str, sha256: Option<&str>| {
        let mut more = json!({"url": url});
        if let Some(sha256) = sha256 {
            more["sha256"] = sha256.into();
        }
        plugin("tracewarden", "shop", more, "{}")
    };
    let rows = [
        (of("oci://registry.example/tracewarden:0.1.0", None), vec!["TW0205"]),
        (of("registry.example/tracewarden:0.1.0", Some("")), vec!["TW0205"]),
        (of("oci://registry.example/tracewarden:0.1.0", Some(&digest)), vec!["TW0205"]),
        (of("oci://shop.example/tracewarden:1", Some("SET-THIS-to-the-digest")), vec!["TW0205"]),
        (of("oci://shop.example/tracewarden:1", Some("")), vec!["TW0206"]),
        (of("oci://shop.example/tracewarden:1", None), vec!["TW0206"]),
        (of("oci://shop.example/tracewarden:1", Some(&digest)), vec![]),
        (of(&format!("oci://shop.example/tracewarden@sha256:{digest}"), None), vec![]),
        (of("file:///etc/tracewarden.wasm", None), vec![]),
    ];
    for (input, expected) in rows {
        assert_eq!(codes(&input), expected, "{input}");
    }
    let gateway = "apiVersion: x/v1\nkind: EnvoyExtensionPolicy\nmetadata: {name: x}\nspec:\n  wasm:\n  - name: tracewarden\n    code:\n      \
                   image:\n        url: registry.example/tracewarden:0.1.0\n        sha256: ''\n    config: {}\n";
    assert_eq!(found(gateway), [("TW0205".to_owned(), 9)]);
}
