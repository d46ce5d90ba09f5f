//! One plugin that was found: its configuration, what is around it, and what the filter's own reader says of it.

use std::cell::OnceCell;
use std::rc::Rc;

use tracewarden::config::{Config, Loaded, OnBadConfig};
use tracewarden::settings::{Fault, FaultKind, Faults, Step, Value};

use super::codes::{self, Code};
use super::locate::{self, Spot};
use super::message::Message;
use super::tree::{self, Node};
use super::variables::Variables;

/// A plugin of Tracewarden.
pub(super) struct Plugin<'t> {
    /// The file's name, as messages have it.
    pub(super) file: &'t str,
    /// The file's text.
    pub(super) text: &'t str,
    /// Where it is in the file, such as `static_resources.listeners[0].…http_filters[1]` or `WasmPlugin shop/tracewarden`. Empty
    /// for a configuration alone.
    pub(super) place: String,
    /// The line that it begins in.
    pub(super) line: usize,
    pub(super) source: Source<'t>,
    pub(super) variables: Variables<'t>,
    pub(super) around: Around<'t>,
    pub(super) scope: Scope,
    pub(super) image: Option<Image<'t>>,
    /// Envoy's `PluginConfig`, if it is stated in Envoy's own form.
    pub(super) envoy: Option<&'t Node>,
    /// The tree of a configuration that is a text, once a message needs the line of one of its fields.
    pub(super) parsed: OnceCell<Option<Node>>,
}

/// Where a configuration is written.
pub(super) enum Source<'t> {
    /// Nowhere: all has its default.
    Absent,
    /// As a tree in the file.
    Tree(&'t Node),
    /// As a text with JSON, which is a value of the file.
    Text(&'t Node),
    /// The file is the text.
    File(&'t str),
    /// As bytes in base64.
    Bytes(Vec<u8>),
    /// In a form that the filter cannot read, in that line.
    Unreadable(usize, String),
}

/// What runs around a plugin.
#[derive(Clone, Default)]
pub(super) struct Around<'t> {
    /// Envoy's tracer that writes after it, unless that keeps its context out of requests.
    pub(super) tracer: Option<Rc<Tracer>>,
    /// Whether Envoy's own tracer records the requests, whatever it writes.
    pub(super) is_traced: bool,
    /// Whether it runs after the router, for each attempt.
    pub(super) is_upstream: bool,
    /// Whether the filter that it is in has Tracewarden's name.
    pub(super) is_named: bool,
    /// The resource of a discovered filter that it is in.
    pub(super) resource: Option<&'t str>,
    /// Whether it is in a connection manager.
    pub(super) is_in_manager: bool,
    pub(super) at: Place<'t>,
    pub(super) state: State,
}

/// Which part of an Envoy something is in, as far as it is known.
#[derive(Clone, Copy, Default)]
pub(super) struct Place<'t> {
    pub(super) listener: Option<&'t Node>,
    pub(super) chain: Option<&'t Node>,
}

/// Whether Envoy runs what a dump has.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, or will where the file is used.
    #[default]
    Active,
    /// Something else runs until this is ready.
    Waiting,
    /// Envoy refused it.
    Refused,
}

/// One of Envoy's own tracers.
pub(super) struct Tracer {
    /// Its name, such as `envoy.tracers.opentelemetry`.
    pub(super) name: String,
    /// Where its connection manager is told to trace.
    pub(super) place: String,
}

/// Which plugins can share a proxy with it.
#[derive(PartialEq, Eq)]
pub(super) enum Scope {
    /// Nothing is known of the proxy.
    Alone,
    /// Those of the same Envoy configuration.
    Envoy,
    /// Those that select the same workloads.
    Workloads {
        namespace: String,
        /// What selects them, as JSON; empty if all of the namespace are meant.
        selector: String,
    },
}

/// The image of the module.
pub(super) struct Image<'t> {
    pub(super) url: &'t str,
    pub(super) line: usize,
    /// The digest that is stated, with its line.
    pub(super) digest: Option<(&'t str, usize)>,
}

/// What the reader says of a plugin.
pub(super) struct Judged {
    /// Its configuration, if that is valid.
    pub(super) config: Option<Config>,
    pub(super) messages: Vec<Message>,
}

impl Source<'_> {
    /// The text that the filter is given; empty for a tree.
    fn json(&self) -> &[u8] {
        match self {
            Source::Absent | Source::Tree(_) | Source::Unreadable(..) => b"",
            Source::Text(node) => node.text().unwrap_or_default().as_bytes(),
            Source::File(text) => text.as_bytes(),
            Source::Bytes(bytes) => bytes,
        }
    }

    fn load(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Faults> {
        match self {
            Source::Tree(tree) => Config::read(&tree.value(), variable),
            source => Config::load(source.json(), variable),
        }
    }
}

