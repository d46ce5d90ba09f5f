//! A report for people.

use std::fmt::Write;
use std::time::Duration;
use tracewarden::words::Verdict;

use anstyle::{AnsiColor, Style};
use humantime::format_duration;

use super::Report;
use super::advice::Rank;
use super::calls::{Calls, Group};
use super::findings::{Finding, Summary};
use super::source::{Since, Source};
use crate::lines::{self, grouped, plural};

/// What there is to say of a Prometheus that knows nothing.
pub(super) const NOTHING: &str = "it has no series of Tracewarden, nor of any Envoy. Is Envoy's /stats/prometheus scraped, \
                                  and does --match leave it in?";

/// The widest that lines become, however wide the terminal.
const MAX_WIDTH: usize = 100;
/// Of fewer than so many requests no share is shown.
const FEW: u64 = 100;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// How wide lines may be: the terminal, within reason.
pub(crate) fn width() -> usize {
    textwrap::termwidth().min(MAX_WIDTH)
}

/// The report, with at most `top` findings, in lines of that width.
pub(super) fn lines(report: &Report<'_>, top: usize, width: usize) -> String {
    let mut out = String::new();
    paragraph(&mut out, width, "", PLAIN, &heading(&report.source));
    let builds: Vec<String> = report.builds.iter().map(|build| build.name()).collect();
    if !builds.is_empty() {
        paragraph(&mut out, width, "", PLAIN, &format!("Tracewarden {}", builds.join(", ")));
    }
    out.push('\n');
    summary(&mut out, report);
    for (number, finding) in report.findings.iter().take(top).enumerate() {
        entry(&mut out, width, number + 1, finding);
    }
    let more = report.findings.len().saturating_sub(top);
    if more > 0 {
        let _ = writeln!(out, "\nand {more} more: --top {} prints all", report.findings.len());
    }
    if report.findings.is_empty() {
        let said = if report.summary.is_empty() {
            format!("{YELLOW}Tracewarden has counted no request.{YELLOW:#}")
        } else {
            format!("{GREEN}Nothing is lost or corrupt.{GREEN:#}")
        };
        let _ = writeln!(out, "\n{said}");
    }
    if let Some(found) = &report.calls {
        out.push('\n');
        calls(&mut out, found, top, width);
    }
    for note in &report.notes {
        out.push('\n');
        paragraph(&mut out, width, "note: ", PLAIN, note);
    }
    out
}

/// Which calls a log says are broken.
pub(super) fn calls_alone(found: &Calls, top: usize, width: usize) -> String {
    let mut out = String::new();
    calls(&mut out, found, top, width);
    out
}

fn calls(out: &mut String, found: &Calls, top: usize, width: usize) {
    let Calls { groups, broken, others, unread, left_out } = found;
    let heading =
        format!("{} in the log, and {}", plural(*broken, "broken call"), plural(*others, "other line"));
    paragraph(out, width, "", PLAIN, &heading);
    for group in groups.iter().take(top) {
        paragraph(out, width, "  ", PLAIN, &call(group));
    }
    let more: Vec<u64> = groups.iter().skip(top).map(|group| group.count).collect();
    if !more.is_empty() {
        let calls = plural(more.iter().sum(), "call");
        let _ = writeln!(out, "and {} more kinds ({calls}): --top {} prints all", more.len(), groups.len());
    }
    let rows = [
        (*left_out > 0, format!("Calls of further kinds, which are not told apart: {}", grouped(*left_out))),
        (*unread > 0, format!("Passed over, because it is no JSON: {}", plural(*unread, "line"))),
        (
            *broken == 0,
            "No call is broken; or the log's filter matches nothing, and is silent: docs/logs.md says how to try it".to_owned(),
        ),
    ];
    for (_, note) in rows.into_iter().filter(|(applies, _)| *applies) {
        paragraph(out, width, "note: ", PLAIN, &format!("{note}."));
    }
}

