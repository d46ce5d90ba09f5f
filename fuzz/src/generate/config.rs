use arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Map, Value, json};

use super::{Source, pick, random};
use crate::schema::{FORMATS, HEADERS, WRITTEN};

const WORDS: &[(&str, &[&str])] = &[
    ("mode", &["enforce", "observe"]),
    ("role", &["edge", "internal"]),
    ("direction", &["auto", "inbound", "outbound"]),
    ("start", &["always", "never"]),
    ("parent_id", &["auto", "forward", "new"]),
    ("trace_id_source", &["random", "x-request-id"]),
    ("header", &["traceparent", "X-Trace", "b3", "traceresponse"]),
];
const PROBABILITIES: &[&str] = &["0", "1", "0.5", "1e-3", "0.9999999", "1.0000000000001", "7e-17", "2"];
const RULES: &[(&str, &[&str])] = &[
    ("path", &["/cart", "/healthz", ""]),
    ("path_prefix", &["/", "/h", "/cart?"]),
    ("user_agent_prefix", &["kube-probe/", ""]),
    ("method", &["GET", "get"]),
    ("path_regex", PATTERNS),
];
const PATTERNS: &[&str] = &["[0-9]+", "cart", "", "(?s).*", "a{500}", "(", "a|)", "\\pL", "(?x)#"];
/// Where spans go, each as the name of a protocol and a collector's fields.
const COLLECTORS: &[(&str, &[(&str, &[&str])])] = &[
    ("otlp", &[("path", &["/v1/traces", "/", "v1", "/\u{e9}", ""]), ("protocol", &["http/protobuf"])]),
    ("otlp", &[("protocol", &["grpc", "http/json"])]),
    ("zipkin", &[("path", &["/api/v2/spans", ""])]),
    ("zipkin", &[("protocol", &["grpc"])]),
];
const COLLECTOR: &[(&str, &[&str])] =
    &[("cluster", &["outbound|4318||otel", "a b", ""]), ("authority", &["otel:4318", "", "\u{7f}"])];
/// Places that the value of an attribute is from; no two of the names are equal.
const ATTRIBUTES: &[(&str, &str, &[&str])] = &[
    ("team", "value", &["checkout", "", "\u{0}\u{e9}"]),
    ("pod", "environment", &["OTEL_SERVICE_NAME", "NOBODY", ""]),
    ("tenant", "request_header", &["User-Agent", "x-tenant", "a b", "tracestate"]),
    ("cache", "response_header", &["server-timing", ":status", ""]),
];
const NUMBERS: &[i64] = &[1, 2, 512, 1_000_000, 0, 1_000_001, -1];
const LOG_FORMATS: &[&str] = &["[%(trace_id)s]", "%(span_id)s %%", "%", "%d", "a\nb"];
const VARIABLES: &[(&str, &[&str])] = &[
    ("ENABLE_DISTRIBUTED_TRACING", &["true", "FALSE", "no", ""]),
    ("TRACE_SAMPLING_RATE", &["0.1", " 1 ", "1.5", ".", "1e-9", "+1"]),
    ("TRACE_HEADER_NAME", &["X-Trace", "tracestate", "a b", ""]),
    ("TRACE_LOG_FORMAT", LOG_FORMATS),
    ("TRACEWARDEN_ON_BAD_CONFIG", &["refuse", "bypass", "\u{1b}"]),
    (
        "OTEL_TRACES_SAMPLER",
        &["always_off", "traceidratio", "parentbased_traceidratio", "parentbased_", "x\r"],
    ),
    ("OTEL_TRACES_SAMPLER_ARG", &["0.25", "x\u{85}"]),
    ("OTEL_PROPAGATORS", &["tracecontext,baggage", "b3, ,x\u{7}"]),
    ("OTEL_SERVICE_NAME", &["cart", "\u{1b}"]),
    ("OTEL_RESOURCE_ATTRIBUTES", &["service.name=cart,a=%62", "a=%ff", "a=1,,b=2", "x\r", "=%"]),
    ("OTEL_EXPORTER_OTLP_HEADERS", &["Api-Key=a%20b, x = 1 ", "a b=1,c=%0a", ","]),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", &["api-key=secret", "%", "a=%c3%a9"]),
];

/// Makes a configuration, with the text's own JSON or another, and an environment.
#[must_use]
pub fn config(text: &[u8], seed: u32) -> Vec<u8> {
    let random = random(seed);
    let source = &mut Unstructured::new(&random);
    configuration(text, source).unwrap_or_default()
}

fn configuration(text: &[u8], source: Source<'_, '_>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (name, values) in VARIABLES {
        if source.ratio(1, 6)? {
            out.extend([name.as_bytes(), b"=", &pick(source, values)?, b"\n"].concat());
        }
    }
    if source.ratio(1, 3)? {
        let at = text.iter().position(|octet| *octet == b'{').unwrap_or_default();
        out.extend(&text[at..]);
        return Ok(out);
    }
    let mut root = object(source)?;
    if source.ratio(1, 3)? {
        let keys: Vec<String> = root.as_object().into_iter().flat_map(Map::keys).cloned().collect();
        let key = source.choose(&keys).map_or("x", String::as_str).to_owned();
        root[key] = odd(source)?;
    }
    if source.ratio(1, 8)? {
        root[String::arbitrary(source)?] = odd(source)?;
    }
    out.extend(root.to_string().into_bytes());
    Ok(out)
}

/// A value that hardly any field takes.
fn odd(source: Source<'_, '_>) -> Result<Value> {
    let values = [
        json!(null),
        json!(true),
        json!(1),
        json!([]),
        json!([null, "server-timing"]),
        json!({}),
        json!([{}]),
        json!({ "x": 1 }),
        json!(""),
        Value::String(String::arbitrary(source)?),
    ];
    source.choose(&values).cloned()
}

