//! The place after Envoy's own tracer: an upstream HTTP filter, as in `envoy/after-tracer.yaml`.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tracewarden::w3c::TraceParent;
use tracewarden::words::Format;

use crate::support::bootstrap::{
    all_to, bootstrap, cluster, filter, listener_with, merge, router_before, tracewarden, typed,
};
use crate::support::client::get;
use crate::support::envoy::{Envoy, table};
use crate::support::http1::Message;
use crate::support::upstream::{Upstream, ok, response};
use crate::support::{SAMPLED, T, envoy_binary, in_repository, module, only_context, wait_for};
use crate::tracer::{UPPER, contexts, tracing, version};

const EXAMPLE: &str = "envoy/after-tracer.yaml";
const B3: &str = r#"{"direction": "inbound", "propagation": {"inject": ["tracecontext", "b3"]}}"#;

/// The example with other ports and this module.
fn example(upstream: &Upstream) -> String {
    let example = std::fs::read_to_string(in_repository(EXAMPLE)).expect("the example");
    let places = [
        ("port_value: 9901", "port_value: 0".to_owned()),
        ("port_value: 10000", "port_value: 0".to_owned()),
        ("port_value: 8080", format!("port_value: {}", upstream.port)),
        ("port_value: 4318", "port_value: 1".to_owned()),
        ("filename: target/tracewarden.wasm", format!("filename: {:?}", module())),
    ];
    places.into_iter().fold(example, |text, (place, other)| {
        assert!(text.contains(place), "{place}");
        text.replacen(place, &other, 1)
    })
}

/// An Envoy with the OpenTelemetry tracer, and the filter after it.
fn after_tracer(name: &str, upstream: &Upstream, configuration: &str) -> Envoy {
    after_tracer_with(name, upstream, configuration, all_to("upstream"), json!({}))
}

/// The same with these routes, and with more fields for `tracing`.
fn after_tracer_with(
    name: &str,
    upstream: &Upstream,
    configuration: &str,
    routes: Value,
    more: Value,
) -> Envoy {
    let manager = json!({
        "tracing": tracing(more),
        "http_filters": [router_before(&[tracewarden(configuration)])],
        "access_log": [filter_state_log()],
    });
    let clusters = [cluster("upstream", upstream.port), cluster("nobody", 1)];
    Envoy::start(name, &bootstrap(&[listener_with("mesh", &[], routes, manager)], &clusters))
}

/// A line in Envoy's log with the trace id that the filter put into the filter state.
fn filter_state_log() -> Value {
    let format =
        json!({"text_format_source": {"inline_string": "state %FILTER_STATE(wasm.trace_id:PLAIN)%\n"}});
    json!({
        "name": "envoy.access_loggers.stderr",
        "typed_config": typed(
            "envoy.extensions.access_loggers.stream.v3.StderrAccessLog", json!({"log_format": format}),
        ),
    })
}

/// A route that tries twice, or follows a redirect by itself.
fn route(more: Value) -> Value {
    let mut route = json!({"cluster": "upstream"});
    merge(&mut route, more);
    json!([{"match": {"prefix": "/"}, "route": route}])
}

/// What each header says of this context, in every format that is written.
fn spelled(context: TraceParent) -> Vec<(&'static str, String)> {
    let (trace, span) = (context.trace_id.to_string(), context.parent_id.to_string());
    let (high, low) = trace.split_at(16);
    let digit = |digit: char| u64::from(digit.to_digit(16).expect("a hexadecimal digit"));
    let decimal = |digits: &str| digits.chars().fold(0, |value, one| value << 4 | digit(one)).to_string();
    let (epoch, rest) = trace.split_at(8);
    vec![
        ("b3", format!("{trace}-{span}-1")),
        ("x-b3-traceid", trace.clone()),
        ("x-b3-spanid", span.clone()),
        ("x-b3-sampled", "1".to_owned()),
        ("uber-trace-id", format!("{trace}:{span}:0:1")),
        ("x-amzn-trace-id", format!("Root=1-{epoch}-{rest};Parent={span};Sampled=1")),
        ("x-cloud-trace-context", format!("{trace}/{};o=1", decimal(&span))),
        ("x-datadog-trace-id", decimal(low)),
        ("x-datadog-parent-id", decimal(&span)),
        ("x-datadog-tags", format!("_dd.p.tid={high}")),
        ("ot-tracer-traceid", low.to_owned()),
        ("ot-tracer-spanid", span),
    ]
}

