//! Writes the kept corpus, in this folder: `cargo run --example seeds`.
//!
//! Most of it are the W3C vectors of the tests; what the vectors do not reach follows by hand. Inputs named `found-…`
//! are not written here: fuzzing found them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;
use tracewarden_fuzz::generate;
use tracewarden_fuzz::host::Headers;
use tracewarden_fuzz::reading::Pair;
use tracewarden_fuzz::scenario::Scenario;

const CONTEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Values of the member `ot`, each with the digits of a threshold to put into it.
const OT: &[&str] = &[
    "th:8;rv:6e6d1a75832a2f\nc",
    "th:0\n0",
    "rv:ffffffffffffff;th:ffffffffffffff\n80",
    "a:B.c_d-e;th:\n",
    "th:X;rv:1\nfd70a4",
    "a:1;a:2\n8",
    "a:1;\n8",
    "th:8",
    "\n8",
];

const CONFIGS: &[&str] = &[
    "",
    "{}",
    r#"{"enabled":false,"mode":"observe","role":"edge","direction":"inbound","start":"never","parent_id":"new"}"#,
    r#"{"header":"X-Trace","sampling":{"probability":0.25,"parent":"raise"}}"#,
    r#"{"sampling":{"probability":1e-3,"parent":"ignore"},"log":{"format":"%% %(trace_id)s %(span_id)s"}}"#,
    r#"{"exclude":[{"path":"/healthz"},{"user_agent_prefix":"kube-probe/","method":"GET"},{"path_prefix":"/m"}]}"#,
    r#"{"response":{"validate":false,"inject":["traceresponse","server-timing"],"when":"sampled"}}"#,
    r#"{"access_log":{"filter_state":true},"direction":"outbound"}"#,
    r#"{"mode":"of\nf"}"#,
    r#"{"tyop":{}}"#,
    r#"{"sampling":{"probability":1.0000000000000000001}}"#,
    "TRACE_SAMPLING_RATE=0.1\nTRACE_HEADER_NAME=B3\nENABLE_DISTRIBUTED_TRACING=FALSE\n{}",
    "OTEL_TRACES_SAMPLER=parentbased_traceidratio\nOTEL_TRACES_SAMPLER_ARG=0.5\nOTEL_PROPAGATORS=b3,baggage\n{}",
    "TRACEWARDEN_ON_BAD_CONFIG=bypass\nTRACE_LOG_FORMAT=%d\n{}",
    r#"{"export":{"otlp":{"cluster":"otel","protocol":"grpc","timeout_ms":1}},"sampling":{"errors_per_second":5}}"#,
    r#"{"export":{"zipkin":{"cluster":"z","authority":"z:9411","path":"/"},"queue":1,"batch":2,"delay_ms":3}}"#,
    r#"{"export":{"otlp":{"cluster":"c"}},"parent_id":"forward"}"#,
    r#"{"span":{"kind":"client","redact":["[0-9]+","("],"attributes":[{"name":"a","property":["b","c"]}]}}"#,
    "OTEL_RESOURCE_ATTRIBUTES=a=b\nOTEL_EXPORTER_OTLP_HEADERS=k=%20v\n{\"export\":{\"otlp\":{\"cluster\":\"c\"}}}",
];

const TIMINGS: &[&str] = &[
    r#"traceparent;desc="CONTEXT""#,
    "trace;desc=CONTEXT",
    r#"total;dur=3;desc="a,b;c", TRACE ; dur=1 ; DESC = CONTEXT"#,
    r#"db;desc="\",traceparent;desc=CONTEXT", traceparent"#,
    "total;dur=3\n\ntracer, traceparent;desc=\"x\"\ntrace;desc=CONTEXT",
    ",, miss,",
];

/// The name of a format, and headers of it.
const FORMATS: &[&str] = &[
    "b3\nb3: <TRACE>-SPAN-d-05e3ac9a4f6e3b90",
    "b3\nb3: 0",
    "b3\nb3: 8448eb211c80319c-SPAN",
    "b3multi\nx-b3-traceid: <TRACE>\nx-b3-spanid: SPAN\nx-b3-sampled: true\nx-b3-parentspanid: SPAN",
    "b3multi\nX-B3-TraceId: <TRACE>\nX-B3-SpanId: SPAN\nX-B3-Flags: 1\nX-B3-Sampled: 0",
    "jaeger\nuber-trace-id: abcdef:1:0:3",
    "jaeger\nuber-trace-id: <TRACE>%3ASPAN%3A0%3A1",
    "xray\nx-amzn-trace-id: Self=1-67891234-12456789abcdef0123456789;Root=1-0af76519-16cd43dd8448eb211c80319c;\
     Parent=SPAN;Sampled=?;CalledFrom=app",
    "gcp\nx-cloud-trace-context: <TRACE>/67667974448284343;o=1",
    "gcp\nx-cloud-trace-context: <TRACE>",
    "datadog\nx-datadog-trace-id: 11803532876627986230\nx-datadog-parent-id: 67667974448284343\n\
     x-datadog-sampling-priority: -1\nx-datadog-tags: _dd.p.tid=4bf92f3577b34da6,_dd.p.dm=-4,x=y",
    "ottrace\not-tracer-traceid: 8448eb211c80319c\not-tracer-spanid: SPAN\not-tracer-sampled: TRUE",
    "grpc_trace_bin\ngrpc-trace-bin: AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE=",
    "b3\nb3: bad\ntraceparent: CONTEXT\ntracestate: ot=th:8;rv:ffffffffffffff,foo=1",
    "ottrace\ntraceparent: CONTEXT",
    "datadog\ntraceparent: CONTEXT",
];

