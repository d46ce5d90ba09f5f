//! Where an Envoy configuration, whole or in part, has Tracewarden's filters, and which of Envoy's tracers write after them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::documents::{File, Found};
use super::plugin::{Around, Plugin, Scope, Source, Tracer};
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
    pub(super) found: &'a mut Found<'t>,
}

/// Whether a document is an Envoy configuration, or a part of one.
pub(super) fn is_envoy(tree: &Node) -> bool {
    ["static_resources", "dynamic_resources"].iter().any(|name| tree.entry(name).is_some()) || has_any(tree)
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
    pub(super) fn walk(&mut self, node: &'t Node, place: &str, around: &Around) {
        if let Some(wasm) = wasm(node) {
            let plugin =
                wasm.at(&["config"]).and_then(|config| self.plugin(config, node.line, place, around));
            self.found.plugins.extend(plugin);
            return;
        }
        let is_manager = node.is_a(".http_connection_manager.v3.HttpConnectionManager");
        let mut around = if is_manager { self.manager(node, place, around) } else { around.clone() };
        around.is_upstream |= node.is_a(".upstreams.http.v3.HttpProtocolOptions");
        match &node.tree {
            Tree::Object(fields) => {
                let is_ours = node.text_at(&["name"]).is_some_and(is_ours);
                for (name, value) in fields {
                    let name = &name.text;
                    let is_named = is_ours && is_called(name, "typed_config");
                    let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                    let is_upstream = around.is_upstream || is_called(name, "upstream_http_filters");
                    self.walk(value, &place, &Around { is_upstream, is_named, ..around.clone() });
                }
            }
            Tree::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{place}[{number}]"), &around);
                }
            }
            _ => {}
        }
    }

    /// What is around the filters of a connection manager.
    fn manager(&self, manager: &Node, place: &str, around: &Around) -> Around {
        let provider = manager.at(&["tracing"]).filter(|tracing| matches!(tracing.tree, Tree::Object(_)));
        let provider = provider.and_then(|tracing| {
            let own = tracing.at(&["provider"]).or_else(|| self.root.at(&["tracing", "http"]))?;
            let is_quiet = tracing.at(&["no_context_propagation"]).map(|node| &node.tree);
            Some((own.text_at(&["name"])?.to_owned(), matches!(is_quiet, Some(Tree::Bool(true)))))
        });
        let Some((name, is_quiet)) = provider else { return around.clone() };
        let dot = if place.is_empty() { "" } else { "." };
        let tracer = (!is_quiet).then(|| Tracer { name, place: [place, dot, "tracing"].concat() });
        Around { tracer, is_traced: true, ..around.clone() }
    }

    /// The filter with this `PluginConfig`, if it is one of Tracewarden's. `place` is that of its `typed_config`.
    fn plugin(&self, config: &'t Node, line: usize, place: &str, around: &Around) -> Option<Plugin<'t>> {
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
            variables: Variables::of_envoy(vm),
            around: Around { tracer, ..around },
            scope: (self.scope)(self.root),
            image: None,
        };
        (is_named || plugin.reads_as_ours()).then_some(plugin)
    }
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
        ("", _) => Source::Unreadable(line, "no @type".to_owned()),
        (kind, _) => Source::Unreadable(line, kind.to_owned()),
    }
}
