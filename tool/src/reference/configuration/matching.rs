//! Conditions on a request, and what hangs on them.

use schemars::JsonSchema;
use tracewarden::config::DirectionWord;
use tracewarden::egress::Strip;

use crate::reference::values::{HeaderName, Pattern, Probability, Text, Word};

/// # Match
///
/// Conditions, all of which must hold; at least one.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, extend("minProperties" = 1))]
#[schemars(example = serde_json::json!({"path_prefix": "/healthz"}))]
pub(super) struct Match {
    /// The host without its port, in upper or lower case. `*.example.org` is every host that ends in `.example.org`.
    #[schemars(extend("examples" = ["*.example.org"]))]
    host: Option<Text>,
    /// The path, without its query.
    #[schemars(extend("examples" = ["/healthz"]))]
    path: Option<Text>,
    /// How the path begins.
    #[schemars(extend("examples" = ["/static/"]))]
    path_prefix: Option<Text>,
    /// What the whole path, without its query, is like. A path of more than 2,048 octets matches nothing.
    path_regex: Option<Pattern>,
    /// The method, in upper case as a rule.
    #[schemars(extend("examples" = ["OPTIONS"]))]
    method: Option<Text>,
    /// How `user-agent` begins.
    #[schemars(extend("examples" = ["kube-probe/"]))]
    user_agent_prefix: Option<Text>,
    /// The service of a gRPC request.
    #[schemars(extend("examples" = ["grpc.health.v1.Health"]))]
    grpc_service: Option<Text>,
    /// A header that the request has.
    header: Option<HeaderMatch>,
    /// Which way the request goes. `"auto"` is either, and alone no condition.
    #[schemars(extend("default" = "auto"))]
    direction: Word<DirectionWord>,
}

/// # Header match
///
/// A header that must be there.
#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields, example = serde_json::json!({"name": "x-tier", "value": "gold"}))]
struct HeaderMatch {
    /// Its name.
    name: HeaderName,
    /// The value that one of its lines must have, exactly; else any.
    #[schemars(extend("examples" = ["gold"]))]
    value: Option<Text>,
}

/// # Sampling rule
///
/// The probability of the requests that match.
#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"match": {"path_prefix": "/checkout"}, "probability": 0.5}))]
pub(super) struct Rule {
    /// Which requests.
    r#match: Match,
    /// The share of their traces that is sampled.
    #[schemars(extend("examples" = [0.5]))]
    probability: Probability,
}

/// # Egress entry
///
/// What some outbound requests do not carry.
#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"match": {"host": "*.example.org"}, "strip": "all"}))]
pub(super) struct EgressEntry {
    /// Which requests.
    r#match: Match,
    /// What is taken from them.
    strip: Word<Strip>,
}
