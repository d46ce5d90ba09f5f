//! What a real Envoy says of itself, and whether its requests meet the filter where the command says so.

use std::fs;

use serde_json::{Value, json};

use crate::program::repository;
use crate::proxy::{Proxy, any, discovered, host, listener, merge, named, route, switches};
use crate::support::{Directory, judged, messages};

const EDGE: &str = r#"{"role": "edge", "direction": "inbound", "trust": {"default": "untrusted"},
    "sampling": {"probability": 0.1, "force": {"header": "x-force", "value_env": "TRACE_FORCE_SECRET"}},
    "export": {"otlp": {"cluster": "shop"}}}"#;

/// A filter that runs the module of this repository, and gets a secret from Envoy's environment.
fn filter(name: &str, configuration: &str) -> Value {
    let module = repository().join("target/tracewarden.wasm");
    assert!(module.is_file(), "{} is not there: run `make build`", module.display());
    let mut filter = named(name, configuration, "FAIL_RELOAD");
    filter["typed_config"]["config"]["vm_config"] = json!({
        "vm_id": "check",
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": module}},
        "environment_variables": {"host_env_keys": ["TRACE_FORCE_SECRET"]},
    });
    filter
}

fn resource(kind: &str, value: &Value) -> Value {
    any(kind, value.clone())
}

/// Writes a file that Envoy watches in one step.
fn publish(directory: &Directory, name: &str, resources: &[Value]) {
    let draft = directory.0.join("draft");
    fs::write(&draft, json!({"resources": resources}).to_string()).expect("a draft");
    fs::rename(draft, directory.0.join(name)).expect("a file");
}

/// The virtual hosts of a listener that has one filter on, and one that is off until a route says so.
fn hosts() -> Vec<Value> {
    let off = switches(&[("tracewarden", false)]);
    let other = switches(&[("tracewarden", false), ("tracewarden-partners", true)]);
    let all = route("/", &json!({}));
    let weighted = json!({"weighted_clusters": {"clusters": [
        {"name": "shop", "weight": 1},
        {"name": "beta", "weight": 0, "typed_per_filter_config": off["typed_per_filter_config"]},
    ]}});
    vec![
        host("on", std::slice::from_ref(&all), &json!({})),
        host("off", std::slice::from_ref(&all), &off),
        host("other", std::slice::from_ref(&all), &other),
        host("partly", &[route("/off", &off), all.clone()], &json!({})),
        host("back", &[route("/on", &switches(&[("tracewarden", true)])), all.clone()], &off),
        host("weighted", &[json!({"match": {"prefix": "/"}, "route": weighted})], &json!({})),
        host("local", &[json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}})], &off),
    ]
}

