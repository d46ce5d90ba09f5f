//! Asking again and again: what is counted in between, and what has changed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anstyle::{AnsiColor, Style};
use humantime::{format_duration, format_rfc3339_seconds};

use super::advice::{Kind, Rank};
use super::causes::causes;
use super::names::Labels;
use super::reading::printable;
use super::source::{Since, Source, Sources, Taken};
use super::text::{self, Look};
use super::{Options, Report};
use crate::lines::{grouped, paragraph, plural};

/// How far back a Prometheus is read each time: some of its scrapes.
const WATCHED: u64 = 300;
/// Clears a terminal, and goes to its first place.
const CLEAR: &[u8] = b"\x1b[2J\x1b[H";

const PLAIN: Style = Style::new();
const NEW: Style = AnsiColor::Red.on_default().bold();
const GONE: Style = AnsiColor::Green.on_default();

/// What is known of a cause: in words, and how often it was counted.
type Known = BTreeMap<(Kind, Labels), (String, u64)>;

/// What is watched, and what was seen so far.
struct Watch<'a> {
    options: &'a Options,
    json: bool,
    look: Look,
    /// Whether each time takes the place of the one before, on a terminal.
    redraws: bool,
    /// The causes of the last time, if there was one.
    known: Option<Known>,
    /// 1 from the first time on that traces broke.
    status: Arc<AtomicU8>,
}

/// Prints what is counted each time, until it was so often, nobody reads it, or Ctrl-C is pressed. The exit status is 1 if
/// traces broke at any of these times.
pub(crate) fn watch(options: &Options, every: u64, json: bool) -> Result<u8, String> {
    let plain = |problem: String| printable(&problem).collect::<String>();
    let sources = Sources::new(&options.asking, WATCHED).map_err(plain)?;
    if let Some(file) = sources.saved() {
        return Err(plain(format!(
            "{file}: --watch needs servers, which it can ask again, and this is a file"
        )));
    }
    let status = Arc::new(AtomicU8::new(0));
    let at_end = Arc::clone(&status);
    ctrlc::set_handler(move || std::process::exit(i32::from(at_end.load(Ordering::SeqCst))))
        .map_err(|error| format!("--watch cannot end at Ctrl-C: {error}"))?;
    let look = Look::of(options);
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let redraws = look.is_terminal && !is_dumb && !json;
    let mut watch = Watch { options, json, look, redraws, known: None, status };
    watch.all(&sources, every).map_err(plain)?;
    Ok(watch.status.load(Ordering::SeqCst))
}

impl Options {
    /// How often to ask again, in seconds, if at all.
    pub(crate) const fn watched(&self) -> Option<u64> {
        self.watch
    }
}

impl Watch<'_> {
    fn all(&mut self, sources: &Sources<'_>, every: u64) -> Result<(), String> {
        let most = self.options.count.unwrap_or(u64::MAX);
        let mut before = sources.take()?;
        let (mut asked, mut times) = (Instant::now(), 0);
        let mut last = Ok(true);
        // A Prometheus says at once what was counted lately. An Envoy does not know.
        if before.iter().all(|taken| taken.since == Since::Window) && most > 0 {
            times += 1;
            last = self.show(sources, before.clone());
        } else if self.redraws {
            let (sources, _) = sources.join(before.clone());
            let _ = is_written(format!("{}; first counts in {every}s\n", heading(&sources)).as_bytes());
        }
        while times < most && last != Ok(false) {
            if let Err(problem) = &last {
                eprintln!("tracewarden: {}", printable(problem).collect::<String>());
            }
            std::thread::sleep(Duration::from_secs(every));
            times += 1;
            last = sources.take().and_then(|now| {
                let seconds = asked.elapsed().as_secs_f64().round() as u64;
                asked = Instant::now();
                let since = Taken::since(now.clone(), &before, seconds.max(1));
                before = now;
                self.show(sources, since)
            });
        }
        // The last time decides whether it could be read.
        last.map(|_| ())
    }

    /// Prints what was counted this time, and says whether somebody still reads it.
    fn show(&mut self, sources: &Sources<'_>, taken: Vec<Taken>) -> Result<bool, String> {
        let (sources, reading) = sources.join(taken);
        let report = Report::of(sources, &reading, self.options)?;
        if report.is_bad() {
            self.status.store(1, Ordering::SeqCst);
        }
        if self.json {
            let value = serde_json::to_value(&report).map_err(|error| error.to_string())?;
            return Ok(is_written(format!("{value}\n").as_bytes()));
        }
        // Without colours, too, a terminal is cleared.
        if self.redraws && io::stdout().write_all(CLEAR).is_err() {
            return Ok(false);
        }
        let heading = self.redraws.then(|| heading(&report.sources));
        let block = self.block(&report, heading.as_deref());
        Ok(is_written(block.as_bytes()))
    }

    /// What there is to say of this time. On a terminal, the heading and the table are part of it.
    fn block(&mut self, report: &Report, heading: Option<&str>) -> String {
        let mut out = heading.map(|heading| format!("{heading}\n\n")).unwrap_or_default();
        let now = format_rfc3339_seconds(SystemTime::now());
        let seconds = report.sources.iter().filter_map(|source| source.seconds).max().unwrap_or(0);
        let time = format_duration(Duration::from_secs(seconds));
        let said =
            if report.summary.is_empty() { "no request".to_owned() } else { text::intact(&report.summary) };
        out.push_str(&format!("{now}, the last {time}: {said}\n"));
        if heading.is_some() && !report.workloads.is_empty() {
            text::table(&mut out, &report.workloads, &self.look);
            out.push('\n');
        }
        let before = self.known.take();
        let known = self.causes(&mut out, report, before.as_ref());
        for (key, (line, _)) in before.iter().flatten() {
            if !known.contains_key(key) {
                paragraph(&mut out, self.look.width, "  gone  ", line, [PLAIN, GONE]);
            }
        }
        self.known = Some(known);
        out.push('\n');
        out
    }

    /// Each cause in a line, with what it was the last time.
    fn causes(&self, out: &mut String, report: &Report, before: Option<&Known>) -> Known {
        let mut known = Known::new();
        for (place, cause) in causes(&report.findings).iter().enumerate() {
            let key = (cause.advice.kind, cause.labels.clone());
            let [line, amount] = text::one_line(cause);
            if place < self.look.top {
                let (label, ending) = match before.map(|known| known.get(&key)) {
                    Some(Some((_, count))) => ("        ", format!(", before {}", grouped(*count))),
                    Some(None) => ("  new   ", String::new()),
                    None => ("        ", String::new()),
                };
                let is_new = label.contains("new") && cause.advice.rank != Rank::Missing;
                let style = if is_new { NEW } else { PLAIN };
                paragraph(out, self.look.width, label, &format!("{line}: {amount}{ending}"), [PLAIN, style]);
            }
            known.entry(key).or_insert((line, cause.count));
        }
        let more = known.len().saturating_sub(self.look.top);
        if more > 0 {
            out.push_str(&format!("        and {more} more: --all shows them\n"));
        }
        if report.hidden > 0 {
            let hidden = plural(report.hidden as u64, "finding");
            out.push_str(&format!("        {hidden} hidden (--min-share)\n"));
        } else if known.is_empty() && !report.summary.is_empty() {
            out.push_str("        nothing is lost or corrupt\n");
        }
        known
    }
}

/// What is watched.
fn heading(sources: &[Source]) -> String {
    format!("{}. Ctrl-C ends it", text::places(sources))
}

fn is_written(text: &[u8]) -> bool {
    let mut out = anstream::stdout();
    out.write_all(text).and_then(|()| out.flush()).is_ok()
}
