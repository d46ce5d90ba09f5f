//! `tracewarden audit`: between which services the spans in a tracing backend miss their parents.

mod backend;
mod beside;
mod formats;
mod judge;
mod lenient;
mod links;
mod pairs;
mod progress;
mod restarts;
mod store;
mod text;

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::report::{clean, counted, seconds, width};
use crate::web::{Access, is_address};
use crate::{Said, open};
use backend::Jaeger;
use beside::Beside;
use judge::{Cause, Missing};
use links::Links;
use pairs::Pair;
use progress::Progress;
use restarts::Restart;
use store::{Oddities, Store};

/// Where to read, and what of it.
#[derive(Args)]
pub(crate) struct Options {
    /// Files with traces in JSON, as OTLP, Jaeger or Zipkin write it (`-` is standard input), or the address of a Jaeger such as
    /// http://127.0.0.1:16686.
    #[arg(default_value = "-", value_name = "FILE|URL")]
    sources: Vec<String>,
    /// Of a Jaeger: only traces with spans of this service; may be repeated [default: every service].
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// Of a Jaeger: how far back to look.
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "1h")]
    lookback: u64,
    /// Of a Jaeger: how many traces to ask for at once. If there are more, it is asked for shorter parts of the time.
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Of a Jaeger: how long to wait before it is asked again for traces with a missing parent; 0s does not ask again.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    wait: Duration,
    /// An Envoy, a Prometheus or a file with Tracewarden's counters, as `tracewarden report` reads them: shows where counters
    /// and traces agree. No credentials are sent there.
    #[arg(long, value_name = "URL|FILE")]
    counters: Option<String>,
    /// The most spans to read; a million takes about 100 MB of memory.
    #[arg(long, value_name = "NUMBER", default_value_t = 4_000_000)]
    max_spans: usize,
    /// How many pairs of services to print; JSON has all.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    top: usize,
    #[command(flatten)]
    access: Access,
}

