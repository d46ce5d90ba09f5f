//! An audit for people.

use std::fmt::Write;

use super::judge::{Cause, Pair};
use super::store::Count;
use super::{Audit, beside::Agreement};
use crate::grouped;

pub(super) fn lines(audit: &Audit, top: usize, width: usize) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} spans of {} traces; {} name a parent, and for {} it is missing{}",
        grouped(audit.spans as u64),
        grouped(audit.traces),
        grouped(audit.children),
        grouped(audit.missing),
        share(audit.missing, audit.children),
    );
    for (place, pair) in audit.pairs.iter().take(top).enumerate() {
        entry(&mut out, place + 1, pair, width);
    }
    let more = audit.pairs.len().saturating_sub(top);
    if more > 0 {
        let _ = writeln!(out, "\nand {more} more pairs: --top {} prints all", audit.pairs.len());
    }
    if !audit.restarts.is_empty() {
        let _ = writeln!(out, "\ntraces that start anew in the middle");
    }
    for restart in audit.restarts.iter().take(top) {
        let why = match restart.is_proved {
            true => "proved by the id of the request",
            false => "suspected: a call to it without an answer lasted as long",
        };
        let said = format!("{} -> {}: {}, {why}", restart.caller, restart.callee, times(restart.count));
        paragraph(&mut out, "  ", &said, width);
    }
    if audit.pairs.is_empty() && audit.restarts.is_empty() && audit.spans > 0 {
        let _ = writeln!(out, "\nNo parent is missing, and no trace starts anew in the middle.");
    }
    audit.beside_counters.iter().for_each(|agreement| compared(&mut out, agreement, width));
    oddities(&mut out, audit, width);
    for note in &audit.notes {
        paragraph(&mut out, "\nnote: ", note, width);
    }
    for problem in &audit.unread {
        paragraph(&mut out, "\nnot read: ", problem, width);
    }
    out
}

fn entry(out: &mut String, place: usize, pair: &Pair, width: usize) {
    let Pair { caller, callee, children, missing, causes } = pair;
    let what = if caller == callee { format!("inside {callee}") } else { format!("{caller} -> {callee}") };
    let share = share(*missing, *children);
    let _ = writeln!(
        out,
        "\n{place}. {what}: {} of {} parents are missing{share}",
        grouped(*missing),
        grouped(*children)
    );
    for (cause, count) in causes {
        paragraph(out, "   ", &format!("{}: {}", grouped(*count), meaning(*cause, caller == callee)), width);
    }
}

const fn meaning(cause: Cause, is_inside: bool) -> &'static str {
    match (cause, is_inside) {
        (Cause::Late, _) => "came late; it was there when asked again",
        (Cause::NotSampled, _) => {
            "not sampled by its caller: this service decided by itself; let it respect the decision that comes in"
        }
        (Cause::Proxy, _) => {
            "a call encloses it and has no answer, so probably a proxy between the two wrote a parent-id and recorded no span; \
             let the proxy forward the parent-id, or export its spans"
        }
        (Cause::Unknown, true) => "the cause is not known; the service's own exporter may drop spans",
        (Cause::Unknown, false) => {
            "the cause is not known; the caller may drop spans, not be traced, or not be sampled"
        }
    }
}

fn compared(out: &mut String, agreement: &Agreement, width: usize) {
    let rows = [
        ("both traces and counters blame ", &agreement.both),
        ("only traces blame ", &agreement.traces_alone),
        ("only counters blame ", &agreement.counters_alone),
    ];
    out.push('\n');
    for (said, names) in rows {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        paragraph(out, said, &names, width);
    }
}

fn oddities(out: &mut String, audit: &Audit, width: usize) {
    let rows: [(&Count, &str); 4] = [
        (&audit.oddities.bad_ids, "left out: an id has another length or no hexadecimal digits"),
        (&audit.oddities.duplicates, "came twice"),
        (&audit.oddities.cycles, "are among their own ancestors"),
        (&audit.oddities.nameless, "name no service"),
    ];
    let found: Vec<_> = rows.into_iter().filter(|(count, _)| count.count > 0).collect();
    if !found.is_empty() {
        let _ = writeln!(out, "\nstrange spans");
    }
    for (Count { count, first }, what) in found {
        let first = first.as_deref().unwrap_or_default();
        paragraph(out, "  ", &format!("{} {what} (first at {first})", grouped(*count)), width);
    }
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{} times", grouped(count)) }
}

/// Of fewer than a hundred no share is shown.
fn share(part: u64, of: u64) -> String {
    match of {
        0..100 => String::new(),
        _ if part > 0 && part * 1000 < of => ", less than 0.1 %".to_owned(),
        _ => format!(", {:.1} %", part as f64 * 100.0 / of as f64),
    }
}

fn paragraph(out: &mut String, begin: &str, text: &str, width: usize) {
    let indent = " ".repeat(begin.trim_start_matches('\n').len());
    let options = textwrap::Options::new(width).subsequent_indent(&indent);
    let begin = begin.strip_prefix('\n').inspect(|_| out.push('\n')).unwrap_or(begin);
    for line in textwrap::wrap(&format!("{begin}{text}"), options) {
        let _ = writeln!(out, "{line}");
    }
}
