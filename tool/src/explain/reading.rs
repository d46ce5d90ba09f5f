//! What headers say, whatever a filter does with them: passes of the filter with settings of their own.

use tracewarden::config::Config;
use tracewarden::metrics::{Corruption, Counter};
use tracewarden::w3c::{TraceParent, TraceState};
use tracewarden::words::{DecidedBy, Format, Verdict};

use super::host::{Record, World, headers};
use super::input::{Exchange, Lines};
use super::run::{Run, run};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A valid context.
    Context,
    /// A decision without a context.
    Decision,
    /// An invalid context, and no valid one.
    Invalid,
    /// Nothing.
    Nothing,
}

impl Found {
    /// How it is written.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Context => "valid",
            Self::Decision => "decision",
            Self::Invalid => "invalid",
            Self::Nothing => "none",
        }
    }
}

/// What headers say.
pub(super) struct Reading {
    pub(super) found: Found,
    /// The format that holds the context.
    pub(super) format: Option<Format>,
    pub(super) trace_id: Option<String>,
    pub(super) parent_id: Option<String>,
    /// The sampling decision; `None` if it is left open.
    pub(super) sampled: Option<bool>,
    /// Whether the trace-id is said to be random.
    pub(super) random: Option<bool>,
    /// The members of a valid `tracestate` next to a valid context.
    pub(super) members: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) invalid: Vec<Corruption>,
    /// The formats that name another trace than the one that counts: that one, then the other.
    pub(super) conflicts: Vec<(Format, Format)>,
    /// The formats whose headers came and that are not read.
    pub(super) unread: Vec<Format>,
}

impl Reading {
    /// Reads headers in these formats.
    pub(super) fn of(lines: &Lines, header: &str, formats: &[Format]) -> Option<Self> {
        let observed = pass(lines, header, formats, "observe")?;
        let enforced = pass(lines, header, formats, "enforce")?;
        let record = observed.request.as_ref()?;
        let verdict = record.verdict()?;
        let by_parent = enforced.request.as_ref()?.sampled().filter(|(_, by)| *by == DecidedBy::Parent);
        let sampled = by_parent.map(|(record, _)| record);
        let found = match verdict {
            Verdict::Corrupt => Found::Invalid,
            Verdict::Lost if sampled.is_some() => Found::Decision,
            Verdict::Lost => Found::Nothing,
            _ => Found::Context,
        };
        let is_context = found == Found::Context;
        let trace_id = enforced.sent.filter(|_| is_context).map(|sent| sent.trace_id.to_string());
        let mut reading = Self {
            found,
            format: None,
            trace_id,
            parent_id: observed.sent.map(|came| came.parent_id.to_string()),
            sampled,
            random: enforced.sent.filter(|_| is_context).map(|sent| sent.flags.is_random()),
            members: if is_context { members(lines) } else { Vec::new() },
            invalid: Vec::new(),
            conflicts: Vec::new(),
            unread: Vec::new(),
        };
        reading.note(record);
        Some(reading)
    }

    /// Whether all of it is valid, and something came.
    pub(super) fn is_valid(&self) -> bool {
        let is_found = matches!(self.found, Found::Context | Found::Decision);
        is_found && self.invalid.is_empty() && self.conflicts.is_empty()
    }

    fn note(&mut self, record: &Record) {
        for (counter, _) in &record.counted {
            match *counter {
                Counter::Format { format } => self.format = Some(format),
                Counter::Corrupt { corruption, .. } => self.invalid.push(corruption),
                Counter::Conflict { used, other } => self.conflicts.push((used, other)),
                Counter::Unread { format } => self.unread.push(format),
                _ => {}
            }
        }
    }
}

/// What a response says of its trace.
pub(super) struct Answer {
    /// Compared with the request's context, if there is one.
    pub(super) context: &'static str,
    /// The context that it names.
    pub(super) named: Option<TraceParent>,
    pub(super) is_valid: bool,
}

impl Answer {
    /// Reads a response to a request that was sent with this context.
    pub(super) fn of(lines: &Lines, sent: Option<TraceParent>, header: &str) -> Option<Self> {
        let request = sent.or_else(|| TraceParent::parse(SOME).ok())?;
        let config = format!(
            r#"{{"mode": "observe", "direction": "inbound", "header": {header:?}, "exclude": [],
            "response": {{"inject": ["server-timing"]}}}}"#
        );
        let config = Config::load(config.as_bytes(), |_| None).ok()?.config;
        let exchange = Exchange {
            request: Some(vec![(header.into(), request.to_bytes().to_vec())]),
            response: Some(lines.clone()),
        };
        let record = run(&config, &exchange, World::default()).response?;
        let label = record.counted.iter().find_map(|(counter, _)| match counter {
            Counter::Response { context } => Some(context.label()),
            _ => None,
        })?;
        let context = match label {
            "match" | "mismatch" if sent.is_none() => "valid",
            other => other,
        };
        let named = if matches!(label, "match" | "mismatch") { named(lines, header) } else { None };
        Some(Self { context, named, is_valid: matches!(context, "match" | "valid" | "absent") })
    }
}

/// A context to compare with, of a trace that nobody has.
const SOME: &[u8] = b"00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-00";

/// The context that the first of these headers says that has one.
fn named(lines: &Lines, header: &str) -> Option<TraceParent> {
    let of = |name: &str| {
        let mut values = lines.iter().filter(|(known, _)| known == name.as_bytes()).map(|(_, value)| value);
        values.find_map(|value| {
            let whole = TraceParent::parse(value).ok();
            whole.or_else(|| value.windows(TraceParent::LEN).find_map(|part| TraceParent::parse(part).ok()))
        })
    };
    [header, "traceresponse", "server-timing"].into_iter().find_map(of)
}

fn pass(lines: &Lines, header: &str, formats: &[Format], mode: &str) -> Option<Run> {
    let names: Vec<&str> = formats.iter().map(|format| format.label()).collect();
    // With a second format that is written, the format of the context is counted.
    let config = format!(
        r#"{{"mode": {mode:?}, "direction": "inbound", "header": {header:?}, "exclude": [],
        "propagation": {{"extract": {names:?}, "inject": ["tracecontext", "b3"]}}}}"#
    );
    let config = Config::load(config.as_bytes(), |_| None).ok()?.config;
    let exchange = Exchange { request: Some(lines.clone()), response: None };
    Some(run(&config, &exchange, World::default()))
}

/// The members of a valid `tracestate`.
fn members(lines: &Lines) -> Vec<(Vec<u8>, Vec<u8>)> {
    let headers = headers(lines);
    let Ok(list) = TraceState::parse(headers.lines("tracestate").iter()) else { return Vec::new() };
    list.members().iter().map(|member| (member.key().to_vec(), member.value().to_vec())).collect()
}
