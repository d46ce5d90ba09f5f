//! Envoy's connection managers, the tables of routes that they use, and which of their filters are Tracewarden's.

use std::collections::HashMap;
use std::ops::Range;

use super::bootstrap::is_ours;
use super::plugin::{Plugin, State};
use super::tree::{Node, Tree};

/// A connection manager that runs.
pub(super) struct Manager<'t> {
    pub(super) file: &'t str,
    pub(super) place: String,
    pub(super) node: &'t Node,
    pub(super) listener: Option<&'t Node>,
    pub(super) chain: Option<&'t Node>,
    pub(super) filters: Vec<Filter<'t>>,
}

/// An HTTP filter of a connection manager.
pub(super) struct Filter<'t> {
    pub(super) node: &'t Node,
    pub(super) name: &'t str,
    pub(super) runs: Runs,
}

/// What a filter is.
pub(super) enum Runs {
    /// It is, or has in it, these plugins of Tracewarden.
    Plugins {
        found: Range<usize>,
        /// Whether they run after the router, where no route can disable them.
        is_upstream: bool,
    },
    /// A resource of its name says what it is.
    Discovered,
    Other,
}

/// A table of routes that is a resource of its own.
pub(super) struct Table<'t> {
    pub(super) file: &'t str,
    pub(super) place: String,
    pub(super) node: &'t Node,
}

/// What is known of a discovered filter.
pub(super) enum Known {
    /// These plugins, each of which its resource may be.
    Plugins(Vec<usize>),
    /// Its resource is another filter.
    Other,
    /// Its name says that it is Tracewarden's. Its resource is not there.
    ByName,
    /// Nothing.
    Unknown,
}

impl Filter<'_> {
    /// Whether it runs only where a route says so.
    pub(super) fn is_disabled(&self) -> bool {
        matches!(self.node.at(&["disabled"]).map(|node| &node.tree), Some(Tree::Bool(true)))
    }
}

impl Manager<'_> {
    /// Whether it has a discovered filter whose name is Tracewarden's.
    pub(super) fn names_ours(&self) -> bool {
        self.filters.iter().any(|filter| matches!(filter.runs, Runs::Discovered) && is_ours(filter.name))
    }

    /// How messages name it.
    pub(super) fn name(&self) -> String {
        let text = |node: Option<&Node>| node.and_then(|node| node.text_at(&["name"])).map(str::to_owned);
        match (text(self.listener), text(self.chain)) {
            (Some(listener), Some(chain)) => format!("listener {listener:?}, filter chain {chain:?}"),
            (Some(listener), None) => format!("listener {listener:?}"),
            _ => "this connection manager".to_owned(),
        }
    }
}

/// The resources of all files by their names, each with its file and the number of its plugin, if it is one of Tracewarden's.
pub(super) struct Resources<'t>(HashMap<&'t str, Vec<(&'t str, Option<usize>)>>);

impl<'t> Resources<'t> {
    pub(super) fn of(plugins: &[Plugin<'t>], extensions: &[(&'t str, &'t str)]) -> Self {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        let runs = |plugin: &&Plugin<'_>| plugin.around.state != State::Refused;
        for (number, plugin) in plugins.iter().enumerate().filter(|(_, plugin)| runs(plugin)) {
            if let Some(name) = plugin.around.resource {
                all.entry(name).or_default().push((plugin.file, Some(number)));
            }
        }
        for (name, file) in extensions {
            all.entry(*name).or_default().push((*file, None));
        }
        Self(all)
    }

    /// What a discovered filter of a file is. A resource of the same file goes before those of others.
    pub(super) fn find(&self, name: &str, file: &str) -> Known {
        let all = self.0.get(name).map_or(&[][..], Vec::as_slice);
        let has_own = all.iter().any(|(of, _)| *of == file);
        let near = all.iter().filter(|(of, _)| !has_own || *of == file);
        let plugins: Vec<usize> = near.filter_map(|(_, number)| *number).collect();
        match (plugins.is_empty(), all.is_empty()) {
            (false, _) => Known::Plugins(plugins),
            (true, false) => Known::Other,
            (true, true) if is_ours(name) => Known::ByName,
            (true, true) => Known::Unknown,
        }
    }

    /// The plugins that a filter is or may be.
    pub(super) fn plugins(&self, filter: &Filter<'_>, file: &str) -> Vec<usize> {
        match &filter.runs {
            Runs::Plugins { found, .. } => found.clone().collect(),
            Runs::Discovered => match self.find(filter.name, file) {
                Known::Plugins(found) => found,
                Known::Other | Known::ByName | Known::Unknown => Vec::new(),
            },
            Runs::Other => Vec::new(),
        }
    }
}
