//! The hop audit: what the proxy does to a context between the filters of the listener and those of the upstream. Each value
//! of `change` is reached by something that Envoy itself does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::bootstrap::{
    all_to, bootstrap, cluster, filter, http2_cluster, listener_with, merge, tracewarden, tracewarden_in,
    typed,
};
use crate::support::client::get;
use crate::support::envoy::{Counters, Envoy, table};
use crate::support::upstream::{Upstream, ok, response};
use crate::support::{P, SAMPLED, T, wait_for};

const BEFORE: &str = r#"{"direction": "inbound", "mode": "observe", "hop": "before"}"#;
const AFTER: &str = r#"{"direction": "inbound", "mode": "observe", "hop": "after"}"#;

const RANDOM: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
const UPPER: &[u8] = b"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01";

/// The headers that a request has without any of ours.
const OF_ENVOY: [&str; 4] = ["host", "x-envoy-expected-rq-timeout-ms", "x-forwarded-proto", "x-request-id"];

fn is_context(name: &str) -> bool {
    ["traceparent", "tracestate", "b3"].contains(&name)
}

/// A listener whose filters are `first`, and those of whose upstream are `last`.
fn audited(name: &str, first: &[Value], last: &[Value], routes: Value, more: Value) -> Value {
    let mut filters = first.to_vec();
    let router = json!({"upstream_http_filters": of_upstream(last)});
    filters.push(filter("envoy.filters.http.router", "router.v3.Router", router));
    let mut manager = json!({"http_filters": filters});
    merge(&mut manager, more);
    listener_with(name, &[], routes, manager)
}

/// The filters of an upstream, which end with Envoy's codec.
fn of_upstream(filters: &[Value]) -> Vec<Value> {
    let codec = filter("envoy.filters.http.upstream_codec", "upstream_codec.v3.UpstreamCodec", json!({}));
    filters.iter().cloned().chain([codec]).collect()
}

/// The pair of filters in one listener.
fn pair(name: &str, routes: Value, more: Value) -> Value {
    audited(name, &[tracewarden(BEFORE)], &[tracewarden(AFTER)], routes, more)
}

/// A route for a path, with what it does to requests.
fn route(path: &str, more: Value) -> Value {
    let mut route = json!({"match": {"path": path}, "route": {"cluster": "upstream"}});
    merge(&mut route, more);
    route
}

/// A route that writes headers over those that came in.
fn writes(path: &str, headers: &[(&str, String)]) -> Value {
    let write = |(name, value): &(&str, String)| {
        json!({"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
               "keep_empty_value": true})
    };
    route(path, json!({"request_headers_to_add": headers.iter().map(write).collect::<Vec<_>>()}))
}

/// The changes that were counted since the last call, each as often as it was.
fn changes(envoy: &mut Envoy) -> Counters {
    let of_hop = |(name, count): (String, u64)| Some((name.strip_prefix("hop ")?.to_owned(), count));
    envoy.news().into_iter().filter_map(of_hop).collect()
}

/// Each of these changes, once.
fn once(changes: &[&str]) -> Counters {
    changes.iter().map(|change| ((*change).to_owned(), 1)).collect()
}