/// The context that the tracer wrote, which every one of these headers must repeat.
fn assert_agrees(received: &Message, names: impl Fn(&str) -> bool) -> TraceParent {
    let context = only_context("upstream", &received.all("traceparent"));
    for (name, value) in spelled(context).into_iter().filter(|(name, _)| names(name)) {
        assert_eq!(received.text(name), value, "{name}");
    }
    context
}

#[test]
fn the_example_is_accepted_as_it_is() {
    let mut envoy = Command::new(envoy_binary());
    envoy.args(["--mode", "validate", "-c", EXAMPLE]).current_dir(in_repository(""));
    let ended = envoy.output().expect("Envoy runs");
    assert!(module().is_file() && ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn the_example_writes_the_tracers_own_ids_in_other_formats() {
    let upstream = Upstream::start();
    let envoy = Envoy::start_yaml("after-example", &example(&upstream));
    let answer = get(envoy.port("inbound"), "/", &[]);
    let received = upstream.take_one();
    let context = assert_agrees(&received, |name| name == "b3" || name.starts_with("x-datadog"));
    assert_eq!(answer.all("traceparent"), [context.to_bytes().as_slice()]);
    let expected = table(&[
        ("requests inbound internal enforce continued", 1),
        ("formats tracecontext", 1),
        ("sampled record parent", 1),
        ("responses absent", 1),
    ]);
    assert_eq!(envoy.counters(), expected);
}

#[test]
fn every_format_carries_the_tracers_own_ids() {
    let written: Vec<&str> =
        Format::ALL.iter().filter(|format| format.is_written()).map(|format| format.label()).collect();
    let upstream = Upstream::start();
    let configuration = format!(r#"{{"direction": "inbound", "propagation": {{"inject": {written:?}}}}}"#);
    let envoy = after_tracer("after-formats", &upstream, &configuration);
    let brings: [&[(&str, &[u8])]; 3] = [&[], &[("traceparent", UPPER)], &[("traceparent", SAMPLED)]];
    for brings in brings {
        get(envoy.port("mesh"), "/", brings);
        let received = upstream.take_one();
        let context = assert_agrees(&received, |_| true);
        let carriers =
            Format::ALL.iter().filter(|format| format.is_written()).map(|f| f.headers().carriers[0]);
        carriers.for_each(|name| assert_eq!(received.all(name).len(), 1, "{name}"));
        // The tracer takes upper case for its own.
        assert_eq!(context.trace_id.to_string() == T, !brings.is_empty(), "{brings:?}");
    }
    let counted = envoy.counters();
    assert_eq!(counted.get("requests inbound internal enforce continued"), Some(&3), "{counted:?}");
    assert!(!counted.keys().any(|name| name.starts_with("second_trace")), "{counted:?}");
}

#[test]
fn what_egress_withholds_stays_here_and_so_does_the_tracers() {
    let upstream = Upstream::start();
    let configuration = r#"{"direction": "outbound", "propagation": {"inject": ["tracecontext", "b3"]},
        "egress": [{"match": {"path_prefix": "/out"}, "strip": "all"}]}"#;
    let envoy = after_tracer("after-egress", &upstream, configuration);
    let brings: &[(&str, &[u8])] =
        &[("traceparent", SAMPLED), ("tracestate", b"a=1"), ("baggage", b"user=1")];
    for (path, leaves) in [("/out", 0), ("/in", 1)] {
        for brings in [brings, &[]] {
            get(envoy.port("mesh"), path, brings);
            let received = upstream.take_one();
            for name in ["traceparent", "b3"] {
                assert_eq!(received.all(name).len(), leaves, "{path}: {received:?}");
            }
            let came = leaves.min(brings.len());
            assert_eq!(received.all("baggage").len(), came, "{path}: {received:?}");
            assert!(received.all("tracestate").len() <= leaves, "{path}: {received:?}");
        }
    }
    let counted = envoy.counters();
    assert_eq!(counted.get("requests outbound internal enforce continued"), Some(&4), "{counted:?}");
}

/// With a span of the tracer's for each attempt, each attempt has ids of its own.
#[test]
fn each_attempt_counts_and_carries_its_own_ids() {
    let attempts = AtomicUsize::new(0);
    let upstream = Upstream::answering(move |_| match attempts.fetch_add(1, Ordering::Relaxed) {
        0 => response("503 Service Unavailable", &[("traceparent", b"broken")]),
        _ => ok(&[]),
    });
    let routes = route(json!({"retry_policy": {"retry_on": "5xx", "num_retries": 1}}));
    let spawning = json!({"spawn_upstream_span": true});
    let envoy = after_tracer_with("after-retry", &upstream, B3, routes, spawning);
    assert_eq!(get(envoy.port("mesh"), "/", &[]).status(), 200);
    let received = upstream.take();
    let [first, second] = &received[..] else { panic!("{received:?}") };
    let [first, second] = [first, second].map(|attempt| assert_agrees(attempt, |name| name == "b3"));
    assert_eq!(first.trace_id, second.trace_id);
    assert_ne!(first.parent_id, second.parent_id);
    let expected = table(&[
        ("requests inbound internal enforce continued", 2),
        ("formats tracecontext", 2),
        ("sampled record parent", 2),
        // The response that the router throws away passes the filter here.
        ("responses corrupt", 1),
        ("responses absent", 1),
    ]);
    assert_eq!(envoy.counters(), expected);
}

/// What of the filter's settings works there as elsewhere.
#[test]
fn direction_role_trust_exclude_and_the_filter_state_work_there() {
    let upstream = Upstream::answering(|_| ok(&[("traceparent", SAMPLED), ("traceresponse", SAMPLED)]));
    let configuration = r#"{"role": "edge", "exclude": [{"path": "/healthz"}], "access_log": {"filter_state": true},
        "propagation": {"inject": ["tracecontext", "b3"]},
        "trust": {"default": "untrusted", "trusted": [{"cidr": "127.0.0.0/8"}]}}"#;
    let envoy = after_tracer("after-settings", &upstream, configuration);
    let answer = get(envoy.port("mesh"), "/", &[]);
    let context = assert_agrees(&upstream.take_one(), |name| name == "b3");
    // Role `edge` removes what the upstream says.
    assert_eq!(answer.all("traceparent"), [context.to_bytes().as_slice()]);
    assert!(answer.all("traceresponse").is_empty());
    get(envoy.port("mesh"), "/healthz", &[]);
    let excluded = upstream.take_one();
    assert_eq!((excluded.all("traceparent").len(), excluded.all("b3").len()), (1, 0));
    let expected = table(&[
        ("requests inbound edge enforce continued", 1),
        ("requests inbound edge enforce excluded", 1),
        ("formats tracecontext", 1),
        ("sampled record parent", 1),
        ("responses mismatch", 1),
    ]);
    assert_eq!(envoy.counters(), expected);
    let line = format!("state {}", context.trace_id);
    wait_for("the access log", || envoy.log().contains(&line).then_some(()));
}

#[test]
fn a_filter_that_observes_changes_nothing_there() {
    let upstream = Upstream::start();
    let configuration = B3.replacen('{', r#"{"mode": "observe", "#, 1);
    let envoy = after_tracer("after-observe", &upstream, &configuration);
    let answer = get(envoy.port("mesh"), "/", &[]);
    let received = upstream.take_one();
    assert_eq!((received.all("traceparent").len(), received.all("b3").len()), (1, 0));
    assert!(answer.all("traceparent").is_empty());
    assert_eq!(envoy.counters().get("requests inbound internal observe continued"), Some(&1));
}

/// Envoy tells an upstream filter of no stream's end: spans are never recorded, and the second pass of an internal redirect is
/// not known as such. The gauge of `correlation` falls when the stream is gone.
#[test]
fn the_end_of_a_stream_is_not_seen_there() {
    let upstream = Upstream::answering(|message| match message.second_word() {
        "/" => response("302 Found", &[("location", b"http://test/moved")]),
        _ => ok(&[]),
    });
    let configuration = r#"{"direction": "inbound", "correlation": {},
        "export": {"otlp": {"cluster": "nobody"}, "delay_ms": 1}}"#;
    let routes = route(json!({"internal_redirect_policy": {"redirect_response_codes": [302]}}));
    let envoy = after_tracer_with("after-end", &upstream, configuration, routes, json!({}));
    assert_eq!(get(envoy.port("mesh"), "/", &[]).status(), 200);
    // This line is written when the stream has ended.
    wait_for("the access log", || (envoy.log().matches("state ").count() >= 2).then_some(()));
    let counted = envoy.counters();
    assert_eq!(counted.get("requests inbound internal enforce continued"), Some(&2), "{counted:?}");
    wait_for("the gauge", || (!envoy.counters().contains_key("traced_requests_in_flight")).then_some(()));
    assert_eq!(counted.get("spans_recorded"), None, "{counted:?}");
}

/// Under the router the stats have their usual names. Under a cluster they began with the cluster's before Envoy 1.39.
#[test]
fn the_stats_have_their_names_by_place_and_version() {
    let upstream = Upstream::start();
    let envoy = after_tracer("after-names", &upstream, B3);
    get(envoy.port("mesh"), "/", &[]);
    assert_eq!(prefixes(&envoy), ["wasmcustom."], "the router's");

    let mut filters = cluster("upstream", upstream.port);
    let codec = filter("envoy.filters.http.upstream_codec", "upstream_codec.v3.UpstreamCodec", json!({}));
    let options = typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        json!({
            "explicit_http_config": {"http_protocol_options": {}},
            "http_filters": [tracewarden(B3), codec],
        }),
    );
    let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    merge(&mut filters, json!({"typed_extension_protocol_options": {name: options}}));
    let manager = json!({"tracing": tracing(json!({}))});
    let listener = listener_with("mesh", &[], all_to("upstream"), manager);
    let envoy = Envoy::start("after-cluster", &bootstrap(&[listener], &[filters, cluster("nobody", 1)]));
    get(envoy.port("mesh"), "/", &[]);
    for received in upstream.take() {
        assert_agrees(&received, |name| name == "b3");
    }
    let expected = if version() < (1, 39) { "cluster.upstream.wasmcustom." } else { "wasmcustom." };
    assert_eq!(prefixes(&envoy), [expected], "a cluster's");
    assert_eq!(envoy.counters().get("requests inbound internal enforce continued"), Some(&1));
}

