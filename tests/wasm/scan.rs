//! The request's headers are asked for once, whatever is configured, unless the hop audit has to know what was written.

use proxy_wasm_test_framework::Call;

use crate::scenarios::support::{Line, SAMPLED, UPPER, started, with_bystanders};

const ALL: &str =
    r#"["tracecontext", "b3", "b3multi", "jaeger", "datadog", "xray", "gcp", "ottrace", "grpc_trace_bin"]"#;
const SPANS: &str = r#""export": {"otlp": {"cluster": "c"}}, "span": {"attributes": [
    {"name": "tenant", "request_header": "x-tenant"}, {"name": "cache", "response_header": "x-cache"}]}"#;

fn configurations() -> Vec<String> {
    let fields = [
        "",
        r#""propagation": {"extract": ["tracecontext", "b3", "jaeger"], "inject": ["tracecontext", "b3", "jaeger"]}"#,
        &format!(r#""propagation": {{"extract": {ALL}, "inject": {ALL}, "remove": ["x-old", "x-older"]}}"#),
        r#""trust": {"default": "untrusted"}"#,
        r#""trust": {"default": "untrusted", "untrusted": "strip"}"#,
        r#""trust": {"default": "untrusted", "untrusted": "ignore_sampled", "trusted": [{"cidr": "10.0.0.0/8"}]}"#,
        &format!(
            r#""trust": {{"default": "untrusted"}}, "propagation": {{"extract": {ALL}, "inject": {ALL}}}, {SPANS}"#
        ),
        r#""exclude": [{"path": "/healthz"}, {"user_agent_prefix": "kube-probe/"}, {"method": "OPTIONS"}]"#,
        r#""exclude": [{"path_prefix": "/"}]"#,
        r#""egress": [{"match": {"host": "*.example.org"}, "strip": "all"}, {"match": {"host": "b"}, "strip": "baggage"}]"#,
        r#""sampling": {"parent": "ignore", "rules": [{"match": {"path": "/x"}, "probability": 0},
            {"match": {"header": {"name": "x-tier", "value": "gold"}}, "probability": 1}]}"#,
        r#""baggage": {"limit": true}"#,
        r#""correlation": {}"#,
        r#""trace_id_source": "x-request-id""#,
        r#""access_log": {"filter_state": true}"#,
        r#""mode": "observe""#,
        r#""parent_id": "new", "role": "edge""#,
        SPANS,
    ];
    let both = ["inbound", "outbound"];
    let config = |direction, rest: &&str| match *rest {
        "" => format!(r#"{{"direction": "{direction}"}}"#),
        rest => format!(r#"{{"direction": "{direction}", {rest}}}"#),
    };
    both.into_iter().flat_map(|direction| fields.iter().map(move |rest| config(direction, rest))).collect()
}

#[test]
fn a_request_pass_scans_the_headers_once() {
    let everything: &[Line<'_>] = &[
        ("traceparent", SAMPLED),
        ("tracestate", b"a=1,ot=th:0"),
        ("baggage", b"k=v"),
        ("b3", b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"),
        ("uber-trace-id", b"4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1"),
        ("x-datadog-trace-id", b"1"),
        ("x-request-id", b"bae65882-2bcd-43db-89d1-7fbd1d746a13"),
        ("x-tier", b"gold"),
        ("x-old", b"1"),
    ];
    let requests: [&[Line<'_>]; 4] =
        [&[], &[("traceparent", SAMPLED)], &[("traceparent", UPPER), ("tracestate", b"=")], everything];
    for config in configurations() {
        let (mut vm, root) = started(&config);
        for request in requests {
            let stream = vm.stream(root).unwrap();
            vm.host_mut().reset_calls();
            vm.request(stream, with_bystanders(request)).unwrap();
            let calls =
                [Call::GetHeaders, Call::GetHeader, Call::GetHeadersSize].map(|call| vm.host().calls(call));
            assert_eq!(calls, [1, 0, 0], "{config}, {} lines", request.len());
            vm.finish(stream).unwrap();
        }
    }
}

/// The hop audit compares what is on the wire, so a filter that may have written looks once more.
#[test]
fn the_hop_audit_scans_again_only_what_may_have_been_written() {
    let record = {
        let (mut vm, root) = started(r#"{"direction": "inbound", "hop": "before"}"#);
        let stream = vm.stream(root).unwrap();
        vm.request(stream, with_bystanders(&[])).unwrap();
        vm.filter_state(stream, "wasm.tracewarden.hop").unwrap().to_vec()
    };
    for (fields, scans) in [
        (r#""hop": "before""#, 2),
        (r#""hop": "before", "mode": "observe""#, 1),
        (r#""hop": "after""#, 2),
        (r#""hop": "after", "mode": "observe""#, 1),
    ] {
        let (mut vm, root) = started(&format!(r#"{{"direction": "inbound", {fields}}}"#));
        vm.host_mut().set_property(&["tracewarden.hop"], record.clone());
        let stream = vm.stream(root).unwrap();
        vm.host_mut().reset_calls();
        vm.request(stream, with_bystanders(&[])).unwrap();
        assert_eq!(vm.host().calls(Call::GetHeaders), scans, "{fields}");
    }
}
