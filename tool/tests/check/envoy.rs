//! Whole Envoy configurations.

use serde_json::{Value, json};

use crate::command;
use crate::proxy::{any, ours, router, text, wasm};
use crate::support::{Ended, messages, run, tracewarden};

const SEVERAL: &str = r#"{"propagation": {"inject": ["tracecontext", "b3"]}}"#;
const MANAGER: &str = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";

fn check(bootstrap: &Value) -> Ended {
    run(&["check"], &bootstrap.to_string())
}

fn opentelemetry() -> Value {
    json!({"provider": {"name": "envoy.tracers.opentelemetry", "typed_config": {}}})
}

/// An Envoy with one listener.
fn bootstrap(filters: &[Value], tracing: &Value) -> Value {
    let manager = any(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({"stat_prefix": "mesh", "tracing": tracing, "http_filters": filters}),
    );
    let chain = json!({"filters": [{"name": "manager", "typed_config": manager}]});
    json!({"static_resources": {"listeners": [{"name": "mesh", "filter_chains": [chain]}]}})
}

#[test]
fn a_plugin_is_warned_of_a_tracer_that_writes_after_it() {
    let quiet = json!({"provider": opentelemetry()["provider"], "no_context_propagation": true});
    let loud = json!({"provider": opentelemetry()["provider"], "no_context_propagation": false});
    let observe = SEVERAL.replacen('{', r#"{"mode": "observe", "#, 1);
    let disabled = SEVERAL.replacen('{', r#"{"enabled": false, "#, 1);
    let rows = [
        ("a tracer", bootstrap(&[ours(SEVERAL), router(&[])], &opentelemetry()), true),
        ("a tracer that says so", bootstrap(&[ours(SEVERAL), router(&[])], &loud), true),
        ("a quiet tracer", bootstrap(&[ours(SEVERAL), router(&[])], &quiet), false),
        ("no tracer", bootstrap(&[ours(SEVERAL), router(&[])], &Value::Null), false),
        ("no provider", bootstrap(&[ours(SEVERAL), router(&[])], &json!({})), false),
        ("W3C alone", bootstrap(&[ours("{}"), router(&[])], &opentelemetry()), false),
        ("observed", bootstrap(&[ours(&observe), router(&[])], &opentelemetry()), false),
        ("disabled", bootstrap(&[ours(&disabled), router(&[])], &opentelemetry()), false),
        ("after the tracer", bootstrap(&[router(&[ours(SEVERAL)])], &opentelemetry()), false),
    ];
    for (name, bootstrap, is_warned) in rows {
        let (status, said, complaint) = check(&bootstrap);
        assert_eq!(status, Some(0), "{name}: {said}{complaint}");
        let begin =
            format!("<stdin>:1: warning TW0202: {MANAGER}.http_filters[0]: one request can carry two traces");
        assert_eq!(said.starts_with(&begin), is_warned, "{name}: {said}");
        let tracer = format!("Envoy's tracer (envoy.tracers.opentelemetry, {MANAGER}.tracing)");
        assert_eq!(said.contains(&tracer), is_warned, "{name}: {said}");
        assert_eq!(said.contains("warning"), is_warned, "{name}: {said}");
    }
}

#[test]
fn a_connection_manager_without_a_provider_has_that_of_the_bootstrap() {
    let default = json!({"http": opentelemetry()["provider"]});
    for (tracing, is_warned) in [(json!({}), true), (Value::Null, false)] {
        let mut bootstrap = bootstrap(&[ours(SEVERAL)], &tracing);
        bootstrap["tracing"] = default.clone();
        let (status, said, _) = check(&bootstrap);
        assert_eq!((status, said.contains("warning")), (Some(0), is_warned), "{said}");
    }
}

#[test]
fn filters_of_a_cluster_run_after_every_tracer() {
    let mut bootstrap = bootstrap(&[ours("{}")], &opentelemetry());
    let options = any(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        json!({"http_filters": [ours(SEVERAL), ours(r#"{"role": "gate"}"#), ours(r#"{"correlation": {}}"#)]}),
    );
    bootstrap["static_resources"]["clusters"] =
        json!([{"name": "shop", "typed_extension_protocol_options": {"options": options}}]);
    let (status, said, _) = check(&bootstrap);
    let place = "static_resources.clusters[0].typed_extension_protocol_options.options.http_filters";
    assert_eq!(status, Some(1), "{said}");
    let begins = [
        format!("<stdin>:1: error TW0106: {place}[1]: role: expected one of"),
        format!("<stdin>:1: warning TW0203: {place}[2]: export and correlation do not work"),
        "not valid: 4 plugins in 1 file, 1 error, 1 warning".to_owned(),
    ];
    for (line, begin) in said.lines().zip(begins) {
        assert!(line.starts_with(&begin), "{line}\n{begin}");
    }
}

#[test]
fn an_upstream_filter_is_warned_of_what_needs_the_end_of_a_stream() {
    let export = r#"{"mode": "observe", "export": {"otlp": {"cluster": "collector"}}}"#;
    let correlation = r#"{"correlation": {}}"#;
    for (configuration, is_warned) in [(export, true), (correlation, true), (SEVERAL, false)] {
        for (filters, is_upstream) in
            [([router(&[ours(configuration)])], true), ([ours(configuration)], false)]
        {
            let (status, said, _) = check(&bootstrap(&filters, &Value::Null));
            assert_eq!(status, Some(0), "{said}");
            let is_said = said.contains("warning TW0203");
            assert_eq!(is_said, is_warned && is_upstream, "{configuration}: {said}");
        }
    }
}

#[test]
fn every_message_has_the_place_of_its_plugin() {
    let filters = [ours(r#"{"role": "gate", "mode": 1}"#), ours(r#"{"role": "internal"}"#)];
    let (status, said, _) = run(&["check", "--json"], &bootstrap(&filters, &Value::Null).to_string());
    let value: Value = serde_json::from_str(&said).expect("JSON");
    let place = |number| Value::from(format!("{MANAGER}.http_filters[{number}]"));
    let errors = value["errors"].as_array().expect("a list");
    assert_eq!(
        (status, errors.len(), &value["valid"], &value["warnings"]),
        (Some(1), 2, &false.into(), &json!([]))
    );
    assert!(errors.iter().all(|error| error["place"] == place(0) && error["file"] == "<stdin>"), "{said}");
    assert_eq!((&errors[0]["path"], &errors[1]["path"]), (&"mode".into(), &"role".into()));
    for (number, valid) in [(0, false), (1, true)] {
        let plugin = &value["plugins"][number];
        assert_eq!((&plugin["place"], &plugin["valid"]), (&place(number), &valid.into()), "{said}");
    }
}

#[test]
fn a_filter_is_known_by_its_names_or_by_what_it_is_configured_with() {
    let structure = any("google.protobuf.Struct", json!({"value": {"role": "edge"}}));
    let bytes = |text| any("google.protobuf.BytesValue", json!({"value": text}));
    let mut outer = wasm("x", &text(r#"{"rate": 5}"#), "/etc/x.wasm");
    outer["name"] = "tracewarden".into();
    let inner = wasm("x", &text(r#"{"role": "gate"}"#), "/etc/tracewarden.wasm")["typed_config"].clone();
    let typed = any("udpa.type.v1.TypedStruct", json!({"type_url": inner["@type"], "value": inner}));
    let rows = [
        (json!({"name": "x", "typed_config": typed}), Some(1)),
        (wasm("x", &text("{}"), "/etc/Tracewarden.wasm"), Some(0)),
        (wasm("x", &text(SEVERAL), "/etc/x.wasm"), Some(0)),
        (wasm("tracewarden", &Value::Null, "/etc/x.wasm"), Some(0)),
        (wasm("tracewarden", &json!({}), "/etc/x.wasm"), Some(0)),
        (outer, Some(1)),
        // What Envoy does not hand over as text.
        (wasm("tracewarden", &structure, "/etc/x.wasm"), Some(1)),
        (wasm("tracewarden", &bytes("e30="), "/etc/x.wasm"), Some(0)),
        (wasm("tracewarden", &bytes("eyJ4IjoxfQ=="), "/etc/x.wasm"), Some(1)),
        (wasm("tracewarden", &bytes("?"), "/etc/x.wasm"), Some(1)),
        // Another filter's.
        (wasm("x", &text("{}"), "/etc/x.wasm"), Some(2)),
        (wasm("x", &text(r#"{"rate": 5}"#), "/etc/x.wasm"), Some(2)),
    ];
    for (filter, expected) in rows {
        let (status, said, complaint) = check(&bootstrap(std::slice::from_ref(&filter), &Value::Null));
        assert_eq!(status, expected, "{filter}: {said}{complaint}");
    }
    let (_, said, _) = check(&bootstrap(&[], &Value::Null));
    assert!(
        said.starts_with("<stdin>:1: error TW0002: expected a filter of Tracewarden, found none"),
        "{said}"
    );
}

#[test]
fn the_environment_is_that_of_the_vm() {
    let mut filter = ours("{}");
    let check_with = |filter: &Value| {
        let mut command = tracewarden();
        command.arg("check").env("TRACE_SAMPLING_RATE", "7");
        command::end(&mut command, bootstrap(std::slice::from_ref(filter), &Value::Null).to_string())
    };
    let (status, said, _) = check_with(&filter);
    assert_eq!(status, Some(0), "the process' own is not given to the VM: {said}");
    let variables = "/typed_config/config/vm_config";
    let vm = filter.pointer_mut(variables).expect("a VM");
    vm["environment_variables"] = json!({"host_env_keys": ["TRACE_SAMPLING_RATE"]});
    let (status, said, _) = check_with(&filter);
    assert!(status == Some(1) && said.contains("TRACE_SAMPLING_RATE"), "{said}");
    let vm = filter.pointer_mut(variables).expect("a VM");
    vm["environment_variables"] = json!({"key_values": {"TRACE_SAMPLING_RATE": "0.5"}});
    assert_eq!(check_with(&filter).0, Some(0));
}

#[test]
fn a_part_of_an_envoy_configuration_is_enough() {
    let listener =
        bootstrap(&[ours(r#"{"role": "gate"}"#)], &Value::Null)["static_resources"]["listeners"][0].clone();
    for part in [listener.clone(), json!([listener]), json!({"configs": [{"dynamic_listeners": [listener]}]})]
    {
        let (status, said, _) = check(&part);
        assert!(status == Some(1) && said.contains("error TW0106"), "{part}: {said}");
    }
}

#[test]
fn names_may_be_written_either_way() {
    let names = [
        "static_resources",
        "filter_chains",
        "typed_config",
        "http_filters",
        "vm_config",
        "upstream_http_filters",
    ];
    let mut filter = ours(r#"{"role": "gate"}"#);
    filter["typed_config"]["config"]["vm_config"]["environment_variables"] =
        json!({"key_values": {"TRACEWARDEN_MODE": "x"}});
    let filters = [router(&[ours(r#"{"correlation": {}}"#)]), ours(SEVERAL), filter];
    let snake = bootstrap(&filters, &opentelemetry()).to_string();
    let mut camel = snake.clone();
    for name in names.into_iter().chain(["environment_variables", "key_values"]) {
        let parts: Vec<&str> = name.split('_').collect();
        let upper = parts.iter().skip(1).map(|part| part[..1].to_uppercase() + &part[1..]);
        camel =
            camel.replace(&format!("\"{name}\""), &format!("\"{}{}\"", parts[0], upper.collect::<String>()));
    }
    assert!(!camel.contains("typed_config") && !camel.contains("key_values"), "{camel}");
    let [one, other] = [snake, camel].map(|input| {
        let (status, said, _) = run(&["check", "--json"], &input);
        let value: Value = serde_json::from_str(&said).expect("JSON");
        let codes: Vec<String> = messages(&value).into_iter().map(|(code, ..)| code).collect();
        (status, codes)
    });
    assert_eq!(one, other);
    assert_eq!(one.1, ["TW0106", "TW0106", "TW0203", "TW0202"]);
}

#[test]
fn what_only_names_static_resources_is_no_envoy_configuration() {
    for input in [r#"{"service": {"name": "static_resources"}}"#, "static_resources"] {
        let (status, said, _) = run(&["check", "--json"], input);
        let value: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(value["plugins"][0]["place"], "", "{input}: {said}");
        assert_eq!(
            status,
            Some(messages(&value).len().try_into().expect("a small number")),
            "{input}: {said}"
        );
    }
}
