//! What headers say.

use tracewarden::words::Format;

use super::{field, yes};
use crate::explain::answer::Answer;
use crate::explain::change::View;
use crate::explain::escape::{printable, short};
use crate::explain::ids::Draws;
use crate::explain::reading::{self, Found, Reading};
use crate::explain::rules::reason;

/// What a request's headers hold, in one sentence.
pub(super) fn sentence(reading: &Reading) -> String {
    let format = reading.format.map_or("", Format::label);
    let but = if reading.is_valid() { "" } else { " Something else is wrong: see below." };
    let sentence = match (reading.found, reading.sampled) {
        (Found::Context, Some(true)) => format!("valid: {format} names a trace that is sampled."),
        (Found::Context, Some(false)) => format!("valid: {format} names a trace that is not sampled."),
        (Found::Context, None) => {
            format!("valid: {format} names a trace and leaves open whether it is sampled.")
        }
        (Found::Decision, Some(true)) => format!("{DECISION} Sample. {OBEYED} (B3-10)."),
        (Found::Decision, _) => format!("{DECISION} Do not sample. {OBEYED} (B3-10, B3-11)."),
        (Found::Invalid, _) => {
            let reasons: Vec<String> = reading.invalid.iter().map(|one| reason(*one)).collect();
            return format!("invalid: {}", reasons.join("; "));
        }
        (Found::Nothing, _) => return "none: no header holds a context in a format that is read".to_owned(),
    };
    sentence + but
}

const DECISION: &str = "valid: no trace, only a decision:";
const OBEYED: &str = "The filter obeys it for the trace that starts";

/// The headers about traces, and what they say.
pub(super) fn came(out: &mut String, answer: &Answer, reading: &Reading) {
    let header = answer.filtered.as_ref().map_or("traceparent", |filtered| &*filtered.config.request.header);
    let secrets = answer.filtered.as_ref().map_or(&[][..], |filtered| &filtered.secrets);
    let view = View { secrets, draws: &Draws::default(), sent: None, is_short: true };
    let carriers = Format::ALL.iter().flat_map(|format| format.headers().carriers).copied();
    let known: Vec<&str> = carriers.chain([header, "baggage", "x-request-id"]).collect();
    let is_known = |name: &[u8]| known.iter().any(|known| known.as_bytes() == name);
    for (name, value) in answer.exchange.request.iter().flatten().filter(|(name, _)| is_known(name)) {
        out.push_str(&format!("  {}: {}\n", printable(name), view.value(name, value)));
    }
    rows(reading).iter().for_each(|(name, value)| out.push_str(&field(name, value)));
}

fn rows(reading: &Reading) -> Vec<(&'static str, String)> {
    let mut rows = vec![("context", reading.found.label().to_owned())];
    rows.extend(reading.format.map(|format| ("format", format.label().to_owned())));
    rows.extend(reading.trace_id.iter().map(|id| ("trace-id", id.clone())));
    rows.extend(reading.parent_id.iter().map(|id| ("parent-id", id.clone())));
    match (reading.found, reading.sampled) {
        (Found::Context | Found::Decision, Some(sampled)) => rows.push(("sampled", yes(sampled).to_owned())),
        (Found::Context, None) => rows.push(("sampled", "not decided: the filter decides".to_owned())),
        _ => {}
    }
    rows.extend(reading.random.map(|random| ("random", yes(random).to_owned())));
    let members = reading.members.iter();
    rows.extend(members.map(|(key, value)| ("tracestate", format!("{} = {}", printable(key), short(value)))));
    rows.extend(reading.invalid.iter().map(|one| ("invalid", reason(*one))));
    let conflict = |(used, other): &(Format, Format)| {
        format!("{} names another trace than {}, which counts", other.label(), used.label())
    };
    rows.extend(reading.conflicts.iter().map(|one| ("conflict", conflict(one))));
    let unread = |format: &Format| format!("{} came; propagation.extract does not name it", format.label());
    rows.extend(reading.unread.iter().map(|format| ("not read", unread(format))));
    rows
}

/// What a response says.
pub(super) fn answered(out: &mut String, answer: &reading::Answer) {
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
