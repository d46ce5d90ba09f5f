use std::sync::LazyLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Map, Value, json};
use tracewarden::config::Config;
use tracewarden::settings::{Form, Object, Shape, examples};

use super::{Source, pick, random};

const PROBABILITIES: &[&str] = &["0", "1", "0.5", "1e-3", "0.9999999", "1.0000000000001", "7e-17", "-0", "2"];
const NUMBERS: &[i64] = &[1, 2, 16, 512, 1_000_000];
const ODD_NUMBERS: &[i64] = &[0, 1_000_001, -1];
/// Texts for each form that has a title, and for all others.
const TEXTS: &[(&str, &[&str])] = &[
    ("Header name", &["X-Trace", "x-tenant", "User-Agent", "traceresponse", "b3", "tracestate", "a b"]),
    (
        "Regular expression",
        &["[0-9]+", "cart", "", "(?s).*", "a{500}", "(", "a|)", "[)]|(?:a)", "\\pL", "(?x)#"],
    ),
    ("Range of addresses", &["10.0.0.0/8", "::1", "10.0.0.0/33", "nowhere"]),
    ("Name of a secret's variable", &["TRACE_FORCE_SECRET", "NOBODY"]),
    ("Visible ASCII text", &["otel", "outbound|4318||otel", "a b", "", "\u{7f}"]),
    ("Path", &["/v1/traces", "/", "v1", "/\u{e9}", ""]),
    ("Label value", &["a-B_3.", "a;.;b", ""]),
    (
        "",
        &[
            "/cart",
            "/healthz",
            "/h",
            "",
            "GET",
            "get",
            "kube-probe/",
            "a*",
            "[%(trace_id)s]",
            "%%",
            "%d",
            "a\nb",
        ],
    ),
];
const VARIABLES: &[(&str, &[&str])] = &[
    ("ENABLE_DISTRIBUTED_TRACING", &["true", "FALSE", "no", ""]),
    ("TRACE_SAMPLING_RATE", &["0.1", " 1 ", "1.5", ".", "1e-9", "+1"]),
    ("TRACE_HEADER_NAME", &["X-Trace", "tracestate", "a b", ""]),
    ("TRACE_LOG_FORMAT", &["[%(trace_id)s]", "%(span_id)s %%", "%", "%d", "a\nb"]),
    ("TRACE_FORCE_SECRET", &["secret", ""]),
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

static SHAPE: LazyLock<Shape> = LazyLock::new(Config::shape);

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
        let at = text.iter().position(|byte| *byte == b'{').unwrap_or_default();
        out.extend(&text[at..]);
        return Ok(out);
    }
    let mut root = object(source)?;
    if source.ratio(1, 8)? {
        root[String::arbitrary(source)?] = odd(source)?;
    }
    out.extend(root.to_string().into_bytes());
    Ok(out)
}

/// A configuration most of whose fields are right.
pub(super) fn object(source: Source<'_, '_>) -> Result<Value> {
    match &*SHAPE {
        Shape::Object(root) => fields(root, (1, 6), source),
        other => value(other, source),
    }
}

fn fields(object: &Object, ratio: (u8, u8), source: Source<'_, '_>) -> Result<Value> {
    let form = if object.forms.is_empty() { &[][..] } else { *source.choose(&object.forms)? };
    let is_of_a_form = |name: &str| object.forms.iter().any(|form| form.contains(&name));
    let mut made = Map::new();
    for field in &object.fields {
        let is_needed = field.default.is_none() || form.contains(&field.name);
        let ratio = match is_needed {
            true => (31, 32),
            false if is_of_a_form(field.name) => (1, 32),
            false => ratio,
        };
        if source.ratio(ratio.0, ratio.1)? {
            let known = examples(&field.meaning);
            let value = match known.is_empty() || source.ratio(1, 2)? {
                true => value(&field.shape, source)?,
                false => json!(source.choose(&known)?),
            };
            made.insert(field.name.to_owned(), value);
        }
    }
    Ok(made.into())
}

fn value(shape: &Shape, source: Source<'_, '_>) -> Result<Value> {
    if source.ratio(1, 48)? {
        return odd(source);
    }
    Ok(match shape {
        Shape::Flag => json!(bool::arbitrary(source)?),
        Shape::Probability => serde_json::from_str(source.choose(PROBABILITIES)?).unwrap_or_default(),
        Shape::Whole(..) => {
            let numbers = if source.ratio(1, 8)? { ODD_NUMBERS } else { NUMBERS };
            json!(source.choose(numbers)?)
        }
        Shape::Text(form) => text(form, source)?.into(),
        Shape::Words(words) => source.choose(&words.words)?.0.into(),
        Shape::Map(refused) => {
            let name = if source.ratio(1, 8)? { refused.first().copied() } else { None };
            json!({ name.unwrap_or("a"): text(&Form::ANY, source)? })
        }
        Shape::List(item) => {
            let mut items = Vec::new();
            while items.len() < 4 && source.ratio(2, 3)? {
                items.push(value(item, source)?);
            }
            items.into()
        }
        Shape::Object(object) => fields(object, (1, 3), source)?,
        Shape::Nullable(_) if source.ratio(1, 16)? => Value::Null,
        Shape::Nullable(inner) => value(inner, source)?,
    })
}

fn text(form: &Form, source: Source<'_, '_>) -> Result<&'static str> {
    let texts = TEXTS.iter().find(|(title, _)| *title == form.title).map_or(&[""][..], |(_, texts)| *texts);
    // The first are right.
    let texts = if source.ratio(3, 4)? { &texts[..texts.len().div_ceil(2)] } else { texts };
    source.choose(texts).copied()
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
