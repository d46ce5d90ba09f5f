//! What a file is: objects of Kubernetes, an Envoy configuration, or a plugin's configuration alone.

use std::cell::OnceCell;

use tracewarden::config::Config;
use tracewarden::settings::Shape;

use super::bootstrap::{Search, is_envoy, is_ours};
use super::codes;
use super::dump::{self, Refusals};
use super::kubernetes;
use super::managers::{Manager, Table};
use super::message::Message;
use super::plugin::{Around, Plugin, Scope, Source};
use super::tree::{self, Node, Tree};
use super::variables::Variables;

/// A file that was read.
pub(super) struct File {
    /// As messages have it.
    pub(super) name: String,
    pub(super) text: String,
    /// Whether it was named, and not found in a directory: then it is meant to be a configuration.
    pub(super) is_named: bool,
}

/// What is found in all files.
#[derive(Default)]
pub(super) struct Found<'t> {
    pub(super) plugins: Vec<Plugin<'t>>,
    /// How many documents have nothing to do with Tracewarden.
    pub(super) passed_over: u64,
    /// Whether a `Telemetry` has Istio's own tracing on.
    pub(super) traces_in_istio: bool,
    pub(super) managers: Vec<Manager<'t>>,
    pub(super) tables: Vec<Table<'t>>,
    /// The resources that discovered filters can name, each with its file.
    pub(super) extensions: Vec<(&'t str, &'t str)>,
    /// The scopes that a dump has, each list with its file.
    pub(super) scopes: Vec<(&'t str, &'t Node)>,
    pub(super) refused: Refusals<'t>,
    /// The files with what a running Envoy says of itself, and the line that it begins in.
    pub(super) dumps: Vec<(&'t str, usize)>,
}

impl File {
    /// The trees of its documents, and what is wrong with the others.
    ///
    /// What is found in a directory, is no text that can be read and never names Tracewarden, is left out.
    pub(super) fn parse(&self, messages: &mut Vec<Message>) -> Vec<Node> {
        let mut trees = Vec::new();
        let pieces = tree::documents(&self.text);
        if pieces.is_empty() && self.is_named {
            let text = "expected a configuration or a manifest, found nothing; `{}` is a configuration with every default";
            messages.push(Message::of_file(&codes::EMPTY, &self.name, 1, text.to_owned()));
        }
        for (byte, line, piece) in pieces {
            match tree::parse(piece).and_then(|tree| self.strictly(piece, tree)) {
                Ok(mut tree) => {
                    tree.shift(byte, line);
                    trees.push(tree);
                }
                Err(_) if !self.is_named && !is_ours(piece) => {}
                Err(problem) => {
                    let text = format!("expected YAML or JSON: {}", problem.text);
                    messages.push(Message::of_file(&codes::SYNTAX, &self.name, problem.line + line, text));
                }
            }
        }
        trees
    }

    /// YAML allows more than JSON does, and what reads a file of that name is stricter.
    fn strictly(&self, piece: &str, tree: Node) -> Result<Node, tree::Problem> {
        if !self.name.ends_with(".json") {
            return Ok(tree);
        }
        let strict = serde_json::from_str::<serde::de::IgnoredAny>(piece);
        strict.map(|_| tree).map_err(|error| tree::Problem::new(error.line().max(1), &error.to_string()))
    }

    /// Whether it is one of kustomize's own.
    fn is_kustomization(&self) -> bool {
        let name = self.name.rsplit(['/', '\\']).next().unwrap_or_default();
        matches!(name, "kustomization.yaml" | "kustomization.yml")
    }
}

impl<'t> Found<'t> {
    /// Takes in a file.
    pub(super) fn add(&mut self, file: &'t File, trees: &'t [Node]) {
        trees.iter().for_each(|tree| self.document(file, tree, trees.len() == 1));
    }

    fn document(&mut self, file: &'t File, tree: &'t Node, is_only: bool) {
        let kind = tree.text_at(&["kind"]).filter(|_| tree.text_at(&["apiVersion"]).is_some());
        match (kind, tree.at(&["items"])) {
            (Some(kind), Some(Node { tree: Tree::List(items), .. })) if kind.ends_with("List") => {
                items.iter().for_each(|item| self.document(file, item, false));
            }
            (Some(kind), _) => {
                let is_plugin = kubernetes::read(file, tree, kind, self);
                let is_of_kustomize = matches!(kind, "Kustomization" | "Component");
                self.passed_over += u64::from(!is_plugin && !is_of_kustomize);
            }
            (None, _) if file.is_kustomization() => {}
            (None, _) if is_envoy(tree) => self.envoy(file, tree),
            (None, _) if file.is_named || is_probably_ours(tree) => self.alone(file, tree, is_only),
            (None, _) => self.passed_over += 1,
        }
    }

    fn envoy(&mut self, file: &'t File, tree: &'t Node) {
        let before = (self.plugins.len(), self.tables.len(), self.dumps.len());
        let is_dump = dump::is_dump(tree);
        let bootstrap = if is_dump { dump::bootstrap(tree) } else { Some(tree) };
        let provider = bootstrap.and_then(|bootstrap| bootstrap.at(&["tracing", "http"]));
        let scope = |_: &Node| Scope::Envoy;
        let prefix = String::new();
        let mut search = Search { file, prefix, scope, root: tree, provider, is_dump, found: self };
        if is_dump {
            let items = tree.at(&["configs"]).map_or(&[][..], Node::items);
            for (number, item) in items.iter().enumerate().filter(|(_, item)| !dump::is_repeated(tree, item))
            {
                search.walk(item, &format!("configs[{number}]"), &Around::default());
            }
            self.dumps.push((&file.name, tree.line));
        } else {
            search.walk(tree, "", &Around::default());
        }
        self.passed_over += u64::from((self.plugins.len(), self.tables.len(), self.dumps.len()) == before);
    }

    /// A configuration alone: JSON, which the filter reads as it is, or YAML.
    fn alone(&mut self, file: &'t File, tree: &'t Node, is_only: bool) {
        let is_json = is_only && file.text.trim_start().starts_with(['{', '[']);
        self.plugins.push(Plugin {
            file: &file.name,
            text: &file.text,
            place: String::new(),
            line: tree.line,
            source: if is_json { Source::File(&file.text) } else { Source::Tree(tree) },
            variables: Variables::of_process(),
            around: Around::default(),
            scope: Scope::Alone,
            image: None,
            envoy: None,
            parsed: OnceCell::new(),
        });
    }
}

/// Whether most fields of a document that was found in a directory are those of a configuration.
fn is_probably_ours(tree: &Node) -> bool {
    let Shape::Object(object) = Config::shape() else { return false };
    let fields = tree.fields();
    let known = fields.iter().filter(|(name, _)| object.fields.iter().any(|field| field.name == name.text));
    !fields.is_empty() && 2 * known.count() > fields.len()
}
