//! Which calls a log says are broken.

use std::fmt::Write;

use super::{Look, PLAIN, paragraph};
use crate::lines::{grouped, plural};
use crate::report::calls::{Calls, Group};

/// The calls alone, without counters.
pub(in crate::report) fn calls_alone(found: &Calls, look: &Look) -> String {
    let mut out = String::new();
    calls(&mut out, found, look);
    out
}

pub(super) fn calls(out: &mut String, found: &Calls, look: &Look) {
    let Calls { groups, broken, others, unread, left_out } = found;
    let Look { top, width, .. } = *look;
    let heading =
        format!("{} in the log, and {}", plural(*broken, "broken call"), plural(*others, "other line"));
    paragraph(out, width, "", PLAIN, &heading);
    for group in groups.iter().take(top) {
        paragraph(out, width, "  ", PLAIN, &call(group));
    }
    let more: Vec<u64> = groups.iter().skip(top).map(|group| group.count).collect();
    if !more.is_empty() {
        let calls = plural(more.iter().sum(), "call");
        let _ = writeln!(out, "and {} more kinds ({calls}): --all shows all", more.len());
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
