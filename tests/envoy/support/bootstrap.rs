//! Envoy's configuration, as JSON.

use serde_json::{Map, Value, json};

use super::module;

/// The address on loopback; port 0 is any free one.
pub(crate) fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

/// The complete configuration.
pub(crate) fn bootstrap(listeners: &[Value], clusters: &[Value]) -> Value {
    json!({
        "admin": {"address": address(0)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    })
}

/// An inbound listener with these HTTP filters before the router, and these routes.
pub(crate) fn listener(name: &str, filters: &[Value], routes: Value) -> Value {
    listener_with(name, filters, routes, json!({}))
}

/// The same, with more fields for its connection manager.
pub(crate) fn listener_with(name: &str, filters: &[Value], routes: Value, more: Value) -> Value {
    let mut filters = filters.to_vec();
    filters.push(router_before(&[]));
    let mut manager = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": name,
            "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
            "http_filters": filters,
        }),
    );
    merge(&mut manager, more);
    json!({
        "name": name,
        "traffic_direction": "INBOUND",
        "address": address(0),
        // The workers take turns, so that a few connections reach both.
        "connection_balance_config": {"exact_balance": {}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    })
}

/// The filter under test, with this configuration of its own.
pub(crate) fn tracewarden(configuration: &str) -> Value {
    tracewarden_in("tracewarden", configuration)
}

/// The same in a VM of that name; a name that is new makes a new one.
pub(crate) fn tracewarden_in(vm: &str, configuration: &str) -> Value {
    let plugin = json!({
        "name": "tracewarden",
        "configuration": typed_value("google.protobuf.StringValue", configuration),
        "vm_config": {
            "vm_id": vm,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module()}},
        },
    });
    filter("tracewarden", "wasm.v3.Wasm", json!({"config": plugin}))
}

/// An HTTP filter of Envoy's own.
pub(crate) fn filter(name: &str, kind: &str, configuration: Value) -> Value {
    json!({"name": name, "typed_config": typed(&format!("envoy.extensions.filters.http.{kind}"), configuration)})
}

/// The router, with these HTTP filters after it: they run for each attempt.
pub(crate) fn router_before(filters: &[Value]) -> Value {
    let codec = filter("envoy.filters.http.upstream_codec", "upstream_codec.v3.UpstreamCodec", json!({}));
    let upstream = match filters {
        [] => json!({}),
        _ => json!({"upstream_http_filters": ([filters, &[codec]].concat())}),
    };
    filter("envoy.filters.http.router", "router.v3.Router", upstream)
}

/// Everything goes to the cluster.
pub(crate) fn all_to(cluster: &str) -> Value {
    json!([{"match": {"prefix": "/"}, "route": {"cluster": cluster}}])
}

/// A cluster that is one port on loopback.
pub(crate) fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    })
}

/// The same, reached by HTTP/2.
pub(crate) fn http2_cluster(name: &str, port: u16) -> Value {
    let options = typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        json!({"explicit_http_config": {"http2_protocol_options": {}}}),
    );
    let mut cluster = cluster(name, port);
    merge(
        &mut cluster,
        json!({"typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options,
        }}),
    );
    cluster
}

/// A configuration with its type, as `Any` wants it.
pub(crate) fn typed(kind: &str, mut configuration: Value) -> Value {
    merge(&mut configuration, json!({"@type": format!("type.googleapis.com/{kind}")}));
    configuration
}

fn typed_value(kind: &str, value: &str) -> Value {
    typed(kind, json!({"value": value}))
}

/// Adds fields to an object.
pub(crate) fn merge(into: &mut Value, more: Value) {
    let empty = Map::new();
    let more = more.as_object().unwrap_or(&empty).clone();
    into.as_object_mut().expect("an object").extend(more);
}
