//! Where the counters come from: a server that is asked, or an answer that was saved.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::names::Names;
use super::prometheus::{OWNERS, Scope};
use super::reading::{Reading, printable};
use super::web::{Failure, MAX_ANSWER, Web};
use super::{Options, envoy, prometheus};

/// The environment variable with credentials, which do not belong on a command line.
pub(super) const AUTHORIZATION: &str = "TRACEWARDEN_AUTHORIZATION";

const HOUR: u64 = 3600;

/// What is told of an Envoy since its start.
const SINCE_START: &str = "Counts are since Envoy's start, and may hide a filter that died lately; asked with --for 10s, an \
                           Envoy tells what it counts now.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum Server {
    Envoy,
    Prometheus,
}

/// What was read, and of what time it tells.
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
pub(super) fn read(options: &Options) -> Result<(Source, Reading), String> {
    let names = Names::new();
    let owners = match options.by.as_slice() {
        [] => OWNERS.iter().map(|label| (*label).to_owned()).collect(),
        by => by.to_vec(),
    };
    let scope = Scope::new(options.window.unwrap_or(HOUR), owners, options.matchers.clone(), &names)?;
    let target = &options.target;
    let is_server = ["http://", "https://"].iter().any(|scheme| target.starts_with(scheme));
    let (kind, mut reading) = if is_server {
        let web = Web::new(target, headers(options)?, Duration::from_secs(options.timeout))?;
        ask(options, &web, &names, &scope)?
    } else {
        let json = open(target).map_err(|problem| format!("{target}: {problem}"))?;
        parse(options, &json, &names, &scope).map_err(|problem| format!("{target}: {problem}"))?
    };
    options.refuse_what_is_not_of(kind, is_server)?;
    let is_window = options.period.is_some() || (is_server && kind == Server::Prometheus);
    let since = if is_window { Since::Window } else { Since::Start };
    if kind == Server::Envoy && since == Since::Start {
        reading.note(SINCE_START.to_owned());
    }
    let target = printable(target).collect();
    Ok((Source { kind, target, since, seconds: reading.seconds }, reading))
}

/// Asks the server, and finds out what it is where nobody told.
fn ask(options: &Options, web: &Web, names: &Names, scope: &Scope) -> Result<(Server, Reading), String> {
    let wanted = |kind: &&Server| options.from.is_none_or(|told| told == **kind);
    let mut others = Vec::new();
    for &kind in Server::value_variants().iter().filter(wanted) {
        let answer = match kind {
            Server::Envoy => ask_envoy(options, web, names),
            Server::Prometheus => prometheus::ask(web, names, scope),
        };
        match answer {
            Ok(reading) => return Ok((kind, reading)),
            Err(Failure::Final(problem)) => return Err(problem),
            Err(Failure::Other(problem)) => others.push(problem),
        }
    }
    let what = match options.from {
        None => "neither an Envoy's admin address nor a Prometheus'",
        Some(Server::Envoy) => "not an Envoy's admin address",
        Some(Server::Prometheus) => "not a Prometheus' address",
    };
    Err(format!("{} is {what}: {}", web.base(), others.join("; ")))
}

fn ask_envoy(options: &Options, web: &Web, names: &Names) -> Result<Reading, Failure> {
    let first = envoy::ask(web, names)?;
    let Some(seconds) = options.period else { return Ok(first) };
    std::thread::sleep(Duration::from_secs(seconds));
    Ok(envoy::ask(web, names)?.since(&first, seconds))
}

/// Reads an answer that was saved, of whichever server.
fn parse(options: &Options, json: &[u8], names: &Names, scope: &Scope) -> Result<(Server, Reading), String> {
    let of_envoy = || envoy::read(json, names).map(|reading| (Server::Envoy, reading));
    let of_prometheus = || prometheus::read(json, names, scope).map(|reading| (Server::Prometheus, reading));
    match options.from {
        Some(Server::Envoy) => of_envoy(),
        Some(Server::Prometheus) => of_prometheus(),
        None => of_envoy().or_else(|first| of_prometheus().map_err(|second| format!("{first}; {second}"))),
    }
}

fn open(target: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let bound = MAX_ANSWER + 1;
    let read = if target == "-" {
        io::stdin().take(bound).read_to_end(&mut octets)
    } else {
        File::open(target).and_then(|file| file.take(bound).read_to_end(&mut octets))
    };
    match read {
        Ok(size) if size as u64 == bound => Err(format!("it is longer than {} MiB", MAX_ANSWER >> 20)),
        Ok(_) => Ok(octets),
        Err(error) => Err(format!("{error} (the address of a server begins with http:// or https://)")),
    }
}

/// The headers to ask with, credentials among them.
fn headers(options: &Options) -> Result<Vec<(String, String)>, String> {
    let token = |file: &std::path::PathBuf| {
        let token = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok::<_, String>(format!("Bearer {}", token.trim()))
    };
    let of_file = options.token_file.as_ref().map(token).transpose()?;
    if let Some((name, _)) = options.headers.iter().find(|(name, _)| is_secret(name)) {
        return Err(format!(
            "{name} does not belong on a command line: {AUTHORIZATION} or --token-file gives it"
        ));
    }
    let authorization =
        of_file.or_else(|| std::env::var(AUTHORIZATION).ok().filter(|value| !value.is_empty()));
    let authorization = authorization.map(|value| ("authorization".to_owned(), value));
    Ok(options.headers.iter().cloned().chain(authorization).collect())
}

fn is_secret(header: &str) -> bool {
    matches!(header, "authorization" | "proxy-authorization" | "cookie")
}

impl Options {
    /// An option that the server does not know would be passed over in silence.
    fn refuse_what_is_not_of(&self, kind: Server, is_server: bool) -> Result<(), String> {
        let of_prometheus = is_server && kind == Server::Prometheus;
        let wrong = [
            (
                self.period.is_some() && !(is_server && kind == Server::Envoy),
                "--for is for an Envoy that is asked",
            ),
            (
                self.window.is_some() && !of_prometheus,
                "--window is for a Prometheus that is asked; an Envoy has --for",
            ),
            (self.matchers.is_some() && !of_prometheus, "--match is for a Prometheus that is asked"),
            (!self.by.is_empty() && kind != Server::Prometheus, "--by is for a Prometheus"),
        ];
        let problem = wrong.into_iter().find(|(is_wrong, _)| *is_wrong);
        problem.map_or(Ok(()), |(_, problem)| Err(problem.to_owned()))
    }
}
