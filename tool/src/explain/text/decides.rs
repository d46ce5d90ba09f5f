//! What the filter decides, and why.

use tracewarden::words::{Labelled, ParentId, Verdict};

use super::{field, wrapped};
use crate::explain::answer::{Answer, Filtered};
use crate::explain::decision::Decision;
use crate::explain::json::rounded;
use crate::explain::reading::Reading;
use crate::explain::rules::reason;

/// The verdict and what happens.
pub(super) fn headline(out: &mut String, answer: &Answer, filtered: &Filtered) {
    if answer.exchange.request.is_none() {
        return;
    }
    let Some(verdict) = filtered.verdict() else {
        out.push_str("no verdict: the filter judges no request, and changes no header\n");
        return;
    };
    let reasons = answer.reading.iter().flat_map(|reading| &reading.invalid);
    let reasons: Vec<String> = reasons.map(|one| reason(*one)).collect();
    let why = match verdict {
        Verdict::Corrupt if !reasons.is_empty() => reasons.join("; "),
        _ => sentence(verdict.meaning()),
    };
    out.push_str(&wrapped("", &format!("{}: {why}", verdict.label())));
    out.push_str(&wrapped("", &format!("{} {}", goes_on(answer, filtered), sampled(filtered))));
    if verdict != Verdict::Corrupt && !reasons.is_empty() {
        out.push_str(&wrapped("", &format!("Also invalid: {}.", reasons.join("; "))));
    }
}

/// What becomes of the context.
fn goes_on(answer: &Answer, filtered: &Filtered) -> &'static str {
    let came = answer.reading.as_ref().and_then(Reading::context);
    let trace = answer.reading.as_ref().and_then(|reading| reading.trace_id.as_deref());
    let is_changed = filtered.changes_request(&answer.exchange);
    match (filtered.sent(), came) {
        _ if !is_changed => "No header is changed.",
        _ if filtered.verdict() == Some(Verdict::Excluded) => "Nothing is written, and headers are removed.",
        (None, _) => "No context goes on.",
        (Some(sent), Some(came)) if sent == came => "The same context goes on, and headers are changed.",
        (Some(sent), Some(came)) if sent.trace_id == came.trace_id && sent.parent_id != came.parent_id => {
            "The trace goes on with a new parent-id."
        }
        (Some(sent), _) if trace == Some(sent.trace_id.to_string().as_str()) => {
            "The trace goes on; headers are written."
        }
        (Some(_), _) => "A new trace starts.",
    }
}

/// What is decided, in a sentence.
fn sampled(filtered: &Filtered) -> String {
    let Some(decision) = filtered.decision else { return String::new() };
    let limit = if decision.is_limited { " The rate limit can drop it." } else { "" };
    match (decision.sampled, decision.probability) {
        (Some(true), _) => "It is recorded.".to_owned(),
        (Some(false), _) => "It is not recorded.".to_owned(),
        (None, Some(probability)) if decision.is_open() => {
            format!("Chance decides: it is recorded with probability {}.{limit}", rounded(probability))
        }
        (None, _) => format!("It is recorded within the rate limit.{limit}"),
    }
}

/// Each decision, in the order in which the filter makes them.
pub(super) fn decisions(out: &mut String, answer: &Answer, filtered: &Filtered) {
    out.push_str("\nWhat the filter decides\n");
    let mut row = |name: &str, value: &str| out.push_str(&field(name, value));
    let (config, request) = (&filtered.config, &filtered.config.request);
    let kind = [request.mode.label(), request.role.label(), filtered.direction().label()].join(", ");
    row("filter", &if config.enabled { kind } else { "not enabled".to_owned() });
    let Some(why) = &filtered.why else { return };
    match (why.trusted, &why.trusted_by) {
        (true, Some(entry)) => row("trust", &format!("the sender is trusted by {entry}")),
        (true, None) => row("trust", "every sender is trusted (trust.default)"),
        (false, _) => {
            row("trust", &format!("the sender is not trusted (trust.untrusted: {})", why.untrusted))
        }
    }
    match &why.egress {
        Some((entry, strip)) => row("egress", &format!("{entry} matches: strip {strip}")),
        None => row("egress", "no entry applies"),
    }
    match &why.excluded_by {
        Some(entry) => row("exclude", &format!("left alone because of {entry}")),
        None => row("exclude", "no entry matches"),
    }
    for name in &why.removed {
        row("remove", &format!("propagation.remove names {name}"));
    }
    if let Some(format) = filtered.format() {
        row("format", format.label());
    }
    row("sampling", &ground(filtered));
    if let Some(reason) = new_parent(answer, filtered) {
        row("parent-id", &format!("new: {reason}"));
    }
    if let Some(repair) = filtered.repair() {
        row("repair", &format!("{}: {}", repair.label(), sentence(repair.meaning())));
    }
    if config.export.is_some() {
        let records = filtered.outcomes.first().is_some_and(|outcome| outcome.run.has_span);
        row("span", if records { "recorded, if the trace is" } else { "none" });
    }
}

/// Why a trace that goes on has another parent-id.
fn new_parent(answer: &Answer, filtered: &Filtered) -> Option<&'static str> {
    let (reading, request) = (answer.reading.as_ref()?, &filtered.config.request);
    let sent = filtered.sent()?;
    let (trace, parent) = (sent.trace_id.to_string(), sent.parent_id.to_string());
    if reading.trace_id.as_ref() != Some(&trace) || reading.parent_id.as_ref() == Some(&parent) {
        return None;
    }
    let is_recorded = filtered.decision.is_some_and(|decision| decision.sampled != Some(false));
    Some(match &reading.parent_id {
        _ if filtered.why.as_ref().is_some_and(|why| !why.trusted) => "the sender is not trusted",
        None => "what came names no parent",
        _ if request.parent_id == ParentId::New => "parent_id: new",
        _ if filtered.config.export.is_some() && (is_recorded || request.sampling.errors.is_some()) => {
            "a span of this hop can have it"
        }
        _ => "what came does not say what was decided (TP-32)",
    })
}

/// On what ground the sampling decision is made.
fn ground(filtered: &Filtered) -> String {
    let Some(decision) = filtered.decision else {
        let why = if filtered.observes() { "mode: observe" } else { "no context goes on" };
        return format!("nothing is decided: {why}");
    };
    let limit = if decision.is_limited { "; over the limit of traces per second it is dropped" } else { "" };
    let by = by(filtered, decision);
    match decision.sampled {
        Some(true) => format!("recorded, {by}"),
        Some(false) => format!("not recorded, {by}"),
        None if decision.is_open() => format!("not decided: chance decides, {by}{limit}"),
        None => format!("recorded, {by}, within the limit{limit}"),
    }
}

fn by(filtered: &Filtered, decision: Decision) -> String {
    let rule = filtered.rule().map_or_else(String::new, |rule| format!(" {rule}"));
    let name = format!("by {}{rule}", decision.by.label());
    match decision.probability {
        Some(probability) if decision.sampled.is_some() && probability > 0.0 && probability < 1.0 => {
            format!("{name} {}: the trace-id that came makes it certain", rounded(probability))
        }
        Some(probability) => format!("{name} {}", rounded(probability)),
        None => format!("{name}: {}", sentence(decision.by.meaning())),
    }
}

/// A meaning as a part of a sentence, without Markdown.
fn sentence(meaning: &str) -> String {
    let (first, rest) = meaning.trim_end_matches('.').split_at_checked(1).unwrap_or_default();
    format!("{}{}", first.to_ascii_lowercase(), rest.replace('`', ""))
}
