//! The answer for people: the verdict and what happens first, then the details.

mod happens;

use std::fmt::Write;

use textwrap::Options;
use tracewarden::words::{Format, Labelled, Verdict};

use self::happens::happens;
use super::answer::{Answer, Filtered};
use super::decision::Decision;
use super::escape::{printable, short};
use super::host::Record;
use super::json::rounded;
use super::reading::{self, Found, Reading};
use super::rules::reason;

/// How wide a line is.
const WIDTH: usize = 80;
/// Where the second column begins.
const COLUMN: usize = 15;

/// The whole answer.
pub(super) fn answers(answers: &[Answer], notes: &[String]) -> String {
    let mut out = String::new();
    for (answer, number) in answers.iter().zip(1..) {
        if answers.len() > 1 {
            let _ = writeln!(out, "{}Request {number}", if number == 1 { "" } else { "\n" });
        }
        one(&mut out, answer);
    }
    for note in notes {
        out.push_str(&wrapped("", note));
    }
    if answers.iter().all(|answer| answer.filtered.is_none()) {
        out.push_str("--config FILE shows what a filter does with it.\n");
    }
    out
}

fn one(out: &mut String, answer: &Answer) {
    if let Some(filtered) = &answer.filtered {
        headline(out, answer, filtered);
    } else if let Some(reading) = &answer.reading {
        out.push_str(&wrapped("", &sentence(reading)));
    }
    if let Some(reading) = &answer.reading {
        out.push_str("What came\n");
        came(out, answer, reading);
    }
    if let Some(response) = &answer.response {
        out.push_str("What the response says\n");
        answered(out, response);
    }
    if let Some(filtered) = &answer.filtered {
        decisions(out, filtered);
        happens(out, answer, filtered);
        if !filtered.notes.is_empty() {
            out.push_str("What is open\n");
        }
        filtered.notes.iter().for_each(|note| out.push_str(&wrapped("  ", note)));
    }
}

/// What the headers hold, in one sentence.
fn sentence(reading: &Reading) -> String {
    let format = reading.format.map_or("", Format::label);
    let but = if reading.is_valid() { "" } else { " But something is wrong: see below." };
    match (reading.found, reading.sampled) {
        (Found::Context, Some(true)) => format!("valid: {format} names a trace that is sampled.{but}"),
        (Found::Context, Some(false)) => format!("valid: {format} names a trace that is not sampled.{but}"),
        (Found::Context, None) => {
            format!("valid: {format} names a trace and leaves open whether it is sampled.{but}")
        }
        (Found::Decision, sampled) => format!(
            "valid: no trace, only a decision: {}. The filter obeys it for the trace that starts (B3-10).{but}",
            if sampled == Some(true) { "sample" } else { "do not sample" }
        ),
        (Found::Invalid, _) => {
            let reasons: Vec<String> = reading.invalid.iter().map(|one| reason(*one)).collect();
            format!("invalid: {}", reasons.join("; "))
        }
        (Found::Nothing, _) => "none: no header holds a context in a format that is read".to_owned(),
    }
}

/// The verdict and what happens.
fn headline(out: &mut String, answer: &Answer, filtered: &Filtered) {
    match filtered.verdict() {
        Some(verdict) => {
            let reasons = answer.reading.iter().flat_map(|reading| &reading.invalid);
            let reasons: Vec<String> = reasons.map(|one| reason(*one)).collect();
            let why = match verdict {
                Verdict::Corrupt if !reasons.is_empty() => reasons.join("; "),
                _ => verdict.meaning().trim_end_matches('.').to_owned(),
            };
            out.push_str(&wrapped("", &format!("{}: {why}", verdict.label())));
        }
        None if answer.exchange.request.is_some() => {
            out.push_str("no verdict: the filter judges no request\n")
        }
        None => return,
    }
    out.push_str(&wrapped("", &format!("{} {}", goes_on(answer, filtered), sampled(filtered))));
}

/// What becomes of the context.
fn goes_on(answer: &Answer, filtered: &Filtered) -> &'static str {
    let came = answer.reading.as_ref().and_then(Reading::context);
    let Some(outcome) = filtered.outcomes.first() else { return "" };
    let trace = answer.reading.as_ref().and_then(|reading| reading.trace_id.as_deref());
    match (outcome.run.sent, came) {
        _ if filtered.verdict() == Some(Verdict::Excluded) => "The filter leaves the request alone.",
        _ if filtered.verdict().is_none() || filtered.observes() => "No header is changed.",
        (None, _) if filtered.verdict() == Some(Verdict::Continued) => {
            "What came goes on, as far as the border lets it."
        }
        (None, _) => "No context goes on.",
        (Some(sent), Some(came)) if sent == came => "The context goes on as it came.",
        (Some(sent), _) if trace == Some(sent.trace_id.to_string().as_str()) => {
            "The trace goes on, and headers are written."
        }
        (Some(_), _) => "A new trace starts.",
    }
}

/// What is decided, as a sentence.
fn sampled(filtered: &Filtered) -> String {
    let Some(decision) = filtered.decision else { return String::new() };
    let limit = if decision.is_limited { " The rate limit can drop it." } else { "" };
    match (
        decision.probability,
        filtered.outcomes.first().map(|one| one.run.request.as_ref().and_then(Record::sampled)),
    ) {
        (Some(probability), _) => {
            format!("Chance decides: it is recorded with probability {}.{limit}", rounded(probability))
        }
        (None, Some(Some((true, _)))) => format!("It is recorded.{limit}"),
        _ => format!("It is not recorded.{limit}"),
    }
}

