//! Words and lines that every command writes alike.

use std::fmt::Write;
use std::io::{self, Read};
use std::path::Path;

use anstyle::Style;

/// A number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b',')).into_owned()
}

/// So many of them: `1 line`, `2 lines`.
pub(crate) fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Writes a text in lines of that width, behind a label; the styles are those of the label and of the text.
pub(crate) fn paragraph(out: &mut String, width: usize, label: &str, text: &str, styles: [Style; 2]) {
    let mut label = label.to_owned();
    let indent = textwrap::core::display_width(&label);
    let [of_label, of_text] = styles;
    for line in textwrap::wrap(text, width.saturating_sub(indent).max(1)) {
        let _ = writeln!(out, "{of_label}{label}{of_label:#}{of_text}{line}{of_text:#}");
        label = " ".repeat(indent);
    }
}

/// All of a file or of standard input, unless that is longer.
pub(crate) fn bounded(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    crate::open(file)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let problem = format!("expected at most {most} bytes, found more");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}
