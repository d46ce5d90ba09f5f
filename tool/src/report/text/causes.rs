//! Each cause with its fix, and whom it concerns.

use std::fmt::Write;

use anstyle::Style;

use super::{BOLD, Look, PLAIN, RED, YELLOW, paragraph, share};
use crate::lines::{grouped, plural};
use crate::report::advice::Rank;
use crate::report::causes::{self, Cause};
use crate::report::findings::Finding;
use crate::report::names::Labels;

/// Of those whom a cause concerns so many are named.
const NAMED: usize = 5;

pub(super) fn causes(out: &mut String, findings: &[Finding], look: &Look) {
    let all = causes::causes(findings);
    for (number, cause) in all.iter().take(look.top).enumerate() {
        entry(out, look, number + 1, cause);
    }
    let more = all.len().saturating_sub(look.top);
    if more > 0 {
        let _ = writeln!(out, "\nand {}: --all shows all", plural(more as u64, "more cause"));
    }
}

/// What it is and how much of it there is, in a line's two parts.
pub(in crate::report) fn one_line(cause: &Cause<'_>) -> [String; 2] {
    let who = match cause.findings.as_slice() {
        [one] => one.who.name(),
        [first, rest @ ..] => format!("{} and {} more", first.who.name(), rest.len()),
        [] => String::new(),
    };
    let unit = unit(&cause.advice.unit, cause.of.unwrap_or(cause.count));
    let of = cause.of.map(|of| format!(" of {}", grouped(of))).unwrap_or_default();
    [format!("{who}: {}", cause.advice.what), format!("{}{of} {unit}", grouped(cause.count))]
}

fn entry(out: &mut String, look: &Look, place: usize, cause: &Cause<'_>) {
    let Cause { advice, findings, .. } = cause;
    let begin = format!("{place}. ");
    let indent = " ".repeat(begin.len());
    let what = match findings.as_slice() {
        [one] => format!("{}: {}", one.who.name(), advice.what),
        _ => advice.what.clone(),
    };
    out.push('\n');
    paragraph(out, look.width, &begin, style(advice.rank), &what);
    let _ = writeln!(out, "{indent}{}", amount(cause));
    if findings.len() > 1 {
        concerned(out, &indent, findings, look);
    }
    for (label, text) in [("cause", &advice.cause), ("fix", &advice.fix), ("see", &advice.runbook)] {
        paragraph(out, look.width, &format!("{indent}{label:<7}"), PLAIN, text);
    }
}

/// Everyone whom it concerns, the worst first.
fn concerned(out: &mut String, indent: &str, findings: &[&Finding], look: &Look) {
    let most = if look.all { usize::MAX } else { NAMED };
    let mut label = "who";
    for finding in findings.iter().take(most) {
        let Finding { count, of, .. } = finding;
        let text = format!("{} {}", finding.who.name(), much(*count, *of));
        paragraph(out, look.width, &format!("{indent}{label:<7}"), PLAIN, &text);
        label = "";
    }
    let more = findings.len().saturating_sub(most);
    if more > 0 {
        let _ = writeln!(out, "{indent}{:<7}and {more} more", "");
    }
}

const fn style(rank: Rank) -> Style {
    match rank {
        Rank::Blind | Rank::Broken => RED,
        Rank::Missing => YELLOW,
    }
}

fn amount(Cause { advice, labels, count, of, findings, workloads }: &Cause<'_>) -> String {
    let among = of.map(|of| format!(" of {}", grouped(of))).unwrap_or_default();
    let share = of.map(|of| share(*count, of)).unwrap_or_default();
    let unit = unit(&advice.unit, of.unwrap_or(*count));
    let many = if findings.len() > 1 {
        format!(" in {}", plural(*workloads as u64, "workload"))
    } else {
        String::new()
    };
    format!("{BOLD}{}{among} {unit}{share}{BOLD:#}{many}{}", grouped(*count), shown(labels))
}

fn much(count: u64, of: Option<u64>) -> String {
    match of {
        None => grouped(count),
        Some(of) => format!("{} of {}{}", grouped(count), grouped(of), share(count, of)),
    }
}

fn unit(unit: &str, count: u64) -> String {
    format!("{unit}{}", if count == 1 { "" } else { "s" })
}

fn shown(labels: &Labels) -> String {
    let shown = ["direction", "mode", "header", "reason", "cause"].into_iter();
    let shown: Vec<&str> = shown.filter_map(|label| labels.get(label).map(String::as_str)).collect();
    if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) }
}