fn came(out: &mut String, answer: &Answer, reading: &Reading) {
    let request = answer.exchange.request.iter().flatten();
    let header = answer.filtered.as_ref().map_or("traceparent", |filtered| &*filtered.config.request.header);
    let carriers = Format::ALL.iter().flat_map(|format| format.headers().carriers);
    let mut carriers = carriers.copied().chain([header, "baggage", "x-request-id"]);
    let shown: Vec<_> =
        request.filter(|(name, _)| carriers.clone().any(|known| known.as_bytes() == name)).collect();
    debug_assert!(carriers.next().is_some());
    for (name, value) in shown {
        let _ = writeln!(out, "  {}: {}", printable(name), short(value));
    }
    let mut row = |name: &str, value: &str| out.push_str(&field(name, value));
    row("context", reading.found.label());
    reading.format.iter().for_each(|format| row("format", format.label()));
    reading.trace_id.iter().for_each(|id| row("trace-id", id));
    reading.parent_id.iter().for_each(|id| row("parent-id", id));
    match (reading.found, reading.sampled) {
        (Found::Context | Found::Decision, Some(sampled)) => row("sampled", yes(sampled)),
        (Found::Context, None) => row("sampled", "not decided: the filter decides"),
        _ => {}
    }
    reading.random.iter().for_each(|random| row("random", yes(*random)));
    for (key, value) in &reading.members {
        row("tracestate", &format!("{} = {}", printable(key), short(value)));
    }
    reading.invalid.iter().for_each(|one| row("invalid", &reason(*one)));
    for (used, other) in &reading.conflicts {
        row(
            "conflict",
            &format!("{} names another trace than {}, which counts", other.label(), used.label()),
        );
    }
    for format in &reading.unread {
        row("not read", &format!("{} came; propagation.extract does not name it", format.label()));
    }
}

fn answered(out: &mut String, answer: &reading::Answer) {
    let mut row = |name: &str, value: &str| out.push_str(&field(name, value));
    let meaning = match answer.context {
        "match" => "match: it names the trace of the request",
        "mismatch" => "mismatch: it names another trace than the request",
        "corrupt" => "corrupt: what it says of a trace is invalid",
        "valid" => "valid: it names a trace",
        _ => "absent: it names no trace",
    };
    row("context", meaning);
    if let Some(named) = &answer.named {
        row("trace-id", &named.trace_id.to_string());
        row("parent-id", &named.parent_id.to_string());
        row("sampled", yes(named.flags.is_sampled()));
    }
}

fn decisions(out: &mut String, filtered: &Filtered) {
    let Filtered { config, why, .. } = filtered;
    let request = &config.request;
    out.push_str("What the filter decides\n");
    let mut row = |name: &str, value: &str| out.push_str(&field(name, value));
    let kind =
        format!("{}, {}, {}", request.mode.label(), request.role.label(), filtered.direction().label());
    row("configuration", &kind);
    if filtered.request().is_none() || !config.enabled || config.audits_alone() {
        return;
    }
    match (why.trusted, &why.trusted_by) {
        (true, Some(entry)) => row("trust", &format!("the sender is trusted by {entry}")),
        (true, None) => row("trust", "every sender is trusted (trust.default)"),
        (false, _) => row("trust", "the sender is not trusted: no entry of trust.trusted names it"),
    }
    match &why.egress {
        Some((entry, strip)) => row("egress", &format!("{entry} matches: strip {strip}")),
        None => row("egress", "no entry matches"),
    }
    match &why.excluded_by {
        Some(entry) => row("exclude", &format!("excluded by {entry}")),
        None => row("exclude", "no entry matches"),
    }
    if let Some(verdict) = filtered.verdict() {
        row("verdict", &format!("{}: {}", verdict.label(), verdict.meaning()));
    }
    match filtered.decision {
        Some(decision) => row("sampling", &ground(filtered, decision)),
        None if filtered.observes() => row("sampling", "nothing is decided in mode: observe"),
        None => row("sampling", "nothing is decided: no context goes on"),
    }
    if let Some(repair) = filtered.repair() {
        row("repair", &format!("{}: {}", repair.label(), repair.meaning()));
    }
}

/// On what ground the sampling decision is made.
fn ground(filtered: &Filtered, decision: Decision) -> String {
    let by = decision.by;
    let rule = filtered.rule().map_or_else(String::new, |rule| format!(" ({rule})"));
    let limit =
        if decision.is_limited { "; over max_traces_per_second_per_worker it is dropped" } else { "" };
    match (decision.sampled, decision.probability) {
        (_, Some(probability)) => {
            format!(
                "not decided: recorded with probability {}, by {}{rule}{limit}",
                rounded(probability),
                by.label()
            )
        }
        (Some(true), None) => format!("recorded, by {}{rule}: {}", by.label(), by.meaning()),
        (Some(false), None) => format!("not recorded, by {}{rule}: {}", by.label(), by.meaning()),
        (None, None) => format!("recorded, by {}{rule}, within the rate{limit}", by.label()),
    }
}

fn field(name: &str, value: &str) -> String {
    wrapped(&format!("  {name:<COLUMN$}"), value)
}

/// A text behind a label, in lines that begin under one another.
fn wrapped(label: &str, text: &str) -> String {
    let indent = " ".repeat(label.len());
    let options = Options::new(WIDTH).initial_indent(label).subsequent_indent(&indent).break_words(false);
    let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
    let lines = textwrap::wrap(text.trim(), options);
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

const fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}
