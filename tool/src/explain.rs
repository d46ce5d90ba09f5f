//! The request pass, observing, over headers that somebody typed.

use std::fmt::Write;

use rand::rngs::ChaCha12Rng;
use serde_json::{Map, Value, json};
use tracewarden::config::Config;
use tracewarden::filter::Filter;
use tracewarden::headers::{HeaderWriter, Headers, Refused};
use tracewarden::host::{AccessLog, Clock, Log, Metrics, Properties, Random, SharedMemory};
use tracewarden::metrics::Counter;
use tracewarden::w3c::TraceState;
use tracewarden::words::Format;

use crate::Said;

/// What the pass publishes, in the order and by the names in which it is shown. Of an observed context the span's id is the
/// parent's.
const SHOWN: &[(&str, &str)] = &[
    ("trace_context", "context"),
    ("trace_id", "trace-id"),
    ("parent_id", "parent-id"),
    ("sampled", "sampled"),
];

/// A host that has nothing, and notes what an observing pass reports.
#[derive(Default)]
struct Observer {
    counters: Vec<Counter>,
    published: Vec<(&'static str, String)>,
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
    let Observer { counters, published: read } = observer;
    let corruptions: Vec<String> = counters
        .iter()
        .filter_map(|counter| match counter {
            Counter::Corrupt { corruption, .. } => Some(corruption.to_string()),
            _ => None,
        })
        .collect();
    let formats: Vec<&str> = counters
        .iter()
        .filter_map(|counter| match counter {
            Counter::Format { format } => Some(format.label()),
            _ => None,
        })
        .collect();
    let conflicts = counters.iter().filter(|counter| matches!(counter, Counter::Conflict { .. })).count();
    let mut fields: Vec<(&str, String)> =
        formats.iter().map(|format| ("format", (*format).to_owned())).collect();
    for (published, shown) in SHOWN {
        fields.extend(
            read.iter().find(|(name, _)| name == published).map(|(_, value)| (*shown, value.clone())),
        );
    }
    let members = members(headers);
    let mut lines = String::new();
    for (name, value) in &fields {
        let _ = writeln!(lines, "{name:<15}{value}");
    }
    for (key, value) in &members {
        let _ = writeln!(lines, "{:<15}{key} = {value}", "tracestate");
    }
    for problem in &corruptions {
        let _ = writeln!(lines, "{:<15}{problem}", "invalid");
    }
    if conflicts > 0 {
        let _ = writeln!(lines, "{:<15}two formats name different traces; the first counts", "conflict");
    }
    let is_valid = passed && corruptions.is_empty() && conflicts == 0 && !formats.is_empty();
    if formats.is_empty() && corruptions.is_empty() {
        lines.push_str("no header of any format that is known here\n");
    }
    let mut value: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    value.insert("valid".to_owned(), is_valid.into());
    value.insert("invalid".to_owned(), json!(corruptions));
    value.insert("conflicts".to_owned(), conflicts.into());
    let members: Map<String, Value> = members.into_iter().map(|(key, value)| (key, value.into())).collect();
    value.insert("tracestate".to_owned(), members.into());
    Said { is_valid, lines, value: value.into() }
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
        self.counters.push(counter);
    }
}

impl AccessLog for Observer {
    fn publish(&mut self, key: &'static str, value: &[u8]) {
        self.published.push((key, String::from_utf8_lossy(value).into_owned()));
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
