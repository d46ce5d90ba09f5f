//! `tracewarden report`: where an Envoy's or a Prometheus' counters say that context is lost and corrupted.

mod advice;
mod baseline;
mod calls;
mod causes;
mod counted;
mod envoy;
mod exposition;
mod findings;
mod input;
mod names;
mod prometheus;
mod reading;
mod scrape;
mod source;
mod table;
mod target;
mod text;
mod watch;

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use crate::Said;
use crate::web::Access;
use advice::{Rank, Texts};
use baseline::{Bounds, Comparison};
use causes::Percent;
pub(crate) use counted::{Counted, counted};
use findings::{Finding, Summary};
pub(crate) use reading::{clean, printable};
pub(crate) use text::width;
pub(crate) use watch::watch;

use calls::Calls;
use reading::{Build, Reading};
use source::{Server, Source, Sources};
use table::Workload;
use text::Look;

/// How far back a Prometheus is read.
const HOUR: u64 = 3600;

/// Where to read, and what of it.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    asking: Asking,
    /// A log of broken calls, as docs/logs.md has it, to say which calls they are; `-` is standard input.
    #[arg(long = "log", value_name = "FILE")]
    logs: Vec<String>,
    /// Hide causes that concern a smaller share of a workload's requests, such as 0.5. They do not decide the exit status.
    #[arg(long, value_name = "PERCENT", value_parser = Percent::parse)]
    min_share: Option<Percent>,
    /// Compare with a file that `report --json` wrote earlier, and end with status 1 only if a workload got worse.
    #[arg(long, value_name = "FILE", requires = "targets", conflicts_with = "watch")]
    baseline: Option<String>,
    /// With --baseline: worse is a share of missing contexts that grew by more than so many points.
    #[arg(long, value_name = "PERCENT", value_parser = Percent::parse, default_value = "1", requires = "baseline")]
    tolerance: Percent,
    /// With --baseline: a workload with fewer requests is not judged by its share or by new causes.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, requires = "baseline")]
    min_requests: u64,
    /// Ask again and again, and show what is counted in between, until Ctrl-C [default: every 10 seconds].
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "10", value_parser = interval,
        requires = "targets", conflicts_with_all = ["period", "logs"])]
    watch: Option<u64>,
    /// With --watch: end after so many times.
    #[arg(long, value_name = "NUMBER", requires = "watch")]
    count: Option<u64>,
    /// How many workloads and causes to print; JSON has all.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    top: usize,
    /// Print all workloads and causes, and everyone whom a cause concerns.
    #[arg(long, conflicts_with = "top")]
    all: bool,
}

/// What is asked, and how.
#[derive(Args)]
pub(crate) struct Asking {
    /// An Envoy's admin address such as 127.0.0.1:9901, a Prometheus' such as https://prometheus.example.org/prefix, or a file
    /// with an answer of one of them: of Envoy's /stats?format=json, of /stats/prometheus, or of a query for the counters
    /// themselves; `-` is standard input. Each may have a name in front, NAME=SOURCE, which tells several apart.
    #[arg(value_name = "[NAME=]URL|FILE", required_unless_present = "logs")]
    targets: Vec<String>,
    /// What the server is; without this option it is asked.
    #[arg(long, value_name = "SERVER")]
    from: Option<Server>,
    /// Of a Prometheus: how far back to look [default: 1h; with --watch 5m].
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    window: Option<u64>,
    /// Of an Envoy: what is counted in that time from now on, instead of since its start.
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    period: Option<u64>,
    /// Of a Prometheus: the labels that say whose Envoy it is, the most specific last [default: cluster,namespace,workload].
    #[arg(long, value_name = "LABELS", value_delimiter = ',', value_parser = label)]
    by: Vec<String>,
    /// Of a Prometheus: only series with these labels, in PromQL such as 'namespace="shop",workload!~"test-.*"'.
    #[arg(long = "match", value_name = "MATCHERS")]
    matchers: Option<String>,
    #[command(flatten)]
    access: Access,
}

