//! Which calls are broken: an access log that shows only those, as docs/logs.md has it.

use std::collections::HashMap;
use std::io::BufReader;
use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tracewarden::words::{Labelled, Verdict};

use super::input::next_line;
use super::reading::clean;
use crate::open;

/// What a log says.
#[derive(Debug, Default, Serialize)]
pub(super) struct Calls {
    /// Calls that are alike, the most first.
    pub(super) groups: Vec<Group>,
    pub(super) broken: u64,
    /// Lines of JSON about other requests, or about none.
    pub(super) others: u64,
    /// Lines that are no JSON.
    pub(super) unread: u64,
    /// Broken calls beyond the groups that are told apart.
    pub(super) left_out: u64,
}

/// Calls that are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(super) struct Group {
    pub(super) count: u64,
    pub(super) verdict: &'static str,
    pub(super) caller: String,
    pub(super) method: String,
    pub(super) authority: String,
    pub(super) path: String,
    /// The name of the destination that Envoy chose, which the caller has no say in. Empty if Envoy chose none.
    pub(super) cluster: String,
    /// The route's name, empty if it has none.
    pub(super) route: String,
}

/// A line. Other formats of a log may have other fields.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    trace_context: Option<String>,
    #[serde(default)]
    caller: Option<String>,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    authority: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    cluster: Option<String>,
    #[serde(default)]
    route: Option<String>,
}

/// So many kinds of calls are told apart, whatever paths somebody makes up.
const MAX_GROUPS: usize = 5_000;
/// The longest line that is read as one.
const MAX_LINE: usize = 64 << 10;
/// So many parts of a path tell calls apart.
const MAX_PARTS: usize = 4;

/// Reads logs, if there are any.
pub(super) fn read(files: &[String]) -> Result<Option<Calls>, String> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut calls = Calls::default();
    let mut counts = HashMap::new();
    for file in files {
        let failed = |error| format!("{}: {error}", clean(file));
        let mut from = BufReader::new(open(Path::new(file)).map_err(failed)?);
        let mut line = Vec::new();
        while next_line(&mut from, &mut line, MAX_LINE).map_err(failed)? {
            calls.take(&line, &mut counts);
        }
    }
    calls.groups = counts.into_iter().map(|(group, count)| Group { count, ..group }).collect();
    calls.groups.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.cmp(other)));
    Ok(Some(calls))
}

impl Calls {
    fn take(&mut self, line: &[u8], counts: &mut HashMap<Group, u64>) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let json = from_brace(line);
        let Ok(line) = serde_json::from_slice::<Line>(json) else {
            // Another program's log may have the same names for fields that are no text.
            let is_json = serde_json::from_slice::<IgnoredAny>(json).is_ok();
            *if is_json { &mut self.others } else { &mut self.unread } += 1;
            return;
        };
        let verdict = line.trace_context.as_deref().and_then(Verdict::of_label);
        let Some(verdict) = verdict.filter(|verdict| verdict.is_broken()) else {
            self.others += 1;
            return;
        };
        self.broken += 1;
        let group = line.group(verdict);
        let is_room = counts.len() < MAX_GROUPS;
        match counts.get_mut(&group) {
            Some(count) => *count += 1,
            None if is_room => drop(counts.insert(group, 1)),
            None => self.left_out += 1,
        }
    }
}

impl Line {
    fn group(&self, verdict: Verdict) -> Group {
        let text = |text: &Option<String>| text.as_deref().filter(|text| *text != "-").map(clean);
        let caller = text(&self.caller).or_else(|| text(&self.address));
        Group {
            count: 0,
            verdict: verdict.label(),
            caller: caller.unwrap_or_else(|| "(unknown)".to_owned()),
            method: text(&self.method).unwrap_or_else(|| "-".to_owned()),
            authority: text(&self.authority).unwrap_or_default(),
            path: shape(&text(&self.path).unwrap_or_default()),
            cluster: text(&self.cluster).unwrap_or_default(),
            route: text(&self.route).unwrap_or_default(),
        }
    }
}

/// The line without what `kubectl logs --prefix`, `--timestamps` and container runtimes write before it.
fn from_brace(line: &[u8]) -> &[u8] {
    let begin = line.iter().position(|byte| *byte == b'{').unwrap_or(0);
    line.get(begin..).unwrap_or_default()
}

/// A path without what differs from call to call: parts with a digit, and what is deep.
fn shape(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut parts = path.split('/');
    let shaped = parts.by_ref().take(MAX_PARTS + 1).map(|part| {
        if part.bytes().any(|byte| byte.is_ascii_digit()) && !is_version(part) { "*" } else { part }
    });
    let shaped = shaped.collect::<Vec<_>>().join("/");
    if parts.next().is_some() { format!("{shaped}/…") } else { shaped }
}

/// Whether it is `v1` or the like.
fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|number| {
        !number.is_empty() && number.len() < 3 && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
