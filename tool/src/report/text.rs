//! A report for people.

mod calls;
mod causes;
mod comparison;
mod summary;
mod table;

use std::fmt::Write;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};

use super::causes::Percent;
use super::{Options, Report};
use crate::lines::{self, plural};
pub(super) use calls::calls_alone;
pub(super) use causes::one_line;
pub(super) use summary::{intact, places};
pub(super) use table::table;

/// What there is to say of a Prometheus that knows nothing.
pub(super) const NOTHING: &str = "it has no series of Tracewarden, nor of any Envoy. Is Envoy's /stats/prometheus scraped, \
                                  and does --match leave it in?";

/// The widest that lines become, however wide the terminal.
const MAX_WIDTH: usize = 100;
/// Of fewer than so many requests no share is shown.
const FEW: u64 = 100;
/// So many builds and sources are named in the heading.
const NAMED: usize = 3;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// How much is shown, and in which width.
pub(super) struct Look {
    /// How many of each list.
    pub(super) top: usize,
    /// Whether to name everyone whom a cause concerns.
    pub(super) all: bool,
    pub(super) width: usize,
    /// Whether lines that are wider would be broken.
    pub(super) is_terminal: bool,
}

impl Look {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            top: if options.all { usize::MAX } else { options.top },
            all: options.all,
            width: width(),
            is_terminal: std::io::stdout().is_terminal(),
        }
    }
}

/// How wide lines may be: the terminal, within reason.
pub(crate) fn width() -> usize {
    textwrap::termwidth().min(MAX_WIDTH)
}

/// The whole report.
pub(super) fn lines(report: &Report, least: Option<Percent>, look: &Look) -> String {
    let mut out = String::new();
    let width = look.width;
    paragraph(&mut out, width, "", PLAIN, &summary::heading(&report.sources));
    let builds: Vec<String> = report.builds.iter().map(|build| build.name()).collect();
    if !builds.is_empty() {
        paragraph(&mut out, width, "", PLAIN, &format!("Tracewarden {}", capped(&builds, NAMED)));
    }
    if let Some(baseline) = &report.baseline {
        out.push('\n');
        comparison::comparison(&mut out, baseline, look);
    }
    out.push('\n');
    summary::summary(&mut out, report);
    table(&mut out, &report.workloads, look);
    causes::causes(&mut out, &report.findings, look);
    ending(&mut out, report, least, width);
    if let Some(found) = &report.calls {
        out.push('\n');
        calls::calls(&mut out, found, look);
    }
    for note in &report.notes {
        out.push('\n');
        paragraph(&mut out, width, "note: ", PLAIN, note);
    }
    out
}

/// What is hidden, and that nothing is wrong.
fn ending(out: &mut String, report: &Report, least: Option<Percent>, width: usize) {
    if report.hidden > 0 {
        out.push('\n');
        let least = least.map(|least| least.to_string()).unwrap_or_default();
        let findings = plural(report.hidden as u64, "finding");
        let text =
            format!("Hidden: {findings} that concern less than {least} of their requests (--min-share).");
        paragraph(out, width, "", PLAIN, &text);
    } else if report.findings.is_empty() {
        let said = if report.summary.is_empty() {
            format!("{YELLOW}Tracewarden has counted no request.{YELLOW:#}")
        } else {
            format!("{GREEN}Nothing is lost or corrupt.{GREEN:#}")
        };
        let _ = writeln!(out, "\n{said}");
    }
}

/// The first names, and how many more there are.
fn capped(names: &[String], most: usize) -> String {
    let first = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// A text in lines, behind a label.
fn paragraph(out: &mut String, width: usize, label: &str, style: Style, text: &str) {
    lines::paragraph(out, width, label, text, [DIM, style]);
}

/// A share of enough to speak of one; never rounded up to all or down to nothing.
fn share(part: u64, whole: u64) -> String {
    if whole < FEW || part == 0 { String::new() } else { format!(", {}", percent(part, whole)) }
}

/// A share, whatever it is of.
fn percent(part: u64, whole: u64) -> String {
    match u128::from(part) * 1000 / u128::from(whole.max(1)) {
        0 if part > 0 => "less than 0.1 %".to_owned(),
        permille => format!("{}.{} %", permille / 10, permille % 10),
    }
}