/// Everything there is to report; docs/report.md has its shape in JSON.
#[derive(Serialize)]
struct Report {
    /// The source, if there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    sources: Vec<Source>,
    builds: Vec<Build>,
    summary: Vec<Summary>,
    #[serde(rename = "mended")]
    repaired: BTreeMap<&'static str, u64>,
    workloads: Vec<Workload>,
    findings: Vec<Finding>,
    /// How many findings are left out, because they concern a small share.
    hidden: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Calls>,
    notes: Vec<String>,
}

pub(crate) fn report(options: &Options) -> Result<Said, String> {
    let calls = calls::read(&options.logs)?;
    if options.asking.targets.is_empty() {
        return of_calls(&calls.unwrap_or_default(), options);
    }
    of_counters(calls, options)
}

/// What a log of broken calls says alone.
fn of_calls(calls: &Calls, options: &Options) -> Result<Said, String> {
    Ok(Said {
        status: u8::from(!calls.groups.is_empty()),
        lines: text::calls_alone(calls, &Look::of(options)),
        value: serde_json::to_value(calls).map_err(|error| error.to_string())?,
    })
}

fn of_counters(calls: Option<Calls>, options: &Options) -> Result<Said, String> {
    let plain = |problem: String| printable(&problem).collect::<String>();
    let sources = Sources::new(&options.asking, HOUR).map_err(plain)?;
    let (sources, reading) = sources.read().map_err(plain)?;
    let mut report = Report::of(sources, &reading, options)?;
    report.calls = calls;
    if let Some(file) = &options.baseline {
        let bounds = Bounds { tolerance: options.tolerance, least: options.min_requests };
        report.baseline = Some(baseline::compare(file, &report.workloads, &bounds).map_err(plain)?);
    }
    Ok(Said {
        status: u8::from(report.is_bad()),
        lines: text::lines(&report, options.min_share, &Look::of(options)),
        value: serde_json::to_value(&report).map_err(|error| error.to_string())?,
    })
}

impl Report {
    fn of(sources: Vec<Source>, reading: &Reading, options: &Options) -> Result<Self, String> {
        let mut notes = reading.all_notes();
        if reading.owners().is_empty() {
            let targets: Vec<&str> = sources.iter().map(|source| source.target.as_str()).collect();
            let said = [&[text::NOTHING.to_owned()], notes.as_slice()].concat().join(" ");
            return Err(format!("{}: {said}", targets.join(", ")));
        }
        notes.extend(findings::unchecked(reading));
        let mut findings = findings::findings(reading, &Texts::read()?);
        let mut workloads = table::workloads(reading, &findings);
        let hidden = options.min_share.map_or(0, |least| causes::hide(&mut findings, &workloads, least));
        table::judge(&mut workloads, &findings);
        Ok(Self {
            source: if sources.len() == 1 { sources.first().cloned() } else { None },
            sources,
            builds: reading.builds.iter().cloned().collect(),
            summary: findings::summaries(reading),
            repaired: findings::repaired(reading),
            workloads,
            findings,
            hidden,
            baseline: None,
            calls: None,
            notes,
        })
    }

    /// Whether the exit status is 1: by a baseline only if something got worse.
    fn is_bad(&self) -> bool {
        match &self.baseline {
            Some(baseline) => baseline.worse > 0,
            None => self.findings.iter().any(|finding| finding.advice.rank != Rank::Missing),
        }
    }
}

/// A time such as `90s` or `1h 30m`, in seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.as_secs() == 0 { Err("less than a second".to_owned()) } else { Ok(time.as_secs()) }
}

/// The same, where a number alone is one of seconds.
fn interval(text: &str) -> Result<u64, String> {
    let all_seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    all_seconds
        .map_or_else(|| seconds(text), Ok)
        .map_err(|_| "expected seconds, such as 10; name the sources before --watch".to_owned())
}

fn label(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(is_name) || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("{text:?} is not the name of a label"));
    }
    Ok(text.to_owned())
}
