//! The headers that a format owns, and what the document says of them.

use std::fs;
use std::path::Path;

use tracewarden::formats::FormatHeaders;
use tracewarden::words::Format;

#[test]
fn the_document_has_every_header_of_every_format_with_its_source() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md")).unwrap();
    let (_, table) = text.split_once("| format | carried by | accompanied by |\n|---|---|---|\n").unwrap();
    let written: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let expected: Vec<String> = Format::ALL.iter().map(|format| row(*format)).collect();
    assert_eq!(written, expected);
}

fn row(format: Format) -> String {
    let FormatHeaders { carriers, companions } = format.headers();
    let carriers: Vec<String> = carriers.iter().map(|name| format!("`{name}`")).collect();
    let companions: Vec<String> = companions
        .iter()
        .map(|companion| format!("`{}` ({}: {})", companion.name, companion.kind.label(), companion.source))
        .collect();
    let companions = if companions.is_empty() { "nothing".to_owned() } else { companions.join(", ") };
    format!("| `{}` | {} | {companions} |", format.label(), carriers.join(", "))
}

#[test]
fn only_two_formats_have_no_companions() {
    // Their vendors' documents name none: what accompanies such a context travels inside its header.
    let alone: Vec<&str> = Format::ALL
        .iter()
        .filter(|format| format.headers().companions.is_empty())
        .map(|format| format.label())
        .collect();
    assert_eq!(alone, ["xray", "gcp"]);
}