/// Configurations and hosts that the vectors are also sent through.
const HOSTS: &[(&str, &str)] = &[
    (r#"{"parent_id":"new"}"#, "inbound"),
    (r#"{"mode":"observe","access_log":{"filter_state":true}}"#, "outbound"),
    (r#"{"start":"never","role":"edge"}"#, ""),
    (r#"{"sampling":{"probability":0.5,"parent":"ignore"}}"#, "inbound refuse:010"),
    (r#"{"sampling":{"probability":0.25,"parent":"raise"},"header":"x-trace"}"#, "refuse:1"),
    (r#"{"exclude":[{"path_prefix":"/c"}]}"#, "no-seed"),
    (r#"{"parent_id":"new","sampling":{"parent":"raise"}}"#, "outbound refuse:101"),
    (r#"{"trust":{"default":"untrusted","untrusted":"ignore_sampled"}}"#, "inbound"),
    (r#"{"trust":{"default":"untrusted","trusted":[{"san":"a*"}]}}"#, "inbound san:ab"),
    (
        r#"{"propagation":{"extract":["b3","tracecontext"],"inject":["tracecontext","gcp","xray"]}}"#,
        "outbound",
    ),
    (r#"{"propagation":{"extract":["tracecontext"],"inject":["jaeger","b3multi","datadog"]}}"#, "outbound"),
    (r#"{"response":{"inject":["traceparent","traceresponse","server-timing"]}}"#, "inbound no-seed"),
];

/// How many streams are drawn: their octets choose among what is nearly right, so that any will do.
const STREAMS: u32 = 24;

/// Streams with spans, in the text of a scenario.
const REQUESTS: &[&str] = &[
    "{\"export\":{\"otlp\":{\"cluster\":\"c\"}},\"span\":{\"kind\":\"server_and_client\",\"redact\":[\"(?s).*\"]}}\n\
     inbound\n:method: GET\n:path: /cart?x\n:authority: shop:80\n:scheme: https\ntraceparent: CONTEXT\n\n:status: 200",
    "{\"export\":{\"zipkin\":{\"cluster\":\"c\"}},\"sampling\":{\"probability\":0,\"parent\":\"ignore\",\"errors_per_second\":1}}\n\
     outbound\n:method: POST\n:path: /shop.v1.Cart/Add\ncontent-type: application/grpc\ntraceparent: CONTEXT\n\n\
     :status: 200\ngrpc-status: 14",
];

type Corpus = BTreeMap<(&'static str, String), Vec<u8>>;

fn main() -> io::Result<()> {
    let vectors = include_str!("../../tests/data/vectors.json");
    let vectors: Vec<Value> = serde_json::from_str(vectors)?;
    let mut corpus = Corpus::new();
    for (place, vector) in vectors.iter().enumerate() {
        add_vector(&mut corpus, place, vector);
    }
    let by_hand = [
        ("ot", OT),
        ("config", CONFIGS),
        ("server_timing", TIMINGS),
        ("formats", FORMATS),
        ("request", REQUESTS),
    ];
    for (target, texts) in by_hand {
        for (place, text) in texts.iter().enumerate() {
            let text = text.replace("CONTEXT", CONTEXT);
            let text = text.replace("SPAN", &CONTEXT[36..52]).replace("<TRACE>", &CONTEXT[3..35]);
            corpus.insert((target, format!("hand-{place:02}")), text.into_bytes());
        }
    }
    for place in 0..STREAMS {
        corpus.insert(("spans", format!("drawn-{place:02}")), generate::random(place));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for ((target, name), text) in corpus {
        fs::create_dir_all(folder.join(target))?;
        fs::write(folder.join(target).join(name), text)?;
    }
    Ok(())
}

/// A vector as each target reads it.
fn add_vector(corpus: &mut Corpus, place: usize, vector: &Value) {
    let lines = |name: &str| -> Vec<Vec<u8>> {
        let lines = vector[name].as_array().into_iter().flatten();
        lines.filter_map(Value::as_str).map(|line| line.as_bytes().to_vec()).collect()
    };
    let (parents, states) = (lines("traceparent"), lines("tracestate"));
    let mut add = |target, text: Vec<u8>| {
        let name = vector["id"].as_str().unwrap_or_default().to_lowercase();
        if !text.is_empty() && text.len() <= 4096 && !corpus.values().any(|other| *other == text) {
            corpus.insert((target, name), text);
        }
    };
    if let [value] = &parents[..] {
        add("traceparent", value.clone());
    }
    add("tracestate", states.join(&b'\n'));
    let (config, host) = HOSTS[place % HOSTS.len()];
    let header = if config.contains("x-trace") { "x-trace" } else { "traceparent" };
    let pair = |name: &str, value: &[u8]| -> Pair { (name.as_bytes().to_vec(), value.to_vec()) };
    let mut request = vec![pair(":path", b"/cart")];
    request.extend(parents.iter().map(|line| pair(header, line)));
    request.extend(states.iter().map(|line| pair("tracestate", line)));
    let response = parents.iter().map(|line| match place % 3 {
        0 => pair(header, line),
        1 => pair("traceresponse", line),
        _ => pair("server-timing", &[b"traceparent;desc=", line.as_slice()].concat()),
    });
    let response = Headers(response.collect());
    if place.is_multiple_of(4) {
        add("header_map", Headers(request.clone()).serialized());
    }
    let request = Headers(request);
    add("request", Scenario { config: config.into(), host: host.into(), request, response }.print());
}
