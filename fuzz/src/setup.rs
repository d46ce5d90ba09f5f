//! A configuration as both sides read it.

use serde_json::Value;
use tracewarden::config::Config;
use tracewarden::request::Policy;

use crate::host::Headers;
use crate::work;

/// A configuration that Tracewarden accepts, and its JSON.
pub struct Setup {
    /// What was made of it.
    pub config: Config,
    json: Value,
}

impl Setup {
    /// What it says about requests.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.config.request
    }

    /// How its log lines begin.
    #[must_use]
    pub fn log_format(&self) -> &str {
        self.json("/log/format").and_then(Value::as_str).unwrap_or("[%(trace_id)s] [%(span_id)s]")
    }

    /// A place of the JSON.
    #[must_use]
    pub fn json(&self, pointer: &str) -> Option<&Value> {
        self.json.pointer(pointer)
    }

    /// The texts of a list in the JSON.
    #[must_use]
    pub fn texts(&self, pointer: &str) -> Vec<&str> {
        self.json(pointer).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Whether the configuration says only what the whole of [`crate::request`] can judge: W3C's format, senders that
    /// are all trusted, one probability.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        const FIELDS: &[&str] = &[
            "enabled",
            "mode",
            "role",
            "direction",
            "start",
            "parent_id",
            "header",
            "sampling",
            "exclude",
            "response",
            "access_log",
            "log",
        ];
        let is_made_of = |value: Option<&Value>, known: &[&str]| {
            let mut fields = value.and_then(Value::as_object).into_iter().flat_map(|object| object.keys());
            fields.all(|field| known.contains(&field.as_str()))
        };
        let conditions = ["path", "path_prefix", "user_agent_prefix", "method"];
        let mut rules = self.json("/exclude").and_then(Value::as_array).into_iter().flatten();
        is_made_of(Some(&self.json), FIELDS)
            && is_made_of(self.json("/sampling"), &["probability", "parent"])
            && rules.all(|rule| is_made_of(Some(rule), &conditions))
    }

    /// What its regular expressions count for among the octets of an input.
    #[must_use]
    pub fn work(&self) -> usize {
        work::OF_PATTERN * patterns(&self.json)
    }

    /// Whether no sender is trusted at all.
    #[must_use]
    pub fn trusts_nobody(&self) -> bool {
        let peers = self.json("/trust/trusted").and_then(Value::as_array).map_or(0, Vec::len);
        self.json("/trust/default").and_then(Value::as_str) == Some("untrusted") && peers == 0
    }

    /// Reads the JSON; `None` if it is refused, or the filter is disabled, in which case no pass is ever made.
    #[must_use]
    pub fn load(json: &[u8]) -> Option<Self> {
        let config = Config::load(json, |_| None).ok()?.config;
        let json = serde_json::from_slice(json.trim_ascii()).unwrap_or_default();
        config.enabled.then_some(Self { config, json })
    }

    /// Whether a rule excludes a request with these headers.
    #[must_use]
    pub fn excludes(&self, headers: &Headers) -> bool {
        let first = |name: &str| headers.lines(name).first().copied().unwrap_or_default().to_vec();
        let (path, user_agent, method) = (first(":path"), first("user-agent"), first(":method"));
        let without_query = path.split(|octet| *octet == b'?').next().unwrap_or_default().to_vec();
        let rules = self.json.get("exclude").and_then(Value::as_array);
        rules.into_iter().flatten().any(|rule| {
            let says = |name: &str, test: &dyn Fn(&[u8]) -> bool| {
                rule.get(name).and_then(Value::as_str).is_none_or(|text| test(text.as_bytes()))
            };
            says("path", &|text| text == without_query)
                && says("path_prefix", &|text| path.starts_with(text))
                && says("user_agent_prefix", &|text| user_agent.starts_with(text))
                && says("method", &|text| text == method)
        })
    }
}

/// How many regular expressions there are in a configuration.
#[must_use]
pub fn patterns(value: &Value) -> usize {
    let of_field = |(name, value): (&String, &Value)| match (name.as_str(), value) {
        ("path_regex", Value::String(_)) => 1,
        ("redact", Value::Array(list)) => list.len(),
        _ => patterns(value),
    };
    match value {
        Value::Array(list) => list.iter().map(patterns).sum(),
        Value::Object(fields) => fields.iter().map(of_field).sum(),
        _ => 0,
    }
}