/// Who called what, and where Envoy sent it.
fn call(group: &Group) -> String {
    let Group { count, verdict, caller, method, authority, path, cluster, route } = group;
    let named = [("cluster", cluster), ("route", route)].into_iter().filter(|(_, name)| !name.is_empty());
    let named: Vec<String> = named.map(|(what, name)| format!("{what} {name}")).collect();
    let named = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
    format!("{} {verdict}: {caller} -> {method} {authority}{path}{named}", grouped(*count))
}

fn heading(source: &Source) -> String {
    let Source { kind, target, since, seconds } = source;
    let time = seconds.map(|seconds| format_duration(Duration::from_secs(seconds)).to_string());
    let when = match (since, time) {
        (Since::Window, time) => format!("in the last {}", time.unwrap_or_default()),
        (Since::Start, Some(time)) => format!("in the {time} since its start"),
        (Since::Start, None) => "since Envoy's start".to_owned(),
    };
    format!("{kind:?} at {target}, {when}")
}

/// One line for each role, mode and direction.
fn summary(out: &mut String, report: &Report<'_>) {
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

fn contexts(summary: &Summary) -> String {
    let others: Vec<String> = Verdict::ALL
        .iter()
        .filter(|context| **context != Verdict::Continued || summary.expected.is_none())
        .map(|context| (context.label(), summary.requests(*context)))
        .filter(|(_, count)| *count > 0)
        .map(|(label, count)| format!("{} {label}", grouped(count)))
        .collect();
    let begin = match summary.expected {
        Some(0) => "no context was expected".to_owned(),
        Some(expected) => {
            let intact = summary.requests(Verdict::Continued);
            let style = if intact == expected { GREEN } else { RED };
            let share = share(intact, expected);
            format!("{style}{} of {} contexts intact{style:#}{share}", grouped(intact), grouped(expected))
        }
        None => "none expected".to_owned(),
    };
    if others.is_empty() { begin } else { format!("{begin}: {}", others.join(", ")) }
}

fn entry(out: &mut String, width: usize, place: usize, finding: &Finding) {
    let Finding { who, advice, .. } = finding;
    let style = match advice.rank {
        Rank::Blind | Rank::Broken => RED,
        Rank::Missing => YELLOW,
    };
    let begin = format!("{place}. ");
    let indent = " ".repeat(begin.len());
    out.push('\n');
    paragraph(out, width, &begin, style, &format!("{}: {}", who.name(), advice.what));
    let _ = writeln!(out, "{indent}{}", amount(finding));
    for (label, text) in [("cause", &advice.cause), ("fix", &advice.fix), ("see", &advice.runbook)] {
        paragraph(out, width, &format!("{indent}{label:<7}"), PLAIN, text);
    }
}

fn amount(finding: &Finding) -> String {
    let Finding { advice, labels, count, of, .. } = finding;
    let ending = if of.unwrap_or(*count) == 1 { "" } else { "s" };
    let among = of.map(|of| format!(" of {}", grouped(of))).unwrap_or_default();
    let share = of.map(|of| share(*count, of)).unwrap_or_default();
    let much = format!("{}{among} {}{ending}{share}", grouped(*count), advice.unit);
    let shown = ["direction", "mode", "header", "reason", "cause"].into_iter();
    let shown: Vec<&str> = shown.filter_map(|label| labels.get(label).map(String::as_str)).collect();
    let shown = if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) };
    format!("{BOLD}{much}{BOLD:#}{shown}")
}

/// A text in lines, behind a label.
fn paragraph(out: &mut String, width: usize, label: &str, style: Style, text: &str) {
    lines::paragraph(out, width, label, text, [DIM, style]);
}

/// A share of enough to speak of one; never rounded up to all or down to nothing.
fn share(part: u64, whole: u64) -> String {
    if whole < FEW || part == 0 {
        return String::new();
    }
    match u128::from(part) * 1000 / u128::from(whole) {
        0 => ", less than 0.1 %".to_owned(),
        permille => format!(", {}.{} %", permille / 10, permille % 10),
    }
}
