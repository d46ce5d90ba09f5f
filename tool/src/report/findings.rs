//! What a reading says: how complete contexts are, and what is wrong, worst first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use tracewarden::metrics::Counter;
use tracewarden::words::{BatchResult, Direction, Mode, ResponseContext, Role, Verdict};

use super::advice::{self, Advice, Kind, Rank, Received, Texts};
use super::names::{Labels, labels_of};
use super::reading::{Reading, Row, Who};

/// Below so many requests, and below one in so many seconds, an Envoy that Tracewarden does not see says nothing: the
/// alert's bound.
const FEW: u64 = 20;
const A_FEW_SECONDS: u64 = 5;
/// Tracewarden runs if it sees more than one in so many of Envoy's requests.
const HARDLY_ANY: u64 = 10;
/// It sees them all if it misses at most one in so many: requests are under way while counters are read.
const NEARLY_ALL: u64 = 20;
/// An application that is given one context for so many calls has not lost the others: no fan-out explains them, a job does.
const FAN_OUT: u64 = 100;

/// Who is named in a note, at most.
const NAMED: usize = 5;

/// What all Envoys together received in one role, mode and direction.
#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) role: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) direction: &'static str,
    /// Requests by what came in.
    pub(crate) requests: BTreeMap<&'static str, u64>,
    /// The requests that should have brought a context; at the edge none should.
    #[serde(rename = "due", skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<u64>,
}

/// What is wrong with the requests of one workload or listener.
#[derive(Serialize)]
pub(crate) struct Finding {
    pub(crate) who: Who,
    #[serde(flatten)]
    pub(crate) advice: Advice,
    /// The labels of the counter that says so.
    pub(crate) labels: Labels,
    pub(crate) count: u64,
    /// Of how many, where that is known.
    pub(crate) of: Option<u64>,
}

/// What findings are made of.
struct Findings<'a> {
    reading: &'a Reading,
    texts: &'a Texts,
    /// How many contexts the application of each workload that receives requests was given.
    given: BTreeMap<Who, u64>,
}

impl Summary {
    pub(crate) fn requests(&self, context: Verdict) -> u64 {
        self.requests.get(context.label()).copied().unwrap_or(0)
    }
}

/// One summary for each role, mode and direction that has requests.
pub(crate) fn summaries(reading: &Reading) -> Vec<Summary> {
    let mut all: BTreeMap<_, Summary> = BTreeMap::new();
    for row in reading.rows() {
        let Counter::Request { direction, role, mode, context } = row.counter else { continue };
        let place = (role != Role::Internal, mode as usize, direction as usize);
        let summary = all.entry(place).or_insert_with(|| Summary {
            role: role.label(),
            mode: mode.label(),
            direction: direction.label(),
            requests: BTreeMap::new(),
            expected: (role == Role::Internal).then_some(0),
        });
        add(summary.requests.entry(context.label()).or_default(), row.count);
        if let Some(expected) = summary.expected.as_mut().filter(|_| is_expected(context)) {
            add(expected, row.count);
        }
    }
    all.into_values().collect()
}

/// What was not looked at, though nothing is wrong that is known.
pub(crate) fn unchecked(reading: &Reading) -> Vec<String> {
    let calls = |owner: &&Who| {
        !reading.correlated.contains(owner)
            && reading.rows_of(owner).any(|row| {
                matches!(
                    row.counter,
                    Counter::Request { direction: Direction::Outbound, role: Role::Internal, .. }
                )
            })
    };
    let unchecked: Vec<&Who> = reading.owners().into_iter().filter(calls).collect();
    let off: Vec<&Who> = reading.switched_off.iter().collect();
    let torn = "Torn traces are not checked, because correlation is off: ";
    [(torn, unchecked), ("A plugin is switched off (enabled: false): ", off)]
        .into_iter()
        .filter(|(_, owners)| !owners.is_empty())
        .map(|(said, owners)| format!("{said}{}.", names(&owners)))
        .collect()
}

fn names(owners: &[&Who]) -> String {
    let named: Vec<String> = owners.iter().take(NAMED).map(|owner| owner.name()).collect();
    match owners.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// How many contexts were repaired, by each means.
pub(crate) fn repaired(reading: &Reading) -> BTreeMap<&'static str, u64> {
    let mut all = BTreeMap::new();
    for row in reading.rows() {
        if let Counter::Repair { by, .. } = row.counter {
            add(all.entry(by.label()).or_default(), row.count);
        }
    }
    all
}