/// A configuration most of whose fields are right.
pub(super) fn object(source: Source<'_, '_>) -> Result<Value> {
    let mut root = words(WORDS, (1, 4), source)?;
    if source.ratio(1, 4)? {
        let mut response = words(&[("when", &["always", "sampled"])], (1, 2), source)?;
        let mut inject = Vec::new();
        while source.ratio(2, 3)? {
            inject.push(*source.choose(HEADERS)?);
        }
        response.insert("inject".to_owned(), json!(inject));
        response.insert("validate".to_owned(), json!(source.ratio(3, 4)?));
        root.insert("response".to_owned(), response.into());
    }
    if source.ratio(1, 3)? {
        let mut sampling = words(&[("parent", &["respect", "ignore", "raise"])], (3, 4), source)?;
        if let Ok(number) = serde_json::from_str(source.choose(PROBABILITIES)?) {
            sampling.insert("probability".to_owned(), number);
        }
        if source.ratio(1, 4)? {
            sampling.insert("errors_per_second".to_owned(), json!(source.choose(NUMBERS)?));
        }
        root.insert("sampling".to_owned(), sampling.into());
    }
    if source.ratio(1, 6)? {
        let rules = [words(RULES, (1, 2), source)?, words(RULES, (1, 3), source)?];
        root.insert("exclude".to_owned(), json!(rules));
    }
    if source.ratio(1, 4)? {
        let lists = [formats(FORMATS, source)?, formats(WRITTEN, source)?];
        root.insert("propagation".to_owned(), json!({ "extract": lists[0], "inject": lists[1] }));
    }
    if source.ratio(1, 8)? {
        root.insert("correlation".to_owned(), json!({ "slots": source.choose(&[1, 16])? }));
    }
    if source.ratio(1, 8)? {
        root.insert("trust".to_owned(), trust(source)?);
    }
    if source.ratio(1, 6)? {
        root.insert("access_log".to_owned(), json!({ "filter_state": source.ratio(3, 4)? }));
    }
    if source.ratio(1, 8)? {
        root.insert("log".to_owned(), json!({ "format": source.choose(LOG_FORMATS)? }));
    }
    if source.ratio(1, 3)? {
        root.insert("export".to_owned(), export(source)?);
    }
    if source.ratio(1, 6)? {
        root.insert("span".to_owned(), span(source)?);
    }
    if source.ratio(1, 8)? {
        root.insert(
            "service".to_owned(),
            json!({ "name": "cart", "attributes": { "a": source.choose(LOG_FORMATS)? } }),
        );
    }
    Ok(root.into())
}

/// A collector that can mostly be reached, seldom two of them.
fn export(source: Source<'_, '_>) -> Result<Value> {
    let mut export = numbers(&["queue", "batch", "delay_ms"], source)?;
    loop {
        let (name, fields) = source.choose(COLLECTORS)?;
        let mut collector = numbers(&["timeout_ms"], source)?;
        collector.insert("cluster".to_owned(), json!("otel"));
        collector.extend(words(COLLECTOR, (1, 6), source)?);
        collector.extend(words(fields, (1, 2), source)?);
        export.insert((*name).to_owned(), collector.into());
        if !source.ratio(1, 16)? {
            return Ok(export.into());
        }
    }
}

fn numbers(names: &[&str], source: Source<'_, '_>) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    for name in names {
        if source.ratio(1, 4)? {
            let numbers = if source.ratio(1, 6)? { NUMBERS } else { &NUMBERS[..4] };
            object.insert((*name).to_owned(), json!(source.choose(numbers)?));
        }
    }
    Ok(object)
}

fn span(source: Source<'_, '_>) -> Result<Value> {
    let kinds = [("kind", &["auto", "server", "client", "server_and_client"][..])];
    let mut span = words(&kinds, (3, 4), source)?;
    let mut attributes = Vec::new();
    for (name, from, values) in ATTRIBUTES {
        if source.ratio(1, 2)? {
            attributes.push(json!({ "name": name, *from: source.choose(values)? }));
        }
    }
    if source.ratio(1, 4)? {
        attributes.push(json!({ "name": "cluster", "property": ["xds", "cluster_name"] }));
    }
    span.insert("attributes".to_owned(), attributes.into());
    if source.ratio(1, 2)? {
        let patterns = [*source.choose(PATTERNS)?, *source.choose(PATTERNS)?];
        span.insert("redact".to_owned(), json!(patterns[..source.int_in_range(0..=2)?]));
    }
    Ok(span.into())
}

fn formats(known: &[&'static str], source: Source<'_, '_>) -> Result<Vec<&'static str>> {
    let mut formats = Vec::new();
    while source.ratio(2, 3)? {
        let format = *source.choose(known)?;
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    Ok(formats)
}

fn trust(source: Source<'_, '_>) -> Result<Value> {
    let peers =
        [json!([]), json!([]), json!([{ "san": "spiffe://mesh/*" }]), json!([{ "cidr": "10.0.0.0/8" }])];
    let mut trust = words(&[("untrusted", &["restart", "ignore_sampled", "strip"])], (3, 4), source)?;
    trust.insert("default".to_owned(), json!("untrusted"));
    trust.insert("trusted".to_owned(), source.choose(&peers)?.clone());
    trust.insert("baggage".to_owned(), json!(source.ratio(1, 3)?));
    Ok(trust.into())
}

fn words(fields: &[(&str, &[&str])], ratio: (u8, u8), source: Source<'_, '_>) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    for (name, values) in fields {
        if source.ratio(ratio.0, ratio.1)? {
            object.insert((*name).to_owned(), json!(source.choose(values)?));
        }
    }
    Ok(object)
}
