//! Policy by route and by cluster, and two policies on one listener.

use serde_json::{Value, json};

use crate::support::bootstrap::{bootstrap, cluster, listener, listener_with, merge, tracewarden, typed};
use crate::support::client::get;
use crate::support::envoy::Envoy;
use crate::support::upstream::{Upstream, response};
use crate::support::{SAMPLED, assert_new_trace};

const EGRESS: &str = r#"{"direction": "inbound", "egress": [{"match": {"cluster": "partner"}, "strip": "all"},
    {"match": {"host": "*.example.org"}, "strip": "all"}], "exclude": [{"route": "health"}]}"#;

fn route(name: &str, path: &str, action: Value) -> Value {
    json!({"name": name, "match": {"prefix": path}, "route": action})
}

/// An Envoy with an upstream of its own and one of a partner's, which answers a redirect for `/redirect`.
fn start(name: &str, config: &str, routes: Value) -> (Envoy, Upstream, Upstream) {
    let (own, partner) = (
        Upstream::answering(|message| match message.second_word() {
            "/redirect" => response("302 Found", &[("location", b"http://test/partner")]),
            _ => response("200 OK", &[]),
        }),
        Upstream::start(),
    );
    let listener = listener("mesh", &[tracewarden(config)], routes);
    let clusters = [cluster("own", own.port), cluster("partner", partner.port)];
    (Envoy::start(name, &bootstrap(&[listener], &clusters)), own, partner)
}

/// Row 7 of what was seen at an edge: its listener is inbound, and what leaves it goes by cluster or by host.
#[test]
fn an_edge_strips_what_goes_to_a_partner() {
    let routes = json!([
        route("health", "/health", json!({"cluster": "own"})),
        route("", "/partner", json!({"cluster": "partner"})),
        route(
            "",
            "/weighted",
            json!({"weighted_clusters": {"clusters": [{"name": "partner", "weight": 1}]}})
        ),
        route("", "/by-header", json!({"cluster_header": "x-cluster"})),
        route(
            "",
            "/redirect",
            json!({"cluster": "own", "internal_redirect_policy": {
            "redirect_response_codes": [302], "max_internal_redirects": 1}})
        ),
        json!({"match": {"prefix": "/direct"}, "direct_response": {"status": 204}}),
        route("", "/own", json!({"cluster": "own"})),
    ]);
    let (mut envoy, own, partner) = start("destination-egress", EGRESS, routes);
    let port = envoy.port("mesh");
    let context: (&str, &[u8]) = ("traceparent", SAMPLED);
    for (path, more) in
        [("/partner", None), ("/weighted", None), ("/by-header", Some(("x-cluster", &b"partner"[..])))]
    {
        let lines: Vec<(&str, &[u8])> = [context].into_iter().chain(more).collect();
        assert_eq!(get(port, path, &lines).status(), 200, "{path}");
        assert_eq!(partner.take_one().all("traceparent"), [b""; 0], "{path}");
    }
    assert_eq!(get(port, "/own", &[context]).status(), 200);
    assert_eq!(own.take_one().all("traceparent"), [SAMPLED]);
    envoy.news();

    // The name of a route that is left alone.
    assert_eq!(get(port, "/health", &[context]).status(), 200);
    own.take_one();
    assert_eq!(envoy.news().get("requests inbound internal enforce excluded"), Some(&1));

    // Neither a route nor a cluster: no condition on them holds, and nobody receives anything.
    for (path, status) in [("/direct", 204), ("/none", 404)] {
        assert_eq!(get(port, path, &[context]).status(), status, "{path}");
        assert_eq!(envoy.news().get("requests inbound internal enforce continued"), Some(&1), "{path}");
    }

    // Envoy redirects by itself: the second pass has its own cluster.
    assert_eq!(get(port, "/redirect", &[context]).status(), 200);
    assert_eq!(own.take_one().all("traceparent"), [SAMPLED]);
    assert_eq!(partner.take_one().all("traceparent"), [b""; 0]);
}

#[test]
fn an_edge_strips_by_host() {
    let (envoy, own, _partner) =
        start("destination-host", EGRESS, json!([route("", "/", json!({"cluster": "own"}))]));
    let send = |host: &str| {
        let request = format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\ntraceparent: {}\r\n\r\n",
            String::from_utf8_lossy(SAMPLED)
        );
        let answer = crate::support::client::Client::connect(envoy.port("mesh")).send(request.as_bytes());
        assert_eq!(answer.status(), 200, "{host}");
        own.take_one().all("traceparent").len()
    };
    assert_eq!((send("api.example.org"), send("shop")), (0, 1));
}

/// Envoy chooses again after the filter has written a header. A route that matches on it leads to another cluster then.
#[test]
fn envoy_may_choose_another_cluster_after_the_filter() {
    let by_context = json!({"name": "traced", "route": {"cluster": "partner"}, "match": {"prefix": "/",
        "headers": [{"name": "traceparent", "present_match": true}]}});
    let routes = json!([by_context, route("", "/", json!({"cluster": "own"}))]);
    let (envoy, own, partner) = start("destination-again", EGRESS, routes);
    assert_eq!(get(envoy.port("mesh"), "/", &[]).status(), 200);
    assert!(own.take().is_empty());
    // The cluster was `own` when the filter asked, and the new context went to the partner.
    assert_new_trace("after another choice", &partner.take_one());
}

