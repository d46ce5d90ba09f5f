//! What an Envoy's admin endpoint reports of its stats.

use serde::Deserialize;
use serde_json::Value;

use super::input::from_json;
use super::names::{Names, split};
use super::prometheus::Scope;
use super::reading::{Reading, Who, without_filter};
use super::scrape;
use crate::web::{Failure, Web};

/// Where a Prometheus scrapes an Envoy, and Istio's agent.
pub(super) const SCRAPED: &str = "/stats/prometheus";

/// What is asked for.
const FILTER: &str = r"tracewarden_|^http\..*downstream_rq_total$|^server\.uptime$";

/// The answer to `/stats?format=json`; anything more, such as histograms, is ignored.
#[derive(Deserialize)]
struct Stats {
    stats: Vec<Stat>,
}

#[derive(Deserialize)]
struct Stat {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: Value,
}

/// Asks for JSON, or if there is none for what a Prometheus scrapes: Istio's ports for scrapes have nothing else.
pub(crate) fn ask(web: &Web, names: &Names, scope: &Scope) -> Result<Reading, Failure> {
    ask_json(web, names).or_else(|failure| match failure {
        Failure::Other(problem) => ask_text(web, SCRAPED, names, scope).map_err(|failure| match failure {
            Failure::Other(other) => Failure::Other(format!("{problem}; {other}")),
            last => last,
        }),
        last => Err(last),
    })
}

/// Asks for what a Prometheus scrapes there.
pub(crate) fn ask_text(web: &Web, path: &str, names: &Names, scope: &Scope) -> Result<Reading, Failure> {
    let (status, body) = web.open(path, &[("filter", FILTER)])?;
    if status != 200 {
        return Err(Failure::Other(format!("{path} answered {status}")));
    }
    scrape::read(body, names, scope).map_err(|failure| match failure {
        Failure::Other(problem) => Failure::Other(format!("{path} answered {problem}")),
        Failure::Final(problem) => Failure::Final(format!("{}{path}: {problem}", web.base())),
    })
}

fn ask_json(web: &Web, names: &Names) -> Result<Reading, Failure> {
    let (status, body) = web.get("/stats", &[("format", "json"), ("filter", FILTER)])?;
    if status != 200 {
        return Err(Failure::Other(format!("/stats answered {status}")));
    }
    read(&body, names).map_err(|problem| Failure::Other(format!("/stats answered {problem}")))
}

pub(crate) fn read(json: &[u8], names: &Names) -> Result<Reading, String> {
    let mut answers = serde_json::Deserializer::from_slice(from_json(json)).into_iter();
    // What follows, such as the last words of a terminal, is not looked at.
    let answer: Stats = answers
        .next()
        .unwrap_or_else(|| serde_json::from_slice(b""))
        .map_err(|error| format!("no stats in JSON: {error}"))?;
    let mut reading = Reading::default();
    reading.is_of_one = true;
    let mut served = 0_u64;
    for Stat { name, value } in &answer.stats {
        let Some(value) = value.as_u64() else { continue };
        if name.contains("tracewarden_") {
            let (metric, labels) = split(name.strip_prefix("wasmcustom.").unwrap_or(name));
            reading.take(names, Who::new([], labels.get("listener")), &metric, &labels, value as f64);
        } else if name == "server.uptime" {
            reading.seconds = Some(value);
        } else if is_served(name) {
            served = served.saturating_add(value);
        }
    }
    reading.take_served(Who::default(), served as f64);
    Ok(reading)
}

/// Whether it counts requests that the filter should see. The stats do not say who runs it.
fn is_served(stat: &str) -> bool {
    let prefix = stat.strip_prefix("http.").and_then(|rest| rest.strip_suffix("downstream_rq_total"));
    prefix.is_some_and(|prefix| without_filter().all(|one| one != prefix.trim_end_matches(['.', ';'])))
}
