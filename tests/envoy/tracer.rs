//! Beside Envoy's own tracer, which starts its span before any filter runs and writes its context in the router.

use std::process::Command;

use serde_json::{Value, json};
use tracewarden::w3c::TraceParent;

use crate::support::bootstrap::{all_to, bootstrap, cluster, listener_with, merge, tracewarden, typed};
use crate::support::client::get;
use crate::support::envoy::{Envoy, run_to_the_end};
use crate::support::upstream::Upstream;
use crate::support::{P, SAMPLED, T, envoy_binary, only_context};

pub(crate) const UPPER: &[u8] = b"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01";

/// An Envoy with the filter and the OpenTelemetry tracer, which has no collector.
fn traced(name: &str, upstream: &Upstream, filter: &str, more: Value) -> Envoy {
    Envoy::start(name, &tracing_bootstrap(upstream, filter, more))
}

fn tracing_bootstrap(upstream: &Upstream, filter: &str, more: Value) -> Value {
    let manager = json!({"tracing": tracing(more)});
    let listener = listener_with("mesh", &[tracewarden(filter)], all_to("upstream"), manager);
    bootstrap(&[listener], &[cluster("upstream", upstream.port), cluster("nobody", 1)])
}

/// A connection manager's `tracing` with the OpenTelemetry tracer, whose spans go to a cluster without a server, and with
/// more fields.
pub(crate) fn tracing(more: Value) -> Value {
    let tracer = json!({
        "service_name": "envoy",
        "http_service": {"http_uri": {"uri": "http://nobody/v1/traces", "cluster": "nobody", "timeout": "1s"}},
    });
    let mut tracing = json!({"provider": {
        "name": "envoy.tracers.opentelemetry",
        "typed_config": typed("envoy.config.trace.v3.OpenTelemetryConfig", tracer),
    }});
    merge(&mut tracing, more);
    tracing
}

/// The contexts that the upstream and the caller receive, for a request that brings this.
pub(crate) fn contexts(
    envoy: &Envoy,
    upstream: &Upstream,
    brings: &[(&str, &[u8])],
) -> (TraceParent, Option<TraceParent>) {
    let answer = get(envoy.port("mesh"), "/", brings);
    let sent = only_context("upstream", &upstream.take_one().all("traceparent"));
    let told = answer.all("traceparent");
    (sent, (!told.is_empty()).then(|| only_context("caller", &told)))
}

#[test]
fn it_overwrites_what_the_filter_writes() {
    let upstream = Upstream::start();
    let envoy = traced("tracer-enforce", &upstream, r#"{"direction": "inbound"}"#, json!({}));
    for brings in [&[][..], &[("traceparent", UPPER)]] {
        let (sent, told) = contexts(&envoy, &upstream, brings);
        // The caller hears of the filter's new trace, and the upstream of the tracer's.
        assert_ne!(told.map(|told| told.trace_id), Some(sent.trace_id), "{brings:?}");
    }
    let (sent, told) = contexts(&envoy, &upstream, &[("traceparent", SAMPLED)]);
    assert_eq!(
        (sent.trace_id.to_string(), told.map(|told| told.to_bytes())),
        (T.to_owned(), SAMPLED.try_into().ok())
    );
    assert_ne!(sent.parent_id.to_string(), P);
}

#[test]
fn a_filter_that_observes_counts_what_came_and_leaves_the_tracer_its_way() {
    let upstream = Upstream::start();
    let filter = r#"{"direction": "inbound", "mode": "observe"}"#;
    let envoy = traced("tracer-observe", &upstream, filter, json!({}));
    for brings in [&[][..], &[("traceparent", UPPER)], &[("traceparent", SAMPLED)]] {
        let (_, told) = contexts(&envoy, &upstream, brings);
        assert_eq!(told, None, "{brings:?}");
    }
    let counted = envoy.counters();
    for verdict in ["lost", "corrupt", "continued"] {
        assert_eq!(
            counted.get(&format!("requests inbound internal observe {verdict}")),
            Some(&1),
            "{counted:?}"
        );
    }
    assert!(!counted.keys().any(|name| name.starts_with("repairs")), "{counted:?}");
}

/// The tracer makes no span of a request whose `traceparent` it cannot read, and writes nothing.
#[test]
fn what_the_tracer_cannot_read_passes_it_and_the_filter_repairs_it() {
    let upstream = Upstream::start();
    let enforce = traced("tracer-unread-enforce", &upstream, r#"{"direction": "inbound"}"#, json!({}));
    let observe = r#"{"direction": "inbound", "mode": "observe"}"#;
    let observe = traced("tracer-unread-observe", &upstream, observe, json!({}));
    for value in [&b"00-00000000000000000000000000000000-b7ad6b7169203331-01"[..], b"00-1-2-1"] {
        let brings = [("traceparent", value)];
        let (sent, told) = contexts(&enforce, &upstream, &brings);
        assert_eq!(told, Some(sent), "{value:?}");
        assert_eq!(get(observe.port("mesh"), "/", &brings).status(), 200);
        assert_eq!(upstream.take_one().all("traceparent"), [value]);
    }
}

/// From 1.38 on, an option keeps the tracer's context out of the request. An older Envoy refuses the option.
#[test]
fn where_the_tracer_propagates_nothing_the_filters_context_goes_on() {
    let more = json!({"no_context_propagation": true});
    let upstream = Upstream::start();
    let configuration = tracing_bootstrap(&upstream, r#"{"direction": "inbound"}"#, more);
    if version() < (1, 38) {
        let (status, said) = run_to_the_end("tracer-old", &configuration);
        assert!(!status.success() && said.contains("no_context_propagation"), "{said}");
        return;
    }
    let envoy = Envoy::start("tracer-quiet", &configuration);
    for brings in [&[][..], &[("traceparent", UPPER)], &[("traceparent", SAMPLED)]] {
        let (sent, told) = contexts(&envoy, &upstream, brings);
        assert_eq!(told, Some(sent), "{brings:?}");
    }
}

/// The Envoy's major and minor version, of `… version: HASH/MAJOR.MINOR.PATCH/…`.
pub(crate) fn version() -> (u32, u32) {
    let said = Command::new(envoy_binary()).arg("--version").output().expect("a version").stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let version = said.split("version: ").nth(1).and_then(|rest| rest.split('/').nth(1)).expect(&said);
    let mut numbers = version.split('.').map(|number| number.parse().expect("a number"));
    (numbers.next().expect(&said), numbers.next().expect(&said))
}
