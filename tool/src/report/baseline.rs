//! Whether workloads got better or worse than an earlier report said: a gate that known losses pass.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::causes::Percent;
use super::input::from_json;
use super::names::Labels;
use super::reading::clean;
use super::table::Workload;
use crate::lines::bounded;
use crate::web::MAX_ANSWER;

/// Kinds of causes that are worse at any number of requests, because they mean that requests are not seen.
const BLIND: [&str; 3] = ["bypassed", "not_running", "partly_running"];

/// Shares that differ by less are equal: fractions are rounded.
const EXACT: f64 = 1e-9;

/// What is compared, and how exactly.
pub(super) struct Bounds {
    /// So much more of the contexts may be missing, and it is the same.
    pub(super) tolerance: Percent,
    /// Of fewer requests nothing is said.
    pub(super) least: u64,
}

/// An earlier report, as far as it is compared.
#[derive(Deserialize)]
struct Earlier {
    workloads: Option<Vec<Before>>,
}

/// A workload in it.
#[derive(Deserialize)]
struct Before {
    who: Labels,
    #[serde(rename = "due")]
    expected: u64,
    intact: u64,
    uncounted: u64,
    causes: BTreeSet<String>,
}

/// How everything compares.
#[derive(Serialize)]
pub(super) struct Comparison {
    pub(super) file: String,
    /// How many workloads got worse; if any did, the exit status is 1.
    pub(super) worse: usize,
    /// Worst first.
    pub(super) workloads: Vec<Compared>,
}

/// How a workload compares.
#[derive(Serialize)]
pub(super) struct Compared {
    pub(super) who: Labels,
    #[serde(skip)]
    pub(super) name: String,
    pub(super) verdict: Change,
    pub(super) before: Option<Contexts>,
    pub(super) now: Option<Contexts>,
    pub(super) new_causes: Vec<String>,
    pub(super) gone_causes: Vec<String>,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct Contexts {
    #[serde(rename = "due")]
    pub(super) expected: u64,
    pub(super) intact: u64,
    pub(super) uncounted: u64,
}

/// What became of a workload, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    Worse,
    /// Only the earlier report has it.
    Gone,
    /// Only this report has it.
    New,
    /// Too few requests to tell.
    TooFew,
    Better,
    Same,
}

/// Reads an earlier report, and compares.
pub(super) fn compare(file: &str, workloads: &[Workload], bounds: &Bounds) -> Result<Comparison, String> {
    let failed = |problem: String| format!("--baseline {}: {problem}", clean(file));
    let mut before: BTreeMap<Labels, Before> = BTreeMap::new();
    for workload in read(file).map_err(failed)? {
        before.insert(workload.who.clone(), workload);
    }
    let mut all: Vec<Compared> = Vec::new();
    for workload in workloads {
        let who = Labels::from(workload.who.clone());
        let earlier = before.remove(&who);
        all.push(compared(who, earlier, workload, bounds));
    }
    all.extend(before.into_values().map(Before::gone));
    all.sort_by(|one, other| one.verdict.cmp(&other.verdict).then_with(|| one.who.cmp(&other.who)));
    let worse = all.iter().filter(|one| one.verdict == Change::Worse).count();
    Ok(Comparison { file: clean(file), worse, workloads: all })
}

fn read(file: &str) -> Result<Vec<Before>, String> {
    let bytes = bounded(Path::new(file), MAX_ANSWER as usize).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => format!("it is longer than {} MiB", MAX_ANSWER >> 20),
        _ => error.to_string(),
    })?;
    let earlier: Earlier = serde_json::from_slice(from_json(&bytes))
        .map_err(|error| format!("expected what `tracewarden report --json` printed: {error}"))?;
    let no_workloads = || {
        "expected what `tracewarden report --json` printed, found no `workloads`; an older version wrote none"
            .to_owned()
    };
    earlier.workloads.ok_or_else(no_workloads)
}

fn compared(who: Labels, earlier: Option<Before>, now: &Workload, bounds: &Bounds) -> Compared {
    let causes: BTreeSet<String> = now.causes.iter().map(word).collect();
    let known = earlier.as_ref().map(|before| before.causes.clone()).unwrap_or_default();
    let verdict = match &earlier {
        None => Change::New,
        Some(before) => bounds.verdict(before, now, &causes),
    };
    Compared {
        who,
        name: now.who.name(),
        verdict,
        before: earlier.as_ref().map(Before::contexts),
        now: Some(now.contexts()),
        new_causes: causes.difference(&known).cloned().collect(),
        gone_causes: known.difference(&causes).cloned().collect(),
    }
}

/// The word of a kind in JSON.
fn word(kind: &super::advice::Kind) -> String {
    match serde_json::to_value(kind) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

impl Bounds {
    fn verdict(&self, before: &Before, now: &Workload, causes: &BTreeSet<String>) -> Change {
        let mut new = causes.difference(&before.causes);
        if new.clone().any(|kind| BLIND.contains(&kind.as_str())) {
            return Change::Worse;
        }
        let is_enough = |requests| requests >= self.least;
        let moved = match (before.contexts().missing(self.least), now.contexts().missing(self.least)) {
            (Some(was), Some(is)) => Some((is - was, self.tolerance.share())),
            _ => None,
        };
        let is_more = |(by, tolerance): (f64, f64)| by > tolerance + EXACT;
        if moved.is_some_and(is_more) || (is_enough(now.all()) && new.next().is_some()) {
            return Change::Worse;
        }
        let is_less = moved.is_some_and(|(by, tolerance)| -by > tolerance + EXACT);
        let is_gone = is_enough(now.all()) && before.causes.difference(causes).next().is_some();
        match moved {
            _ if is_less || is_gone => Change::Better,
            None if before.expected > 0 || now.expected > 0 => Change::TooFew,
            _ => Change::Same,
        }
    }
}

impl Workload {
    const fn contexts(&self) -> Contexts {
        Contexts { expected: self.expected, intact: self.intact, uncounted: self.uncounted }
    }
}

impl Before {
    const fn contexts(&self) -> Contexts {
        Contexts { expected: self.expected, intact: self.intact, uncounted: self.uncounted }
    }

    fn gone(self) -> Compared {
        let contexts = self.contexts();
        let Self { who, causes, .. } = self;
        let who: Labels = who.iter().map(|(label, value)| (clean(label), clean(value))).collect();
        Compared {
            name: name(&who),
            who,
            verdict: Change::Gone,
            before: Some(contexts),
            now: None,
            new_causes: Vec::new(),
            gone_causes: causes.iter().map(|cause| clean(cause)).collect(),
        }
    }
}

/// As a report names it.
fn name(labels: &Labels) -> String {
    let values: Vec<&str> = labels.values().map(String::as_str).collect();
    if values.is_empty() { "this Envoy".to_owned() } else { values.join("/") }
}

impl Contexts {
    /// How much of the requests have no intact context or were not seen, if there are at least so many.
    fn missing(self, least: u64) -> Option<f64> {
        let all = self.expected.saturating_add(self.uncounted);
        (all > 0 && all >= least).then(|| 1.0 - self.intact.min(all) as f64 / all as f64)
    }
}
