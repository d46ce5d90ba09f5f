//! The reference of the codes of `tracewarden check`.

use crate::check::codes::{Code, Example, all};

/// A line for each code.
pub(super) fn overview() -> String {
    let rows = all().map(|Code { id, severity, title, .. }| {
        let anchor = id.to_ascii_lowercase();
        format!("| [{id}](#{anchor}) | {} | {title} |\n", severity.word())
    });
    ["| code | severity | what it says |\n|---|---|---|\n".to_owned()].into_iter().chain(rows).collect()
}

/// A section for each code.
pub(super) fn sections() -> String {
    let sections = all().map(|Code { id, severity, title, meaning, example, fix }| {
        let example = match example {
            Example::Json("") => "*Example*: standard input with nothing in it.\n".to_owned(),
            Example::Json(text) => format!("```json\n{text}```\n"),
            Example::Yaml(text) => format!("```yaml\n{text}```\n"),
            Example::Arguments(arguments) => format!("*Example*: `tracewarden {arguments}`\n"),
        };
        let word = severity.word();
        format!("## {id}\n\n**{title}** ({word}). {meaning}\n\n{example}\n*Fix*: {fix}\n")
    });
    sections.collect::<Vec<_>>().join("\n")
}
