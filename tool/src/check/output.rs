//! What was found, for people, for programs, and for the log of a workflow.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::codes::Severity;
use super::message::Message;
use crate::lines::plural;

/// All that was judged.
pub(super) struct Outcome {
    pub(super) messages: Vec<Message>,
    /// Each plugin's file, line and place, and whether it is valid.
    pub(super) plugins: Vec<(String, usize, String, bool)>,
    pub(super) files: u64,
    pub(super) passed_over: u64,
    /// Whether warnings are errors.
    pub(super) is_strict: bool,
}

const SEVERITIES: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Note];

impl Outcome {
    pub(super) fn count(&self, severity: Severity) -> u64 {
        let alike = self.messages.iter().filter(|message| message.severity(self.is_strict) == severity);
        alike.count().try_into().unwrap_or(u64::MAX)
    }

    /// A message in a line, and a summary in the last ones.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for message in &self.messages {
            let severity = message.severity(self.is_strict);
            let style = style(severity);
            let (file, word, id) = (printable(&message.file), severity.word(), message.code.id);
            let _ = writeln!(out, "{file}:{}: {style}{word} {id}{style:#}: {}", message.line, said(message));
        }
        out.push_str(&self.summary());
        if !self.messages.is_empty() {
            out.push_str("`tracewarden reference codes` explains each code.\n");
        }
        out
    }

    /// GitHub's workflow commands, which mark the lines of a pull request.
    pub(super) fn github(&self) -> String {
        let mut out = String::new();
        for message in &self.messages {
            let command = match message.severity(self.is_strict) {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            let Message { file, line, code, .. } = message;
            let (file, text) = (property(file), data(&said(message)));
            let _ = writeln!(out, "::{command} file={file},line={line},title={}::{text}", code.id);
        }
        out + &self.summary()
    }

    pub(super) fn value(&self) -> Value {
        let of = |severity| -> Value {
            let alike = self.messages.iter().filter(|message| message.severity(self.is_strict) == severity);
            alike.map(described).collect()
        };
        let plugin = |(file, line, place, valid): &(String, usize, String, bool)| json!({"file": file, "line": line, "place": place, "valid": valid});
        let [errors, warnings, notes] = SEVERITIES.map(of);
        json!({
            "valid": self.count(Severity::Error) == 0,
            "plugins": self.plugins.iter().map(plugin).collect::<Vec<_>>(),
            "errors": errors,
            "warnings": warnings,
            "notes": notes,
            "files": self.files,
            "passed_over": self.passed_over,
        })
    }

    fn summary(&self) -> String {
        let [errors, warnings, notes] = SEVERITIES.map(|severity| (self.count(severity), severity.word()));
        let begin = if errors.0 == 0 { "valid" } else { "not valid" };
        let plugins = plural(self.plugins.len().try_into().unwrap_or(u64::MAX), "plugin");
        let mut summary = format!("{begin}: {plugins} in {}", plural(self.files, "file"));
        for (count, word) in [errors, warnings, notes].into_iter().filter(|(count, _)| *count > 0) {
            let _ = write!(summary, ", {}", plural(count, word));
        }
        if self.passed_over > 0 {
            let _ = write!(summary, "; {} passed over", plural(self.passed_over, "other document"));
        }
        summary + "\n"
    }
}

const fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Note => Style::new().bold(),
    }
}

fn described(message: &Message) -> Value {
    let Message { code, file, line, place, path, text } = message;
    json!({"code": code.id, "file": file, "line": line, "place": place, "path": path, "message": text})
}

/// What a message says, behind the plugin that it is about.
fn said(message: &Message) -> String {
    let colon = if message.place.is_empty() { "" } else { ": " };
    printable(&[&message.place, colon, &message.text].concat())
}

/// A text without anything that a terminal obeys: names come out of files.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character.is_control() { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

/// A text behind the colons of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
