//! What a span says of its request's context, in the words of the metrics.

use std::borrow::Cow;

use super::{KeyValue, Value};
use crate::request::Finding;
use crate::words::Verdict;

const CONTEXT: &str = "tracewarden.context";
const REASON: &str = "tracewarden.reason";
const REPAIR: &str = "tracewarden.repair";
const CONFLICT: &str = "tracewarden.conflict";

/// Adds what a pass found. Of a context that was as it should be, that is nothing.
pub(super) fn tell(finding: &Finding, attributes: &mut Vec<KeyValue<'_>>) {
    let Finding { context, reason, repair, conflict } = finding;
    let is_usual = matches!(context, Verdict::Continued | Verdict::Started);
    let said = [
        (CONTEXT, (!is_usual).then(|| context.label())),
        (REASON, reason.map(|reason| reason.reason())),
        (REPAIR, repair.map(|repair| repair.label())),
        (CONFLICT, conflict.map(|format| format.label())),
    ];
    for (key, value) in said {
        attributes.extend(value.map(|value| KeyValue { key, value: Value::Text(Cow::Borrowed(value)) }));
    }
}
