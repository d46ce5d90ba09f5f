//! `tracewarden report`: where an Envoy's or a Prometheus' counters say that context is lost and corrupted.

mod advice;
mod calls;
mod envoy;
mod findings;
mod names;
mod prometheus;
mod reading;
mod source;
mod text;

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use crate::Said;
use crate::web::Access;
use advice::{Kind, Rank, Texts};
use findings::{Finding, Summary};
pub(crate) use reading::{clean, printable};
pub(crate) use text::width;

use calls::Calls;
use reading::Build;
use source::{Server, Source};

/// Where to read, and what of it.
#[derive(Args)]
pub(crate) struct Options {
    /// An Envoy's admin address such as http://127.0.0.1:9901, a Prometheus' such as https://prometheus.example.org/prefix,
    /// or a file with an answer of one of them: of Envoy's /stats?format=json, or of a query for the counters themselves;
    /// `-` is standard input.
    #[arg(value_name = "URL|FILE", required_unless_present = "logs")]
    target: Option<String>,
    /// A log of broken calls, as docs/logs.md has it, to say which calls they are; `-` is standard input.
    #[arg(long = "log", value_name = "FILE")]
    logs: Vec<String>,
    /// What the server is; without this option it is asked.
    #[arg(long, value_name = "SERVER")]
    from: Option<Server>,
    /// Of a Prometheus: how far back to look [default: 1h].
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    window: Option<u64>,
    /// Of an Envoy: what is counted in that time from now on, instead of since its start.
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    period: Option<u64>,
    /// Of a Prometheus: the labels that say whose Envoy it is, the most specific last [default: namespace,workload].
    #[arg(long, value_name = "LABELS", value_delimiter = ',', value_parser = label)]
    by: Vec<String>,
    /// Of a Prometheus: only series with these labels, in PromQL such as 'namespace="shop",workload!~"test-.*"'.
    #[arg(long = "match", value_name = "MATCHERS")]
    matchers: Option<String>,
    /// How many findings to print; JSON has all.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    top: usize,
    #[command(flatten)]
    access: Access,
}

/// Everything there is to report; docs/report.md has its shape in JSON.
#[derive(Serialize)]
struct Report<'a> {
    source: Source,
    builds: Vec<&'a Build>,
    summary: Vec<Summary>,
    #[serde(rename = "mended")]
    repaired: BTreeMap<&'static str, u64>,
    findings: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Calls>,
    notes: Vec<String>,
}

pub(crate) fn report(options: &Options) -> Result<Said, String> {
    let calls = calls::read(&options.logs)?;
    match &options.target {
        Some(target) => of_counters(target, calls, options),
        None => of_calls(&calls.unwrap_or_default(), options),
    }
}

/// What a log of broken calls says alone.
fn of_calls(calls: &Calls, options: &Options) -> Result<Said, String> {
    Ok(Said {
        status: u8::from(!calls.groups.is_empty()),
        lines: text::calls_alone(calls, options.top, text::width()),
        value: serde_json::to_value(calls).map_err(|error| error.to_string())?,
    })
}

fn of_counters(target: &str, calls: Option<Calls>, options: &Options) -> Result<Said, String> {
    let (source, reading) =
        source::read(target, options).map_err(|problem| printable(&problem).collect::<String>())?;
    let mut notes = reading.all_notes();
    if reading.owners().is_empty() {
        return Err(format!(
            "{}: {}",
            source.target,
            [&[text::NOTHING.to_owned()], notes.as_slice()].concat().join(" ")
        ));
    }
    notes.extend(findings::unchecked(&reading));
    let report = Report {
        source,
        builds: reading.builds.iter().collect(),
        summary: findings::summaries(&reading),
        repaired: findings::repaired(&reading),
        findings: findings::findings(&reading, &Texts::read()?),
        calls,
        notes,
    };
    Ok(Said {
        status: u8::from(report.findings.iter().any(|finding| finding.advice.rank != Rank::Missing)),
        lines: text::lines(&report, options.top, text::width()),
        value: serde_json::to_value(&report).map_err(|error| error.to_string())?,
    })
}

/// What the counters at an address or in a file say is lost or corrupted. No credentials go there.
pub(crate) fn counted(target: &str, access: &Access) -> Result<Vec<Counted>, String> {
    let options = Options {
        target: None,
        logs: Vec::new(),
        from: None,
        window: None,
        period: None,
        by: Vec::new(),
        matchers: None,
        top: 0,
        access: access.without_credentials(),
    };
    let (_, reading) =
        source::read(target, &options).map_err(|problem| printable(&problem).collect::<String>())?;
    let all = findings::findings(&reading, &Texts::read()?);
    Ok(all.into_iter().filter_map(Counted::of).collect())
}

/// A finding about contexts that a workload sends or receives.
#[derive(Clone, Serialize)]
pub(crate) struct Counted {
    pub(crate) who: String,
    /// The name that it may have in traces.
    #[serde(skip)]
    pub(crate) workload: String,
    /// Whether its own calls are affected, and not what it receives.
    pub(crate) sends: bool,
    pub(crate) what: String,
    pub(crate) count: u64,
    pub(crate) of: Option<u64>,
}

impl Counted {
    fn of(finding: Finding) -> Option<Self> {
        let Finding { who, advice, labels, count, of } = finding;
        let way = labels.get("direction").map(String::as_str);
        let sends = match advice.kind {
            Kind::LostByApplication | Kind::LostByJobs | Kind::Torn | Kind::OwnTraces => true,
            Kind::LostByCaller => false,
            Kind::Lost | Kind::Corrupt => way == Some("outbound"),
            _ => return None,
        };
        Some(Self { workload: who.workload()?, who: who.name(), sends, what: advice.what, count, of })
    }
}

/// A time such as `90s` or `1h 30m`, in seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.as_secs() == 0 { Err("less than a second".to_owned()) } else { Ok(time.as_secs()) }
}

fn label(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(is_name) || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("{text:?} is not the name of a label"));
    }
    Ok(text.to_owned())
}
