//! A stream to its end, the spans that are made of it, and their way to a collector. The octets of input choose among
//! what is nearly right; `cargo fuzz fmt spans FILE` shows what they chose.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tracewarden::host::HeaderMap;
use tracewarden::otlp::Resource;
use tracewarden_fuzz::generate::Story;
use tracewarden_fuzz::host::{Host, Known, Wire};
use tracewarden_fuzz::setup::Setup;
use tracewarden_fuzz::{request, response, spans, uploads};

const ATTRIBUTES: &str = r#"[{"name": "tenant", "request_header": "X-Tenant"}, {"name": "team", "value": "checkout"},
    {"name": "cache", "response_header": "x-cache"}, {"name": "cluster", "property": ["upstream", "cluster"]}]"#;

/// Configurations that export, each without its collector.
const CONFIGS: &[&str] = &[
    r#"{"span": {"kind": "server_and_client", "attributes": ATTRIBUTES}}"#,
    r#"{"span": {"kind": "server_and_client", "attributes": ATTRIBUTES, "redact": ["ANYTHING"]}, "exclude": []}"#,
    r#"{"span": {"kind": "server", "attributes": ATTRIBUTES, "redact": ["[0-9]+", "ac.*"]}}"#,
    r#"{"span": {"kind": "client", "redact": ["ANYTHING"]}, "role": "edge", "parent_id": "new"}"#,
    r#"{"span": {"attributes": ATTRIBUTES}, "service": {"name": "\"shop\"\n", "attributes": {"a": "b"}},
        "propagation": {"extract": ["b3", "tracecontext"], "inject": ["tracecontext", "b3"]}}"#,
    r#"{"sampling": {"probability": 0, "parent": "ignore", "errors_per_second": 5}, "role": "edge",
        "response": {"inject": ["traceparent", "server-timing"]}, "access_log": {"filter_state": true}}"#,
    r#"{"sampling": {"errors_per_second": 1}, "span": {"kind": "server_and_client"}, "trust": {"default": "untrusted"},
        "response": {"validate": false, "inject": []}}"#,
    r#"{"mode": "observe"}"#,
];

static SETUPS: LazyLock<Vec<Setup>> = LazyLock::new(|| {
    let load = |config: &&str| {
        let json = config.replace("ATTRIBUTES", ATTRIBUTES).replace("ANYTHING", spans::ANYTHING);
        let json = json.replacen('{', r#"{"export": {"otlp": {"cluster": "collector"}},"#, 1);
        Setup::load(json.as_bytes()).expect("the configuration is valid")
    };
    CONFIGS.iter().map(load).collect()
});

fuzz_target!(|story: Story| {
    let Story { config, mut known, request, refusals, ended, export, steps } = story;
    let setup = &SETUPS[config % SETUPS.len()];
    let mut wire = Wire::new(request.clone(), refusals);
    let mut stream = request::check(setup, &request, &mut known, &mut wire);
    response::check(&setup.config, &mut stream, &mut known, &mut Wire::default());
    // What the story says is left goes first.
    let response = known.response.clone();
    known.left.extend([(HeaderMap::Request, wire.headers.clone()), (HeaderMap::Response, response)]);
    known.now = ended;
    let spans = spans::check(setup, stream, &mut known);
    uploads::check(&export, &resource(setup, &mut known), &spans, &steps);
});

fn resource(setup: &Setup, known: &mut Known) -> Resource {
    setup.config.service.resource(&mut Host { known, wire: &mut Wire::default() })
}
