//! The answer for people: the verdict and what happens first, then the details.

mod came;
mod decides;
mod happens;

use textwrap::{Options, WordSplitter};

use super::answer::Answer;

/// How wide a line is.
const WIDTH: usize = 80;
/// How wide the first column is.
const COLUMN: usize = 15;

/// The whole answer.
pub(super) fn answers(answers: &[Answer], notes: &[String]) -> String {
    let mut out = String::new();
    for (answer, number) in answers.iter().zip(1..) {
        if answers.len() > 1 {
            let space = if number == 1 { "" } else { "\n" };
            out.push_str(&format!("{space}Request {number} of {}\n", answers.len()));
        }
        one(&mut out, answer);
    }
    notes.iter().for_each(|note| out.push_str(&wrapped("", note)));
    if answers.iter().all(|answer| answer.filtered.is_none()) {
        out.push_str("\n--config FILE shows what a filter does with it.\n");
    }
    out
}

fn one(out: &mut String, answer: &Answer) {
    match (&answer.filtered, &answer.reading) {
        (Some(filtered), _) => decides::headline(out, answer, filtered),
        (None, Some(reading)) => out.push_str(&wrapped("", &came::sentence(reading))),
        (None, None) => {}
    }
    if let Some(reading) = &answer.reading {
        out.push_str("\nWhat came\n");
        came::came(out, answer, reading);
    }
    if let Some(response) = &answer.response {
        out.push_str("\nWhat the response says\n");
        came::answered(out, response);
    }
    if let Some(filtered) = &answer.filtered {
        decides::decisions(out, answer, filtered);
        happens::happens(out, answer, filtered);
        let title = if filtered.notes.is_empty() { "" } else { "\nWhat is open\n" };
        out.push_str(title);
        filtered.notes.iter().for_each(|note| out.push_str(&wrapped("  ", note)));
    }
}

fn field(name: &str, value: &str) -> String {
    wrapped(&format!("  {name:<COLUMN$}"), value)
}

/// A text behind a label, in lines that begin under one another.
fn wrapped(label: &str, text: &str) -> String {
    let indent = " ".repeat(label.len());
    let options = Options::new(WIDTH).initial_indent(label).subsequent_indent(&indent).break_words(false);
    let lines = textwrap::wrap(text.trim(), options.word_splitter(WordSplitter::NoHyphenation));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

const fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}