#[test]
fn each_change_that_a_route_makes_is_counted() {
    let other = "11111111111111111111111111111111";
    let context = |trace: &str, parent: &str, flags: &str| format!("00-{trace}-{parent}-{flags}");
    let traced: &[(&str, &[u8])] = &[("traceparent", SAMPLED), ("tracestate", b"a=1")];
    let b3 = format!("{T}-{P}-1");
    // What the route does, what comes in, and what that changes.
    let rows: &[(Value, &[(&str, &[u8])], &[&str])] = &[
        (route("/nothing", json!({})), traced, &["kept"]),
        (route("/nothing-at-all", json!({})), &[], &["kept"]),
        (route("/unrelated", json!({"request_headers_to_remove": ["x-other"]})), traced, &["kept"]),
        (writes("/same", &[("traceparent", context(T, P, "01"))]), traced, &["kept"]),
        (writes("/child", &[("traceparent", context(T, "00f067aa0ba902b7", "01"))]), traced, &["child"]),
        (writes("/replaced", &[("traceparent", context(other, P, "01"))]), traced, &["replaced"]),
        (route("/removed", json!({"request_headers_to_remove": ["traceparent"]})), traced, &["removed"]),
        (writes("/garbled", &[("traceparent", "garbage".to_owned())]), traced, &["removed"]),
        (writes("/added", &[("traceparent", context(T, P, "01"))]), &[], &["added"]),
        (writes("/flags", &[("traceparent", context(T, P, "00"))]), traced, &["flags"]),
        (writes("/state", &[("tracestate", "b=2".to_owned())]), traced, &["tracestate"]),
        (route("/stateless", json!({"request_headers_to_remove": ["tracestate"]})), traced, &["tracestate"]),
        (writes("/format", &[("b3", b3)]), traced, &["format"]),
        (
            writes("/all", &[("traceparent", context(other, P, "00")), ("b3", "0".to_owned())]),
            traced,
            &["replaced", "flags", "format"],
        ),
    ];
    let routes: Vec<&Value> = rows.iter().map(|(route, ..)| route).collect();
    let upstream = Upstream::start();
    let config = bootstrap(&[pair("mesh", json!(routes), json!({}))], &[cluster("upstream", upstream.port)]);
    let mut envoy = Envoy::start("hop-routes", &config);
    for (route, brings, expected) in rows {
        let path = route.pointer("/match/path").and_then(Value::as_str).expect("a path");
        assert_eq!(get(envoy.port("mesh"), path, brings).status(), 200, "{path}");
        assert_eq!(changes(&mut envoy), once(expected), "{path}");
        let sent = upstream.take_one();
        let names = sent.lines.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned());
        let others: BTreeSet<String> = names.filter(|name| !is_context(name)).collect();
        assert_eq!(
            others.iter().map(String::as_str).collect::<Vec<_>>(),
            OF_ENVOY,
            "{path}: nothing of the audit"
        );
    }
    // The filter of the upstream judges nothing, so no request counts twice.
    let judged: u64 = envoy
        .counters()
        .iter()
        .filter(|(name, _)| name.starts_with("requests"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(judged, rows.len() as u64);
}

#[test]
fn each_of_envoys_tracers_is_seen_at_its_work() {
    let open_telemetry = typed(
        "envoy.config.trace.v3.OpenTelemetryConfig",
        json!({"service_name": "envoy", "http_service": {
            "http_uri": {"uri": "http://nobody/v1/traces", "cluster": "nobody", "timeout": "1s"}}}),
    );
    let zipkin = typed(
        "envoy.config.trace.v3.ZipkinConfig",
        json!({"collector_cluster": "nobody", "collector_endpoint": "/api/v2/spans",
               "collector_endpoint_version": "HTTP_JSON"}),
    );
    let datadog = typed(
        "envoy.config.trace.v3.DatadogConfig",
        json!({"collector_cluster": "nobody", "service_name": "envoy"}),
    );
    let listener = |name: &str, tracer: &Value| {
        let provider = json!({"name": format!("envoy.tracers.{name}"), "typed_config": tracer});
        pair(name, all_to("upstream"), json!({"tracing": {"provider": provider}}))
    };
    let listeners = [
        listener("opentelemetry", &open_telemetry),
        listener("zipkin", &zipkin),
        listener("datadog", &datadog),
    ];
    let upstream = Upstream::start();
    let clusters = [cluster("upstream", upstream.port), cluster("nobody", 1)];
    let mut envoy = Envoy::start("hop-tracers", &bootstrap(&listeners, &clusters));
    let rows: &[(&str, &[(&str, &[u8])], &[&str])] = &[
        // Its context is a child's. It knows no random flag, and writes a `tracestate` even if that is empty.
        ("opentelemetry", &[("traceparent", RANDOM)], &["child", "flags", "tracestate"]),
        ("opentelemetry", &[("traceparent", SAMPLED), ("tracestate", b"a=1")], &["child"]),
        ("opentelemetry", &[], &["added", "tracestate"]),
        ("opentelemetry", &[("traceparent", UPPER), ("tracestate", b"a=1")], &["added"]),
        ("zipkin", &[("traceparent", SAMPLED)], &["format"]),
        ("zipkin", &[], &["format"]),
        ("datadog", &[("traceparent", SAMPLED)], &["child", "tracestate", "format"]),
        (
            "datadog",
            &[("traceparent", SAMPLED), ("x-datadog-trace-id", b"7"), ("x-datadog-parent-id", b"9")],
            &["replaced", "tracestate"],
        ),
        ("datadog", &[], &["added", "tracestate", "format"]),
    ];
    for (tracer, brings, expected) in rows {
        assert_eq!(get(envoy.port(tracer), "/", brings).status(), 200, "{tracer}");
        let sent = upstream.take_one();
        assert_eq!(
            changes(&mut envoy),
            once(expected),
            "{tracer}: {}",
            String::from_utf8_lossy(
                &sent
                    .lines
                    .iter()
                    .flat_map(|(n, v)| [n.as_slice(), b"=", v, b" "].concat())
                    .collect::<Vec<u8>>()
            )
        );
    }
}

/// What an upstream answers that fails each time at first.
fn failing_once() -> Upstream {
    let attempts = AtomicUsize::new(0);
    Upstream::answering(move |_| match attempts.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => response("503 Service Unavailable", &[]),
        _ => ok(&[]),
    })
}

