//! A configuration as both sides read it.

use proxy_wasm_test_framework::HeaderMap;
use serde_json::Value;
use tracewarden::config::Config;
use tracewarden::exclude::{KNOWN, Sign};
use tracewarden::request::Policy;
use tracewarden::settings::Value as Tree;

use crate::work;

/// A configuration that Tracewarden accepts, and its JSON.
pub struct Setup {
    /// What was made of it.
    pub config: Config,
    /// Its JSON.
    pub json: Value,
}

impl Setup {
    /// Reads the JSON; `None` if it is refused, or the filter is disabled, in which case no pass is ever made.
    pub fn load(json: &[u8]) -> Option<Self> {
        let config = Config::load(json, |_| None).ok()?.config;
        let json = serde_json::from_slice(json.trim_ascii()).unwrap_or_default();
        config.enabled.then_some(Self { config, json })
    }

    /// Reads JSON that is known to be accepted.
    pub fn of(json: &str) -> Self {
        Self::load(json.as_bytes()).unwrap_or_else(|| panic!("refused: {json}"))
    }

    /// What it says about requests.
    pub const fn policy(&self) -> &Policy {
        &self.config.request
    }

    /// A text of the JSON.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.json.pointer(pointer).and_then(Value::as_str)
    }

    /// A list of the JSON; empty if there is none.
    pub fn list(&self, pointer: &str) -> &[Value] {
        self.json.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Whether the configuration says only what the whole of [`crate::request`] can judge: W3C's format, senders that
    /// are all trusted, one probability.
    pub fn is_plain(&self) -> bool {
        const FIELDS: &str =
            "enabled mode role direction start parent_id header sampling exclude response access_log log";
        let is_made_of = |value: Option<&Value>, known: &str| {
            let mut fields = value.and_then(Value::as_object).into_iter().flat_map(|object| object.keys());
            fields.all(|field| known.split(' ').any(|name| name == field))
        };
        is_made_of(Some(&self.json), FIELDS)
            && is_made_of(self.json.pointer("/sampling"), "probability parent")
            && self.list("/exclude").iter().all(|rule| {
                rule.is_string() || is_made_of(Some(rule), "path path_prefix user_agent_prefix method")
            })
    }

    /// What its regular expressions count for among the bytes of an input.
    pub fn work(&self) -> usize {
        work::OF_PATTERN * patterns(&self.json)
    }

    /// Whether no sender is trusted at all.
    pub fn trusts_nobody(&self) -> bool {
        self.text("/trust/default") == Some("untrusted") && self.list("/trust/trusted").is_empty()
    }

    /// Whether a rule excludes a request with these headers.
    pub fn excludes(&self, headers: &HeaderMap) -> bool {
        let [path, user_agent, method] =
            [":path", "user-agent", ":method"].map(|name| headers.get(name).unwrap_or_default());
        let without_query = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let entries = self.list("/exclude");
        let is_default =
            self.json.get("exclude").is_none_or(Value::is_null) || entries.iter().any(Value::is_string);
        let is_preflight = method == b"OPTIONS" && headers.get("access-control-request-method").is_some();
        let is_known = KNOWN.iter().any(|known| match known.sign {
            Sign::UserAgent(begin) => user_agent.starts_with(begin.as_bytes()),
            Sign::Upload(path) => {
                [&b"POST"[..], b"PUT"].contains(&method) && without_query == path.as_bytes()
            }
            Sign::Preflight => is_preflight,
        });
        is_default && is_known
            || entries.iter().filter(|entry| entry.is_object()).any(|rule| {
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

/// How many regular expressions there are in the text of a configuration, in which fields may be there twice.
pub fn patterns_of_text(text: &[u8]) -> usize {
    serde_json::from_slice(text).map_or(0, |tree: Tree| patterns_of_tree(&tree))
}

fn patterns_of_tree(tree: &Tree) -> usize {
    match tree {
        Tree::List(list) => list.iter().map(patterns_of_tree).sum(),
        Tree::Object(fields) => fields
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("path_regex", Tree::Text(_)) => 1,
                ("redact", Tree::List(list)) => list.len(),
                _ => patterns_of_tree(value),
            })
            .sum(),
        _ => 0,
    }
}

/// How many regular expressions there are in a configuration.
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
