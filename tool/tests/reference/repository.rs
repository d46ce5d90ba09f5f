//! What stands in the repository: its documents, its manifests, and what is written in them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tracewarden::config::Config;
use tracewarden::settings::Shape;

use crate::fences::{documents, pieces};
use crate::{file, repository};

/// A value that was found, and where.
pub(crate) type Found = (String, Value);

/// Every manifest below `envoy`, and every piece of YAML in a document. Helm's templates are none before they are rendered, and
/// the chart has what they render from as files.
pub(crate) fn manifests() -> Vec<Found> {
    let files = files_in("envoy", "yaml").into_iter().filter(|path| !path.contains("/templates/"));
    let files = files.map(|path| (path.clone(), file(&path)));
    let pieces = all_pieces().into_iter().filter(|(_, language, _)| language == "yaml");
    let texts = files.chain(pieces.map(|(path, _, text)| (path, text)));
    texts
        .flat_map(|(path, text)| yaml(&path, &text).into_iter().map(move |value| (path.clone(), value)))
        .collect()
}

/// Every value in the pieces of JSON in documents; comments are cut out. A piece with an ellipsis is not whole, and is left out.
pub(crate) fn json_in_documents() -> Vec<Found> {
    let mut found = Vec::new();
    for (path, language, text) in all_pieces() {
        let text = match language.as_str() {
            "jsonc" => without_comments(&text),
            "json" if !text.contains('…') => text,
            _ => continue,
        };
        for value in serde_json::Deserializer::from_str(&text).into_iter() {
            found.push((path.clone(), value.unwrap_or_else(|error| panic!("{path}: {error}\n{text}"))));
        }
    }
    found
}

/// Every configuration in the running text of documents: an object between backticks, or fields of one.
fn configurations_in_sentences() -> Vec<Found> {
    let Shape::Object(of_ours) = Config::shape() else { panic!("a configuration is an object") };
    let is_ours = |value: &Value| {
        value.as_object().is_some_and(|fields| {
            fields.keys().all(|name| of_ours.fields.iter().any(|field| field.name == name.as_str()))
        })
    };
    let mut found = Vec::new();
    for path in documents() {
        let text = file(&path);
        let outside = text.split("\n```").step_by(2);
        let lines = outside.flat_map(str::lines).filter(|line| !line.starts_with("```"));
        for code in lines.flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let fields = if code.starts_with('"') { format!("{{{code}}}") } else { code.to_owned() };
            let value = serde_json::from_str(&fields).ok().filter(is_ours);
            found.extend(value.map(|value| (path.clone(), value)));
        }
    }
    found
}

/// Every value of a field of that name, however deep it stands.
pub(crate) fn values_of(name: &str, found: &[Found]) -> Vec<Found> {
    let mut values = Vec::new();
    for (path, value) in found {
        visit(path, value, &mut |path, field, value| {
            if field == name {
                values.push((path.to_owned(), value.clone()));
            }
        });
    }
    values
}

/// Every configuration that Envoy and Istio are given, or readers are shown.
pub(crate) fn configurations() -> Vec<Found> {
    const OURS: &[&str] = &[
        "role",
        "mode",
        "direction",
        "propagation",
        "sampling",
        "trust",
        "correlation",
        "response",
        "export",
    ];
    let manifests = manifests();
    let mut all = values_of("pluginConfig", &manifests);
    for (path, value) in values_of("configuration", &manifests) {
        let text = value["value"]
            .as_str()
            .filter(|_| value["@type"].as_str().is_some_and(|name| name.ends_with("StringValue")));
        all.extend(text.map(|text| {
            (path.clone(), serde_json::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}")))
        }));
    }
    let is_ours = |value: &Value| {
        value.as_object().is_some_and(|fields| OURS.iter().any(|name| fields.contains_key(*name)))
    };
    let shown = json_in_documents().into_iter().chain(manifests);
    all.extend(shown.filter(|(_, value)| is_ours(value)));
    all.extend(configurations_in_sentences());
    all
}

/// Calls for every field; a patch is a text, and manifests are in it.
fn visit(path: &str, value: &Value, each: &mut dyn FnMut(&str, &str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                each(path, name, value);
                visit(path, value, each);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| visit(path, item, each)),
        Value::String(text) if text.contains(":\n") => {
            yaml(path, text)
                .iter()
                .filter(|value| !value.is_string())
                .for_each(|value| visit(path, value, each));
        }
        _ => {}
    }
}

fn yaml(path: &str, text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{path}: {error}\n{text}"))
}

fn without_comments(text: &str) -> String {
    let code = text.lines().map(|line| match line.split_once("//") {
        Some((before, _)) if before.trim().is_empty() || before.ends_with(' ') => before,
        _ => line,
    });
    code.collect::<Vec<_>>().join("\n")
}

/// The pieces of documents that are fenced off: the document, the language, and the text. Those that give each code of `check` are
/// wrong on purpose, and tool/tests/check tries them.
fn all_pieces() -> Vec<(String, String, String)> {
    let documents = documents().into_iter().filter(|path| path != "docs/check-codes.md");
    documents
        .flat_map(|path| {
            pieces(&path).into_iter().map(move |(language, text)| (path.clone(), language, text))
        })
        .collect()
}

/// The files below a directory whose names end so, by their paths in the repository.
pub(crate) fn files_in(directory: &str, ending: &str) -> Vec<String> {
    let root = repository();
    let mut waiting: Vec<PathBuf> = vec![root.join(directory)];
    let mut files = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if ending.is_empty() || path.extension().is_some_and(|other| other == ending) {
                files.push(path.strip_prefix(&root).map(Path::display).expect("below the root").to_string());
            }
        }
    }
    files.sort();
    files
}
