//! Where an Envoy configuration, whole or in part, has Tracewarden's filters, and which of Envoy's tracers write after them.

use std::cell::OnceCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::documents::{File, Found};
use super::dump;
use super::managers::{Filter, Manager, Runs, Table};
use super::plugin::{Around, Place, Plugin, Scope, Source, State, Tracer};
use super::tree::{Node, Tree, is_called};
use super::variables::Variables;

/// A search through an Envoy configuration.
pub(super) struct Search<'a, 't> {
    pub(super) file: &'t File,
    /// What comes before the place of a filter, such as the object of Kubernetes that it is in.
    pub(super) prefix: String,
    pub(super) scope: fn(&Node) -> Scope,
    /// The object that decides the scope.
    pub(super) root: &'t Node,
    /// The tracer of connection managers that name none.
    pub(super) provider: Option<&'t Node>,
    /// Whether it is what a running Envoy says of itself.
    pub(super) is_dump: bool,
    pub(super) found: &'a mut Found<'t>,
}

/// The fields by which a message of Envoy's is known that has no type.
const FIELDS: [&str; 6] = [
    "static_resources",
    "dynamic_resources",
    "filter_chains",
    "http_filters",
    "virtual_hosts",
    "config_discovery",
];

/// Whether a document is an Envoy configuration, or a part of one.
pub(super) fn is_envoy(tree: &Node) -> bool {
    let is_empty =
        |name| matches!(tree.at(&[name]), Some(Node { tree: Tree::List(items), .. }) if items.is_empty());
    FIELDS.iter().any(|name| tree.entry(name).is_some())
        || is_empty("configs")
        || is_empty("resources")
        || has_any(tree)
}

/// Whether there is a typed message in it.
fn has_any(tree: &Node) -> bool {
    match &tree.tree {
        Tree::List(items) => items.iter().any(has_any),
        Tree::Object(fields) => {
            let is_type =
                |value: &Node| value.text().is_some_and(|name| name.starts_with("type.googleapis.com/"));
            fields.iter().any(|(name, value)| name.text == "@type" && is_type(value) || has_any(value))
        }
        _ => false,
    }
}