/// A server can report any number.
pub(super) const fn add(sum: &mut u64, count: u64) {
    *sum = sum.saturating_add(count);
}

fn sum<'a>(rows: impl Iterator<Item = Row<'a>>, is: impl Fn(Counter) -> bool) -> u64 {
    rows.filter(|row| is(row.counter)).fold(0, |sum, row| sum.saturating_add(row.count))
}

/// What is wrong, worst first.
pub(crate) fn findings(reading: &Reading, texts: &Texts) -> Vec<Finding> {
    let findings = Findings { reading, texts, given: given(reading) };
    let counted = reading.rows().filter_map(|row| findings.counted(row));
    let owners = reading.owners().into_iter();
    let derived = owners.flat_map(|owner| [findings.not_running(owner), findings.unreachable(owner)]);
    let mut all: Vec<Finding> = counted.chain(derived.flatten()).collect();
    all.sort_by_cached_key(|finding| {
        let Finding { who, advice, labels, count, .. } = finding;
        (advice.rank, Reverse(*count), who.clone(), advice.kind, labels.clone())
    });
    all
}

/// How many contexts each workload's application was given: that came in, or that the filter made or gave back.
fn given(reading: &Reading) -> BTreeMap<Who, u64> {
    let mut all = BTreeMap::new();
    for row in reading.rows() {
        let is_given = match row.counter {
            Counter::Repair { direction: Direction::Inbound, .. } => true,
            Counter::Request { direction: Direction::Inbound, mode, context, .. } => match context {
                Verdict::Continued => true,
                Verdict::Started | Verdict::Untrusted => mode == Mode::Enforce,
                Verdict::Lost | Verdict::Corrupt | Verdict::Unlinked | Verdict::Excluded => false,
            },
            _ => continue,
        };
        add(all.entry(row.who.owner()).or_default(), if is_given { row.count } else { 0 });
    }
    all
}

