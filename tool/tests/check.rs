//! `tracewarden check` on whole Envoy configurations.
#![expect(clippy::expect_used, reason = "a test may fail")]

mod command;

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

const SEVERAL: &str = r#"{"propagation": {"inject": ["tracecontext", "b3"]}}"#;
const MANAGER: &str = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";

/// How the command ends, what it prints, and what it complains of.
type Ended = (Option<i32>, String, String);

fn run(arguments: &[&str], input: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracewarden"));
    command
        .env_remove("OTEL_TRACES_SAMPLER")
        .env_remove("TRACEWARDEN_MODE")
        .env_remove("TRACE_SAMPLING_RATE");
    command::end(command.args(arguments), input)
}

fn check(bootstrap: &Value) -> Ended {
    run(&["check"], &bootstrap.to_string())
}

fn any(kind: &str, mut value: Value) -> Value {
    let fields = value.as_object_mut().expect("an object");
    fields.insert("@type".to_owned(), format!("type.googleapis.com/{kind}").into());
    value
}

/// A filter of this name, whose plugin has this configuration and this module.
fn wasm(name: &str, configuration: &Value, module: &str) -> Value {
    let vm = json!({"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}});
    let config = json!({"name": name, "configuration": configuration, "vm_config": vm});
    json!({"name": name, "typed_config": any("envoy.extensions.filters.http.wasm.v3.Wasm", json!({"config": config}))})
}

fn text(value: &str) -> Value {
    any("google.protobuf.StringValue", json!({"value": value}))
}

fn ours(configuration: &str) -> Value {
    wasm("tracewarden", &text(configuration), "/etc/filter.wasm")
}

fn router(upstream: &[Value]) -> Value {
    let router =
        any("envoy.extensions.filters.http.router.v3.Router", json!({"upstream_http_filters": upstream}));
    json!({"name": "envoy.filters.http.router", "typed_config": router})
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
fn the_examples_of_the_repository_are_valid_and_have_no_conflict() {
    for (name, plugins) in [("envoy.yaml", 7), ("restricted.yaml", 1), ("after-tracer.yaml", 1)] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../envoy").join(name);
        let (status, said, complaint) = run(&["check", path.to_str().expect("text")], "");
        assert_eq!(status, Some(0), "{name}: {said}{complaint}");
        assert_eq!(said.matches(": valid\n").count(), plugins, "{name}: {said}");
        assert_eq!(said.lines().count(), plugins, "{name}: {said}");
    }
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
        let warning = format!(
            "{MANAGER}.http_filters[0]: warning: Envoy's tracer (envoy.tracers.opentelemetry, {MANAGER}.tracing)"
        );
        assert_eq!(said.contains(&warning), is_warned, "{name}: {said}");
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
    assert!(said.contains(&format!("{place}[0]: valid\n")), "{said}");
    assert!(said.contains(&format!("{place}[1]: role: expected one of")), "{said}");
    let warnings: Vec<_> = said.lines().filter(|line| line.contains("warning")).collect();
    let begin = format!("{place}[2]: warning: Envoy tells an upstream filter of no stream's end");
    assert!(warnings.len() == 1 && warnings[0].starts_with(&begin), "{said}");
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
            let is_said = said.contains("warning: Envoy tells an upstream filter of no stream's end");
            assert_eq!(is_said, is_warned && is_upstream, "{configuration}: {said}");
        }
    }
}

#[test]
fn every_message_has_the_place_of_its_plugin() {
    let filters = [ours(r#"{"role": "gate", "mode": 1}"#), ours(r#"{"role": "edge"}"#)];
    let (status, said, _) = check(&bootstrap(&filters, &Value::Null));
    assert_eq!(status, Some(1), "{said}");
    let place = |number| format!("{MANAGER}.http_filters[{number}]: ");
    assert_eq!(said.lines().filter(|line| line.starts_with(&place(0))).count(), 2, "{said}");
    assert!(said.lines().any(|line| line == place(1) + "valid"), "{said}");
    let (_, said, _) = run(&["check", "--json"], &bootstrap(&filters, &opentelemetry()).to_string());
    let value: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&value["valid"], &value["warnings"]), (&false.into(), &json!([])));
    assert_eq!(value["plugins"][0]["place"], format!("{MANAGER}.http_filters[0]"));
    assert_eq!(value["plugins"][0]["faults"][0]["path"], "mode");
    assert_eq!((&value["plugins"][1]["valid"], &value["plugins"][1]["notices"]), (&true.into(), &json!([])));
    let (_, said, _) = run(&["check", "--json"], &bootstrap(&[ours(SEVERAL)], &opentelemetry()).to_string());
    let value: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(value["warnings"][0]["place"], format!("{MANAGER}.http_filters[0]"), "{said}");
}

#[test]
fn a_filter_is_known_by_its_names_or_by_what_it_is_configured_with() {
    let structure = any("google.protobuf.Struct", json!({"value": {"role": "gate"}}));
    let rows = [
        (wasm("x", &text("{}"), "/etc/Tracewarden.wasm"), Some(0)),
        (wasm("x", &text(SEVERAL), "/etc/x.wasm"), Some(0)),
        (wasm("tracewarden", &Value::Null, "/etc/x.wasm"), Some(0)),
        (wasm("tracewarden", &structure, "/etc/x.wasm"), Some(1)),
        // Another filter's.
        (wasm("x", &text("{}"), "/etc/x.wasm"), Some(2)),
        (wasm("x", &text(r#"{"rate": 5}"#), "/etc/x.wasm"), Some(2)),
        // A type that is not read.
        (wasm("tracewarden", &any("google.protobuf.BytesValue", json!({"value": "e30="})), "x"), Some(2)),
    ];
    for (filter, expected) in rows {
        let (status, said, complaint) = check(&bootstrap(std::slice::from_ref(&filter), &Value::Null));
        assert_eq!(status, expected, "{filter}: {said}{complaint}");
    }
    let (_, _, complaint) = check(&bootstrap(&[], &Value::Null));
    assert!(complaint.contains("expected a wasm filter of Tracewarden, found none"), "{complaint}");
}

#[test]
fn the_environment_is_that_of_the_vm() {
    let mut filter = ours("{}");
    let check_with = |filter: &Value| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tracewarden"));
        command.arg("check").env("TRACE_SAMPLING_RATE", "7");
        command::end(&mut command, &bootstrap(std::slice::from_ref(filter), &Value::Null).to_string())
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
fn a_plugins_own_json_is_judged_as_ever() {
    let (status, said, _) = run(&["check"], SEVERAL);
    assert_eq!((status, said.as_str()), (Some(0), "valid\n"));
    // Whatever is no Envoy configuration is a plugin's, though it names the field.
    for input in [r#"{"service": {"name": "static_resources"}}"#, "static_resources", "static_resources: ["] {
        let (_, said, complaint) = run(&["check"], input);
        assert!(!said.contains("http_filters") && complaint.is_empty(), "{input}: {said}{complaint}");
    }
}
