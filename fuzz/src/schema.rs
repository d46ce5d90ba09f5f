//! What a configuration may say, as a table, beside the way in which Tracewarden reads it.

use serde_json::{Map, Value};

use crate::formats;

/// Whether the environment and the JSON are to be accepted; `None` where a number is too near to its bound to
/// tell with a float, and for a list that says something twice.
#[must_use]
pub fn accepts(json: &[u8], environment: impl Fn(&str) -> Option<String>) -> Option<bool> {
    let variables: [(&str, Check); 4] = [
        ("ENABLE_DISTRIBUTED_TRACING", |text| {
            Some(["true", "false"].contains(&text.to_ascii_lowercase().as_str()))
        }),
        ("TRACE_HEADER_NAME", is_own_header),
        ("TRACE_LOG_FORMAT", |text| Some(is_format(text))),
        ("TRACE_SAMPLING_RATE", |text| is_probability(text.trim())),
    ];
    let variables = variables.into_iter().map(|(name, check)| {
        let value = environment(name).unwrap_or_default();
        if value.is_empty() { Some(true) } else { check(&value) }
    });
    let json = match json.trim_ascii() {
        b"" => Some(true),
        text => serde_json::from_slice(text).map_or(Some(false), |value| matches(&value, ROOT)),
    };
    all(variables.chain([json]))
}

type Check = fn(&str) -> Option<bool>;

/// What a field may hold.
#[derive(Clone, Copy)]
enum Kind {
    Bool,
    Word(&'static [&'static str]),
    Words(&'static [&'static str]),
    Text(fn(&str) -> bool),
    Probability,
    Header,
    Names,
    Count,
    Pattern,
    Object(Fields),
    /// An object whose fields must also agree.
    Agreeing(Fields, Agreement),
    List(&'static Kind),
    /// An object with any names.
    Map(&'static Kind),
    Rules(Fields),
    /// What depends on the environment, or on another field.
    Unjudged,
}

type Fields = &'static [(&'static str, Kind)];
type Agreement = fn(&Map<String, Value>) -> bool;

