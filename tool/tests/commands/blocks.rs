//! The blocks of commands in the documents, each with the output that is shown after it.

use std::fs;
use std::path::{Path, PathBuf};

/// Commands in a document.
pub(crate) struct Block {
    /// The document's path from the repository's root.
    pub(crate) document: String,
    pub(crate) commands: String,
    /// The output that the document shows next, if it shows some before other commands.
    pub(crate) shown: String,
}

/// All of them.
pub(crate) fn blocks() -> Vec<Block> {
    let mut documents = vec![PathBuf::from("README.md"), PathBuf::from("CONTRIBUTING.md")];
    let listed = fs::read_dir(repository().join("docs")).expect("docs");
    let names = listed.map(|entry| Path::new("docs").join(entry.expect("a file").file_name()));
    documents.extend(names.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    documents.sort();
    documents.iter().flat_map(|path| of(&path.display().to_string())).collect()
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

fn of(document: &str) -> Vec<Block> {
    let text = fs::read_to_string(repository().join(document)).expect(document);
    let mut found: Vec<Block> = Vec::new();
    // What is fenced has an odd place; other text between commands and an output does not part them.
    for (place, part) in text.split("\n```").enumerate() {
        let Some((language, body)) = part.split_once('\n').filter(|_| place % 2 == 1) else { continue };
        match (language, found.last_mut()) {
            ("sh", _) => {
                found.push(Block {
                    document: document.to_owned(),
                    commands: body.to_owned(),
                    shown: String::new(),
                });
            }
            ("", Some(block)) if block.shown.is_empty() => body.clone_into(&mut block.shown),
            _ => {}
        }
    }
    found
}