/// Everything there is to say; docs/audit.md has its shape in JSON.
#[derive(Serialize)]
struct Audit {
    spans: u64,
    traces: u64,
    /// The spans that name a parent.
    children: u64,
    missing: u64,
    pairs: Vec<Pair>,
    started_anew: Vec<Restart>,
    oddities: Oddities,
    #[serde(skip_serializing_if = "Option::is_none")]
    counters: Option<Beside>,
    /// What could not be read, and why.
    unread: Vec<String>,
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

pub(crate) fn audit(options: &Options) -> Result<Said, String> {
    let mut store = Store::new(options.max_spans);
    let mut progress = Progress::new();
    let (mut servers, mut unread) = read(options, &mut store, &mut progress);
    if store.spans.is_empty() {
        progress.end();
        unread.extend(odd(&store));
        return Err(if unread.is_empty() { NOTHING.to_owned() } else { unread.join("\ntracewarden: ") });
    }
    progress.begin("sorting".to_owned());
    store.sort();
    let links = Links::of(&mut store);
    let mut missing = judge::missing(&store, &links);
    missing.sort_unstable_by_key(|one| one.place);
    for jaeger in &mut servers {
        unread.extend(jaeger.ask_again(options.wait, &mut store, &mut missing, &mut progress).err());
    }
    progress.end();
    let (children, pairs) = pairs::pairs(&store, &links, &missing);
    let mut audit = Audit::new(store, &links, children, &missing, pairs);
    audit.unread = unread;
    audit.look_at_counters(options);
    for problem in &audit.unread {
        eprintln!("tracewarden: {problem}");
    }
    let is_broken = audit.missing > 0 || !audit.started_anew.is_empty();
    Ok(Said {
        status: if audit.unread.is_empty() { u8::from(is_broken) } else { 2 },
        lines: text::lines(&audit, options.top, width()),
        value: serde_json::to_value(&audit).map_err(|error| error.to_string())?,
    })
}

const NOTHING: &str =
    "no span was found. Is --lookback long enough, and does --service name services that the backend has?";

/// What was read instead of spans.
fn odd(store: &Store) -> Option<String> {
    let odd = [&store.oddities.bad_ids, &store.oddities.not_spans];
    odd.into_iter().find_map(|count| Some(format!("no span could be read; {}", count.example.as_ref()?)))
}

fn read(options: &Options, store: &mut Store, progress: &mut Progress) -> (Vec<Jaeger>, Vec<String>) {
    let (mut servers, mut unread) = (Vec::new(), Vec::new());
    for source in &options.sources {
        progress.begin(clean(source));
        if is_address(source) {
            match Jaeger::new(source, options) {
                Ok(mut jaeger) => {
                    unread.extend(jaeger.read(options, store, progress));
                    servers.push(jaeger);
                }
                Err(problem) => unread.push(clean(&problem)),
            }
        } else {
            unread.extend(read_file(source, store, progress).err());
        }
    }
    (servers, unread)
}

fn read_file(source: &str, store: &mut Store, progress: &mut Progress) -> Result<(), String> {
    let name = clean(source);
    let file = open(Path::new(source)).map_err(|error| {
        format!("{name}: {error} (the address of a Jaeger begins with http:// or https://)")
    })?;
    let mut intake = formats::Intake::new(store, progress);
    let read = intake.read(file).map_err(|problem| format!("{name}: {problem}"));
    let errors = std::mem::take(&mut intake.errors);
    store
        .notes
        .extend(errors.into_iter().map(|error| format!("{name} has an error of its backend: {error}")));
    read
}

impl Audit {
    fn new(store: Store, links: &Links, children: u64, missing: &[Missing], pairs: Vec<Pair>) -> Self {
        let started_anew = restarts::restarts(&store, links);
        let advice = advice(&pairs, &started_anew);
        Self {
            spans: store.spans.len() as u64,
            traces: links.begins.len().saturating_sub(1) as u64,
            children,
            missing: missing.len() as u64,
            pairs,
            started_anew,
            oddities: store.oddities,
            counters: None,
            unread: Vec::new(),
            notes: store.notes.into_iter().collect(),
            advice,
        }
    }

    fn look_at_counters(&mut self, options: &Options) {
        let Some(target) = &options.counters else { return };
        match counted(target, &options.access) {
            Ok(counted) => self.counters = Some(beside::beside(&counted, &self.pairs, &self.started_anew)),
            Err(problem) => self.unread.push(format!("counters: {problem}")),
        }
    }
}

/// What to do about the worst of it.
fn advice(pairs: &[Pair], restarts: &[Restart]) -> Option<String> {
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "the caller".to_owned());
    let worst = pairs.first();
    let anew = restarts
        .first()
        .filter(|restart| worst.is_none_or(|pair| restart.proved + restart.suspected >= pair.missing));
    if let Some(Restart { caller, callee, .. }) = anew {
        let [caller, callee] = [caller, callee].map(name);
        return Some(if caller == callee {
            format!(
                "{caller} loses the context between what it receives and what it sends: instrument its HTTP client."
            )
        } else {
            format!(
                "Instrument the calls of {caller} to {callee}, or let a Tracewarden with correlation give the context back."
            )
        });
    }
    let pair = worst?;
    let [caller, callee] = [&pair.caller, &pair.callee].map(name);
    let most = pair.causes.iter().max_by_key(|part| part.spans)?;
    Some(match most.cause {
        Cause::Late => "Read traces that are older: parents are still arriving.".to_owned(),
        Cause::NotSampled => {
            format!("Let {callee} follow the sampling decision that it receives (a parent-based sampler).")
        }
        Cause::Proxy => format!(
            "Let the proxy between {caller} and {callee} record its spans, or stop rewriting traceparent."
        ),
        Cause::Unknown if pair.caller == pair.callee => {
            format!("See whether {callee} drops spans at export: the missing parents are its own.")
        }
        Cause::Unknown => {
            format!("Look at trace {} in the backend, and at what calls {callee}.", pair.example)
        }
    })
}
