//! What the answer depends on that a command line does not know.

use tracewarden::config::Config;
use tracewarden::settings::Value;
use tracewarden::words::DecidedBy;

use super::answer::Filtered;
use super::config::Configuration;
use super::host::World;
use super::input::Exchange;
use super::why::stated;

/// What is not known of a response to a request that got new ids.
pub(super) const NEW_IDS: &str = "The filter gives this request a new trace-id, another one each time. Whether the \
    response names it is not known: what is counted of the response supposes that it does not.";

const CORRELATION: &str = "correlation: the memory is empty here. In a pod that received a request with the same \
    x-request-id, a lost context comes back, and a call can be unlinked.";
const REDIRECT: &str = "x-envoy-original-url: if Envoy redirects this request by itself, the filter knows it from its \
    first pass. That is not known here.";
const DIRECTION: &str =
    "The direction is not known. State it with --direction inbound or --direction outbound.";
const ERRORS: &str = "sampling.errors_per_second: this response is a failure, whose span is recorded. Above that rate it is \
    not.";

/// What no header says.
const ROUTE: &str = "the route";
const CLUSTER: &str = "the cluster";

/// Conditions on a request, what they look at, and the option that states it.
const CONDITIONS: [(&[&str], &str, &str); 5] = [
    (&["path", "path_prefix", "path_regex", "grpc_service"], ":path", "--path"),
    (&["host"], ":authority", "--authority"),
    (&["method"], ":method", "--method"),
    (&["route"], ROUTE, "--route"),
    (&["cluster"], CLUSTER, "--cluster"),
];

/// All that is open.
pub(super) fn notes(
    filtered: &Filtered,
    exchange: &Exchange,
    configuration: &Configuration,
    world: &World,
) -> Vec<String> {
    let config = &configuration.config;
    let mut notes: Vec<String> =
        configuration.notices.iter().map(|notice| format!("Ignored: {notice}")).collect();
    if config.audits_alone() {
        notes.push("hop: after with mode: observe. The filter compares, and judges no request.".to_owned());
    }
    if !config.enabled || exchange.request.is_none() {
        return notes;
    }
    notes.extend(config.request.correlation.map(|_| CORRELATION.to_owned()));
    notes.extend(direction(config, world));
    if exchange.request.iter().flatten().any(|(name, _)| name == b"x-envoy-original-url") {
        notes.push(REDIRECT.to_owned());
    }
    let response = filtered.outcomes.first().and_then(|outcome| outcome.run.response.as_ref());
    if response.and_then(super::host::Record::sampled).is_some_and(|(_, by)| by == DecidedBy::Error) {
        notes.push(ERRORS.to_owned());
    }
    notes.extend(conditions(&configuration.tree, exchange, world));
    notes.extend(senders(&configuration.tree, world));
    notes
}

fn direction(config: &Config, world: &World) -> Option<String> {
    match (stated(config), world.direction) {
        (Some(stated), Some(listener)) if stated != listener => Some(format!(
            "The configuration states direction: {}, so --direction {} has no effect.",
            stated.label(),
            listener.label()
        )),
        (None, None) => Some(DIRECTION.to_owned()),
        _ => None,
    }
}

/// Conditions that cannot hold because the input does not say what they look at.
fn conditions(tree: &Value, exchange: &Exchange, world: &World) -> Vec<String> {
    let has = |name: &str| match name {
        ROUTE => world.route.is_some(),
        CLUSTER => world.cluster.is_some(),
        header => exchange.request.iter().flatten().any(|(known, _)| known == header.as_bytes()),
    };
    let rules = tree.field("sampling").and_then(|sampling| sampling.field("rules"));
    let lists = [tree.field("exclude"), tree.field("egress"), rules];
    let entries = lists.into_iter().flatten().filter_map(|list| match list {
        Value::List(entries) => Some(entries),
        _ => None,
    });
    let conditions: Vec<&Value> =
        entries.flatten().map(|entry| entry.field("match").unwrap_or(entry)).collect();
    let missing = CONDITIONS.iter().filter(|(fields, header, _)| {
        let asks = |condition: &&Value| fields.iter().any(|field| condition.field(field).is_some());
        !has(header) && conditions.iter().any(asks)
    });
    missing
        .map(|(fields, _, option)| {
            let field = fields.first().copied().unwrap_or_default();
            format!(
                "The input does not say the {field}, so no condition on it holds. State it with {option}."
            )
        })
        .collect()
}

/// Senders that cannot be told apart because the input does not say who sent it.
fn senders(tree: &Value, world: &World) -> Vec<String> {
    let trusted = tree.field("trust").and_then(|trust| trust.field("trusted"));
    let Some(Value::List(peers)) = trusted else { return Vec::new() };
    let asks = |field: &str| peers.iter().any(|peer| peer.field(field).is_some());
    let mut notes = Vec::new();
    if asks("cidr") && world.peer_address.is_none() {
        notes.push("The sender's address is not known. State it with --source-address.".to_owned());
    }
    if asks("san") && world.peer_uri.is_none() {
        notes.push("The URI of the sender's certificate is not known. State it with --peer-uri.".to_owned());
    }
    notes
}
