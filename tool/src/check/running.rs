//! Which listeners run without the filter, though the same input has it.

use std::collections::{HashMap, HashSet};

use super::bootstrap::is_ours;
use super::codes;
use super::documents::Found;
use super::doubts::Valid;
use super::managers::{Filter, Known, Manager, Resources, Runs, Table};
use super::message::Message;
use super::plugin::{Plugin, Scope, State};

/// What is known of all files together.
pub(super) struct Inputs<'a, 't> {
    pub(super) found: &'a Found<'t>,
    pub(super) resources: Resources<'t>,
    /// The plugins that judge whose context counts.
    judges: HashSet<usize>,
    /// The files whose listeners have the filter, and whether one of its plugins judges whose context counts.
    files: HashMap<&'t str, bool>,
    /// The files in which a cluster has the filter, for whatever comes from any listener.
    clusters: HashSet<&'t str>,
    /// The tables that are resources of their own, by their names.
    pub(super) tables: HashMap<&'t str, Vec<&'a Table<'t>>>,
}

/// What is said of where the filter runs. The numbers are those of the plugins.
pub(super) fn messages(found: &Found<'_>, valid: &[Valid<'_, '_>]) -> Vec<Message> {
    let judges = valid.iter().filter(|valid| valid.config.judges_senders()).map(|valid| valid.number);
    let resources = Resources::of(&found.plugins, &found.extensions);
    let is_in_cluster = |plugin: &&Plugin<'_>| plugin.around.is_upstream && !plugin.around.is_in_manager;
    let clusters = found.plugins.iter().filter(is_in_cluster).map(|plugin| plugin.file).collect();
    let mut tables: HashMap<_, Vec<_>> = HashMap::new();
    for table in &found.tables {
        tables.entry(table.node.text_at(&["name"]).unwrap_or_default()).or_default().push(table);
    }
    let judges = judges.collect();
    let mut inputs = Inputs { found, resources, judges, files: HashMap::new(), clusters, tables };
    inputs.files = inputs.files();
    let mut messages = inputs.dumps();
    messages.extend(found.refused.messages());
    messages.extend(inputs.discovered());
    messages.extend(found.managers.iter().filter_map(|manager| inputs.without(manager)));
    messages.extend(inputs.gaps());
    messages
}

impl<'t> Inputs<'_, 't> {
    /// The files in which an Envoy has the filter.
    fn files(&self) -> HashMap<&'t str, bool> {
        let mut files = HashMap::new();
        let runs = |scope: &Scope, state| *scope == Scope::Envoy && state != State::Refused;
        for (number, plugin) in self.found.plugins.iter().enumerate() {
            if runs(&plugin.scope, plugin.around.state) {
                *files.entry(plugin.file).or_default() |= self.judges.contains(&number);
            }
        }
        for manager in &self.found.managers {
            if manager.filters.iter().any(|filter| self.is_ours(filter, manager)) {
                *files.entry(manager.file).or_default() |= self.judges(manager);
            }
        }
        files
    }

    pub(super) fn is_ours(&self, filter: &Filter<'_>, manager: &Manager<'_>) -> bool {
        match filter.runs {
            Runs::Plugins { .. } => true,
            Runs::Discovered => {
                matches!(self.resources.find(filter.name, manager.file), Known::Plugins(_) | Known::ByName)
            }
            Runs::Other => false,
        }
    }

    /// Whether a discovered filter may be Tracewarden's, as nothing here says what it is.
    pub(super) fn is_unknown(&self, filter: &Filter<'_>, manager: &Manager<'_>) -> bool {
        matches!(filter.runs, Runs::Discovered)
            && matches!(self.resources.find(filter.name, manager.file), Known::Unknown)
    }

    /// Whether one of its filters judges whose context counts.
    pub(super) fn judges(&self, manager: &Manager<'_>) -> bool {
        let mut plugins =
            manager.filters.iter().flat_map(|filter| self.resources.plugins(filter, manager.file));
        plugins.any(|number| self.judges.contains(&number))
    }

    /// The dumps of an Envoy in which no filter runs.
    fn dumps(&self) -> Vec<Message> {
        let dumps = self.found.dumps.iter().filter(|(file, _)| !self.files.contains_key(file));
        let described = |(file, line): &(&str, usize)| {
            let managers = self.found.managers.iter().filter(|manager| manager.file == *file).count();
            let text = format!(
                "no filter of Tracewarden runs here: expected one in this dump, found none in its HTTP connection managers \
                 ({managers}); look for a refused or unused configuration, and for the right proxy"
            );
            Message::of_file(&codes::NOTHING_FOUND, file, *line, text)
        };
        dumps.map(described).collect()
    }

    /// The discovered filters with Tracewarden's name whose resource is not there, or is another filter. Each is said once.
    fn discovered(&self) -> Vec<Message> {
        let mut known = HashSet::new();
        let mut messages = Vec::new();
        for manager in &self.found.managers {
            for filter in manager.filters.iter().filter(|filter| matches!(filter.runs, Runs::Discovered)) {
                if !is_ours(filter.name) || !known.insert((manager.file, filter.name)) {
                    continue;
                }
                let (code, text) = match self.resources.find(filter.name, manager.file) {
                    Known::ByName => {
                        (&codes::NOT_HERE, "is not in this input; check its resource in the same run")
                    }
                    Known::Other => (
                        &codes::OTHER_FILTER,
                        "is another filter, so Tracewarden does not run there; look for the reason in the log of Envoy, or of \
                         Istio's agent",
                    ),
                    Known::Plugins(_) | Known::Unknown => continue,
                };
                let text = format!("the resource of the discovered filter {:?} {text}", filter.name);
                let place = manager.place.clone();
                messages
                    .push(Message { place, ..Message::of_file(code, manager.file, filter.node.line, text) });
            }
        }
        messages
    }

    /// A connection manager without the filter.
    fn without(&self, manager: &Manager<'_>) -> Option<Message> {
        let judges = self.files.get(manager.file)?;
        let may_run = |filter: &Filter<'_>| self.is_ours(filter, manager) || self.is_unknown(filter, manager);
        if self.clusters.contains(manager.file) || manager.filters.iter().any(may_run) {
            return None;
        }
        let rest = if *judges { ", and an outsider's context passes" } else { "" };
        let text = format!(
            "{} runs without the filter, which others here have: its requests are not counted{rest}; add the filter, or \
             allow this: --allow TW0211",
            manager.name()
        );
        let place = manager.place.clone();
        Some(Message { place, ..Message::of_file(&codes::NO_FILTER, manager.file, manager.node.line, text) })
    }
}
