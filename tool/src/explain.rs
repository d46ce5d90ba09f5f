//! The request pass, observing, over headers from the command line.
#![expect(clippy::indexing_slicing, reason = "to assign to a member of a JSON object adds it")]

use std::collections::BTreeMap;

use clap::Args;
use rand::rngs::ChaCha12Rng;
use serde_json::{Value, json};
use tracewarden::config::Config;
use tracewarden::filter::Filter;
use tracewarden::headers::{HeaderWriter, Headers, Refused};
use tracewarden::host::{AccessLog, Clock, Log, Metrics, Properties, Random, SharedMemory};
use tracewarden::metrics::Counter;
use tracewarden::w3c::TraceState;
use tracewarden::words::Format;

use crate::Said;

/// What an observing pass says, in the order and by the names in which it is shown. Of an observed context the span's id is
/// the parent's.
const SHOWN: &[(&str, &str)] = &[
    (FORMAT, "format"),
    ("trace_context", "context"),
    ("trace_id", "trace-id"),
    ("parent_id", "parent-id"),
    ("sampled", "sampled"),
];
const FORMAT: &str = "format";

/// The headers of one request.
#[derive(Args)]
pub(crate) struct Options {
    /// A header as it is on the wire, such as 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'.
    #[arg(required = true, value_name = "NAME: VALUE", value_parser = crate::web::header)]
    pub(crate) headers: Vec<(String, String)>,
}

/// A host that has nothing, and notes what an observing pass reports.
#[derive(Default)]
struct Observer {
    published: BTreeMap<&'static str, String>,
    corruptions: Vec<String>,
    conflicts: usize,
}

/// What the filter reads in these headers.
pub(crate) fn explain(headers: &[(String, String)]) -> Said {
    let formats: Vec<&str> = Format::ALL.iter().map(|format| format.label()).collect();
    let json = format!(
        r#"{{"mode": "observe", "direction": "inbound", "propagation": {{"extract": {formats:?}}},
        "access_log": {{"filter_state": true}}}}"#
    );
    let mut observer = Observer::default();
    let loaded = Config::load(json.as_bytes(), |_| None);
    let passed = loaded.map(|loaded| {
        let lines = headers.iter().map(|(name, value)| (name, value));
        Filter::new(loaded.config).request(&lines.collect::<Headers>(), &mut observer);
    });
    say(passed.is_ok(), headers, &observer)
}

fn say(passed: bool, headers: &[(String, String)], observer: &Observer) -> Said {
    let Observer { published, corruptions, conflicts } = observer;
    let fields: Vec<(&str, &str)> =
        SHOWN.iter().filter_map(|(name, shown)| Some((*shown, published.get(name)?.as_str()))).collect();
    let members = members(headers);
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| lines.push_str(&format!("{name:<15}{value}\n"));
    fields.iter().for_each(|(name, value)| line(name, value));
    members.iter().for_each(|(key, value)| line("tracestate", &format!("{key} = {value}")));
    corruptions.iter().for_each(|problem| line("invalid", problem));
    if *conflicts > 0 {
        line("conflict", "two formats name different traces; the first counts");
    }
    let has_format = published.contains_key(FORMAT);
    if !has_format && corruptions.is_empty() {
        lines.push_str("no header of any format that is known here\n");
    }
    let is_valid = passed && has_format && corruptions.is_empty() && *conflicts == 0;
    let mut value = json!({
        "valid": is_valid,
        "invalid": corruptions,
        "conflicts": conflicts,
        "tracestate": members.into_iter().collect::<Value>(),
    });
    for (name, text) in fields {
        value[name] = text.into();
    }
    Said { status: u8::from(!is_valid), lines, value }
}

/// The members of a valid `tracestate`.
fn members(headers: &[(String, String)]) -> Vec<(String, String)> {
    let lines = headers.iter().filter(|(name, _)| name == "tracestate").map(|(_, value)| value.as_bytes());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Ok(list) = TraceState::parse(lines) else { return Vec::new() };
    list.members().iter().map(|member| (text(member.key()), text(member.value()))).collect()
}

impl Metrics for Observer {
    fn count(&mut self, counter: Counter, _: u64) {
        match counter {
            Counter::Format { format } => self.publish(FORMAT, format.label().as_bytes()),
            Counter::Corrupt { corruption, .. } => self.corruptions.push(corruption.to_string()),
            Counter::Conflict { .. } => self.conflicts += 1,
            _ => {}
        }
    }
}

impl AccessLog for Observer {
    fn publish(&mut self, key: &'static str, value: &[u8]) {
        self.published.insert(key, String::from_utf8_lossy(value).into_owned());
    }
}

impl Random for Observer {
    type Rng = ChaCha12Rng;
}

impl Clock for Observer {}
impl Properties for Observer {}
impl SharedMemory for Observer {}
impl Log for Observer {}

impl HeaderWriter for Observer {
    fn set(&mut self, _: &str, _: &[u8]) -> Result<(), Refused> {
        Err(Refused)
    }

    fn add(&mut self, _: &str, _: &[u8]) -> Result<(), Refused> {
        Err(Refused)
    }

    fn remove(&mut self, _: &str) -> Result<(), Refused> {
        Err(Refused)
    }
}
