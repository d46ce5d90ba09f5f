//! What happens to headers, counters and logs.

use std::fmt::Write;

use tracewarden::metrics::Counter;

use super::{WIDTH, field, wrapped};
use crate::explain::answer::{Answer, Filtered, listener};
use crate::explain::change::{Change, View};
use crate::explain::decision::Outcome;
use crate::explain::escape::printable;
use crate::explain::host::Record;
use crate::explain::input::Lines;
use crate::explain::json::fields;

/// What a pass changes, counts and says, each below a title.
type Section = (&'static str, Vec<String>);

/// The titles about a request, and about its response.
const OF_REQUEST: [&str; 4] = [
    "What changes in the request",
    "What is counted",
    "What an access log can show",
    "What the filter logs, at most once in ten seconds",
];
const OF_RESPONSE: [&str; 4] = [
    "What changes in the response",
    "What is counted of the response",
    "What an access log can show after the response",
    "What the filter logs of the response",
];

/// What happens, in each case. Of a second case, only what differs from the first is shown.
pub(super) fn happens(out: &mut String, answer: &Answer, filtered: &Filtered) {
    let mut first: Option<Vec<Section>> = None;
    for outcome in &filtered.outcomes {
        let case = case(filtered, outcome);
        let sections = sections(answer, filtered, outcome);
        for (place, (title, lines)) in sections.iter().enumerate() {
            let known = first.as_ref().and_then(|first| first.get(place)).map_or(&[][..], |(_, known)| known);
            let is_changed = title.starts_with("What changes");
            let shown: Vec<&String> =
                lines.iter().filter(|line| is_changed || !known.contains(line)).collect();
            if !shown.is_empty() && known != lines {
                let instead = if first.is_some() { " instead" } else { "" };
                let _ = writeln!(out, "\n{title}{instead}{case}");
                shown.into_iter().for_each(|line| out.push_str(line));
            }
        }
        first.get_or_insert(sections);
    }
}

fn sections(answer: &Answer, filtered: &Filtered, outcome: &Outcome) -> Vec<Section> {
    let run = &outcome.run;
    let view = View { secrets: &filtered.secrets, draws: &run.draws, sent: run.sent, is_short: true };
    let exchange = &answer.exchange;
    let messages =
        [(OF_REQUEST, &exchange.request, &run.request), (OF_RESPONSE, &exchange.response, &run.response)];
    let mut sections = Vec::new();
    for ([changed, count, shown, log], before, record) in messages {
        let (Some(before), Some(record)) = (before, record) else { continue };
        let hidden = |line: &String| view.draws.hide(&printable(line.as_bytes()), run.sent);
        sections.push((changed, changes(&view, before, record)));
        let counts = record.counted.iter().map(|(counter, count)| counted(filtered, *counter, *count));
        sections.push((count, counts.collect()));
        let fields = fields(record, &view).into_iter().map(|(key, value)| field(key, &value));
        sections.push((shown, fields.collect()));
        let logged = record.logged.iter().map(|line| wrapped("  ", &hidden(line)));
        sections.push((log, logged.collect()));
    }
    sections
}

/// Which case it is, if there are several.
fn case(filtered: &Filtered, outcome: &Outcome) -> &'static str {
    let sampled = outcome.run.request.as_ref().and_then(Record::sampled);
    match (filtered.outcomes.len(), outcome.probability, sampled) {
        (1, ..) => "",
        (_, None, _) => ", over the rate",
        (_, _, Some((true, _))) => ", if it is recorded",
        _ => ", if it is not recorded",
    }
}

fn changes(view: &View<'_>, before: &Lines, record: &Record) -> Vec<String> {
    let changes = view.changes(before, record);
    if changes.is_empty() {
        return vec!["  nothing\n".to_owned()];
    }
    let lines = |change: Change| {
        let Change { name, before, after } = change;
        let signed =
            before.into_iter().map(|value| ('-', value)).chain(after.into_iter().map(|value| ('+', value)));
        signed.map(|(sign, value)| format!("  {sign} {name}: {value}\n")).collect::<Vec<_>>()
    };
    changes.into_iter().flat_map(lines).collect()
}

/// A series as Prometheus writes it, in two lines if one is too long.
fn counted(filtered: &Filtered, counter: Counter, count: u64) -> String {
    let own = counter.labels().into_iter().map(|label| format!("{}=\"{}\"", label.name, label.value));
    let listener = listener(&filtered.config, counter).map(|name| format!("listener=\"{name}\""));
    let labels: Vec<String> = listener.into_iter().chain(own).collect();
    let name = counter.metric().name;
    if labels.is_empty() {
        return format!("  {name} {count}\n");
    }
    let line = format!("  {name}{{{}}} {count}\n", labels.join(","));
    if line.len() <= WIDTH { line } else { format!("  {name}\n{}", filled(&labels, count)) }
}

/// The labels in lines that are not too long, and the count.
fn filled(labels: &[String], count: u64) -> String {
    let (mut lines, mut line) = (String::new(), "    {".to_owned());
    for (label, place) in labels.iter().zip(1..) {
        let end = if place == labels.len() { format!("}} {count}") } else { ",".to_owned() };
        if line.len() + label.len() + end.len() > WIDTH && line.len() > 5 {
            lines.push_str(&format!("{line}\n"));
            line = "     ".to_owned();
        }
        line.push_str(&format!("{label}{end}"));
    }
    format!("{lines}{line}\n")
}
