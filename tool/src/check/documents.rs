//! What a file is: objects of Kubernetes, an Envoy configuration, or a plugin's configuration alone.

use tracewarden::config::Config;
use tracewarden::settings::Shape;

use super::bootstrap::{Search, is_envoy, is_ours};
use super::codes;
use super::kubernetes;
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
        let is_json = self.name.ends_with(".json");
        match serde_json::from_str::<serde::de::IgnoredAny>(piece) {
            Err(error) if is_json => Err(tree::Problem::new(error.line().max(1), &error.to_string())),
            _ => Ok(tree),
        }
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
        let before = self.plugins.len();
        let scope = |_: &Node| Scope::Envoy;
        let mut search = Search { file, prefix: String::new(), scope, root: tree, found: self };
        search.walk(tree, "", &Around::default());
        self.passed_over += u64::from(self.plugins.len() == before);
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
