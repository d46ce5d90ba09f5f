//! Running `tracewarden report`, and what an Envoy answers.

use serde_json::json;

pub(crate) use crate::server::{Said, Server};

pub(crate) fn report(arguments: &[&str]) -> Said {
    report_with(arguments, "", &[])
}

/// The same with an input and environment variables.
pub(crate) fn report_with(arguments: &[&str], input: &str, variables: &[(&str, &str)]) -> Said {
    crate::server::run(&[&["report"], arguments].concat(), input, variables)
}

impl Server {
    /// An Envoy with these stats.
    pub(crate) fn envoy(stats: &[(&str, u64)]) -> Self {
        let stats = stats_json(stats);
        Self::answering(move |head| match head.starts_with("GET /stats?format=json&filter=") {
            true => (200, stats.clone()),
            false => (404, "invalid path".to_owned()),
        })
    }
}

/// What an Envoy answers that has these stats; those of Tracewarden are written without their prefix.
pub(crate) fn stats_json(stats: &[(&str, u64)]) -> String {
    let name = |stat: &str| match stat.contains("tracewarden_") {
        true => format!("wasmcustom.{stat}"),
        false => stat.to_owned(),
    };
    let stats = stats.iter().map(|(stat, value)| json!({"name": name(stat), "value": value}));
    let histograms = json!({"histograms": {"supported_quantiles": [0.0, 99.0], "computed_quantiles": []}});
    json!({"stats": stats.chain([histograms]).collect::<Vec<_>>()}).to_string()
}

/// The name of a stat of requests.
pub(crate) fn requests(listener: &str, direction: &str, role: &str, mode: &str, context: &str) -> String {
    let listener = if listener.is_empty() { String::new() } else { format!("listener=.={listener};.;") };
    format!(
        "{listener}direction=.={direction};.;role=.={role};.;mode=.={mode};.;context=.={context};.;tracewarden_requests_total"
    )
}
