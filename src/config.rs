//! The plugin's configuration: JSON in, a [`Config`] that is valid by construction out.

use core::fmt;
use core::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::labels::labels;
use crate::metrics::Direction;
use crate::sampling::{ProbabilityError, Threshold};

/// A valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whether the filter does anything at all.
    pub enabled: bool,
    /// Whether it mends headers, or only counts.
    pub mode: Mode,
    /// What a missing context means.
    pub role: Role,
    /// The direction of every request, or `None` to ask the host for each.
    pub direction: Option<Direction>,
    /// Whether a trace may start here.
    pub start: Start,
    /// What a continued context's parent-id becomes.
    pub parent_id: ParentId,
    /// Which of the traces that start here are recorded.
    pub probability: Threshold,
    /// What is done on the response.
    pub response: Response,
}

labels! {
    /// Whether the filter mends headers, or only counts.
    #[derive(Deserialize)]
    #[serde(try_from = "Value")]
    pub enum Mode {
        /// Headers are mended.
        Enforce = "enforce",
        /// Headers are left as they are.
        Observe = "observe",
    }
}

labels! {
    /// What a missing context means.
    #[derive(Deserialize)]
    #[serde(try_from = "Value")]
    pub enum Role {
        /// None was due: requests come from outside of the mesh.
        Edge = "edge",
        /// One was due: requests come from services that should send one.
        Internal = "internal",
    }
}

labels! {
    /// Whether a trace may start here.
    #[derive(Deserialize)]
    #[serde(try_from = "Value")]
    pub enum Start {
        /// A missing or corrupt context is replaced by a new trace.
        Always = "always",
        /// A missing context stays missing, and a corrupt one is removed.
        Never = "never",
    }
}

labels! {
    /// What a continued context's parent-id becomes.
    #[derive(Deserialize)]
    #[serde(try_from = "Value")]
    pub enum ParentId {
        /// `new` where this hop records a span, else `forward`; no span is recorded yet, so `forward`.
        Auto = "auto",
        /// What came in.
        Forward = "forward",
        /// A new id on every request.
        New = "new",
    }
}

/// What is done on the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Whether the context that the upstream put on its response is checked.
    pub validate: bool,
    /// Whether the request's context is put on the response as `traceparent`.
    pub traceparent: bool,
}

/// Why a configuration is refused: where in the JSON, and what is wrong there.
#[derive(Debug)]
pub struct ConfigError {
    path: String,
    problem: serde_json::Error,
}

impl Config {
    /// Reads the plugin's configuration; an empty one, like `{}`, is all defaults.
    ///
    /// # Errors
    /// The first field that is unknown, of the wrong type or out of range, with its JSON path and value.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let Document(raw) = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| ConfigError { path: error.path().to_string(), problem: error.into_inner() })?;
        deserializer.end().map_err(|problem| ConfigError { path: ".".to_owned(), problem })?;
        Ok(raw.into())
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Document(#[serde(deserialize_with = "object")] RawConfig);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawConfig {
    enabled: bool,
    mode: Mode,
    role: Role,
    direction: RawDirection,
    start: Start,
    parent_id: ParentId,
    #[serde(deserialize_with = "object")]
    sampling: RawSampling,
    #[serde(deserialize_with = "object")]
    response: RawResponse,
}

labels! {
    #[derive(Deserialize)]
    #[serde(try_from = "Value")]
    enum RawDirection {
        Auto = "auto",
        Inbound = "inbound",
        Outbound = "outbound",
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawSampling {
    probability: Probability,
}

#[derive(Deserialize)]
#[serde(try_from = "f64")]
struct Probability(Threshold);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawResponse {
    validate: bool,
    inject: Vec<ResponseHeader>,
}

labels! {
    #[derive(Deserialize)]
    #[serde(try_from = "Value")]
    enum ResponseHeader {
        Traceparent = "traceparent",
    }
}

/// Reads a struct from an object alone: by itself serde takes an array of the fields' values as well.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Fields<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(fields))
        }
    }

    deserializer.deserialize_map(Fields(PhantomData))
}

/// Lets serde read an enum by its labels, and say what they are when it meets anything else.
macro_rules! words {
    ($($name:ident),+) => {$(
        impl TryFrom<Value> for $name {
            type Error = String;

            fn try_from(value: Value) -> Result<Self, String> {
                let found = Self::ALL.iter().find(|word| value.as_str() == Some(word.label()));
                found.copied().ok_or_else(|| not_a_word(&value, Self::ALL.iter().map(|word| word.label())))
            }
        }
    )+};
}

words!(Mode, Role, RawDirection, Start, ParentId, ResponseHeader);

fn not_a_word(value: &Value, words: impl Iterator<Item = &'static str>) -> String {
    let words: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    format!("{value} is not one of {}", words.join(", "))
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            mode: Mode::Enforce,
            role: Role::Internal,
            direction: RawDirection::Auto,
            start: Start::Always,
            parent_id: ParentId::Auto,
            sampling: RawSampling::default(),
            response: RawResponse::default(),
        }
    }
}

impl Default for RawSampling {
    fn default() -> Self {
        Self { probability: Probability(Threshold::ALWAYS) }
    }
}

impl Default for RawResponse {
    fn default() -> Self {
        Self { validate: true, inject: vec![ResponseHeader::Traceparent] }
    }
}

impl TryFrom<f64> for Probability {
    type Error = ProbabilityError;

    fn try_from(probability: f64) -> Result<Self, ProbabilityError> {
        Threshold::from_probability(probability).map(Self)
    }
}

impl From<RawConfig> for Config {
    fn from(raw: RawConfig) -> Self {
        Self {
            enabled: raw.enabled,
            mode: raw.mode,
            role: raw.role,
            direction: match raw.direction {
                RawDirection::Auto => None,
                RawDirection::Inbound => Some(Direction::Inbound),
                RawDirection::Outbound => Some(Direction::Outbound),
            },
            start: raw.start,
            parent_id: raw.parent_id,
            probability: raw.sampling.probability.0,
            response: Response {
                validate: raw.response.validate,
                traceparent: raw.response.inject.contains(&ResponseHeader::Traceparent),
            },
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl core::error::Error for ConfigError {}
