//! Objects of Kubernetes, each in the form that the API server takes.

use serde_json::{Value, json};

use crate::support::{found, judged, messages, run};

/// An object of each kind with these settings, which is how the kind has them.
fn kinds(configuration: &Value) -> Vec<(&'static str, Value, &'static str)> {
    let object = |kind: &str, spec: Value| json!({"apiVersion": "x/v1", "kind": kind, "metadata": {"name": "tracewarden", "namespace": "shop"}, "spec": spec});
    let text = json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string()});
    let filter = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {"name": "tracewarden", "configuration": text},
    });
    let patch = json!({"applyTo": "HTTP_FILTER", "patch": {"value": {"name": "tracewarden", "typed_config": filter}}});
    vec![
        ("WasmPlugin", object("WasmPlugin", json!({"pluginConfig": configuration})), ""),
        (
            "TrafficExtension",
            object("TrafficExtension", json!({"wasm": {"pluginConfig": configuration}})),
            "",
        ),
        (
            "EnvoyFilter",
            object("EnvoyFilter", json!({"configPatches": [patch]})),
            ": spec.configPatches[0].patch.value",
        ),
        (
            "EnvoyExtensionPolicy",
            object(
                "EnvoyExtensionPolicy",
                json!({"wasm": [{"name": "other", "config": {"x": 1}}, {"name": "tracewarden", "config": configuration}]}),
            ),
            ": spec.wasm[1]",
        ),
    ]
}

#[test]
fn every_kind_is_judged_and_named() {
    for (kind, object, within) in kinds(&json!({"role": "gate", "direction": "inbound"})) {
        let (status, value) = judged(&object.to_string());
        assert_eq!((status, messages(&value).len()), (Some(1), 1), "{value}");
        let error = &value["errors"][0];
        assert_eq!((&error["code"], &error["path"]), (&"TW0106".into(), &"role".into()), "{value}");
        assert_eq!(error["place"], format!("{kind} shop/tracewarden{within}"), "{value}");
    }
    for (kind, object, _) in kinds(&json!({"role": "internal", "direction": "inbound"})) {
        let (status, value) = judged(&object.to_string());
        assert_eq!(
            (status, messages(&value), &value["valid"]),
            (Some(0), vec![], &true.into()),
            "{kind}: {value}"
        );
    }
}

#[test]
fn a_list_and_a_stream_are_judged_and_other_objects_are_counted() {
    let objects: Vec<Value> = kinds(&json!({"mode": "x"})).into_iter().map(|(_, object, _)| object).collect();
    let others = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"role": "gate"}}),
        json!({"apiVersion": "x/v1", "kind": "WasmPlugin", "metadata": {"name": "other"}, "spec": {"pluginConfig": {"rate": 5}}}),
        json!({"apiVersion": "x/v1", "kind": "TrafficExtension", "metadata": {"name": "tracewarden"}, "spec": {"lua": {}}}),
    ];
    let all: Vec<Value> = objects.iter().chain(&others).cloned().collect();
    let stream: Vec<String> = all.iter().map(Value::to_string).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
    for input in [list.to_string(), stream.join("\n---\n"), format!("---\n{}\n---\n", stream.join("\n---\n"))]
    {
        let (status, value) = judged(&input);
        assert_eq!(
            (status, value["errors"].as_array().map(Vec::len), &value["passed_over"]),
            (Some(1), Some(4), &3.into())
        );
    }
    let (_, said, _) = run(&["check"], &list.to_string());
    assert!(
        said.contains("not valid: 4 plugins in 1 file, 4 errors; 3 other documents passed over\n"),
        "{said}"
    );
}

#[test]
fn a_plugin_is_known_by_its_name_its_image_or_its_configuration() {
    let plugin = |name: &str, spec: Value| {
        json!({"apiVersion": "x/v1", "kind": "WasmPlugin", "metadata": {"name": name}, "spec": spec})
            .to_string()
    };
    let rows = [
        (plugin("my-tracewarden", json!({})), 1),
        (plugin("x", json!({"url": "oci://shop.example/Tracewarden:1"})), 1),
        (plugin("x", json!({"pluginName": "tracewarden"})), 1),
        (plugin("x", json!({"pluginConfig": {"role": "edge"}})), 1),
        (plugin("x", json!({"pluginConfig": {}})), 0),
        (plugin("x", json!({"pluginConfig": {"rate": 5}})), 0),
        (plugin("x", json!({})), 0),
    ];
    for (input, count) in rows {
        let (_, value) = judged(&input);
        assert_eq!(value["plugins"].as_array().map(Vec::len), Some(count), "{input}: {value}");
    }
}

#[test]
fn an_empty_configuration_in_a_plugin_has_every_default() {
    for spec in [json!({}), json!({"pluginConfig": {}}), json!({"pluginConfig": null})] {
        let input = json!({"apiVersion": "x/v1", "kind": "WasmPlugin", "metadata": {"name": "tracewarden"}, "spec": spec});
        assert_eq!(found(&input.to_string()), [], "{input}");
    }
}

#[test]
fn the_configuration_is_read_as_the_api_server_sends_it() {
    let plugin = |config: &str| {
        format!(
            "apiVersion: x/v1\nkind: WasmPlugin\nmetadata: {{name: tracewarden}}\nspec:\n  pluginConfig:\n    {config}\n"
        )
    };
    for config in ["correlation: {slots: 100.0}\n    direction: auto", "enabled: yes", "enabled: on"] {
        assert_eq!(found(&plugin(config)), [], "{config}");
    }
    let text = plugin("x").replace("\n    x", " '{\"role\": \"internal\"}'");
    assert_eq!(found(&text), [("TW0105".to_owned(), 5)], "a text is no object there: {text}");
}

#[test]
fn the_variables_are_those_of_the_vm() {
    let plugin = |entry: &str| {
        format!(
            "apiVersion: x/v1\nkind: WasmPlugin\nmetadata: {{name: tracewarden}}\nspec:\n  vmConfig:\n    env:\n    - {entry}\n"
        )
    };
    let rows = [
        ("{name: TRACE_SAMPLING_RATE, value: '7'}", vec![("TW0110".to_owned(), 7)]),
        ("{name: TRACE_SAMPLING_RATE, value: 7}", vec![("TW0110".to_owned(), 7)]),
        ("{name: TRACE_SAMPLING_RATE, value: '0.5'}", vec![]),
        ("{name: TRACEWARDEN_ON_BAD_CONFIG, value: ignore}", vec![("TW0111".to_owned(), 7)]),
        ("{name: TRACEWARDEN_ON_BAD_CONFIG, value: bypass}", vec![]),
        ("{name: OTEL_TRACES_SAMPLER, value: some}", vec![("TW0201".to_owned(), 7)]),
        ("{name: TRACE_SAMPLING_RATE, valueFrom: HOST}", vec![]),
    ];
    for (entry, expected) in rows {
        assert_eq!(found(&plugin(entry)), expected, "{entry}");
    }
}
