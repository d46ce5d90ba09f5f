//! An audit for people.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::Audit;
use super::beside::{Beside, Between};
use super::judge::{Cause, Certainty};
use super::pairs::{Pair, Part};
use super::restarts::Restart;
use super::store::Count;
use crate::lines::{self, grouped, plural};

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// The audit in lines of that width, with at most `top` pairs.
pub(super) fn lines(audit: &Audit, top: usize, width: usize) -> String {
    let mut out = String::new();
    for problem in &audit.unread {
        paragraph(&mut out, width, "incomplete: ", problem);
    }
    heading(&mut out, audit);
    pairs(&mut out, &audit.pairs, top, width);
    restarts(&mut out, &audit.started_anew, top, width);
    oddities(&mut out, audit, width);
    if let Some(beside) = &audit.counters {
        counters(&mut out, beside, width);
    }
    for note in &audit.notes {
        out.push('\n');
        paragraph(&mut out, width, "note: ", note);
    }
    if let Some(advice) = &audit.advice {
        out.push('\n');
        paragraph(&mut out, width, "next: ", advice);
    }
    out
}

fn heading(out: &mut String, audit: &Audit) {
    let Audit { spans, traces, children, missing, .. } = audit;
    let _ = writeln!(out, "{} of {}", plural(*spans, "span"), plural(*traces, "trace"));
    let style = if *missing == 0 { GREEN } else { RED };
    let share = share(*missing, *children);
    let (missing, parents) = (grouped(*missing), plural(*children, "parent"));
    let _ = writeln!(out, "{style}missing: {missing} of {parents}{style:#}, {share}");
    if audit.started_anew.is_empty() {
        let _ = writeln!(out, "{GREEN}No trace is known to start anew in the middle.{GREEN:#}");
    }
}

/// A table with a heading, the first column to the left and the rest to the right, but the last.
fn table(out: &mut String, heading: &[&str], rows: &[Vec<String>], width: usize) {
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            let cells =
                rows.iter().filter_map(|row| row.get(column)).map(|cell| textwrap::core::display_width(cell));
            cells.chain(heading.get(column).map(|cell| cell.len())).max().unwrap_or(0)
        })
        .collect();
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        let last = row.len().saturating_sub(1);
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate().take(last) {
            let room = " ".repeat(width.saturating_sub(textwrap::core::display_width(cell)));
            let _ = if column == 0 { write!(line, "{cell}{room}  ") } else { write!(line, "{room}{cell}  ") };
        }
        paragraph(out, width.max(line.len() + 30), &line, row.last().map_or("", String::as_str));
    }
}

fn pairs(out: &mut String, pairs: &[Pair], top: usize, width: usize) {
    if pairs.is_empty() {
        return;
    }
    let row = |pair: &Pair| {
        let causes: Vec<String> = pair.causes.iter().map(cause).collect();
        let [spans, missing] = [pair.spans, pair.missing].map(grouped);
        vec![
            between(&pair.caller, &pair.callee),
            spans,
            missing,
            share(pair.missing, pair.spans),
            causes.join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = pairs.iter().take(top).map(row).collect();
    let _ = writeln!(out, "\n{BOLD}Parents that are missing{BOLD:#}");
    table(out, &["caller -> callee", "spans", "missing", "share", "why"], &rows, width);
    more(out, pairs.len(), top);
}

fn restarts(out: &mut String, restarts: &[Restart], top: usize, width: usize) {
    if restarts.is_empty() {
        return;
    }
    let row = |restart: &Restart| {
        let Restart { caller, callee, proved, suspected, roots, example } = restart;
        let parts =
            [(*proved, "proved: same request id"), (*suspected, "suspected: inside a call that names it")];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{} {what}", grouped(*count))).collect();
        let why = format!("{}; trace {} belongs to {}", parts.join(", "), example.trace, example.of_trace);
        let anew = proved + suspected;
        vec![between(caller, callee), grouped(*roots), grouped(anew), share(anew, *roots), why]
    };
    let rows: Vec<Vec<String>> = restarts.iter().take(top).map(row).collect();
    let _ = writeln!(out, "\n{BOLD}Traces that start anew in the middle{BOLD:#}");
    table(out, &["caller -> callee", "begin", "anew", "share", "why"], &rows, width);
    more(out, restarts.len(), top);
}

fn more(out: &mut String, all: usize, top: usize) {
    if all > top {
        let _ = writeln!(out, "and {} more: --top {all} prints all", all - top);
    }
}

fn between(caller: &Option<String>, callee: &Option<String>) -> String {
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "(unknown)".to_owned());
    format!("{} -> {}", name(caller), name(callee))
}

fn cause(part: &Part) -> String {
    let what = match part.cause {
        Cause::Late => "came late",
        Cause::NotSampled => "not sampled",
        Cause::Proxy => "behind a proxy that records no span",
        Cause::Unknown => "cause not known",
    };
    let certainty = match part.certainty {
        Certainty::Proved => " (proved)",
        Certainty::Suspected => " (suspected)",
        Certainty::NotKnown => "",
    };
    format!("{} {what}{certainty}", grouped(part.spans))
}

fn oddities(out: &mut String, audit: &Audit, width: usize) {
    let odd = &audit.oddities;
    let rows: [(&Count, &str); 6] = [
        (&odd.bad_ids, "ids that are none"),
        (&odd.not_spans, "entries that are no spans"),
        (&odd.duplicates, "spans with the id of another"),
        (&odd.cycles, "spans among their own ancestors"),
        (&odd.cut_trace_ids, "traces whose id is the lower half of another's"),
        (&odd.without_service, "spans without a service"),
    ];
    let mut rows = rows.into_iter().filter(|(count, _)| count.count > 0).peekable();
    if rows.peek().is_some() {
        let _ = writeln!(out, "\n{BOLD}Odd{BOLD:#}");
    }
    for (Count { count, example }, what) in rows {
        let example = example.as_deref().unwrap_or_default();
        paragraph(out, width, "", &format!("{} {what}, such as: {example}", grouped(*count)));
    }
}

fn counters(out: &mut String, beside: &Beside, width: usize) {
    let _ = writeln!(out, "\n{BOLD}Beside the counters{BOLD:#}");
    let name = |one: &Between| between(&one.caller, &one.callee);
    for both in &beside.both {
        let counted = &both.counted;
        let text = format!(
            "{}; counted at {}: {} ({})",
            name(&both.between),
            counted.who,
            counted.what,
            counted.count
        );
        paragraph(out, width, "both agree:   ", &text);
    }
    for counted in &beside.only_counters {
        let text = format!("{}: {} ({})", counted.who, counted.what, counted.count);
        paragraph(out, width, "counted only: ", &text);
    }
    for one in &beside.only_traces {
        paragraph(out, width, "traces only:  ", &name(one));
    }
    if beside.both.is_empty() && beside.only_counters.is_empty() && beside.only_traces.is_empty() {
        paragraph(out, width, "", "Both find nothing.");
    }
}

/// A text in lines, behind a label.
fn paragraph(out: &mut String, width: usize, label: &str, text: &str) {
    lines::paragraph(out, width, label, text, [Style::new(), Style::new()]);
}

/// A share, never rounded up to all or down to nothing.
fn share(part: u64, whole: u64) -> String {
    match (u128::from(part) * 1000).checked_div(u128::from(whole)) {
        None => "-".to_owned(),
        Some(0) if part > 0 => "< 0.1 %".to_owned(),
        Some(permille) => format!("{}.{} %", permille / 10, permille % 10),
    }
}
