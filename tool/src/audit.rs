//! `tracewarden audit`: between which services the spans in a tracing backend miss their parents.

mod backend;
mod beside;
mod formats;
mod judge;
mod links;
mod restarts;
mod store;
mod text;

use std::io::{BufReader, IsTerminal};
use std::path::Path;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use crate::report::{clean, seconds, width};
use crate::web::Access;
use crate::{Said, open};
use judge::Judgement;
use store::{Oddities, Store};

/// Where to read, and what of it.
#[derive(Args)]
pub(crate) struct Options {
    /// Files with traces in OTLP's, Jaeger's or Zipkin's JSON (`-` is standard input), or a Jaeger's address such as
    /// http://127.0.0.1:16686.
    #[arg(required = true, value_name = "FILE|URL")]
    sources: Vec<String>,
    /// Of a Jaeger: only traces of these services [default: all].
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// Of a Jaeger: how far back to look.
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "1h")]
    lookback: u64,
    /// Of a Jaeger: how many traces to ask for at once. Where there are more, the time is asked for in parts.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1500))]
    limit: u32,
    /// Of a Jaeger: how long to wait before it is asked again for parents that may come late; 0s does not ask again.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "10s")]
    wait: std::time::Duration,
    /// An Envoy, a Prometheus or a file with Tracewarden's counters, as `tracewarden report` reads them: to see where both
    /// agree.
    #[arg(long, value_name = "URL|FILE")]
    counters: Option<String>,
    /// How many pairs of services to print; JSON has all.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    top: usize,
    #[command(flatten)]
    access: Access,
}

/// Everything there is to say; docs/tool.md has its shape in JSON.
#[derive(Serialize)]
struct Audit {
    spans: usize,
    traces: u64,
    /// The spans that name a parent.
    children: u64,
    missing: u64,
    pairs: Vec<judge::Pair>,
    restarts: Vec<restarts::Restart>,
    oddities: Oddities,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside_counters: Option<beside::Agreement>,
    /// What could not be read.
    unread: Vec<String>,
    notes: Vec<String>,
}

/// Says how far a long reading has come.
pub(crate) struct Progress {
    began: Instant,
    said: u64,
    of: String,
}

pub(crate) fn audit(options: &Options) -> Result<Said, String> {
    let mut store = Store::default();
    let mut progress = Progress::new();
    let (mut unread, mut servers) = (Vec::new(), Vec::new());
    for source in &options.sources {
        progress.of = clean(source);
        let read = if is_address(source) {
            backend::Jaeger::read(source, options, &mut store, &mut progress)
                .map(|jaeger| servers.push(jaeger))
        } else {
            read_file(source, &mut store, &mut progress)
        };
        unread.extend(read.err());
    }
    if store.spans.is_empty() && !unread.is_empty() {
        return Err(unread.join("\ntracewarden: "));
    }
    store.sort();
    let mut judgement = Judgement::of(&mut store);
    for jaeger in &servers {
        unread.extend(jaeger.ask_again(options.wait, &mut store, &mut judgement).err());
    }
    let audit = Audit::new(options, store, judgement, unread)?;
    let broken = audit.missing > 0 || !audit.restarts.is_empty();
    Ok(Said {
        status: if audit.unread.is_empty() { u8::from(broken) } else { 2 },
        lines: text::lines(&audit, options.top, width()),
        value: serde_json::to_value(&audit).map_err(|error| error.to_string())?,
    })
}

impl Audit {
    fn new(
        options: &Options,
        store: Store,
        judgement: Judgement,
        unread: Vec<String>,
    ) -> Result<Self, String> {
        let restarts = restarts::restarts(&store);
        let pairs = judgement.pairs(&store);
        let beside_counters =
            options.counters.as_deref().map(|counters| beside::compare(counters, &pairs, &restarts));
        Ok(Self {
            spans: store.spans.len(),
            traces: judgement.traces,
            children: judgement.children,
            missing: judgement.missing.len() as u64,
            pairs,
            restarts,
            beside_counters: beside_counters.transpose()?,
            unread,
            notes: store.notes.iter().cloned().collect(),
            oddities: store.oddities,
        })
    }
}

impl Progress {
    /// In how many seconds a line is written.
    const EVERY: u64 = 2;

    fn new() -> Self {
        Self { began: Instant::now(), said: 0, of: String::new() }
    }

    /// Says how many spans were read, if it has been a while.
    pub(crate) fn tell(&mut self, spans: usize) {
        let turn = self.began.elapsed().as_secs() / Self::EVERY;
        if turn > self.said {
            self.said = turn;
            let end = if std::io::stderr().is_terminal() { '\r' } else { '\n' };
            eprint!("{}: {} spans so far…{end}", self.of, crate::grouped(spans as u64));
        }
    }
}

fn is_address(source: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| source.starts_with(scheme))
}

fn read_file(source: &str, store: &mut Store, progress: &mut Progress) -> Result<(), String> {
    let file = open(Path::new(source)).map_err(|error| {
        format!("{}: {error} (the address of a Jaeger begins with http:// or https://)", clean(source))
    })?;
    let before = store.spans.len();
    formats::read(BufReader::with_capacity(1 << 16, file), store, progress).map_err(|problem| {
        let read = store.spans.len() - before;
        format!("{}: {problem}; read before that: {} spans", clean(source), crate::grouped(read as u64))
    })
}
