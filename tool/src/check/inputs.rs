//! The files that are named, those in directories, and standard input.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::codes;
use super::documents::File;
use super::message::Message;

/// What standard input is called.
const STDIN: &str = "<stdin>";

/// Reads all of them, in this order. Those of a directory are sorted by their names.
pub(super) fn read(paths: &[PathBuf], messages: &mut Vec<Message>) -> Vec<File> {
    let mut files = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text).map(|_| text);
            add(STDIN, read, true, &mut files, messages);
        } else if path.is_dir() {
            directory(path, &mut files, messages);
        } else {
            add(&path.display().to_string(), std::fs::read_to_string(path), true, &mut files, messages);
        }
    }
    files
}

fn directory(path: &Path, files: &mut Vec<File>, messages: &mut Vec<Message>) {
    let entries = WalkDir::new(path).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(is_looked_at) {
        match entry {
            Ok(entry) if !entry.path().is_dir() && is_manifest(entry.path()) => {
                let text = std::fs::read_to_string(entry.path());
                add(&entry.path().display().to_string(), text, false, files, messages);
            }
            Ok(_) => {}
            Err(error) => {
                let name = error.path().unwrap_or(path).display().to_string();
                messages.push(Message::of_file(&codes::CANNOT_READ, &name, 1, reason(error.into())));
            }
        }
    }
}

/// Whether a directory is entered: no hidden one, and no templates of a Helm chart, which are no YAML before they are rendered.
fn is_looked_at(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_hidden = name.starts_with('.') && entry.depth() > 0;
    let chart = entry.path().parent().map(|parent| parent.join("Chart.yaml"));
    let is_of_chart = name == "templates" && chart.is_some_and(|chart| chart.is_file());
    !is_hidden && !is_of_chart
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

fn add(
    name: &str,
    text: io::Result<String>,
    is_named: bool,
    files: &mut Vec<File>,
    messages: &mut Vec<Message>,
) {
    match text {
        Ok(text) => files.push(File { name: name.to_owned(), text, is_named }),
        Err(error) => messages.push(Message::of_file(&codes::CANNOT_READ, name, 1, reason(error))),
    }
}

fn reason(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData => "expected text in UTF-8, found other bytes".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}
