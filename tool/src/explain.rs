//! The request pass, observing, over headers that somebody typed.

use std::fmt::Write;

use rand::rngs::ChaCha12Rng;
use serde_json::{Map, Value, json};
use tracewarden::config::Config;
use tracewarden::headers::serialize;
use tracewarden::metrics::{Counter, Direction};
use tracewarden::notice::Notice;
use tracewarden::pass::{self, Facts, Left, Refused, Sink};
use tracewarden::propagation::Format;
use tracewarden::sampling::RateLimit;
use tracewarden::w3c::TraceState;

use crate::Said;

/// What the pass publishes, in the order and by the names in which it is shown. Of an observed context the span's id is the
/// parent's.
const SHOWN: &[(&str, &str)] = &[
    ("trace_context", "context"),
    ("trace_id", "trace-id"),
    ("parent_id", "parent-id"),
    ("sampled", "sampled"),
];

/// A host that knows nothing, because an observing pass asks for nothing.
struct Nobody;

/// What the pass tells.
#[derive(Default)]
struct Told {
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
    let mut told = Told::default();
    let passed = Config::load(json.as_bytes(), |_| None)
        .map(|loaded| pass::request(&loaded.config, &serialize(headers), &mut Nobody, &mut told).is_ok());
    let read = told.published.iter().map(|(name, value)| (*name, value.clone())).collect();
    say(passed == Ok(true), headers, &told.counters, read)
}

fn say(passed: bool, headers: &[(String, String)], counters: &[Counter], read: Vec<(&str, String)>) -> Said {
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
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let Ok(list) = TraceState::parse(lines) else { return Vec::new() };
    list.members().iter().map(|member| (text(member.key()), text(member.value()))).collect()
}

impl Facts for Nobody {
    type Rng = ChaCha12Rng;

    fn direction(&mut self) -> Direction {
        Direction::Inbound
    }

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        None
    }

    fn peer_san(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn peer_address(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn now(&mut self) -> Option<u64> {
        None
    }

    fn recall(&mut self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn within_rate(&mut self, _: RateLimit) -> bool {
        false
    }

    fn within_error_rate(&mut self, _: RateLimit) -> bool {
        false
    }

    fn property(&mut self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn left(&mut self, _: Left) -> Result<Vec<u8>, Refused> {
        Err(Refused)
    }

    fn response_header(&mut self, _: &str) -> Result<Option<Vec<u8>>, Refused> {
        Err(Refused)
    }

    fn response_headers(&mut self) -> Result<Vec<u8>, Refused> {
        Err(Refused)
    }
}

impl Sink for Told {
    fn set(&mut self, _: &str, _: &[u8]) -> Result<(), Refused> {
        Err(Refused)
    }

    fn add(&mut self, _: &str, _: &[u8]) -> Result<(), Refused> {
        Err(Refused)
    }

    fn remove(&mut self, _: &str) -> Result<(), Refused> {
        Err(Refused)
    }

    fn count(&mut self, counter: Counter) {
        self.counters.push(counter);
    }

    fn publish(&mut self, key: &'static str, value: &[u8]) {
        self.published.push((key, String::from_utf8_lossy(value).into_owned()));
    }

    fn remember(&mut self, _: &str, _: &[u8]) {}

    fn notice(&mut self, _: Notice) {}
}
