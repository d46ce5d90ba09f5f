//! Configurations as the filter reads them, wherever a file has them, and what is doubtful about them.

mod bootstrap;
pub(crate) mod codes;
mod conditions;
mod documents;
mod doubts;
mod dump;
mod entries;
mod fields;
mod gaps;
mod inputs;
mod kubernetes;
mod locate;
mod managers;
mod message;
mod output;
mod plugin;
mod running;
mod switches;
mod tree;
mod uses;
mod variables;

use std::collections::HashMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::codes::Severity;
use self::documents::{File, Found};
use self::doubts::Valid;
use self::message::Message;
use self::output::Outcome;
use self::plugin::{Judged, Plugin, State};
use self::uses::Uses;
use crate::Said;
use crate::lines::plural;

/// What is validated.
#[derive(Args)]
pub(crate) struct Options {
    /// Files and directories; `-` is standard input. Of a directory, every *.yaml, *.yml and *.json in it is read.
    #[arg(default_value = "-", value_name = "FILE|DIRECTORY")]
    files: Vec<PathBuf>,
    /// How the answer is written; `json` is what `--json` gives.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Take warnings for errors: they make the exit status 1.
    #[arg(long)]
    strict: bool,
    /// Do not say this warning or note, such as TW0204; may be repeated.
    #[arg(long, value_name = "CODE", value_parser = allowed)]
    allow: Vec<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people.
    Text,
    /// One object for programs.
    Json,
    /// Workflow commands of GitHub Actions, which mark the lines.
    Github,
}

impl Options {
    /// Whether the answer is to be JSON.
    pub(crate) fn wants_json(&self) -> bool {
        self.format == Format::Json
    }
}

/// Checks what is in files.
pub(crate) fn check(options: &Options) -> Said {
    let mut messages = Vec::new();
    let files = inputs::read(&options.files, &mut messages);
    let trees: Vec<_> = files.iter().map(|file| file.parse(&mut messages)).collect();
    let mut found = Found::default();
    files.iter().zip(&trees).for_each(|(file, trees)| found.add(file, trees));
    let plugins = judge(&found, &mut messages);
    if plugins.is_empty() && found.managers.iter().all(|manager| !manager.names_ours()) && messages.is_empty()
    {
        messages.push(nothing(&files, &found));
    }
    messages.retain(|message| !options.allow.contains(&message.code.id));
    sort(&mut messages, &files);
    let files = files.len().try_into().unwrap_or(u64::MAX);
    let outcome =
        Outcome { messages, plugins, files, passed_over: found.passed_over, is_strict: options.strict };
    Said {
        status: status(&outcome),
        lines: if options.format == Format::Github { outcome.github() } else { outcome.text() },
        value: outcome.value(),
    }
}

/// Judges each plugin, and all together.
fn judge(found: &Found<'_>, messages: &mut Vec<Message>) -> Vec<(String, usize, String, bool)> {
    let mut plugins = Vec::new();
    let mut valid = Vec::new();
    for (number, plugin) in found.plugins.iter().enumerate() {
        let Judged { config, messages: said } = plugin.judge();
        let Plugin { file, line, place, .. } = plugin;
        plugins.push(((*file).to_owned(), *line, place.clone(), config.is_some()));
        messages.extend(said);
        // What Envoy refused does not run, so only its faults are said.
        let config = config.filter(|_| plugin.around.state != State::Refused);
        valid.extend(config.map(|config| Valid { plugin, config, number }));
    }
    // What cannot be read may be the other side.
    if messages.iter().all(|message| message.code.severity != Severity::Error) {
        messages.extend(doubts::of_sides(&valid));
    }
    messages.extend(valid.iter().flat_map(|valid| doubts::of(valid, found.traces_in_istio)));
    let uses = Uses::of(found);
    messages.extend(valid.iter().flat_map(|valid| fields::messages(valid, &uses.find(valid.plugin))));
    messages.extend(running::messages(found, &valid));
    plugins
}

fn nothing(files: &[File], found: &Found<'_>) -> Message {
    let name = files.first().map_or("", |file| &file.name);
    let text = format!(
        "expected a filter of Tracewarden, found none in {} ({} passed over); one is known by \"tracewarden\" in its name or \
         its image, or by its configuration",
        plural(files.len().try_into().unwrap_or(u64::MAX), "file"),
        plural(found.passed_over, "document"),
    );
    Message::of_file(&codes::NOTHING_FOUND, name, 1, text)
}

/// In the order of the files, and of their lines.
fn sort(messages: &mut [Message], files: &[File]) {
    let order: HashMap<&str, usize> =
        files.iter().enumerate().map(|(place, file)| (&*file.name, place)).collect();
    messages.sort_by_key(|message| (order.get(&*message.file).copied(), message.line));
}

fn status(outcome: &Outcome) -> u8 {
    let is_unread =
        |message: &Message| [codes::CANNOT_READ.id, codes::NOTHING_FOUND.id].contains(&message.code.id);
    match outcome.count(Severity::Error) {
        0 => 0,
        _ if outcome.messages.iter().any(is_unread) => 2,
        _ => 1,
    }
}

/// The code of a warning or a note.
fn allowed(id: &str) -> Result<&'static str, String> {
    match codes::all().find(|code| code.id == id) {
        Some(code) if code.severity == Severity::Error => Err("an error cannot be allowed".to_owned()),
        Some(code) => Ok(code.id),
        None => Err("expected the code of a warning or a note, such as TW0204".to_owned()),
    }
}
