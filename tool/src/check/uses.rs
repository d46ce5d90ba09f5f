//! Where the plugins run: a plugin in a listener there, and a resource wherever a filter names it.

use std::collections::HashMap;

use tracewarden::config::Config;
use tracewarden::words::{Direction, DirectionWord};

use super::documents::Found;
use super::managers::Runs;
use super::plugin::{Place, Plugin, Scope};
use super::tree::{Node, Tree};

/// Where resources are used, by their names.
pub(super) struct Uses<'t>(HashMap<&'t str, Vec<(&'t str, Place<'t>)>>);

impl<'t> Uses<'t> {
    pub(super) fn of(found: &Found<'t>) -> Self {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for manager in &found.managers {
            let place = Place { listener: manager.listener, chain: manager.chain };
            for filter in manager.filters.iter().filter(|filter| matches!(filter.runs, Runs::Discovered)) {
                all.entry(filter.name).or_default().push((manager.file, place));
            }
        }
        Self(all)
    }

    /// The places in which a plugin runs, as far as they are known.
    pub(super) fn find(&self, plugin: &Plugin<'t>) -> Vec<Place<'t>> {
        if plugin.scope != Scope::Envoy {
            return Vec::new();
        }
        let Some(name) = plugin.around.resource else {
            return if plugin.around.is_in_manager { vec![plugin.around.at] } else { Vec::new() };
        };
        let all = self.0.get(name).map_or(&[][..], Vec::as_slice);
        let own: Vec<_> =
            all.iter().filter(|(file, _)| *file == plugin.file).map(|(_, place)| *place).collect();
        if own.is_empty() { all.iter().map(|(_, place)| *place).collect() } else { own }
    }
}

/// The direction of the requests that a plugin sees, if that is certain.
pub(super) fn direction(config: &Config, places: &[Place<'_>]) -> Option<Direction> {
    match config.request.direction {
        DirectionWord::Inbound => return Some(Direction::Inbound),
        DirectionWord::Outbound => return Some(Direction::Outbound),
        DirectionWord::Auto => {}
    }
    let mut all = places.iter().map(|place| {
        Some(match place.listener?.text_at(&["traffic_direction"]) {
            Some("INBOUND") => Direction::Inbound,
            Some("OUTBOUND") => Direction::Outbound,
            None | Some("UNSPECIFIED") => Direction::Unspecified,
            Some(_) => return None,
        })
    });
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

/// Whether the clients of a listener may have certificates. It is so where that is not known.
pub(super) fn may_have_certificate(place: &Place<'_>) -> bool {
    let (Some(listener), Some(chain)) = (place.listener, place.chain) else { return true };
    if listener.at(&["internal_listener"]).is_some() {
        return true;
    }
    let Some(socket) = chain.at(&["transport_socket"]) else { return false };
    let Some(typed) = socket.at(&["typed_config"]) else { return true };
    if typed.is_a(".transport_sockets.raw_buffer.v3.RawBuffer") {
        return false;
    }
    let quic = typed.at(&["downstream_tls_context"]).filter(|_| typed.is_a(".QuicDownstreamTransport"));
    match quic.or_else(|| typed.is_a(".tls.v3.DownstreamTlsContext").then_some(typed)) {
        Some(tls) => asks_for_certificate(tls),
        None => true,
    }
}

/// Whether TLS asks clients for a certificate.
fn asks_for_certificate(tls: &Node) -> bool {
    let requires =
        matches!(tls.at(&["require_client_certificate"]).map(|node| &node.tree), Some(Tree::Bool(true)));
    let common = tls.at(&["common_tls_context"]).map_or(&[][..], Node::fields);
    requires || common.iter().any(|(name, _)| name.text.to_ascii_lowercase().contains("validation"))
}
