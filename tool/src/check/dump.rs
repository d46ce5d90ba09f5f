//! What a running Envoy says of itself: the answer of `/config_dump`.

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::codes;
use super::message::Message;
use super::plugin::State;
use super::tree::{Node, is_called};

/// Where a resource is that Envoy refused.
struct Refusal {
    place: String,
    line: usize,
    /// Whether an earlier version of it runs.
    has_earlier: bool,
}

/// Refusals, by the file, the resource and the reason.
#[derive(Default)]
pub(super) struct Refusals<'t>(IndexMap<(&'t str, String, &'t str), Refusal>);

impl<'t> Refusals<'t> {
    /// Adds the refusal that an object of a dump has, and says whether it is the same as an earlier one. A dump lists a refused
    /// listener with its running version, and once more without.
    pub(super) fn add(&mut self, file: &'t str, node: &'t Node, place: &str) -> bool {
        let Some((what, reason, refusal)) = refusal(node, place) else { return false };
        match self.0.entry((file, what, reason)) {
            Entry::Occupied(mut earlier) => {
                earlier.get_mut().has_earlier |= refusal.has_earlier;
                !refusal.has_earlier
            }
            Entry::Vacant(place) => {
                place.insert(refusal);
                false
            }
        }
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = Message> {
        self.0.iter().map(|((file, what, reason), refusal)| {
            let rest =
                if refusal.has_earlier { "an earlier version of it runs" } else { "no version of it runs" };
            let text = format!("Envoy refused {what}: {reason}; {rest}");
            Message {
                place: refusal.place.clone(),
                ..Message::of_file(&codes::REFUSED, file, refusal.line, text)
            }
        })
    }
}

/// Whether a document is a dump.
pub(super) fn is_dump(tree: &Node) -> bool {
    let is_empty = tree.at(&["configs"]).is_some() && items(tree).is_empty();
    is_empty || items(tree).iter().any(is_of_admin)
}

fn items(tree: &Node) -> &[Node] {
    tree.at(&["configs"]).map_or(&[][..], Node::items)
}

fn is_of_admin(item: &Node) -> bool {
    item.text_at(&["@type"]).is_some_and(|name| name.contains("/envoy.admin.v3."))
}

/// The configuration that a dump's Envoy was started with.
pub(super) fn bootstrap(tree: &Node) -> Option<&Node> {
    items(tree).iter().find_map(|item| item.at(&["bootstrap"]))
}

/// Whether a part of a dump repeats what another part has: the listeners and clusters of the bootstrap.
pub(super) fn is_repeated(tree: &Node, item: &Node) -> bool {
    let has_listeners = || items(tree).iter().any(|other| other.is_a(".ListenersConfigDump"));
    item.is_a(".BootstrapConfigDump") && has_listeners()
}

/// The state of what is in a field of an object, if it is looked at.
pub(super) fn state(name: &str, of: &Node, state: State) -> Option<State> {
    match () {
        // A listener on its way out, and the routes that stand in the listeners.
        () if is_called(name, "draining_state") || is_called(name, "static_route_configs") => None,
        () if is_called(name, "error_state") => Some(State::Refused),
        () if is_called(name, "warming_state") && of.at(&["active_state"]).is_some() => Some(State::Waiting),
        () => Some(state),
    }
}

/// The kinds of resources that decide which requests meet the filter, as dumps name their lists and their types.
const KINDS: [(&str, &str, &str); 4] = [
    ("dynamic_listeners", ".DynamicListener", "listener"),
    ("dynamic_route_configs", ".DynamicRouteConfig", "route configuration"),
    ("dynamic_scoped_route_configs", ".DynamicScopedRouteConfigs", "scoped route configuration"),
    ("ecds_filters", ".EcdsFilterConfig", "discovered filter"),
];

/// The resource that was refused, Envoy's reason, and where that is.
fn refusal<'t>(node: &'t Node, place: &str) -> Option<(String, &'t str, Refusal)> {
    let error = node.at(&["error_state"])?;
    let list = place.rsplit('.').next()?.split('[').next()?;
    let (.., kind) = KINDS.iter().find(|(known, message, _)| is_called(list, known) || node.is_a(message))?;
    let current = ["active_state", "route_config", "ecds_filter"].iter().find_map(|name| node.at(&[name]));
    let named = [Some(node), error.at(&["failed_configuration"]), current];
    let name = named.into_iter().flatten().find_map(|node| node.text_at(&["name"])).unwrap_or_default();
    let reason = error.text_at(&["details"]).unwrap_or("no reason is stated");
    let refusal = Refusal { place: place.to_owned(), line: error.line, has_earlier: current.is_some() };
    Some((format!("{kind} {name:?}"), reason, refusal))
}
