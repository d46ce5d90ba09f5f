//! One line for each workload: how complete its contexts are, and what is wrong with it in a few words.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use tracewarden::metrics::Counter;
use tracewarden::words::{Role, Verdict};

use super::advice::{Kind, Rank};
use super::findings::{Finding, add, is_expected};
use super::reading::{Reading, Who};

/// A workload; of a single Envoy a listener.
#[derive(Clone, Serialize)]
pub(super) struct Workload {
    pub(super) who: Who,
    /// Everything that the filter saw.
    pub(super) requests: u64,
    /// The requests that should have had a context.
    #[serde(rename = "due")]
    pub(super) expected: u64,
    pub(super) intact: u64,
    pub(super) lost: u64,
    pub(super) corrupt: u64,
    pub(super) unlinked: u64,
    pub(super) repaired: u64,
    /// Requests that Tracewarden let pass without looking at them, or did not see.
    pub(super) uncounted: u64,
    /// What decides the exit status, worst first.
    pub(super) causes: Vec<Kind>,
    /// What else is missing.
    pub(super) others: Vec<Kind>,
    /// Words for all of it, worst first.
    #[serde(skip)]
    pub(super) words: Vec<String>,
    /// How bad the worst of it is, and how many requests that concerns.
    #[serde(skip)]
    pub(super) worst: Option<(Rank, u64)>,
}

/// One for each workload that has requests or findings. What is wrong with them is still to be said.
pub(super) fn workloads(reading: &Reading, findings: &[Finding]) -> Vec<Workload> {
    let mut all: BTreeMap<Who, Workload> = BTreeMap::new();
    for row in reading.rows() {
        if !matches!(row.counter, Counter::Request { .. } | Counter::Repair { .. } | Counter::Bypassed) {
            continue;
        }
        let who = row.who.row();
        let workload = all.entry(who).or_insert_with_key(Workload::new);
        match row.counter {
            Counter::Request { role, context, .. } => workload.count(role, context, row.count),
            Counter::Repair { .. } => add(&mut workload.repaired, row.count),
            _ => add(&mut workload.uncounted, row.count),
        }
    }
    for finding in findings {
        let workload = all.entry(finding.who.row()).or_insert_with_key(Workload::new);
        if matches!(finding.advice.kind, Kind::NotRunning | Kind::PartlyRunning) {
            add(&mut workload.uncounted, finding.count);
        }
    }
    all.into_values().collect()
}

/// Says what is wrong with each, by what is found, and sorts them: worst first.
pub(super) fn judge(workloads: &mut [Workload], findings: &[Finding]) {
    let mut found: BTreeMap<Who, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        found.entry(finding.who.row()).or_default().push(finding);
    }
    for workload in &mut *workloads {
        for finding in found.get(&workload.who).into_iter().flatten() {
            workload.blame(finding);
        }
    }
    workloads.sort_by_cached_key(|workload| {
        let place = workload.worst.map_or((1, None), |(rank, count)| (0, Some((rank, Reverse(count)))));
        (place, Reverse(workload.expected), workload.who.clone())
    });
}

impl Workload {
    fn new(who: &Who) -> Self {
        Self {
            who: who.clone(),
            requests: 0,
            expected: 0,
            intact: 0,
            lost: 0,
            corrupt: 0,
            unlinked: 0,
            repaired: 0,
            uncounted: 0,
            causes: Vec::new(),
            others: Vec::new(),
            words: Vec::new(),
            worst: None,
        }
    }

    fn count(&mut self, role: Role, context: Verdict, count: u64) {
        add(&mut self.requests, count);
        if role != Role::Internal || !is_expected(context) {
            return;
        }
        add(&mut self.expected, count);
        let place = match context {
            Verdict::Continued => &mut self.intact,
            Verdict::Lost => &mut self.lost,
            Verdict::Corrupt => &mut self.corrupt,
            _ => &mut self.unlinked,
        };
        add(place, count);
    }

    fn blame(&mut self, finding: &Finding) {
        let advice = &finding.advice;
        let kinds = if advice.rank == Rank::Missing { &mut self.others } else { &mut self.causes };
        if !kinds.contains(&advice.kind) {
            kinds.push(advice.kind);
        }
        if !self.words.contains(&advice.short) {
            self.words.push(advice.short.clone());
        }
        self.worst = Some(match self.worst {
            None => (advice.rank, finding.count),
            Some((rank, count)) if rank == advice.rank => (rank, count.saturating_add(finding.count)),
            Some(worst) => worst,
        });
    }

    /// All requests that there were, seen or not.
    pub(super) const fn all(&self) -> u64 {
        self.requests.saturating_add(self.uncounted)
    }
}
