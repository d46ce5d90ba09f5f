//! The first lines: what was read, and how complete contexts are altogether.

use std::fmt::Write;
use std::time::Duration;

use humantime::format_duration;
use tracewarden::words::Verdict;

use super::{GREEN, NAMED, RED, capped, share};
use crate::lines::grouped;
use crate::report::Report;
use crate::report::findings::Summary;
use crate::report::source::{Server, Since, Source};

pub(super) fn heading(sources: &[Source]) -> String {
    let when = match sources {
        [Source { since: Since::Start, seconds: Some(seconds), .. }] => {
            format!("in the {} since its start", span(*seconds))
        }
        [first, rest @ ..] if rest.iter().all(|one| same_time(one, first)) => time(first),
        _ => return places(sources),
    };
    format!("{}, {when}", places(sources))
}

/// What was read.
pub(in crate::report) fn places(sources: &[Source]) -> String {
    if let [Source { kind, target, name, .. }] = sources {
        let name = name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
        return format!("{kind:?} at {name}{target}");
    }
    let called = |source: &Source| source.name.clone().unwrap_or_else(|| source.target.clone());
    let names: Vec<String> = sources.iter().map(called).collect();
    let kinds: Vec<&str> = [(Server::Envoy, "Envoys"), (Server::Prometheus, "Prometheuses")]
        .into_iter()
        .filter(|(kind, _)| sources.iter().any(|source| source.kind == *kind))
        .map(|(_, word)| word)
        .collect();
    format!("{} {}: {}", sources.len(), kinds.join(" and "), capped(&names, NAMED))
}

fn same_time(one: &Source, other: &Source) -> bool {
    one.since == other.since && (one.since == Since::Start || one.seconds == other.seconds)
}

fn time(source: &Source) -> String {
    match source.since {
        Since::Window => format!("in the last {}", source.seconds.map(span).unwrap_or_default()),
        Since::Start => "since Envoy's start".to_owned(),
    }
}

fn span(seconds: u64) -> String {
    format_duration(Duration::from_secs(seconds)).to_string()
}

/// One line for each role, mode and direction.
pub(super) fn summary(out: &mut String, report: &Report) {
    let name = |summary: &Summary| format!("{}, {}, {}", summary.role, summary.mode, summary.direction);
    let column = report.summary.iter().map(|summary| name(summary).len()).max().unwrap_or(0);
    for summary in &report.summary {
        let _ = writeln!(out, "{:<column$}  {}", name(summary), contexts(summary));
    }
    let repaired: Vec<String> =
        report.repaired.iter().map(|(by, count)| format!("{} by {by}", grouped(*count))).collect();
    if !repaired.is_empty() {
        let _ = writeln!(out, "{:<column$}  {}", "repaired", repaired.join(", "));
    }
}

/// How many contexts of all are intact.
pub(in crate::report) fn intact(summaries: &[Summary]) -> String {
    let sum = |count: fn(&Summary) -> u64| {
        let due = summaries.iter().filter(|summary| summary.expected.is_some());
        due.map(count).fold(0_u64, u64::saturating_add)
    };
    amount(sum(|summary| summary.requests(Verdict::Continued)), sum(|summary| summary.expected.unwrap_or(0)))
}

fn amount(intact: u64, expected: u64) -> String {
    if expected == 0 {
        return "no context was expected".to_owned();
    }
    let style = if intact == expected { GREEN } else { RED };
    let share = share(intact, expected);
    format!("{style}{} of {} contexts intact{style:#}{share}", grouped(intact), grouped(expected))
}

fn contexts(summary: &Summary) -> String {
    let others: Vec<String> = Verdict::ALL
        .iter()
        .filter(|context| **context != Verdict::Continued || summary.expected.is_none())
        .map(|context| (context.label(), summary.requests(*context)))
        .filter(|(_, count)| *count > 0)
        .map(|(label, count)| format!("{} {label}", grouped(count)))
        .collect();
    let begin = match summary.expected {
        Some(expected) => amount(summary.requests(Verdict::Continued), expected),
        None => "none expected".to_owned(),
    };
    if others.is_empty() { begin } else { format!("{begin}: {}", others.join(", ")) }
}