impl Plugin<'_> {
    /// Whether another plugin can be on the other side of the same workloads.
    pub(super) fn may_share_a_proxy(&self, other: &Self) -> bool {
        match (&self.scope, &other.scope) {
            (Scope::Envoy, Scope::Envoy) => self.file == other.file,
            (
                Scope::Workloads { namespace, selector },
                Scope::Workloads { namespace: their_namespace, selector: their_selector },
            ) => {
                // Istio's root namespace, which nothing else names, reaches all others; kustomize may still set one.
                let reaches_all = |name: &str| matches!(name, "" | "istio-system");
                let is_near =
                    namespace == their_namespace || reaches_all(namespace) || reaches_all(their_namespace);
                is_near && (selector == their_selector || selector.is_empty() || their_selector.is_empty())
            }
            _ => false,
        }
    }

    /// A message about a line of this plugin.
    pub(super) fn message(&self, code: &'static Code, line: usize, text: String) -> Message {
        let [file, place] = [self.file, &self.place].map(str::to_owned);
        Message { code, file, line, place, path: String::new(), text }
    }

    /// The configuration as the filter reads it, with the variables that its VM is given.
    pub(super) fn judge(&self) -> Judged {
        let mut messages = Vec::new();
        let secrets = if self.variables.hides_values { self.secrets() } else { Vec::new() };
        let variable = |name: &str| {
            self.variables
                .get(name)
                .or_else(|| secrets.iter().any(|known| known == name).then(|| HIDDEN.to_owned()))
        };
        if let Err(Faults(faults)) = OnBadConfig::load(variable) {
            messages.extend(faults.iter().map(|fault| self.described(&codes::ON_BAD_CONFIG, fault)));
        }
        if let Source::Unreadable(line, found) = &self.source {
            let text =
                format!("configuration: expected a google.protobuf.StringValue with JSON, found {found}");
            messages.push(self.message(&codes::UNREADABLE_TYPE, *line, text));
            return Judged { config: None, messages };
        }
        match self.source.load(&variable) {
            Ok(Loaded { config, notices }) => {
                let config = messages.is_empty().then_some(config);
                let ignored = notices.iter().map(|fault| self.described(&codes::IGNORED_VARIABLE, fault));
                messages.extend(
                    ignored.map(|message| Message { text: format!("ignored {}", message.text), ..message }),
                );
                Judged { config, messages }
            }
            Err(Faults(faults)) => {
                messages
                    .extend(faults.iter().map(|fault| self.described(codes::of_fault(fault.kind), fault)));
                Judged { config: None, messages }
            }
        }
    }

    /// The configuration as it is written, before the variables and the defaults.
    pub(super) fn tree(&self) -> Value {
        match &self.source {
            Source::Tree(tree) => tree.value(),
            source => serde_json::from_slice(source.json()).unwrap_or(Value::Null),
        }
    }

    /// The inherited variables that hold secrets, which a dump does not show.
    fn secrets(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.tree(), false, &mut names);
        names.retain(|name| self.variables.inherits(name));
        names
    }

    /// Whether the configuration shows that the plugin is Tracewarden's: it states something, and is valid.
    pub(super) fn reads_as_ours(&self) -> bool {
        let states = match &self.source {
            Source::Tree(tree) => !tree.fields().is_empty(),
            source => !matches!(source.json().trim_ascii(), b"" | b"{}"),
        };
        states && self.source.load(&|_| None).is_ok()
    }

    fn described(&self, code: &'static Code, fault: &Fault) -> Message {
        let line = self.line_of(&fault.path, fault.kind == FaultKind::DuplicateField);
        Message { path: fault.place(), ..self.message(code, line, fault.to_string()) }
    }

    /// The line in which a field of the configuration is stated, or the nearest one that is known.
    pub(super) fn line_of_field(&self, path: &[&str]) -> usize {
        self.line_at(&path.iter().map(|name| Step::Field((*name).to_owned())).collect::<Vec<_>>())
    }

    /// The same for a path that leads through lists.
    pub(super) fn line_at(&self, path: &[Step]) -> usize {
        self.line_of(path, false)
    }

    fn line_of(&self, path: &[Step], takes_last: bool) -> usize {
        if let Some(Step::Variable(name)) = path.first() {
            return self.variables.line(name).unwrap_or(self.line);
        }
        match &self.source {
            Source::Tree(tree) => locate::find(tree, path, takes_last).map_or(self.line, |spot| spot.line),
            Source::File(text) => self.in_json(text, path, takes_last).map_or(self.line, |spot| spot.line),
            Source::Text(node) => {
                let text = node.text().unwrap_or_default();
                let byte = self.in_json(text, path, takes_last).map_or(0, |spot| spot.byte);
                let source = self.text.get(node.bytes.clone()).unwrap_or_default();
                locate::line_of(source, node.line, text, byte)
            }
            Source::Absent | Source::Bytes(_) | Source::Unreadable(..) => self.line,
        }
    }

    /// Where a path leads in JSON; for the whole of it, where it is no JSON.
    fn in_json(&self, text: &str, path: &[Step], takes_last: bool) -> Option<Spot> {
        if path.is_empty() {
            let error = serde_json::from_str::<serde::de::IgnoredAny>(text).err()?;
            let line = error.line().max(1);
            return Some(Spot { line, byte: locate::byte_of(text, line, error.column()) });
        }
        locate::find(self.parsed.get_or_init(|| tree::parse(text).ok()).as_ref()?, path, takes_last)
    }
}

/// What stands for a secret that only the proxy knows.
const HIDDEN: &str = "hidden";

/// The texts in all fields that name variables.
fn collect(value: &Value, is_named: bool, texts: &mut Vec<String>) {
    match value {
        Value::Text(text) if is_named => texts.push(text.clone()),
        Value::List(items) => items.iter().for_each(|item| collect(item, is_named, texts)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| collect(value, name.ends_with("_env"), texts));
        }
        _ => {}
    }
}
