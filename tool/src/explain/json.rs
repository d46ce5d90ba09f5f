//! The answer for programs; `docs/explain.md` describes its fields.

use serde_json::{Map, Value, json};
use tracewarden::hop;
use tracewarden::metrics::{Corruption, Counter};
use tracewarden::words::Format;

use super::answer::{Answer, Filtered, listener};
use super::change::{Change, View};
use super::decision::Outcome;
use super::escape::printable;
use super::host::Record;
use super::input::Lines;
use super::reading::{self, Reading};
use super::rules::{broken, labels};

/// The whole answer.
pub(super) fn answers(answers: &[Answer], notes: &[String], is_valid: bool) -> Value {
    let exchanges: Vec<Value> = answers.iter().map(exchange).collect();
    json!({"valid": is_valid, "notes": notes, "exchanges": exchanges})
}

fn exchange(answer: &Answer) -> Value {
    json!({
        "request": answer.reading.as_ref().map(request),
        "response": answer.response.as_ref().map(response),
        "filter": answer.filtered.as_ref().map(|filtered| filter(answer, filtered)),
    })
}

fn request(reading: &Reading) -> Value {
    let text = |bytes: &[u8]| printable(bytes);
    let members: Map<String, Value> =
        reading.members.iter().map(|(key, value)| (text(key), text(value).into())).collect();
    let conflicts: Vec<Value> = reading.conflicts.iter().map(conflict).collect();
    json!({
        "valid": reading.is_valid(),
        "context": reading.found.label(),
        "format": reading.format.map(Format::label),
        "trace_id": reading.trace_id,
        "parent_id": reading.parent_id,
        "sampled": reading.sampled,
        "random": reading.random,
        "tracestate": members,
        "invalid": reading.invalid.iter().map(invalid).collect::<Vec<_>>(),
        "conflicts": conflicts,
        "unread": reading.unread.iter().map(|format| format.label()).collect::<Vec<_>>(),
    })
}

fn conflict((used, other): &(Format, Format)) -> Value {
    json!({"used": used.label(), "other": other.label()})
}

fn invalid(corruption: &Corruption) -> Value {
    let [header, reason] = labels(*corruption);
    json!({
        "header": header,
        "reason": reason,
        "message": corruption.to_string(),
        "rules": broken(*corruption),
    })
}

fn response(answer: &reading::Answer) -> Value {
    let named = answer.named.as_ref();
    json!({
        "valid": answer.is_valid,
        "context": answer.context,
        "trace_id": named.map(|named| named.trace_id.to_string()),
        "parent_id": named.map(|named| named.parent_id.to_string()),
        "sampled": named.map(|named| named.flags.is_sampled()),
    })
}

fn filter(answer: &Answer, filtered: &Filtered) -> Value {
    let Filtered { why, decision, config, .. } = filtered;
    let request = &config.request;
    let sampling = decision.map(|decision| {
        json!({
            "sampled": decision.sampled,
            "by": decision.by.label(),
            "rule": filtered.rule(),
            "probability": decision.probability.map(rounded),
            "can_exceed_rate": decision.is_limited,
        })
    });
    let why = why.as_ref();
    let egress = why.and_then(|why| why.egress.as_ref());
    let egress = egress.map(|(entry, strip)| json!({"entry": entry, "strip": strip}));
    json!({
        "enabled": config.enabled,
        "mode": request.mode.label(),
        "role": request.role.label(),
        "direction": filtered.direction().label(),
        "context": filtered.verdict().map(|verdict| verdict.label()),
        "excluded_by": why.and_then(|why| why.excluded_by.as_deref()),
        "trusted": why.map(|why| why.trusted),
        "trusted_by": why.and_then(|why| why.trusted_by.as_deref()),
        "egress": egress,
        "repair": filtered.repair().map(|repair| repair.label()),
        "sampling": sampling,
        "notes": filtered.notes,
        "outcomes": filtered.outcomes.iter().map(|one| outcome(answer, filtered, one)).collect::<Vec<_>>(),
    })
}

fn outcome(answer: &Answer, filtered: &Filtered, outcome: &Outcome) -> Value {
    let run = &outcome.run;
    let view = View { secrets: &filtered.secrets, draws: &run.draws, sent: run.sent, is_short: false };
    let message = |before: &Option<Lines>, record: &Option<Record>| {
        let (before, record) = (before.as_ref()?, record.as_ref()?);
        Some(json!({
            "before": before.iter().map(|(name, value)| json!([printable(name), view.value(name, value)])).collect::<Vec<_>>(),
            "after": view.lines(record).iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "changes": view.changes(before, record).iter().map(change).collect::<Vec<_>>(),
            "counters": record.counted.iter().map(|(counter, count)| counted(filtered, *counter, *count)).collect::<Vec<_>>(),
            "log_fields": fields(record, &view).into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect::<Map<_, _>>(),
            "log_lines": record.logged.iter().map(|line| view.draws.hide(&printable(line.as_bytes()), view.sent)).collect::<Vec<_>>(),
        }))
    };
    let sampled = run.request.as_ref().and_then(Record::sampled);
    json!({
        "probability": outcome.probability.map(rounded),
        "sampled": sampled.map(|(sampled, _)| sampled),
        "by": sampled.map(|(_, by)| by.label()),
        "span": run.has_span,
        "request": message(&answer.exchange.request, &run.request),
        "response": message(&answer.exchange.response, &run.response),
    })
}

fn change(change: &Change) -> Value {
    json!({"name": change.name, "before": change.before, "after": change.after})
}

fn counted(filtered: &Filtered, counter: Counter, count: u64) -> Value {
    let own = counter.labels().into_iter().map(|label| (label.name.to_owned(), label.value.into()));
    let listener = listener(&filtered.config, counter).map(|name| ("listener".to_owned(), name.into()));
    let labels: Map<String, Value> = listener.into_iter().chain(own).collect();
    json!({"name": counter.metric().name, "labels": labels, "count": count})
}

/// What an access log can show, without what filters leave for one another.
pub(super) fn fields(record: &Record, view: &View<'_>) -> Vec<(&'static str, String)> {
    let published = record.published.iter().filter(|(key, _)| *key != hop::KEY);
    published.map(|(key, value)| (*key, view.draws.hide(&printable(value), view.sent))).collect()
}

/// A probability in four significant digits, more than a threshold is exact to.
pub(super) fn rounded(probability: f64) -> f64 {
    format!("{probability:.3e}").parse().unwrap_or(probability)
}