impl Findings<'_> {
    /// What a counter says.
    fn counted(&self, row: Row<'_>) -> Option<Finding> {
        let received = self.received(row);
        let (kind, rank) = advice::kind(row.counter, received)?;
        if self.is_no_finding_of_its_own(row) {
            return None;
        }
        let labels = labels_of(row.counter);
        let mut known = labels.clone();
        known.insert("received".to_owned(), received.label().to_owned());
        if let Counter::Corrupt { corruption, .. } = row.counter {
            known.insert("corruption".to_owned(), corruption.to_string());
        }
        let advice = self.texts.advice(kind, rank, &known);
        let of = self.base(row).filter(|of| *of >= row.count);
        Some(Finding { who: row.who.clone(), advice, labels, count: row.count, of })
    }

    fn received(&self, row: Row<'_>) -> Received {
        match self.given.get(&row.who.owner()) {
            None => Received::Nothing,
            Some(&given) if given > 0 && given.saturating_mul(FAN_OUT) >= row.count => Received::Contexts,
            Some(_) => Received::Requests,
        }
    }

    /// Whether another counter says more of it: the reasons of a corrupt request, the evidence about a call. Or it is what
    /// outsiders send to the edge.
    fn is_no_finding_of_its_own(&self, row: Row<'_>) -> bool {
        let has = |is: &dyn Fn(Counter) -> bool| self.reading.rows_at(row.who).any(|row| is(row.counter));
        match row.counter {
            Counter::Request { direction: way, context: Verdict::Corrupt, .. } => {
                has(&|other| matches!(other, Counter::Corrupt { direction, .. } if direction == way))
            }
            Counter::Request { direction: Direction::Outbound, mode: whether, context: verdict, .. } => {
                has(&|other| {
                    matches!(other, Counter::Evidence { mode, context, .. }
                        if mode == whether && context == verdict)
                })
            }
            Counter::Corrupt { direction: way, .. } => {
                let receives = |wanted: Role| {
                    has(&|other| {
                        matches!(other, Counter::Request { direction, role, .. }
                            if direction == way && role == wanted)
                    })
                };
                receives(Role::Edge) && !receives(Role::Internal)
            }
            _ => false,
        }
    }

    /// Of how many there could have been so many.
    fn base(&self, row: Row<'_>) -> Option<u64> {
        let among = |is: fn(Counter) -> bool| Some(sum(self.reading.rows_at(row.who), is));
        match row.counter {
            Counter::Request { direction, mode, .. } => Some(self.expected(row.who, direction, mode)),
            Counter::Evidence { mode, .. } => Some(self.expected(row.who, Direction::Outbound, mode)),
            // It has no label `mode`, and what is only observed is not mixed with what is repaired.
            Counter::Corrupt { direction, .. } => {
                let expected = Mode::ALL.iter().map(|&mode| self.expected(row.who, direction, mode));
                let mut expected = expected.filter(|expected| *expected > 0);
                expected.next().filter(|_| expected.next().is_none())
            }
            Counter::Response { .. } => among(
                |counter| matches!(counter, Counter::Response { context } if context != ResponseContext::Absent),
            ),
            Counter::SpanDropped { .. } => among(|counter| counter == Counter::SpanRecorded),
            _ => None,
        }
    }

    /// The requests that should have brought a context.
    fn expected(&self, who: &Who, way: Direction, whether: Mode) -> u64 {
        sum(self.reading.rows_at(who), |counter| {
            matches!(counter, Counter::Request { direction, role: Role::Internal, mode, context }
                if direction == way && mode == whether && is_expected(context))
        })
    }

    /// An Envoy that serves requests which Tracewarden does not see, or not all of them.
    fn not_running(&self, owner: &Who) -> Option<Finding> {
        let Reading { seconds, loaded, is_of_one, .. } = self.reading;
        let served = self.reading.served(owner);
        let few = seconds.map_or(FEW, |seconds| FEW.max(seconds / A_FEW_SECONDS));
        if self.reading.switched_off.contains(owner) {
            return None;
        }
        if !loaded.contains(owner) {
            // Where others have the filter, an Envoy may well be without it on purpose.
            let rank = if loaded.is_empty() { Rank::Blind } else { Rank::Missing };
            let absent = [("counters".to_owned(), "absent".to_owned())].into();
            let advice = self.texts.advice(Kind::NotRunning, rank, &absent);
            return (served >= few || *is_of_one).then(|| of_owner(owner, advice, served, served));
        }
        let seen = sum(self.reading.rows_of(owner), |counter| matches!(counter, Counter::Request { .. }));
        let bypassed = sum(self.reading.rows_of(owner), |counter| counter == Counter::Bypassed);
        let missed = served.saturating_sub(seen.saturating_add(bypassed));
        let (kind, is_missing) = match seen <= served / HARDLY_ANY {
            true => (Kind::NotRunning, bypassed == 0),
            false => (Kind::PartlyRunning, missed > served / NEARLY_ALL),
        };
        let advice = self.texts.advice(kind, Rank::Blind, &Labels::new());
        (served >= few && is_missing).then(|| of_owner(owner, advice, missed, served))
    }

    /// Uploads of spans of which none arrives.
    fn unreachable(&self, owner: &Who) -> Option<Finding> {
        let batches = |is: fn(Counter) -> bool| sum(self.reading.rows_of(owner), is);
        let arrived = batches(|counter| matches!(counter, Counter::Batch { result } if arrives(result)));
        let failed = batches(|counter| matches!(counter, Counter::Batch { result } if !arrives(result)));
        let advice = self.texts.advice(Kind::CollectorUnreachable, Rank::Missing, &Labels::new());
        (failed > 0 && arrived == 0).then(|| of_owner(owner, advice, failed, failed))
    }
}

fn of_owner(owner: &Who, advice: Advice, count: u64, of: u64) -> Finding {
    Finding { who: owner.clone(), advice, labels: Labels::new(), count, of: Some(of) }
}

/// Whether the request should have brought a context: it is neither excluded nor the first of a trace.
pub(super) const fn is_expected(context: Verdict) -> bool {
    match context {
        Verdict::Continued | Verdict::Lost | Verdict::Corrupt | Verdict::Unlinked => true,
        Verdict::Started | Verdict::Untrusted | Verdict::Excluded => false,
    }
}

const fn arrives(result: BatchResult) -> bool {
    match result {
        BatchResult::Exported | BatchResult::Partial => true,
        BatchResult::Retried | BatchResult::Refused | BatchResult::GaveUp | BatchResult::NotSent => false,
    }
}
