//! The pieces of documents that are fenced off.

use std::fs;
use std::path::{Path, PathBuf};

/// The documents, by their paths in the repository.
pub(crate) fn documents() -> Vec<String> {
    let listed = fs::read_dir(in_repository("docs")).expect("docs");
    let names = listed.map(|entry| entry.expect("a file").file_name().into_string().expect("text"));
    let docs = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    let mut documents: Vec<String> =
        ["README.md", "CONTRIBUTING.md"].map(str::to_owned).into_iter().chain(docs).collect();
    documents.sort();
    documents
}

/// Each piece of a document: its language and its text.
pub(crate) fn pieces(document: &str) -> Vec<(String, String)> {
    let (mut pieces, mut language, mut text) = (Vec::new(), None, String::new());
    for line in fs::read_to_string(in_repository(document)).expect(document).lines() {
        match (line.trim_start().strip_prefix("```"), &language) {
            (Some(name), None) => language = Some(name.to_owned()),
            (Some(_), Some(name)) => {
                pieces.push((name.clone(), std::mem::take(&mut text)));
                language = None;
            }
            (None, Some(_)) => text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert_eq!(language, None, "{document}: a fence is open");
    pieces
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