/// How the names of the filter's stats begin.
fn prefixes(envoy: &Envoy) -> Vec<String> {
    let names = envoy.stats("wasmcustom").into_keys().filter(|name| name.contains("tracewarden_"));
    let begin = |name: String| name.split_inclusive("wasmcustom.").next().map(str::to_owned);
    let mut prefixes: Vec<String> = names.filter_map(begin).collect();
    prefixes.sort();
    prefixes.dedup();
    prefixes
}

/// The place before the tracer, for comparison: there `egress` cannot hold back what the tracer writes later.
#[test]
fn before_the_tracer_egress_does_not_hold() {
    let upstream = Upstream::start();
    let configuration =
        r#"{"direction": "outbound", "egress": [{"match": {"path_prefix": "/"}, "strip": "all"}]}"#;
    let manager = json!({"tracing": tracing(json!({}))});
    let listener = listener_with("mesh", &[tracewarden(configuration)], all_to("upstream"), manager);
    let clusters = [cluster("upstream", upstream.port), cluster("nobody", 1)];
    let envoy = Envoy::start("before-egress", &bootstrap(&[listener], &clusters));
    let (sent, told) = contexts(&envoy, &upstream, &[("traceparent", SAMPLED)]);
    assert_eq!((sent.trace_id.to_string(), told), (T.to_owned(), None));
}
