//! The blocks of commands in the documents, each with the output that is shown after it.

use crate::fences::{documents, pieces};

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
    documents().into_iter().flat_map(of).collect()
}

/// Text between commands and an output does not part them.
fn of(document: String) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    for (language, text) in pieces(&document) {
        match (language.as_str(), found.last_mut()) {
            ("sh", _) => {
                found.push(Block { document: document.clone(), commands: text, shown: String::new() });
            }
            ("", Some(block)) if block.shown.is_empty() => block.shown = text,
            _ => {}
        }
    }
    found
}
