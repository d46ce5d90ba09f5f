//! Who may hand us a context.

use schemars::JsonSchema;
use tracewarden::config::TrustDefault;
use tracewarden::trust::Untrusted;

use crate::reference::values::{Cidr, Flag, HeaderName, Secret, SomeText, Word};

/// # Trust
///
/// Where outsiders can send requests, whose context counts.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct Trust {
    /// Whether the context of those that `trusted` does not name counts.
    #[schemars(extend("default" = "trusted"))]
    default: Word<TrustDefault>,
    /// Who may hand over a context. It needs `"default": "untrusted"`. By certificate or address it costs a call to Envoy.
    #[schemars(extend("default" = []))]
    trusted: Vec<Peer>,
    /// What becomes of the context of others, in any format.
    #[schemars(extend("default" = "restart"))]
    untrusted: Word<Untrusted>,
    /// Whether the `baggage` of others goes on.
    #[schemars(extend("default" = false))]
    baggage: Flag,
}

/// # Trusted sender
///
/// Either a `san`, or a `cidr`, or a `header` with its `value_env`.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, example = serde_json::json!({"cidr": "10.0.0.0/8"}))]
#[schemars(extend("oneOf" = [
    {"required": ["san"], "properties": {"san": {"type": "string"}, "header": false, "value_env": false}},
    {"required": ["cidr"], "properties": {"cidr": {"type": "string"}, "header": false, "value_env": false}},
    {"required": ["header", "value_env"], "properties": {"san": false, "cidr": false}},
]))]
struct Peer {
    /// The URI in its certificate; a `*` at the end stands for anything.
    #[schemars(extend("examples" = ["spiffe://mesh/ns/shop/*"]))]
    san: Option<SomeText>,
    /// Its address, which is honest only where Envoy's `use_remote_address` is on.
    cidr: Option<Cidr>,
    /// A header whose value must be a secret. It is treated like that of `sampling.force`.
    header: HeaderName,
    /// The environment variable that holds the secret.
    value_env: Secret,
}

/// # Secret header
///
/// A header whose value must be a secret. It is compared in constant time, never logged, and never goes on.
#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"header": "x-trace-force", "value_env": "TRACE_FORCE_SECRET"}))]
pub(super) struct SecretHeader {
    /// The header.
    header: HeaderName,
    /// The environment variable that holds the secret.
    value_env: Secret,
}