/// Envoy keeps what the upstream's filters write for the next attempt. So a filter that repairs there leaves what it wrote,
/// and what the proxy had done before.
#[test]
fn every_attempt_counts_what_the_proxy_did_and_nothing_of_ours() {
    let retried = |more: Value| {
        let mut route = route("/", more);
        route["route"]["retry_policy"] = json!({"retry_on": "5xx", "num_retries": 1});
        json!([route])
    };
    let before = &[tracewarden(r#"{"direction": "inbound", "hop": "before"}"#)];
    let after = &[tracewarden(
        r#"{"direction": "inbound", "hop": "after", "parent_id": "new", "propagation": {"inject": ["tracecontext", "b3"]}}"#,
    )];
    let removes = || retried(json!({"request_headers_to_remove": ["traceparent"]}));
    let none = || json!({});
    let listeners = [
        pair("observed", removes(), none()),
        audited("kept", before, after, retried(none()), none()),
        audited("repaired", before, after, removes(), none()),
    ];
    let upstream = failing_once();
    let mut envoy =
        Envoy::start("hop-retries", &bootstrap(&listeners, &[cluster("upstream", upstream.port)]));
    for (name, expected) in [("observed", "removed"), ("kept", "kept"), ("repaired", "removed")] {
        assert_eq!(get(envoy.port(name), "/", &[("traceparent", SAMPLED)]).status(), 200, "{name}");
        assert_eq!(changes(&mut envoy), table(&[(expected, 2)]), "{name}");
        let attempts = upstream.take();
        assert_eq!(attempts.len(), 2, "{name}");
        // What the audit must not take for the proxy's work is there.
        let written = attempts.iter().filter(|attempt| !attempt.all("b3").is_empty()).count();
        assert_eq!(written, if name == "observed" { 0 } else { 2 }, "{name}");
    }
}

#[test]
fn what_the_first_filter_writes_itself_is_no_change() {
    let enforces = |more: &str| tracewarden(&format!(r#"{{"direction": "inbound", "hop": "before"{more}}}"#));
    let formats = r#", "parent_id": "new", "propagation": {"inject": ["tracecontext", "b3"], "remove": ["uber-trace-id"]}"#;
    let secret = r#", "exclude": [{"path_prefix": "/"}]"#;
    let observer = [tracewarden(AFTER)];
    let listener =
        |name: &str, more: &str| audited(name, &[enforces(more)], &observer, all_to("upstream"), json!({}));
    let upstream = Upstream::start();
    let listeners = [listener("writes", formats), listener("excludes", secret)];
    let mut envoy = Envoy::start("hop-writes", &bootstrap(&listeners, &[cluster("upstream", upstream.port)]));
    let jaeger: &[u8] = b"0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1";
    for brings in [&[][..], &[("traceparent", SAMPLED), ("uber-trace-id", jaeger)], &[("traceparent", UPPER)]]
    {
        for name in ["writes", "excludes"] {
            assert_eq!(get(envoy.port(name), "/", brings).status(), 200, "{name}");
            assert_eq!(changes(&mut envoy), once(&["kept"]), "{name}: {brings:?}");
            let has_b3 = !upstream.take_one().all("b3").is_empty();
            assert_eq!(has_b3, name == "writes", "{name}: {brings:?}");
        }
    }
}

#[test]
fn filters_find_each_other_by_their_stream_and_alone_they_count_nothing() {
    let removes = || json!([route("/", json!({"request_headers_to_remove": ["traceparent"]}))]);
    let own_vm = |name: &str, config: &str| tracewarden_in(name, config);
    let listeners = [
        audited("same-vm", &[tracewarden(BEFORE)], &[tracewarden(AFTER)], removes(), json!({})),
        audited("other-vm", &[own_vm("one", BEFORE)], &[own_vm("other", AFTER)], removes(), json!({})),
        audited("no-first", &[], &[tracewarden(AFTER)], removes(), json!({})),
        audited("no-last", &[tracewarden(BEFORE)], &[], removes(), json!({})),
        audited("swapped", &[tracewarden(AFTER)], &[tracewarden(BEFORE)], removes(), json!({})),
    ];
    let upstream = Upstream::start();
    let mut envoy = Envoy::start("hop-pairs", &bootstrap(&listeners, &[cluster("upstream", upstream.port)]));
    for (name, expected) in [
        ("same-vm", &["removed"][..]),
        ("other-vm", &["removed"]),
        ("no-first", &[]),
        ("no-last", &[]),
        ("swapped", &[]),
    ] {
        assert_eq!(get(envoy.port(name), "/", &[("traceparent", SAMPLED)]).status(), 200, "{name}");
        assert_eq!(changes(&mut envoy), once(expected), "{name}");
    }
}

/// A mirrored request is none of the stream's own attempts. A redirect is a stream of its own, with an attempt of its own.
#[test]
fn a_redirect_counts_both_attempts_and_a_mirrored_request_none() {
    let upstream = Upstream::answering(|message| match message.second_word() {
        "/redirected" => response("302 Found", &[("location", b"http://test/moved")]),
        _ => ok(&[]),
    });
    let mirror = Upstream::start();
    let to = |more: Value| {
        let mut to = json!({"cluster": "upstream"});
        merge(&mut to, more);
        json!({"route": to})
    };
    let routes = json!([
        route("/redirected", to(json!({"internal_redirect_policy": {"redirect_response_codes": [302]}}))),
        route("/moved", json!({"request_headers_to_remove": ["traceparent"]})),
        route("/mirrored", to(json!({"request_mirror_policies": [{"cluster": "mirror"}]}))),
    ]);
    let clusters = [cluster("upstream", upstream.port), cluster("mirror", mirror.port)];
    let mut envoy = Envoy::start("hop-streams", &bootstrap(&[pair("mesh", routes, json!({}))], &clusters));
    let traced: &[(&str, &[u8])] = &[("traceparent", SAMPLED)];
    assert_eq!(get(envoy.port("mesh"), "/redirected", traced).status(), 200);
    assert_eq!(changes(&mut envoy), once(&["kept", "removed"]));
    assert_eq!(get(envoy.port("mesh"), "/mirrored", traced).status(), 200);
    let mirrored = wait_for("the mirrored request", || mirror.take().pop());
    assert_eq!(mirrored.all("traceparent"), [SAMPLED]);
    assert_eq!(changes(&mut envoy), once(&["kept"]));
}

/// Filters of a cluster work as those of the router do. But a VM whose first filter is a cluster's has the cluster's name
/// before all its stats, up to Envoy 1.38.
#[test]
fn the_filters_of_a_cluster_can_compare_too() {
    let upstream = Upstream::start();
    let mut filtered = http2_cluster("upstream", upstream.port);
    let options = "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = filtered.pointer_mut(options).expect("options");
    options["explicit_http_config"] = json!({"http_protocol_options": {}});
    options["http_filters"] = json!(of_upstream(&[tracewarden_in("cluster", AFTER)]));
    let routes = json!([writes("/", &[("tracestate", "b=2".to_owned())])]);
    let listener = audited("mesh", &[tracewarden_in("listener", BEFORE)], &[], routes, json!({}));
    let envoy = Envoy::start("hop-cluster", &bootstrap(&[listener], &[filtered]));
    assert_eq!(get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED)]).status(), 200);
    let counted = envoy.stats("tracewarden_hop_total");
    let counted: Vec<_> = counted.iter().filter(|(_, count)| **count > 0).collect();
    let [(stat, 1)] = &counted[..] else { panic!("{counted:?}") };
    assert!(stat.ends_with("wasmcustom.change=.=tracestate;.;tracewarden_hop_total"), "{stat}");
}
