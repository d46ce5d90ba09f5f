//! Calls that Envoy makes itself: which of them can carry the context of the request that they are for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::bootstrap::{
    all_to, bootstrap, cluster, filter, http2_cluster, listener, listener_with, merge, tracewarden,
};
use crate::support::client::get;
use crate::support::envoy::Envoy;
use crate::support::http2::{self, GrpcUpstream};
use crate::support::upstream::Upstream;
use crate::support::{SAMPLED, T, in_repository, wait_for};

const CONFIG: &str = r#"{"direction": "inbound", "parent_id": "new"}"#;

/// The metadata that takes the context along, from the example of the documents.
fn metadata() -> Value {
    let text = std::fs::read_to_string(in_repository("envoy/edge/calls.yaml")).expect("the example");
    let example: Value = serde_saphyr::from_str(&text).expect("YAML");
    example.get("initial_metadata").expect("metadata").clone()
}

/// The context of a call of this service, of which Envoy makes one for each request.
fn carried(calls: &GrpcUpstream, path: &str) -> Vec<Vec<u8>> {
    let call = wait_for("the call", || calls.find(path));
    http2::all(&call, "traceparent").into_iter().map(<[u8]>::to_vec).collect()
}

fn grpc_service(with_context: bool) -> Value {
    let mut service = json!({"envoy_grpc": {"cluster_name": "service"}, "timeout": "5s"});
    if with_context {
        merge(&mut service, json!({"initial_metadata": metadata()}));
    }
    service
}

/// Row 9 of what was seen at an edge.
#[test]
fn a_call_over_grpc_carries_the_context_if_its_metadata_say_so() {
    let services: BTreeMap<&str, (&str, fn(Value) -> Value)> = [
        (
            "ext_authz",
            (
                "/envoy.service.auth.v3.Authorization/Check",
                (|service| {
                    filter(
                        "envoy.filters.http.ext_authz",
                        "ext_authz.v3.ExtAuthz",
                        json!({"transport_api_version": "V3", "grpc_service": service, "failure_mode_allow": true}),
                    )
                }) as fn(Value) -> Value,
            ),
        ),
        (
            "ratelimit",
            (
                "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
                |service| {
                    filter(
                        "envoy.filters.http.ratelimit",
                        "ratelimit.v3.RateLimit",
                        json!({"domain": "edge", "rate_limit_service": {"transport_api_version": "V3",
                            "grpc_service": service}}),
                    )
                },
            ),
        ),
        (
            "ext_proc",
            (
                "/envoy.service.ext_proc.v3.ExternalProcessor/Process",
                |service| {
                    filter(
                        "envoy.filters.http.ext_proc",
                        "ext_proc.v3.ExternalProcessor",
                        json!({"grpc_service": service, "failure_mode_allow": true, "message_timeout": "0.2s"}),
                    )
                },
            ),
        ),
    ]
    .into();
    for (name, (path, build)) in services {
        for with_context in [true, false] {
            let (calls, upstream) = (GrpcUpstream::start(), Upstream::start());
            let filters = [tracewarden(CONFIG), build(grpc_service(with_context))];
            let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "rate_limits": [
                {"actions": [{"generic_key": {"descriptor_value": "a"}}]}]}}]);
            let clusters = [cluster("upstream", upstream.port), http2_cluster("service", calls.port)];
            let case = format!("calls-{name}-{with_context}");
            let envoy = Envoy::start(&case, &bootstrap(&[listener("mesh", &filters, routes)], &clusters));
            get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED)]);
            let contexts = carried(&calls, path);
            assert_eq!(contexts.len(), usize::from(with_context), "{case}");
            if let [context] = &contexts[..] {
                let text = String::from_utf8_lossy(context);
                assert!(text.contains(T) && context != SAMPLED, "{case}: {text}");
            }
        }
    }
}

/// Over HTTP, the authorization service gets the headers that are allowed.
#[test]
fn an_authorization_over_http_gets_the_headers_that_are_allowed() {
    for is_allowed in [true, false] {
        let (service, upstream) = (Upstream::start(), Upstream::start());
        let mut http =
            json!({"server_uri": {"uri": "http://service", "cluster": "service", "timeout": "5s"}});
        if is_allowed {
            merge(
                &mut http,
                json!({"authorization_request": {"allowed_headers": {"patterns": [{"exact": "traceparent"},
                {"exact": "tracestate"}]}}}),
            );
        }
        let authorization = filter(
            "envoy.filters.http.ext_authz",
            "ext_authz.v3.ExtAuthz",
            json!({"transport_api_version": "V3", "http_service": http}),
        );
        let filters = [tracewarden(CONFIG), authorization];
        let clusters = [cluster("upstream", upstream.port), cluster("service", service.port)];
        let envoy = Envoy::start(
            &format!("calls-http-{is_allowed}"),
            &bootstrap(&[listener("mesh", &filters, all_to("upstream"))], &clusters),
        );
        assert_eq!(get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED)]).status(), 200);
        let asked = service.take_one();
        assert_eq!(asked.all("traceparent").len(), usize::from(is_allowed), "{is_allowed}");
        let sent = upstream.take_one();
        assert!(!is_allowed || asked.all("traceparent") == sent.all("traceparent"));
    }
}

/// Envoy fetches keys for itself, and not for a request.
#[test]
fn a_fetch_of_keys_carries_no_context() {
    let (keys, upstream) = (
        Upstream::answering(|_| crate::support::upstream::ok_with("application/json", br#"{"keys": []}"#)),
        Upstream::start(),
    );
    let jwt = filter(
        "envoy.filters.http.jwt_authn",
        "jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": {"idp": {"issuer": "idp", "remote_jwks": {"http_uri": {"uri": "http://keys/jwks",
                "cluster": "keys", "timeout": "5s"}}}},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
        }),
    );
    let clusters = [cluster("upstream", upstream.port), cluster("keys", keys.port)];
    let listener = listener_with("mesh", &[tracewarden(CONFIG), jwt], all_to("upstream"), json!({}));
    let envoy = Envoy::start("calls-keys", &bootstrap(&[listener], &clusters));
    // A token of this issuer, with a signature of nothing.
    let token = "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJpZHAifQ.AAAA";
    get(envoy.port("mesh"), "/", &[("traceparent", SAMPLED), ("authorization", token.as_bytes())]);
    let fetch = wait_for("the fetch", || keys.take().pop());
    assert_eq!(fetch.all("traceparent").len(), 0, "{fetch:?}");
}
