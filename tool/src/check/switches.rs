//! Where tables of routes switch filters on and off.

use super::tree::{Node, Tree};

/// A filter that routes can switch, by the name that they know it by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Switch<'t> {
    pub(super) name: &'t str,
    /// Whether it runs where no route says anything.
    pub(super) is_on: bool,
}

/// What a table of routes does to some filters.
pub(super) struct Switched<'t> {
    /// Which of the filters run somewhere.
    pub(super) runs: Vec<bool>,
    /// Where none of them runs.
    pub(super) gaps: Vec<Gap<'t>>,
}

/// A virtual host, or one of its routes, for which no filter runs.
pub(super) struct Gap<'t> {
    pub(super) host: &'t str,
    /// The route, unless the whole virtual host is meant.
    pub(super) route: Option<String>,
    /// Where it is in the table.
    pub(super) place: String,
    pub(super) line: usize,
    /// Whether it is said there, and not only left as it is.
    pub(super) is_stated: bool,
    /// Whether a request can go on from there to an upstream.
    pub(super) goes_on: bool,
}

/// How the filters stand at a level of a table.
#[derive(Clone)]
struct Level {
    on: Vec<bool>,
    /// The line that switched one of them off last.
    stated: Option<usize>,
}

impl Level {
    fn any(&self) -> bool {
        self.on.iter().any(|on| *on)
    }

    /// What a more specific part of the table makes of it.
    fn within(&self, part: &Node, switches: &[Switch<'_>]) -> Self {
        let mut level = self.clone();
        let Some((_, overrides)) = part.entry("typed_per_filter_config") else { return level };
        for (on, switch) in level.on.iter_mut().zip(switches) {
            let stated = overrides.fields().iter().find(|(name, _)| name.text == switch.name);
            let Some((name, value)) = stated else { continue };
            *on = !matches!(value.at(&["disabled"]).map(|node| &node.tree), Some(Tree::Bool(true)));
            if !*on {
                level.stated = Some(name.line);
            }
        }
        level
    }
}

/// Tries the filters on every route of a table.
pub(super) fn switched<'t>(table: &'t Node, switches: &[Switch<'_>]) -> Switched<'t> {
    let level = Level { on: switches.iter().map(|switch| switch.is_on).collect(), stated: None };
    let level = level.within(table, switches);
    let mut all = Switched { runs: vec![false; switches.len()], gaps: Vec::new() };
    for (number, host) in table.at(&["virtual_hosts"]).map_or(&[][..], Node::items).iter().enumerate() {
        let level = level.within(host, switches);
        let place = format!("virtual_hosts[{number}]");
        // What a tree of matchers leads to is not looked at.
        if host.at(&["matcher"]).is_some() {
            all.runs.fill(true);
            continue;
        }
        all.host(host, &place, &level, switches);
    }
    all
}

impl<'t> Switched<'t> {
    fn host(&mut self, host: &'t Node, place: &str, level: &Level, switches: &[Switch<'_>]) {
        let name = host.text_at(&["name"]).unwrap_or_default();
        let routes = host.at(&["routes"]).map_or(&[][..], Node::items);
        let mut gaps = Vec::new();
        let mut leaves = 0;
        for (number, route) in routes.iter().enumerate() {
            let level = level.within(route, switches);
            let place = format!("{place}.routes[{number}]");
            let clusters = route.at(&["route", "weighted_clusters", "clusters"]).map_or(&[][..], Node::items);
            let parts = clusters.iter().enumerate().map(|(number, cluster)| {
                let place = format!("{place}.route.weighted_clusters.clusters[{number}]");
                (cluster, place, level.within(cluster, switches))
            });
            let itself = clusters.is_empty().then(|| (route, place.clone(), level.clone()));
            for (part, place, level) in parts.chain(itself) {
                leaves += 1;
                self.runs.iter_mut().zip(&level.on).for_each(|(runs, on)| *runs |= on);
                if !level.any() {
                    let goes_on = route.at(&["direct_response"]).or(route.at(&["redirect"])).is_none();
                    let label = label(route, number, part);
                    gaps.push(gap(name, Some(label), place, &level, part, goes_on));
                }
            }
        }
        if leaves > gaps.len() {
            self.gaps.extend(gaps);
        } else if !level.any() || leaves > 0 {
            let goes_on = gaps.iter().any(|gap| gap.goes_on);
            let stated = level.stated.or_else(|| gaps.iter().find(|gap| gap.is_stated).map(|gap| gap.line));
            let level = Level { stated, ..level.clone() };
            self.gaps.push(gap(name, None, place.to_owned(), &level, host, goes_on));
        }
    }
}

fn gap<'t>(
    host: &'t str,
    route: Option<String>,
    place: String,
    level: &Level,
    part: &Node,
    goes_on: bool,
) -> Gap<'t> {
    let line = level.stated.unwrap_or(part.line);
    Gap { host, route, place, line, is_stated: level.stated.is_some(), goes_on }
}

/// How messages name a route: by its own name or its number, and by the cluster if it has several.
fn label(route: &Node, number: usize, part: &Node) -> String {
    let name =
        route.text_at(&["name"]).map_or_else(|| format!("route {number}"), |name| format!("route {name:?}"));
    match part.text_at(&["name"]) {
        Some(cluster) if !std::ptr::eq(route, part) => format!("{name}, cluster {cluster:?}"),
        _ => name,
    }
}