/// Where on a response the context can stand.
pub(crate) const HEADERS: &[&str] = &["traceparent", "traceresponse", "server-timing"];
const ANY: Kind = Kind::Text(|_| true);
const DIRECTIONS: Kind = Kind::Word(&["auto", "inbound", "outbound"]);
/// The formats that are read.
pub(crate) const FORMATS: &[&str] = &[
    "tracecontext",
    "b3",
    "b3multi",
    "jaeger",
    "xray",
    "gcp",
    "datadog",
    "ottrace",
    "grpc_trace_bin",
    "sw8",
];
/// Those that are written.
pub(crate) const WRITTEN: &[&str] = FORMATS.split_at(9).0;
const RULE: Fields = &[
    ("host", ANY),
    ("path", ANY),
    ("path_prefix", ANY),
    ("path_regex", Kind::Pattern),
    ("method", ANY),
    ("user_agent_prefix", ANY),
    ("grpc_service", ANY),
    ("header", Kind::Unjudged),
    ("direction", DIRECTIONS),
];
const COLLECTOR: Fields = &[
    ("cluster", Kind::Text(is_graphic)),
    ("authority", Kind::Text(is_graphic)),
    ("path", Kind::Text(is_path)),
    ("timeout_ms", Kind::Count),
    ("protocol", Kind::Word(&["http/protobuf", "grpc"])),
];
/// Zipkin is spoken in one way only.
const ZIPKIN: Fields = COLLECTOR.split_at(4).0;
const ATTRIBUTE: Fields = &[
    ("name", Kind::Text(|name| !name.is_empty())),
    ("value", ANY),
    ("environment", ANY),
    ("request_header", Kind::Text(is_header_name)),
    ("response_header", Kind::Text(is_header_name)),
    ("property", Kind::List(&ANY)),
];
const EXPORT: Kind = Kind::Agreeing(
    &[
        ("otlp", Kind::Agreeing(COLLECTOR, is_reached)),
        ("zipkin", Kind::Agreeing(ZIPKIN, is_reached)),
        ("queue", Kind::Count),
        ("batch", Kind::Count),
        ("delay_ms", Kind::Count),
    ],
    |export| export.contains_key("otlp") != export.contains_key("zipkin"),
);
const ROOT: Kind = Kind::Agreeing(ROOT_FIELDS, |root| {
    if !names_once(root) {
        return false;
    }
    let exports = root.contains_key("export");
    let records_errors =
        root.get("sampling").and_then(|sampling| sampling.get("errors_per_second")).is_some();
    if exports { root.get("parent_id").is_none_or(|word| word != "forward") } else { !records_errors }
});
const ROOT_FIELDS: Fields = &[
    ("enabled", Kind::Bool),
    ("mode", Kind::Word(&["enforce", "observe"])),
    ("role", Kind::Word(&["edge", "internal"])),
    ("direction", DIRECTIONS),
    ("start", Kind::Word(&["always", "never"])),
    ("parent_id", Kind::Word(&["auto", "forward", "new"])),
    ("header", Kind::Header),
    ("trace_id_source", Kind::Word(&["random", "x-request-id"])),
    ("correlation", Kind::Object(&[("slots", Kind::Count), ("ttl_seconds", Kind::Count)])),
    (
        "sampling",
        Kind::Object(&[
            ("probability", Kind::Probability),
            ("parent", Kind::Word(&["respect", "ignore", "raise"])),
            ("rules", Kind::Unjudged),
            ("force", Kind::Unjudged),
            ("max_traces_per_second_per_worker", Kind::Count),
            ("errors_per_second", Kind::Count),
        ]),
    ),
    (
        "propagation",
        Kind::Object(&[
            ("extract", Kind::Words(FORMATS)),
            ("inject", Kind::Words(WRITTEN)),
            ("remove", Kind::Names),
        ]),
    ),
    (
        "trust",
        Kind::Object(&[
            ("default", Kind::Word(&["trusted", "untrusted"])),
            ("trusted", Kind::Unjudged),
            ("untrusted", Kind::Word(&["restart", "ignore_sampled", "strip"])),
            ("baggage", Kind::Bool),
        ]),
    ),
    ("egress", Kind::Unjudged),
    ("baggage", Kind::Unjudged),
    ("exclude", Kind::Rules(RULE)),
    (
        "response",
        Kind::Object(&[
            ("validate", Kind::Bool),
            ("inject", Kind::Words(HEADERS)),
            ("when", Kind::Word(&["always", "sampled"])),
        ]),
    ),
    ("access_log", Kind::Object(&[("filter_state", Kind::Bool)])),
    ("log", Kind::Object(&[("format", Kind::Text(is_format))])),
    ("metrics", Kind::Object(&[("listener", Kind::Text(is_label))])),
    ("export", EXPORT),
    (
        "span",
        Kind::Object(&[
            ("kind", Kind::Word(&["auto", "server", "client", "server_and_client"])),
            ("attributes", Kind::List(&Kind::Agreeing(ATTRIBUTE, has_one_source))),
            ("redact", Kind::List(&Kind::Pattern)),
        ]),
    ),
    ("service", Kind::Object(&[("name", ANY), ("attributes", Kind::Map(&ANY))])),
];

fn matches(value: &Value, kind: Kind) -> Option<bool> {
    let is_word = |value: &Value, words: &[&str]| value.as_str().is_some_and(|text| words.contains(&text));
    let list = value.as_array();
    // Some fields take it for nothing at all.
    if value.as_object().is_some_and(|object| object.values().any(Value::is_null)) {
        return None;
    }
    match kind {
        Kind::Bool => Some(value.is_boolean()),
        Kind::Word(words) => Some(is_word(value, words)),
        Kind::Words(words) => {
            let Some(list) = list else { return Some(false) };
            let is_repeated = |(place, value)| list[..place].contains(value);
            let is_good = list.iter().all(|value| is_word(value, words));
            if is_good && list.iter().enumerate().any(is_repeated) { None } else { Some(is_good) }
        }
        Kind::Header => value.as_str().map_or(Some(false), is_own_header),
        Kind::Names => {
            Some(list.is_some_and(|list| list.iter().all(|value| value.as_str().is_some_and(is_header_name))))
        }
        Kind::Count => Some(value.as_u64().is_some_and(|count| (1..=1_000_000).contains(&count))),
        Kind::Unjudged => None,
        Kind::Text(check) => Some(value.as_str().is_some_and(check)),
        Kind::Probability => match value {
            Value::Number(number) => is_probability(number.as_str()),
            _ => Some(false),
        },
        Kind::Pattern => value.as_str().map_or(Some(false), is_pattern),
        Kind::Agreeing(_, agree) if !value.as_object().is_some_and(agree) => Some(false),
        Kind::List(kind) => {
            let Some(list) = list else { return Some(false) };
            all(list.iter().map(|value| matches(value, *kind)))
        }
        Kind::Map(kind) => {
            let Some(object) = value.as_object() else { return Some(false) };
            all(object.values().map(|value| matches(value, *kind)))
        }
        Kind::Object(fields) | Kind::Agreeing(fields, _) => {
            let Some(object) = value.as_object() else { return Some(false) };
            all(object.iter().map(|(name, value)| {
                let field = fields.iter().find(|(field, _)| field == name);
                field.map_or(Some(false), |(_, kind)| matches(value, *kind))
            }))
        }
        Kind::Rules(fields) => {
            let Some(list) = list else { return Some(false) };
            let is_any = |(field, value): (&String, &Value)| field == "direction" && value == "auto";
            let is_empty = |rule: &Value| rule.as_object().is_some_and(|rule| rule.iter().all(is_any));
            all(list
                .iter()
                .map(|rule| if is_empty(rule) { Some(false) } else { matches(rule, Kind::Object(fields)) }))
        }
    }
}