/// An Envoy whose listeners, routes and discovered filter are in files.
fn start(directory: &Directory) -> Proxy {
    let file = |name: &str| directory.0.join(name).display().to_string();
    let rds = |name: &str| {
        let source =
            json!({"resource_api_version": "V3", "path_config_source": {"path": file("routes.json")}});
        json!({"rds": {"route_config_name": name, "config_source": source}})
    };
    let extension = filter("tracewarden", EDGE);
    publish(
        directory,
        "extensions.json",
        &[resource("envoy.config.core.v3.TypedExtensionConfig", &extension)],
    );
    let routes = json!({"name": "partners", "virtual_hosts": [host("gone", &[route("/", &json!({}))], &switches(&[("tracewarden", false)]))]});
    publish(directory, "routes.json", &[resource("envoy.config.route.v3.RouteConfiguration", &routes)]);
    let mut partners = filter(
        "tracewarden-partners",
        r#"{"role": "edge", "sampling": {"probability": 0.1}, "export": {"otlp": {"cluster": "shop"}}}"#,
    );
    partners["disabled"] = true.into();
    let mut idle = filter("tracewarden", r#"{"direction": "inbound"}"#);
    idle["disabled"] = true.into();
    let discovered = discovered("tracewarden", &file("extensions.json"));
    let plain =
        json!({"route_config": {"virtual_hosts": [host("any", &[route("/", &json!({}))], &json!({}))]}});
    let scopes = json!({"scoped_routes": {
        "name": "scopes",
        "scope_key_builder": {"fragments": [{"header_value_extractor": {"name": "x-scope", "index": 0}}]},
        "rds_config_source": {"resource_api_version": "V3", "path_config_source": {"path": file("routes.json")}},
        "scoped_rds": {"scoped_rds_config_source": {"resource_api_version": "V3", "path_config_source": {"path": file("scopes.json")}}},
    }});
    let scope = json!({"name": "a", "route_configuration_name": "partners", "key": {"fragments": [{"string_key": "a"}]}});
    publish(directory, "scopes.json", &[resource("envoy.config.route.v3.ScopedRouteConfiguration", &scope)]);
    let listeners = [
        listener(
            "shop",
            &[discovered.clone(), partners],
            &json!({"route_config": {"name": "shop", "virtual_hosts": hosts()}}),
        ),
        listener("bare", &[], &plain),
        listener("idle", &[idle], &plain),
        listener("partners", std::slice::from_ref(&discovered), &rds("partners")),
        listener("scoped", &[discovered], &scopes),
    ];
    let listeners = listeners.map(|listener| resource("envoy.config.listener.v3.Listener", &listener));
    publish(directory, "listeners.json", &listeners);
    let cluster = |name: &str| {
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 1}});
        let endpoints = json!([{"lb_endpoints": [{"endpoint": {"address": address}}]}]);
        json!({"name": name, "load_assignment": {"cluster_name": name, "endpoints": endpoints}})
    };
    let mut bootstrap = json!({
        "node": {"id": "test", "cluster": "test"},
        "dynamic_resources": {"lds_config": {"path_config_source": {"path": file("listeners.json")}}},
        "static_resources": {"clusters": [cluster("shop"), cluster("beta")]},
    });
    merge(&mut bootstrap["static_resources"], &json!({"listeners": [listener("admin", &[], &plain)]}));
    Proxy::start(directory, &bootstrap, &[("TRACE_FORCE_SECRET", "secret-of-this-test")])
}

/// The messages, each with the text of its line in place of the number and without the way to its place.
fn said(dump: &str) -> Vec<String> {
    let (_, value) = judged(dump);
    let line =
        |number: u64| dump.lines().nth(usize::try_from(number - 1).expect("a line")).expect("a line").trim();
    let all = messages(&value).into_iter();
    all.map(|(code, number, text)| {
        format!("{code} {} | {}", line(number), text.split("; ").next().unwrap_or_default())
    })
    .collect()
}

/// What follows the name of a virtual host or a listener.
const OFF: &str = "disables the filter, and so its trust: an outsider's context passes";
const BARE: &str = "runs without the filter, which others here have: its requests are not counted, and an outsider's context passes";

