//! Which virtual hosts and routes run without the filter that their listener has.

use std::collections::HashMap;

use super::codes;
use super::managers::{Manager, Runs};
use super::message::Message;
use super::running::Inputs;
use super::switches::{Gap, Switch, Switched, switched};
use super::tree::Node;

/// The most of its filters, and the most sets of filters, that a table of routes is tried with.
const MAX_TRIED: usize = 100;

impl<'t> Inputs<'_, 't> {
    /// The virtual hosts and routes that no filter runs for. A table that several connection managers use is judged once.
    pub(super) fn gaps(&self) -> Vec<Message> {
        let mut uses: Vec<Use<'_, 't>> = Vec::new();
        let mut known: HashMap<*const Node, HashMap<(Vec<Switch<'t>>, bool), usize>> = HashMap::new();
        for manager in &self.found.managers {
            let Some(switches) = self.switches(manager) else { continue };
            let judges = self.judges(manager);
            for table in self.tables(manager) {
                let alike = known.entry(std::ptr::from_ref(table.node)).or_default();
                let key = (switches.clone(), judges);
                if let Some(known) = alike.get(&key).and_then(|place| uses.get_mut(*place)) {
                    known.others += 1;
                } else if alike.len() < MAX_TRIED {
                    alike.insert(key, uses.len());
                    uses.push(Use { manager, switches: switches.clone(), judges, table, others: 0 });
                }
            }
        }
        uses.iter().flat_map(|one| self.of_table(one)).collect()
    }

    /// The filters of a connection manager that routes switch; `None` if there are none, or one runs whatever routes say.
    fn switches(&self, manager: &Manager<'t>) -> Option<Vec<Switch<'t>>> {
        let mut switches = Vec::new();
        for filter in &manager.filters {
            let is_fixed = matches!(filter.runs, Runs::Plugins { is_upstream: true, .. });
            if is_fixed || self.is_unknown(filter, manager) {
                return None;
            }
            if self.is_ours(filter, manager) {
                switches.push(Switch { name: filter.name, is_on: !filter.is_disabled() });
            }
        }
        (1..=MAX_TRIED).contains(&switches.len()).then_some(switches)
    }

    /// The tables of a connection manager, as far as they are in the files.
    fn tables(&self, manager: &Manager<'t>) -> Vec<TableAt<'t>> {
        let inline = manager.node.at(&["route_config"]).map(|node| TableAt {
            file: manager.file,
            place: format!("{}.route_config", manager.place),
            node,
        });
        let mut names: Vec<&str> = manager.node.text_at(&["rds", "route_config_name"]).into_iter().collect();
        let scopes = manager.node.at(&["scoped_routes"]);
        names.extend(scopes.iter().flat_map(|scopes| self.scoped(scopes, manager.file)));
        let named = names.into_iter().filter_map(|name| self.table(name, manager.file));
        let scoped = scopes.iter().flat_map(|scopes| scopes_within(scopes, manager));
        inline.into_iter().chain(named).chain(scoped).collect()
    }

    /// The names of the tables that the scopes of a dump have.
    fn scoped(&self, scopes: &'t Node, file: &str) -> Vec<&'t str> {
        let name = scopes.text_at(&["name"]);
        let dumped =
            self.found.scopes.iter().filter(|(of, node)| *of == file && node.text_at(&["name"]) == name);
        let all = dumped.filter_map(|(_, node)| node.at(&["scoped_route_configs"])).flat_map(Node::items);
        all.filter_map(|scope| scope.text_at(&["route_configuration_name"])).collect()
    }

    /// The table of this name: that of the same file, or the only one of other files.
    fn table(&self, name: &str, file: &str) -> Option<TableAt<'t>> {
        let named = self.tables.get(name)?;
        let table = match (named.iter().find(|table| table.file == file), named.as_slice()) {
            (Some(own), _) => own,
            (None, [only]) => only,
            (None, _) => return None,
        };
        Some(TableAt { file: table.file, place: table.place.clone(), node: table.node })
    }

    fn of_table(&self, one: &Use<'_, 't>) -> Vec<Message> {
        let Switched { runs, gaps } = switched(one.table.node, &one.switches);
        let mut messages = Vec::new();
        let is_complete = self.is_complete(one.manager);
        let idle = |name: &str| {
            one.switches.iter().zip(&runs).any(|(switch, runs)| switch.name == name && !switch.is_on && !runs)
        };
        for filter in one.manager.filters.iter().filter(|filter| is_complete && idle(filter.name)) {
            let text = format!(
                "the filter {:?} is disabled, and no route enables it, so it never runs; enable it with a \
                 typed_per_filter_config, or remove `disabled`",
                filter.name
            );
            let place = one.manager.place.clone();
            messages.push(Message {
                place,
                ..Message::of_file(&codes::NEVER_ENABLED, one.manager.file, filter.node.line, text)
            });
        }
        let is_all_idle = one.switches.iter().zip(&runs).all(|(switch, runs)| !switch.is_on && !runs);
        if !is_all_idle {
            messages.extend(gaps.iter().map(|gap| self.of_gap(one, gap)));
        }
        messages
    }

    /// Whether all tables of a connection manager are known.
    fn is_complete(&self, manager: &Manager<'t>) -> bool {
        self.tables(manager).len() == 1 && manager.node.at(&["scoped_routes"]).is_none()
    }

    fn of_gap(&self, one: &Use<'_, 't>, gap: &Gap<'_>) -> Message {
        let route = gap.route.iter().map(|route| format!("{route} of ")).collect::<String>();
        let others = match one.others {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let verb = if gap.is_stated { "disables" } else { "does not enable" };
        let (code, rest) = if one.judges && gap.goes_on {
            (
                &codes::NO_TRUST,
                "and so its trust: an outsider's context passes; enable a filter with trust there",
            )
        } else {
            (
                &codes::ROUTE_WITHOUT,
                "so its requests are not counted; enable a filter there, or allow this: --allow TW0213",
            )
        };
        let text = format!(
            "{route}virtual host {:?} of {}{others} {verb} the filter, {rest}",
            gap.host,
            one.manager.name()
        );
        let place =
            [&*one.table.place, if one.table.place.is_empty() { "" } else { "." }, &gap.place].concat();
        Message { place, ..Message::of_file(code, one.table.file, gap.line, text) }
    }
}

/// The tables that a connection manager has in its scopes.
fn scopes_within<'t>(scopes: &'t Node, manager: &Manager<'t>) -> Vec<TableAt<'t>> {
    const LIST: [&str; 2] = ["scoped_route_configurations_list", "scoped_route_configurations"];
    let list = scopes.at(&LIST).map_or(&[][..], Node::items);
    let tables = list.iter().enumerate().filter_map(|(number, scope)| {
        let place =
            format!("{}.scoped_routes.{}[{number}].route_configuration", manager.place, LIST.join("."));
        Some(TableAt { file: manager.file, place, node: scope.at(&["route_configuration"])? })
    });
    tables.collect()
}

/// A table of routes, and where it is.
struct TableAt<'t> {
    file: &'t str,
    place: String,
    node: &'t Node,
}

/// A table that a connection manager uses, and how many others with the same filters do.
struct Use<'a, 't> {
    manager: &'a Manager<'t>,
    switches: Vec<Switch<'t>>,
    judges: bool,
    table: TableAt<'t>,
    others: usize,
}
