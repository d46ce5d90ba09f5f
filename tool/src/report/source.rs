//! Where the counters come from: servers that are asked, or answers that were saved.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::names::Names;
use super::prometheus::{OWNERS, Scope};
use super::reading::{Reading, clean, printable};
use super::target::{Place, Target};
use super::{Asking, envoy, prometheus, scrape};
use crate::open;
use crate::web::{Failure, MAX_ANSWER, Web};

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
#[derive(Clone, Serialize)]
pub(super) struct Source {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
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

/// All sources that the command line names.
pub(super) struct Sources<'a> {
    options: &'a Asking,
    names: Names,
    scope: Scope,
    all: Vec<Origin>,
}

struct Origin {
    target: Target,
    /// The server, if it is one.
    web: Option<Web>,
}

/// What one of the sources said at one time.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) kind: Server,
    pub(super) reading: Reading,
    /// Whether it was asked for what was counted in some time.
    pub(super) since: Since,
}

impl<'a> Sources<'a> {
    /// What the options name. Of a Prometheus the default is so many seconds.
    pub(super) fn new(options: &'a Asking, window: u64) -> Result<Self, String> {
        let names = Names::new();
        let owners = match options.by.as_slice() {
            [] => OWNERS.iter().map(|label| (*label).to_owned()).collect(),
            by => by.to_vec(),
        };
        let scope = Scope::new(options.window.unwrap_or(window), owners, options.matchers.clone(), &names)?;
        let all: Vec<Origin> =
            options.targets.iter().map(|text| options.origin(text)).collect::<Result<_, _>>()?;
        for (place, origin) in all.iter().enumerate() {
            let called = origin.target.called();
            if all.iter().take(place).any(|other| other.target.called() == called) {
                return Err(format!("two sources are called {called}: name one of them, NAME={called}"));
            }
        }
        Ok(Self { options, names, scope, all })
    }

    /// Whether all of them can be asked again; otherwise the first that cannot.
    pub(super) fn saved(&self) -> Option<&str> {
        self.all.iter().find(|origin| origin.web.is_none()).map(|origin| origin.target.written.as_str())
    }

    /// What each of them says now.
    pub(super) fn take(&self) -> Result<Vec<Taken>, String> {
        self.all.iter().map(|origin| self.take_one(origin)).collect()
    }

    /// What they say, or with `--for` what they count from now on.
    pub(super) fn read(&self) -> Result<(Vec<Source>, Reading), String> {
        let first = self.take()?;
        let Some(seconds) = self.options.period else { return Ok(self.join(first)) };
        std::thread::sleep(Duration::from_secs(seconds));
        Ok(self.join(Taken::since(self.take()?, &first, seconds)))
    }

    /// All of it as one reading. Of several sources, the names are kept.
    pub(super) fn join(&self, taken: Vec<Taken>) -> (Vec<Source>, Reading) {
        let is_since_start =
            taken.iter().any(|taken| taken.kind == Server::Envoy && taken.since == Since::Start);
        let mut sources = Vec::new();
        let mut joined: Option<Reading> = None;
        for (Origin { target, .. }, Taken { kind, reading, since }) in self.all.iter().zip(taken) {
            let is_named = target.name.is_some() || self.all.len() > 1;
            let name = is_named.then(|| clean(target.called()));
            let written = printable(&target.written).collect();
            sources.push(Source { name, kind, target: written, since, seconds: reading.seconds });
            let reading = if is_named { reading.within(target.called()) } else { reading };
            joined = Some(match joined {
                None => reading,
                Some(before) => before.join(reading),
            });
        }
        let mut reading = joined.unwrap_or_default();
        if is_since_start {
            reading.notes.insert(SINCE_START.to_owned());
        }
        (sources, reading)
    }

    fn take_one(&self, Origin { target, web }: &Origin) -> Result<Taken, String> {
        let (kind, reading) = match (web, &target.place) {
            (Some(web), Place::Server { is_scrape: true, .. }) => self.ask_scrape(web)?,
            (Some(web), _) => self.ask(web)?,
            (None, _) => {
                self.parse(&target.written).map_err(|problem| format!("{}: {problem}", target.written))?
            }
        };
        let asked = web.is_some().then_some(kind);
        self.options.refuse_what_is_not_of(kind, asked)?;
        let since = if asked == Some(Server::Prometheus) { Since::Window } else { Since::Start };
        Ok(Taken { kind, reading, since })
    }

    /// What the server answers, once it is known what it is.
    fn ask(&self, web: &Web) -> Result<(Server, Reading), String> {
        let Self { names, scope, options, .. } = self;
        let asked = try_each(options.from, |kind| match kind {
            Server::Envoy => envoy::ask(web, names, scope),
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

    /// What a server answers to a scrape: an Envoy's or an agent's.
    fn ask_scrape(&self, web: &Web) -> Result<(Server, Reading), String> {
        match envoy::ask_text(web, envoy::SCRAPED, &self.names, &self.scope) {
            Ok(reading) => Ok((Server::Envoy, reading)),
            Err(Failure::Final(problem)) => Err(problem),
            Err(Failure::Other(problem)) => Err(format!("{}: {problem}", web.base())),
        }
    }

    /// Reads an answer that was saved.
    fn parse(&self, file: &str) -> Result<(Server, Reading), String> {
        let Self { names, scope, options, .. } = self;
        let mut bytes = Vec::new();
        let mut from = open(Path::new(file)).map_err(|error| {
            format!("{error} (a server is named like host:port, http://host:port or https://host)")
        })?;
        let size =
            from.by_ref().take(MAX_ANSWER + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if scrape::is_text(&bytes) {
            let reading = scrape::read(bytes.as_slice().chain(from), names, scope).map_err(reason)?;
            let kind = if reading.is_of_one { Server::Envoy } else { Server::Prometheus };
            return Ok((kind, reading));
        }
        if size as u64 > MAX_ANSWER {
            return Err(format!("it is longer than {} MiB", MAX_ANSWER >> 20));
        }
        let parsed = try_each(options.from, |kind| {
            match kind {
                Server::Envoy => envoy::read(&bytes, names),
                Server::Prometheus => prometheus::read(&bytes, names, scope),
            }
            .map_err(Failure::Other)
        });
        parsed.map_err(|failure| scrape::hint(&bytes).map_or_else(|| reason(failure), str::to_owned))
    }
}

impl Taken {
    /// What each Envoy counted since it was asked before, so many seconds ago. A Prometheus was asked for that itself.
    pub(super) fn since(now: Vec<Self>, before: &[Self], seconds: u64) -> Vec<Self> {
        let pairs = now.into_iter().zip(before);
        let since = pairs.map(|(now, before)| match now.since {
            Since::Window => now,
            Since::Start => {
                let reading = now.reading.since(&before.reading, seconds);
                Self { reading, since: Since::Window, ..now }
            }
        });
        since.collect()
    }
}

fn reason((Failure::Other(problem) | Failure::Final(problem)): Failure) -> String {
    problem
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

impl Asking {
    fn origin(&self, text: &str) -> Result<Origin, String> {
        let target = Target::parse(text);
        let web = match &target.place {
            Place::File => None,
            Place::Server { address, .. } => Some(Web::new(address, &self.access, TOO_LONG)?),
        };
        Ok(Origin { target, web })
    }

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