#[test]
fn a_dump_says_where_no_filter_runs_and_requests_agree() {
    let directory = Directory::new("live", &[]);
    let mut proxy = start(&directory);
    proxy.wait("listeners", |proxy| proxy.page("/listeners").contains("scoped").then_some(()));
    let dump = proxy.page("/config_dump");
    let expected = [
        format!(r#"TW0211 "typed_config": {{ | listener "admin" {BARE}"#),
        format!(r#"TW0212 "tracewarden": {{ | virtual host "off" of listener "shop" {OFF}"#),
        format!(r#"TW0212 "tracewarden": {{ | route 0 of virtual host "partly" of listener "shop" {OFF}"#),
        format!(r#"TW0212 "tracewarden": {{ | route 1 of virtual host "back" of listener "shop" {OFF}"#),
        format!(r#"TW0212 "tracewarden": {{ | route 0, cluster "beta" of virtual host "weighted" of listener "shop" {OFF}"#),
        r#"TW0213 "tracewarden": { | virtual host "local" of listener "shop" disables the filter, so its requests are not counted"#.to_owned(),
        format!(r#"TW0211 "typed_config": {{ | listener "bare" {BARE}"#),
        r#"TW0214 { | the filter "tracewarden" is disabled, and no route enables it, so it never runs"#.to_owned(),
        format!(r#"TW0212 "tracewarden": {{ | virtual host "gone" of listener "partners" and 1 more {OFF}"#),
    ];
    assert_eq!(said(&dump), expected, "{dump}");
    assert_eq!(said(&proxy.page("/config_dump?include_eds")), expected);
    let rows = [
        ("shop", "on", "/", true),
        ("shop", "off", "/", false),
        ("shop", "other", "/", true),
        ("shop", "partly", "/off", false),
        ("shop", "partly", "/", true),
        ("shop", "back", "/on", true),
        ("shop", "back", "/", false),
        ("shop", "weighted", "/", true),
        ("shop", "local", "/", false),
        ("bare", "any", "/", false),
        ("idle", "any", "/", false),
        ("partners", "gone", "/", false),
    ];
    for (listener, host, path, runs) in rows {
        let head = proxy.head(listener, host, path);
        assert_eq!(head.contains("\r\ntraceparent: 00-"), runs, "{listener} {host} {path}: {head}");
    }
}

#[test]
fn a_dump_says_what_envoy_refused_and_why() {
    let directory = Directory::new("refused", &[]);
    let mut proxy = start(&directory);
    let bad = filter("tracewarden", r#"{"role": "gate"}"#);
    publish(&directory, "extensions.json", &[resource("envoy.config.core.v3.TypedExtensionConfig", &bad)]);
    let plain =
        json!({"route_config": {"virtual_hosts": [host("any", &[route("/", &json!({}))], &json!({}))]}});
    let listeners = ["bare", "new"].map(|name| {
        resource("envoy.config.listener.v3.Listener", &listener(name, std::slice::from_ref(&bad), &plain))
    });
    publish(&directory, "listeners.json", &listeners);
    let dump = proxy.wait("both refusals", |proxy| {
        let dump = proxy.page("/config_dump");
        let is_there = dump.contains("error_state") && dump.matches("gate").count() > 2;
        is_there.then_some(dump)
    });
    let errors = messages(&judged(&dump).1).into_iter().filter(|(code, ..)| code.starts_with("TW01"));
    let errors: Vec<(String, String)> = errors.map(|(code, _, text)| (code, text)).collect();
    let refused = |name: &str, rest: &str| {
        let text =
            format!("Envoy refused listener {name:?}: Unable to create Wasm plugin tracewarden; {rest}");
        ("TW0114".to_owned(), text)
    };
    let gate = ("TW0106".to_owned(), r#"role: expected one of "edge", "internal", found "gate""#.to_owned());
    // Of a discovered filter the dump has what was refused, and does not say so.
    let expected = [
        gate.clone(),
        refused("bare", "an earlier version of it runs"),
        gate.clone(),
        refused("new", "no version of it runs"),
        gate,
    ];
    assert_eq!(errors, expected, "{dump}");
}

#[test]
fn a_dump_without_the_filter_says_so() {
    let directory = Directory::new("plain", &[]);
    let plain = json!({"route_config": {"virtual_hosts": [host("any", &[], &json!({}))]}});
    let bootstrap = json!({"static_resources": {"listeners": [listener("one", &[], &plain), listener("two", &[], &plain)]}});
    let proxy = Proxy::start(&directory, &bootstrap, &[]);
    let (status, value) = judged(&proxy.page("/config_dump"));
    let said = messages(&value);
    let begin = "no filter of Tracewarden runs here: expected one in this dump, found none in its HTTP connection managers (2);";
    let is_said = matches!(&said[..], [(code, 1, text)] if code == "TW0002" && text.starts_with(begin));
    assert!(status == Some(2) && is_said, "{value}");
}
