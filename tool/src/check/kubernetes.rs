//! Plugins in objects of Kubernetes: Istio's and Envoy Gateway's, each in the form that the API server takes.

use std::cell::OnceCell;

use super::bootstrap::{Search, is_ours};
use super::documents::{File, Found};
use super::plugin::{Around, Image, Plugin, Scope, Source};
use super::tree::{Node, Tree};
use super::variables::Variables;

/// Takes the plugins out of an object, and says whether it is of a kind that can have some of Tracewarden's.
pub(super) fn read<'t>(file: &'t File, object: &'t Node, kind: &str, found: &mut Found<'t>) -> bool {
    let before = found.plugins.len();
    match kind {
        "WasmPlugin" => {
            let spec = object.at(&["spec"]);
            found.plugins.extend(spec.and_then(|spec| istio(file, object, kind, spec)));
        }
        "TrafficExtension" => {
            let wasm = object.at(&["spec", "wasm"]);
            found.plugins.extend(wasm.and_then(|wasm| istio(file, object, kind, wasm)));
        }
        "EnvoyExtensionPolicy" => gateway(file, object, kind, found),
        "EnvoyFilter" => {
            let prefix = format!("{}: ", name(object, kind));
            let mut search =
                Search { file, prefix, scope, root: object, provider: None, is_dump: false, found };
            if let Some(spec) = object.at(&["spec"]) {
                search.walk(spec, "spec", &Around::default());
            }
        }
        "Telemetry" => found.traces_in_istio |= traces(object),
        _ => {}
    }
    found.plugins.len() > before
}

/// A `WasmPlugin`, or what is in the `wasm` of a `TrafficExtension`.
fn istio<'t>(file: &'t File, object: &'t Node, kind: &str, wasm: &'t Node) -> Option<Plugin<'t>> {
    let url = wasm.entry("url").and_then(|(name, node)| Some((node.text()?, name.line)));
    let names =
        [object.text_at(&["metadata", "name"]), wasm.text_at(&["pluginName"]), url.map(|(url, _)| url)];
    let configuration = wasm.entry("pluginConfig").filter(|(_, node)| !matches!(node.tree, Tree::Null));
    let plugin = Plugin {
        file: &file.name,
        text: &file.text,
        place: name(object, kind),
        line: configuration.map_or(object.line, |(name, _)| name.line),
        source: configuration.map_or(Source::Absent, |(_, node)| Source::Tree(node)),
        variables: Variables::of_istio(wasm.at(&["vmConfig", "env"])),
        around: Around::default(),
        scope: scope(object),
        image: url.map(|(url, line)| Image { url, line, digest: digest(wasm) }),
        envoy: None,
        parsed: OnceCell::new(),
    };
    (names.into_iter().flatten().any(is_ours) || plugin.reads_as_ours()).then_some(plugin)
}

/// The filters of an `EnvoyExtensionPolicy`.
fn gateway<'t>(file: &'t File, object: &'t Node, kind: &str, found: &mut Found<'t>) {
    let filters = object.at(&["spec", "wasm"]).map_or(&[][..], Node::items);
    for (number, wasm) in filters.iter().enumerate() {
        let code = ["image", "http"].iter().find_map(|form| wasm.at(&["code", form]));
        let url =
            code.and_then(|code| code.entry("url")).and_then(|(name, node)| Some((node.text()?, name.line)));
        let names = [wasm.text_at(&["name"]), wasm.text_at(&["rootID"]), url.map(|(url, _)| url)];
        let configuration = wasm.entry("config").filter(|(_, node)| !matches!(node.tree, Tree::Null));
        let plugin = Plugin {
            file: &file.name,
            text: &file.text,
            place: format!("{}: spec.wasm[{number}]", name(object, kind)),
            line: configuration.map_or(wasm.line, |(name, _)| name.line),
            source: configuration.map_or(Source::Absent, |(_, node)| Source::Tree(node)),
            variables: Variables::of_gateway(wasm.at(&["env", "hostKeys"])),
            around: Around::default(),
            scope: scope(object),
            image: url.map(|(url, line)| Image { url, line, digest: code.and_then(digest) }),
            envoy: None,
            parsed: OnceCell::new(),
        };
        if names.into_iter().flatten().any(is_ours) || plugin.reads_as_ours() {
            found.plugins.push(plugin);
        }
    }
}

/// The digest that is next to an address, unless it is empty.
fn digest(of: &Node) -> Option<(&str, usize)> {
    let (name, node) = of.entry("sha256")?;
    node.text().filter(|digest| !digest.is_empty()).map(|digest| (digest, name.line))
}

/// An object as messages name it.
fn name(object: &Node, kind: &str) -> String {
    let name = object.text_at(&["metadata", "name"]).unwrap_or("without a name");
    match object.text_at(&["metadata", "namespace"]) {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// Which workloads it selects.
fn scope(object: &Node) -> Scope {
    let namespace = object.text_at(&["metadata", "namespace"]).unwrap_or_default().to_owned();
    let selectors = ["selector", "targetRefs", "targetRef", "workloadSelector"];
    let selected = selectors.iter().filter_map(|name| object.at(&["spec", name]));
    let selector = selected.map(|node| serde_json::to_string(&node.value()).unwrap_or_default()).collect();
    Scope::Workloads { namespace, selector }
}

/// Whether a `Telemetry` has Istio's own tracing on.
fn traces(object: &Node) -> bool {
    let entries = object.at(&["spec", "tracing"]).map_or(&[][..], Node::items);
    let is_off = |entry: &Node| {
        matches!(entry.at(&["disableSpanReporting"]).map(|node| &node.tree), Some(Tree::Bool(true)))
    };
    entries.iter().any(|entry| !is_off(entry))
}
