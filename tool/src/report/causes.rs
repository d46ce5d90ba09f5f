//! Each cause once, with everyone whom it concerns.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::advice::{Advice, Kind, Rank};
use super::findings::Finding;
use super::names::Labels;
use super::reading::Who;
use super::table::Workload;

/// Findings that are alike: the same kind, the same labels of the counter, and the same advice.
pub(super) struct Cause<'a> {
    pub(super) advice: &'a Advice,
    pub(super) labels: &'a Labels,
    /// The worst first.
    pub(super) findings: Vec<&'a Finding>,
    pub(super) count: u64,
    /// Of how many, if that is known of each.
    pub(super) of: Option<u64>,
    /// How many workloads it concerns.
    pub(super) workloads: usize,
}

/// The causes of what was found, worst first.
pub(super) fn causes(findings: &[Finding]) -> Vec<Cause<'_>> {
    type Key<'a> = (Rank, Kind, &'a Labels, [&'a str; 3]);
    let mut alike: BTreeMap<Key<'_>, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let Advice { kind, rank, what, cause, fix, .. } = &finding.advice;
        let texts = [what, cause, fix].map(String::as_str);
        alike.entry((*rank, *kind, &finding.labels, texts)).or_default().push(finding);
    }
    let mut all: Vec<Cause<'_>> = alike.into_values().filter_map(Cause::of).collect();
    all.sort_by_key(|cause| (cause.advice.rank, Reverse(cause.count)));
    all
}

impl<'a> Cause<'a> {
    fn of(findings: Vec<&'a Finding>) -> Option<Self> {
        let first = findings.first()?;
        let rows: BTreeSet<Who> = findings.iter().map(|finding| finding.who.row()).collect();
        let of = findings.iter().map(|finding| finding.of);
        Some(Self {
            advice: &first.advice,
            labels: &first.labels,
            count: findings.iter().fold(0, |sum, finding| sum.saturating_add(finding.count)),
            of: of.reduce(|sum, of| Some(sum?.saturating_add(of?))).flatten(),
            workloads: rows.len(),
            findings,
        })
    }
}

/// A share in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Percent(f64);

impl Percent {
    /// Such as `5`, `0.5` or `5%`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_end_matches('%').trim_end();
        match number.parse() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self(percent)),
            _ => Err(format!("expected a percentage from 0 to 100, such as 0.5, found {text:?}")),
        }
    }

    /// Whether a part of a whole is less than that.
    pub(super) fn is_above(self, part: u64, whole: u64) -> bool {
        (part as f64) * 100.0 < self.0 * (whole as f64)
    }

    /// How much of one it is.
    pub(super) fn share(self) -> f64 {
        self.0 / 100.0
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// Takes out what concerns less than that share of a workload's requests, and says how many findings that were.
pub(super) fn hide(findings: &mut Vec<Finding>, workloads: &[Workload], least: Percent) -> usize {
    let all: BTreeMap<&Who, u64> = workloads.iter().map(|workload| (&workload.who, workload.all())).collect();
    let before = findings.len();
    findings.retain(|finding| {
        let whole = finding.of.or_else(|| all.get(&finding.who.row()).copied()).unwrap_or(0);
        !least.is_above(finding.count, whole)
    });
    before - findings.len()
}