impl<'t> Search<'_, 't> {
    /// Looks at a value and all that is in it.
    pub(super) fn walk(&mut self, node: &'t Node, place: &str, around: &Around<'t>) {
        if let Some(wasm) = wasm(node) {
            let plugin =
                wasm.at(&["config"]).and_then(|config| self.plugin(config, node.line, place, around));
            self.found.plugins.extend(plugin);
            return;
        }
        match &node.tree {
            Tree::Object(_) => self.object(node, place, around),
            Tree::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{place}[{number}]"), around);
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, node: &'t Node, place: &str, around: &Around<'t>) {
        let is_manager = node.is_a(MANAGER);
        let mut around = if is_manager { self.manager(node, place, around) } else { around.clone() };
        around.is_upstream |= node.is_a(".upstreams.http.v3.HttpProtocolOptions");
        if ["filter_chains", "default_filter_chain"].iter().any(|name| node.entry(name).is_some()) {
            around.at = Place { listener: Some(node), chain: None };
        }
        let is_extension = node.is_a(".config.core.v3.TypedExtensionConfig");
        let name = node.text_at(&["name"]);
        if let Some(name) = name.filter(|_| is_extension || self.is_bare_extension(node)) {
            around.resource = Some(name);
            if around.state != State::Refused {
                self.found.extensions.push((name, &self.file.name));
            }
        }
        if self.found.refused.add(&self.file.name, node, place) {
            return;
        }
        if !around.is_in_manager && node.at(&["virtual_hosts"]).is_some() {
            self.found.tables.push(Table { file: &self.file.name, place: place.to_owned(), node });
        }
        if node.entry("scoped_route_configs").is_some() {
            self.found.scopes.push((&self.file.name, node));
        }
        around.is_in_manager |= is_manager;
        let filters = self.fields(node, place, name.is_some_and(is_ours), &around);
        if is_manager && around.state == State::Active && (self.scope)(self.root) == Scope::Envoy {
            let Place { listener, chain } = around.at;
            let (file, place) = (&*self.file.name, place.to_owned());
            self.found.managers.push(Manager { file, place, node, listener, chain, filters });
        }
    }

    /// Looks at the fields of an object, and returns its HTTP filters. `is_ours` says that the object has Tracewarden's name.
    fn fields(&mut self, node: &'t Node, place: &str, is_ours: bool, around: &Around<'t>) -> Vec<Filter<'t>> {
        let mut filters = Vec::new();
        for (name, value) in node.fields() {
            let name = &name.text;
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            let Some(state) = dump::state(name, node, around.state) else { continue };
            let is_named = is_ours && is_called(name, "typed_config");
            let is_upstream = around.is_upstream || is_called(name, "upstream_http_filters");
            let around = Around { is_upstream, is_named, state, ..around.clone() };
            match &value.tree {
                Tree::List(items) if is_called(name, "http_filters") => {
                    for (number, item) in items.iter().enumerate() {
                        filters.push(self.filter(item, &format!("{place}[{number}]"), &around));
                    }
                }
                Tree::List(items) if is_called(name, "filter_chains") => {
                    for (number, chain) in items.iter().enumerate() {
                        self.walk(chain, &format!("{place}[{number}]"), &within(&around, chain));
                    }
                }
                _ if is_called(name, "default_filter_chain") => {
                    self.walk(value, &place, &within(&around, value))
                }
                _ => self.walk(value, &place, &around),
            }
        }
        filters
    }

    /// Looks at an HTTP filter, and says whether it is one of Tracewarden's.
    fn filter(&mut self, node: &'t Node, place: &str, around: &Around<'t>) -> Filter<'t> {
        let before = self.found.plugins.len();
        self.walk(node, place, around);
        let found = before..self.found.plugins.len();
        let is_last = self
            .found
            .plugins
            .get(found.clone())
            .is_some_and(|all| all.iter().any(|one| one.around.is_upstream));
        let name = node.text_at(&["name"]).unwrap_or_default();
        let runs = match node.at(&["config_discovery"]) {
            _ if !found.is_empty() => Runs::Plugins { found, is_upstream: is_last },
            Some(_) => Runs::Discovered,
            None => Runs::Other,
        };
        Filter { node, name, runs }
    }

    /// Whether it is the file of one discovered filter, without its type.
    fn is_bare_extension(&self, node: &Node) -> bool {
        std::ptr::eq(node, self.root) && node.at(&["typed_config"]).is_some()
    }

    /// What is around the filters of a connection manager.
    fn manager(&self, manager: &Node, place: &str, around: &Around<'t>) -> Around<'t> {
        let provider = manager.at(&["tracing"]).filter(|tracing| matches!(tracing.tree, Tree::Object(_)));
        let provider = provider.and_then(|tracing| {
            let own = tracing.at(&["provider"]).or(self.provider)?;
            let is_quiet = tracing.at(&["no_context_propagation"]).map(|node| &node.tree);
            Some((own.text_at(&["name"])?.to_owned(), matches!(is_quiet, Some(Tree::Bool(true)))))
        });
        let Some((name, is_quiet)) = provider else { return around.clone() };
        let dot = if place.is_empty() { "" } else { "." };
        let tracer = (!is_quiet).then(|| Rc::new(Tracer { name, place: [place, dot, "tracing"].concat() }));
        Around { tracer, is_traced: true, ..around.clone() }
    }

    /// The filter with this `PluginConfig`, if it is one of Tracewarden's. `place` is that of its `typed_config`.
    fn plugin(&self, config: &'t Node, line: usize, place: &str, around: &Around<'t>) -> Option<Plugin<'t>> {
        let of_filter = [".typed_config", ".typedConfig"].iter().find_map(|end| place.strip_suffix(end));
        let place = of_filter.unwrap_or(place);
        let vm = config.at(&["vm_config"]);
        let names = [
            config.text_at(&["name"]),
            config.text_at(&["root_id"]),
            config.text_at(&["vm_config", "code", "local", "filename"]),
            config.text_at(&["vm_config", "code", "remote", "http_uri", "uri"]),
        ];
        let is_named = around.is_named || names.into_iter().flatten().any(is_ours);
        let configuration =
            config.entry("configuration").filter(|(_, node)| !matches!(node.tree, Tree::Null));
        let source = configuration.map_or(Source::Absent, |(name, node)| source(name.line, node));
        let around = around.clone();
        // What runs after the router runs after the tracer.
        let tracer = around.tracer.filter(|_| !around.is_upstream);
        let plugin = Plugin {
            file: &self.file.name,
            text: &self.file.text,
            place: [self.prefix.as_str(), place].concat(),
            line: configuration.map_or(line, |(name, _)| name.line),
            source,
            variables: Variables::of_envoy(vm, self.is_dump),
            around: Around { tracer, ..around },
            scope: (self.scope)(self.root),
            image: None,
            envoy: Some(config),
            parsed: OnceCell::new(),
        };
        (is_named || plugin.reads_as_ours()).then_some(plugin)
    }
}

const MANAGER: &str = ".http_connection_manager.v3.HttpConnectionManager";

/// What is around something in a filter chain.
fn within<'t>(around: &Around<'t>, chain: &'t Node) -> Around<'t> {
    Around { at: Place { chain: Some(chain), ..around.at }, ..around.clone() }
}

/// The filter that a message is, typed itself or in a `TypedStruct`.
fn wasm(node: &Node) -> Option<&Node> {
    const KIND: &str = ".filters.http.wasm.v3.Wasm";
    if node.is_a(".TypedStruct") && node.text_at(&["type_url"]).is_some_and(|name| name.ends_with(KIND)) {
        return node.at(&["value"]);
    }
    node.is_a(KIND).then_some(node)
}

/// Whether a name says that something is Tracewarden's.
pub(super) fn is_ours(name: &str) -> bool {
    name.to_ascii_lowercase().contains("tracewarden")
}

/// The text that Envoy gives the plugin. Envoy hands any other message than these two over in protobuf's own form.
fn source(line: usize, any: &Node) -> Source<'_> {
    let value = any.at(&["value"]);
    let kind = any.text_at(&["@type"]).unwrap_or_default();
    match (kind.rsplit('/').next().unwrap_or_default(), value) {
        ("google.protobuf.StringValue" | "google.protobuf.BytesValue", None) => Source::Absent,
        ("google.protobuf.StringValue", Some(node)) if node.text().is_some() => Source::Text(node),
        ("google.protobuf.BytesValue", Some(node)) => match node.text().map(|text| STANDARD.decode(text)) {
            Some(Ok(bytes)) => Source::Bytes(bytes),
            _ => Source::Unreadable(node.line, "a BytesValue that is not base64".to_owned()),
        },
        ("google.protobuf.StringValue", _) => {
            Source::Unreadable(line, "a StringValue whose value is no text".to_owned())
        }
        ("", _) if any.fields().is_empty() => Source::Absent,
        ("", _) => Source::Unreadable(line, "no @type".to_owned()),
        (kind, _) => Source::Unreadable(line, kind.to_owned()),
    }
}
