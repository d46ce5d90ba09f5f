//! The demo mesh's log of broken calls, behind mutual TLS as in a mesh: it has the caller's name.

use rcgen::{CertificateParams, KeyPair, SanType};
use serde_json::{Map, Value, json};

use crate::support::bootstrap::{
    address, bootstrap, cluster, listener, listener_with, merge, tracewarden, typed,
};
use crate::support::client::get;
use crate::support::envoy::Envoy;
use crate::support::{SAMPLED, Scratch, free_port, in_repository, wait_for};

const CALLER: &str = "spiffe://cluster.local/ns/shop/sa/cart";
const CALLEE: &str = "spiffe://cluster.local/ns/shop/sa/stock";
const UPPER: &[u8] = b"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01";

/// A certificate with that URI, and its key, for Envoy.
struct Identity {
    certificate: Value,
    key: Value,
}

impl Identity {
    fn new(uri: &str) -> Self {
        let mut parameters = CertificateParams::new([]).expect("parameters");
        parameters.subject_alt_names.push(SanType::URI(uri.try_into().expect("a URI")));
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self { certificate: inline(&certificate.pem()), key: inline(&key.serialize_pem()) }
    }

    /// TLS of this identity with the other one, and no one else.
    fn with(&self, other: &Self, side: &str, more: Value) -> Value {
        let mut context = json!({"common_tls_context": {
            "tls_certificates": [{"certificate_chain": self.certificate, "private_key": self.key}],
            "validation_context": {"trusted_ca": other.certificate},
        }});
        merge(&mut context, more);
        let kind = format!("envoy.extensions.transport_sockets.tls.v3.{side}TlsContext");
        json!({"transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": typed(&kind, context),
        }})
    }
}

fn inline(text: &str) -> Value {
    json!({"inline_string": text})
}

/// The logger that envoy/envoy.yaml has: its expression and its fields, with another file.
fn logger(file: &str) -> Value {
    let text = std::fs::read_to_string(in_repository("envoy/envoy.yaml")).expect("the demo mesh");
    let (_, after) = text.split_once("expression: >-\n").expect("an expression");
    let (expression, after) = after.split_once("typed_config:").expect("what comes after it");
    let (_, after) = after.split_once("json_format:\n").expect("a format");
    let fields = after.lines().map_while(|line| line.trim().split_once(": "));
    let fields: Map<String, Value> =
        fields.map(|(name, value)| (name.to_owned(), json!(value.trim_matches('\'')))).collect();
    assert!(fields.contains_key("caller") && fields.contains_key("request_id"), "{fields:?}");
    let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    let filter = typed(
        "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        json!({"expression": expression}),
    );
    let log = typed(
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        json!({"path": file, "log_format": {"json_format": fields}}),
    );
    json!({
        "name": "envoy.access_loggers.file",
        "filter": {"extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel", "typed_config": filter,
        }},
        "typed_config": log,
    })
}

/// Two proxies in one: the caller's, and the callee's with the filter and the log.
fn sidecars(file: &str, port: u16) -> Value {
    let (caller, callee) = (Identity::new(CALLER), Identity::new(CALLEE));
    let filters =
        [tracewarden(r#"{"direction": "inbound", "start": "never", "access_log": {"verdict": "broken"}}"#)];
    let routes = json!([{"name": "stock-v2", "match": {"prefix": "/"}, "direct_response": {"status": 200}}]);
    let mut inbound = listener_with("callee", &filters, routes, json!({"access_log": [logger(file)]}));
    merge(&mut inbound, json!({"address": address(port)}));
    let tls = callee.with(&caller, "Downstream", json!({"require_client_certificate": true}));
    merge(inbound.pointer_mut("/filter_chains/0").expect("a chain"), tls);
    let mut to_callee = cluster("callee", port);
    merge(&mut to_callee, caller.with(&callee, "Upstream", json!({})));
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "callee"}}]);
    bootstrap(&[inbound, listener("caller", &[], routes)], &[to_callee])
}

#[test]
fn only_broken_calls_are_logged_with_the_callers_name_and_without_the_query() {
    let scratch = Scratch::new("callers");
    let file = scratch.path("broken.log");
    let bootstrap = sidecars(file.to_str().expect("a path"), free_port());
    let envoy = Envoy::start_in(scratch, &bootstrap, &["--file-flush-interval-msec", "100"]);
    let port = envoy.port("caller");
    for (path, lines) in [
        ("/healthy", [("traceparent", SAMPLED)].as_slice()),
        ("/items/lost?card=4111", &[]),
        ("/corrupt", &[("traceparent", UPPER)]),
    ] {
        assert_eq!(get(port, path, lines).status(), 200, "{path}: {}", envoy.log());
    }
    // The healthy call came first: once the others are in the file, it would be too.
    let mut lines = wait_for("two lines", || {
        let text = std::fs::read_to_string(&file).ok()?;
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() >= 2).then_some(lines)
    });
    lines.sort_by_key(|line| line["path"].to_string());
    let told = |line: &Value| {
        ["trace_context", "caller", "method", "authority", "path", "route"]
            .map(|field| line[field].as_str().unwrap_or("-").to_owned())
    };
    let expected = [
        ["corrupt", CALLER, "GET", "test", "/corrupt", "stock-v2"],
        ["lost", CALLER, "GET", "test", "/items/lost", "stock-v2"],
    ];
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), expected, "{lines:?}");
}
