//! Where the counters come from: a server that is asked, or an answer that was saved.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::names::Names;
use super::prometheus::{OWNERS, Scope};
use super::reading::{Reading, printable};
use super::{Options, envoy, prometheus};
use crate::open;
use crate::web::{Failure, MAX_ANSWER, Web, is_address};

const HOUR: u64 = 3600;

/// What to do about an answer that is too long.
const TOO_LONG: &str = "of a Prometheus, --match reads a part";

/// What a reader should know of counts since an Envoy's start.
const SINCE_START: &str = "Counts are since Envoy's start, and may hide a filter that died lately; asked with --for 10s, an \
                           Envoy shows what it counts now.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum Server {
    Envoy,
    Prometheus,
}

/// What was read, and of what time.
#[derive(Serialize)]
pub(super) struct Source {
    pub(super) kind: Server,
    pub(super) target: String,
    pub(super) since: Since,
    pub(super) seconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Since {
    /// Since each Envoy's start.
    Start,
    /// For so many seconds.
    Window,
}

/// Reads what the options say.
pub(super) fn read(target: &str, options: &Options) -> Result<(Source, Reading), String> {
    let names = Names::new();
    let owners = match options.by.as_slice() {
        [] => OWNERS.iter().map(|label| (*label).to_owned()).collect(),
        by => by.to_vec(),
    };
    let scope = Scope::new(options.window.unwrap_or(HOUR), owners, options.matchers.clone(), &names)?;
    let is_server = is_address(target);
    let (kind, mut reading) = if is_server {
        let web = Web::new(target, &options.access, TOO_LONG)?;
        ask(options, &web, &names, &scope)?
    } else {
        parse(target, options, &names, &scope).map_err(|problem| format!("{target}: {problem}"))?
    };
    let asked = is_server.then_some(kind);
    options.refuse_what_is_not_of(kind, asked)?;
    let is_window = options.period.is_some() || asked == Some(Server::Prometheus);
    let since = if is_window { Since::Window } else { Since::Start };
    if kind == Server::Envoy && since == Since::Start {
        reading.notes.insert(SINCE_START.to_owned());
    }
    let target = printable(target).collect();
    Ok((Source { kind, target, since, seconds: reading.seconds }, reading))
}

/// What the server answers, once it is known what it is.
fn ask(options: &Options, web: &Web, names: &Names, scope: &Scope) -> Result<(Server, Reading), String> {
    let asked = try_each(options.from, |kind| match kind {
        Server::Envoy => ask_envoy(options, web, names),
        Server::Prometheus => prometheus::ask(web, names, scope),
    });
    let what = match options.from {
        None => "neither an Envoy's admin address nor a Prometheus'",
        Some(Server::Envoy) => "not an Envoy's admin address",
        Some(Server::Prometheus) => "not a Prometheus' address",
    };
    asked.map_err(|failure| match failure {
        Failure::Final(problem) => problem,
        Failure::Other(problem) => format!("{} is {what}: {problem}", web.base()),
    })
}

/// The answer of the server that the options name, or of the first kind that fits; or why it is of neither.
fn try_each(
    wanted: Option<Server>,
    mut read: impl FnMut(Server) -> Result<Reading, Failure>,
) -> Result<(Server, Reading), Failure> {
    let mut others = Vec::new();
    for &kind in Server::value_variants().iter().filter(|kind| wanted.is_none_or(|wanted| wanted == **kind)) {
        match read(kind) {
            Ok(reading) => return Ok((kind, reading)),
            Err(Failure::Other(problem)) => others.push(problem),
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::Other(others.join("; ")))
}

fn ask_envoy(options: &Options, web: &Web, names: &Names) -> Result<Reading, Failure> {
    let first = envoy::ask(web, names)?;
    let Some(seconds) = options.period else { return Ok(first) };
    std::thread::sleep(Duration::from_secs(seconds));
    Ok(envoy::ask(web, names)?.since(&first, seconds))
}

/// Reads an answer that was saved.
fn parse(target: &str, options: &Options, names: &Names, scope: &Scope) -> Result<(Server, Reading), String> {
    let mut json = Vec::new();
    let file = open(Path::new(target));
    let size = file
        .and_then(|file| file.take(MAX_ANSWER + 1).read_to_end(&mut json))
        .map_err(|error| format!("{error} (the address of a server begins with http:// or https://)"))?;
    if size as u64 > MAX_ANSWER {
        return Err(format!("it is longer than {} MiB", MAX_ANSWER >> 20));
    }
    let parsed = try_each(options.from, |kind| {
        match kind {
            Server::Envoy => envoy::read(&json, names),
            Server::Prometheus => prometheus::read(&json, names, scope),
        }
        .map_err(Failure::Other)
    });
    parsed.map_err(|(Failure::Other(problem) | Failure::Final(problem))| problem)
}

impl Options {
    /// An option that the server does not know would be passed over in silence.
    fn refuse_what_is_not_of(&self, kind: Server, asked: Option<Server>) -> Result<(), String> {
        let is_no_envoy = asked != Some(Server::Envoy);
        let is_no_prometheus = asked != Some(Server::Prometheus);
        let rows = [
            (self.period.is_some() && is_no_envoy, "--for is for an Envoy that is asked"),
            (
                self.window.is_some() && is_no_prometheus,
                "--window is for a Prometheus that is asked; an Envoy has --for",
            ),
            (self.matchers.is_some() && is_no_prometheus, "--match is for a Prometheus that is asked"),
            (!self.by.is_empty() && kind != Server::Prometheus, "--by is for a Prometheus"),
        ];
        let problem = rows.into_iter().find_map(|(is_wrong, problem)| is_wrong.then(|| problem.to_owned()));
        problem.map_or(Ok(()), Err)
    }
}
