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
];
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
    Ok(root.into())
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