/// Envoy's Wasm filter has no configuration by virtual host, so the listener is refused.
#[test]
fn a_virtual_host_has_no_configuration_of_the_filter() {
    let mut plugin = tracewarden("{}");
    let config = plugin.pointer_mut("/typed_config").expect("a configuration").take();
    let manager = json!({"route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"],
        "routes": [route("", "/", json!({"cluster": "own"}))],
        "typed_per_filter_config": {"tracewarden": config}}]}});
    let listener = listener_with("mesh", &[tracewarden("{}")], json!([]), manager);
    let (status, log) = crate::support::envoy::run_to_the_end(
        "destination-refused",
        &bootstrap(&[listener], &[cluster("own", 9)]),
    );
    assert!(!status.success(), "{log}");
    assert!(log.contains("doesn't support virtual host or route specific configurations"), "{log}");
}

/// The example of the documents, in which this host's own address is a partner's.
#[test]
fn the_example_of_two_policies_has_one_for_each_virtual_host() {
    let own = Upstream::start();
    let text = crate::support::in_repository("envoy/edge/virtual-hosts.yaml");
    let file = std::fs::read_to_string(text).expect("the example");
    let file = file
        .replace("port_value: 9901", "port_value: 0")
        .replace("port_value: 10000", "port_value: 0")
        .replace("port_value: 8080", &format!("port_value: {}", own.port))
        .replace(
            &format!("target/tracewarden-{}.wasm", env!("CARGO_PKG_VERSION")),
            &crate::support::module().to_string_lossy(),
        );
    let mut envoy = Envoy::start_yaml("destination-example", &file);
    for (host, verdict) in [
        ("partners.example.org", "requests partners inbound edge enforce continued"),
        ("www.example.org", "requests public inbound edge enforce untrusted"),
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\ntraceparent: {}\r\n\r\n",
            String::from_utf8_lossy(SAMPLED)
        );
        let mut client = crate::support::client::Client::connect(envoy.port("edge"));
        assert_eq!(client.send(request.as_bytes()).status(), 200);
        let counted = envoy.news();
        let judged: Vec<_> = counted.iter().filter(|(name, _)| name.starts_with("requests")).collect();
        assert_eq!(judged, [(&verdict.to_owned(), &1)], "{host}");
        assert_eq!(own.take_one().all("traceparent").len(), 1);
    }
}

/// Two filters, of which each virtual host has one. A host that nobody named has the strict one.
#[test]
fn each_virtual_host_has_its_filter() {
    let named = |name: &str, config: &str, is_disabled: bool| {
        let mut filter = tracewarden(config);
        merge(&mut filter, json!({"name": name, "disabled": is_disabled}));
        let plugin = filter.pointer_mut("/typed_config/config").expect("a plugin");
        merge(plugin, json!({"name": name}));
        filter
    };
    let strict = r#"{"direction": "inbound", "role": "edge", "trust": {"default": "untrusted"}}"#;
    let open = r#"{"direction": "inbound", "role": "internal"}"#;
    let switch = |is_disabled: bool| {
        let more = if is_disabled { json!({"disabled": true}) } else { json!({"config": {}}) };
        typed("envoy.config.route.v3.FilterConfig", more)
    };
    let routes = json!([route("", "/", json!({"cluster": "own"}))]);
    let hosts = json!([
        {"name": "partners", "domains": ["partners.example.org"], "routes": routes,
            "typed_per_filter_config": {"strict": switch(true), "open": switch(false)}},
        {"name": "everybody", "domains": ["*"], "routes": routes},
    ]);
    let filters = [named("strict", strict, false), named("open", open, true)];
    let listener =
        listener_with("mesh", &filters, json!([]), json!({"route_config": {"virtual_hosts": hosts}}));
    let own = Upstream::start();
    let mut envoy = Envoy::start("destination-hosts", &bootstrap(&[listener], &[cluster("own", own.port)]));
    for (host, verdict) in [
        ("partners.example.org", "requests inbound internal enforce continued"),
        ("www.example.org", "requests inbound edge enforce untrusted"),
        ("test", "requests inbound edge enforce untrusted"),
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\ntraceparent: {}\r\n\r\n",
            String::from_utf8_lossy(SAMPLED)
        );
        let mut client = crate::support::client::Client::connect(envoy.port("mesh"));
        assert_eq!(client.send(request.as_bytes()).status(), 200);
        let counted = envoy.news();
        let judged: Vec<_> = counted.iter().filter(|(name, _)| name.starts_with("requests")).collect();
        assert_eq!(judged, [(&verdict.to_owned(), &1)], "{host}");
        assert_eq!(own.take_one().all("traceparent") == [SAMPLED], verdict.contains("internal"), "{host}");
    }
}