/// Whether all hold; one that does not hold outweighs one that nobody can tell.
fn all(checks: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for check in checks {
        match check {
            Some(false) => return check,
            Some(true) => {}
            None => result = None,
        }
    }
    result
}

/// A probability in plain decimal, where it is short enough and far enough from 1 for a float to tell.
fn is_probability(text: &str) -> Option<bool> {
    let (number, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(n, e)| (n, Some(e)));
    let digits = number.replacen('.', "", 1);
    let unsigned = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !is_number(&digits) || !unsigned.is_none_or(is_number) {
        return Some(false);
    }
    if number.len() > 400 {
        return Some(false);
    }
    if unsigned.is_some_and(|exponent| exponent.len() > 3) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    ((value - 1.0).abs() > 1e-12 || value == 1.0 && digits.len() < 15).then_some(value <= 1.0)
}

/// Whether `traceparent` may be called so; not judged of names that have another meaning.
fn is_own_header(name: &str) -> Option<bool> {
    let mut others = formats::FORMATS.iter().flat_map(|(_, headers)| headers.iter().copied());
    let is_other = |other: &str| other.eq_ignore_ascii_case(name);
    if is_other("tracestate") {
        return Some(false);
    }
    let is_known = ["baggage", "server-timing", "traceresponse", "x-request-id"].into_iter().any(is_other);
    if is_known || others.any(is_other) { None } else { Some(is_header_name(name)) }
}

fn is_header_name(name: &str) -> bool {
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    (1..=128).contains(&name.len()) && name.bytes().all(is_token)
}

/// Whether a collector is named, at a path only where one can be chosen.
fn is_reached(collector: &Map<String, Value>) -> bool {
    let is_grpc = collector.get("protocol").is_some_and(|word| word == "grpc");
    collector.contains_key("cluster") && !(is_grpc && collector.contains_key("path"))
}

/// Whether the attributes of spans have distinct names, and those of the service are not its name.
fn names_once(root: &Map<String, Value>) -> bool {
    let of_service = root.get("service").and_then(|service| service.get("attributes")?.get("service.name"));
    let list = root.get("span").and_then(|span| span.get("attributes")?.as_array());
    let names: Vec<&Value> =
        list.into_iter().flatten().filter_map(|attribute| attribute.get("name")).collect();
    of_service.is_none() && names.iter().enumerate().all(|(place, name)| !names[..place].contains(name))
}

/// Whether an attribute has a name, and its value from one place.
fn has_one_source(attribute: &Map<String, Value>) -> bool {
    let is_source = |field: &&String| *field != "name";
    attribute.contains_key("name") && attribute.keys().filter(is_source).count() == 1
}

fn is_graphic(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
}

fn is_label(text: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet);
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

fn is_path(text: &str) -> bool {
    is_graphic(text) && text.starts_with('/')
}

/// Whether a text is a regular expression, of those that have no signs in them.
fn is_pattern(text: &str) -> Option<bool> {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'/';
    (text.len() < 100 && text.bytes().all(is_plain)).then_some(true)
}

/// Whether every percent sign begins a field or another percent sign.
fn is_format(format: &str) -> bool {
    format.split("%%").all(|part| {
        part.split('%')
            .skip(1)
            .all(|field| field.starts_with("(trace_id)s") || field.starts_with("(span_id)s"))
    })
}
