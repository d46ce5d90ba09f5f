//! What a reading says: how complete contexts are, and what is wrong, worst first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use tracewarden::words::{BatchResult, Direction, Mode, ResponseContext, Role, Verdict};

use serde::Serialize;
use tracewarden::metrics::Counter;

use super::advice::{self, Advice, Rank, Received};
use super::names::{Labels, labels_of};
use super::reading::{Reading, Row, Who};

/// Below so many requests, and below one in so many seconds, an Envoy that Tracewarden does not see says nothing: the
/// alert's bound.
const FEW: u64 = 20;
const A_FEW_SECONDS: u64 = 5;
/// Tracewarden runs if it sees more than one in so many of Envoy's requests; the rest are listeners without a filter.
const HARDLY_ANY: u64 = 10;
/// An application that is given one context for so many calls has not lost the others: no fan-out explains them, a job does.
const FAN_OUT: u64 = 100;

/// What all Envoys together received in one role, mode and direction.
#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) role: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) direction: &'static str,
    /// Requests by what came in.
    pub(crate) requests: BTreeMap<&'static str, u64>,
    /// The requests that should have brought a context; at the edge none should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<u64>,
}

/// What is wrong with somebody's requests.
pub(crate) struct Finding {
    pub(crate) who: Who,
    pub(crate) advice: Advice,
    /// The labels of the counter that says so.
    pub(crate) labels: Labels,
    pub(crate) count: u64,
    /// Of how many, where that is known.
    pub(crate) of: Option<u64>,
}

/// What a workload receives.
#[derive(Default)]
struct Inbound {
    /// Whether it receives requests.
    is_any: bool,
    /// Those that gave its application a context.
    given: u64,
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
            due: (role == Role::Internal).then_some(0),
        });
        add(summary.requests.entry(context.label()).or_default(), row.count);
        if let Some(due) = summary.due.as_mut().filter(|_| is_due(context)) {
            add(due, row.count);
        }
    }
    all.into_values().collect()
}

/// How contexts were mended: so many, by that means.
pub(crate) fn mended(reading: &Reading) -> BTreeMap<&'static str, u64> {
    let mut all = BTreeMap::new();
    for row in reading.rows() {
        if let Counter::Repair { by, .. } = row.counter {
            add(all.entry(by.label()).or_default(), row.count);
        }
    }
    all
}

/// A server can tell any number.
const fn add(sum: &mut u64, count: u64) {
    *sum = sum.saturating_add(count);
}

/// What is wrong, worst first.
pub(crate) fn findings(reading: &Reading) -> Vec<Finding> {
    let inbound = inbound(reading);
    let received = |row: Row<'_>| {
        inbound.get(&row.who.owner()).map_or(Received::Nothing, |inbound| inbound.beside(row.count))
    };
    let counted = reading.rows().filter_map(|row| counted(reading, row, received(row)));
    let derived = reading
        .owners()
        .into_iter()
        .flat_map(|owner| [not_running(reading, owner), unreachable(reading, owner)]);
    let mut all: Vec<Finding> = counted.chain(derived.flatten()).collect();
    all.sort_by_cached_key(|finding| {
        let Finding { who, advice, labels, count, .. } = finding;
        (advice.rank, Reverse(*count), who.clone(), advice.kind, labels.clone())
    });
    all
}

/// What a counter says.
fn counted(reading: &Reading, row: Row<'_>, received: Received) -> Option<Finding> {
    let advice = match row.counter {
        Counter::Request { role: Role::Internal, context: Verdict::Corrupt, direction, .. } => {
            let mut others = reading.rows_at(row.who);
            let has_reason = others.any(|other| way_of_corruption(other.counter) == Some(direction));
            (!has_reason).then(|| advice::unexplained(direction, received))
        }
        Counter::Corrupt { direction, .. } if is_edge(reading, row.who, direction) => None,
        counter => advice::of(counter, received),
    }?;
    let of = base(reading, row).filter(|of| *of >= row.count);
    Some(Finding { who: row.who.clone(), advice, labels: labels_of(row.counter), count: row.count, of })
}

const fn way_of_corruption(counter: Counter) -> Option<Direction> {
    match counter {
        Counter::Corrupt { direction, .. } => Some(direction),
        _ => None,
    }
}

/// Of how many there could have been so many.
fn base(reading: &Reading, row: Row<'_>) -> Option<u64> {
    let among = |is: fn(Counter) -> bool| Some(sum(reading.rows_at(row.who), is));
    match row.counter {
        Counter::Request { direction, mode, .. } => Some(due(reading, row.who, direction, mode)),
        // It has no label `mode`, and what is only observed is not mixed with what is mended.
        Counter::Corrupt { direction, .. } => {
            let due = Mode::ALL.iter().map(|&mode| due(reading, row.who, direction, mode));
            let mut due = due.filter(|due| *due > 0);
            due.next().filter(|_| due.next().is_none())
        }
        Counter::Response { .. } => among(
            |counter| matches!(counter, Counter::Response { context } if context != ResponseContext::Absent),
        ),
        Counter::SpanDropped { .. } => among(|counter| counter == Counter::SpanRecorded),
        _ => None,
    }
}

/// The requests that should have brought a context.
fn due(reading: &Reading, who: &Who, way: Direction, whether: Mode) -> u64 {
    sum(reading.rows_at(who), |counter| {
        matches!(counter, Counter::Request { direction, role: Role::Internal, mode, context }
            if direction == way && mode == whether && is_due(context))
    })
}

fn sum<'a>(rows: impl Iterator<Item = Row<'a>>, is: impl Fn(Counter) -> bool) -> u64 {
    rows.filter(|row| is(row.counter)).fold(0, |sum, row| sum.saturating_add(row.count))
}

/// Whether a context was due, and none of it came to be excluded, or to start a trace anew.
const fn is_due(context: Verdict) -> bool {
    match context {
        Verdict::Continued | Verdict::Lost | Verdict::Corrupt | Verdict::Unlinked => true,
        Verdict::Started | Verdict::Untrusted | Verdict::Excluded => false,
    }
}

/// Whether nothing is due there: what outsiders send is not the mesh's.
fn is_edge(reading: &Reading, who: &Who, way: Direction) -> bool {
    let roles: Vec<Role> = reading
        .rows_at(who)
        .filter_map(|row| match row.counter {
            Counter::Request { direction, role, .. } if direction == way => Some(role),
            _ => None,
        })
        .collect();
    roles.contains(&Role::Edge) && !roles.contains(&Role::Internal)
}

/// What each workload receives.
fn inbound(reading: &Reading) -> BTreeMap<Who, Inbound> {
    let mut all: BTreeMap<_, Inbound> = BTreeMap::new();
    for row in reading.rows() {
        let inbound = all.entry(row.who.owner()).or_default();
        inbound.is_any |= way_of_request(row.counter) == Some(Direction::Inbound);
        if gives_context(row.counter) {
            add(&mut inbound.given, row.count);
        }
    }
    all
}

impl Inbound {
    /// What it is beside so many requests.
    const fn beside(&self, count: u64) -> Received {
        if self.given > 0 && self.given.saturating_mul(FAN_OUT) >= count {
            Received::Contexts
        } else if self.is_any {
            Received::Requests
        } else {
            Received::Nothing
        }
    }
}

/// Whether it counts requests that gave the application a context: one that came in, or that the filter made or gave back.
const fn gives_context(counter: Counter) -> bool {
    match counter {
        Counter::Request { direction: Direction::Inbound, mode, context, .. } => match context {
            Verdict::Continued => true,
            Verdict::Started | Verdict::Untrusted => matches!(mode, Mode::Enforce),
            Verdict::Lost | Verdict::Corrupt | Verdict::Unlinked | Verdict::Excluded => false,
        },
        Counter::Repair { direction: Direction::Inbound, .. } => true,
        _ => false,
    }
}

const fn way_of_request(counter: Counter) -> Option<Direction> {
    match counter {
        Counter::Request { direction, .. } => Some(direction),
        _ => None,
    }
}

/// An Envoy that serves requests which Tracewarden does not see.
fn not_running(reading: &Reading, owner: &Who) -> Option<Finding> {
    let served = reading.served(owner);
    let of = |advice, count| Finding {
        who: owner.clone(),
        advice,
        labels: Labels::new(),
        count,
        of: Some(served),
    };
    let few = reading.seconds.map_or(FEW, |seconds| FEW.max(seconds / A_FEW_SECONDS));
    if !reading.loaded.contains(owner) {
        // Where others have the filter, an Envoy may well be without it on purpose.
        let rank = if reading.loaded.is_empty() { Rank::Blind } else { Rank::Beside };
        return (served >= few || reading.is_of_one).then(|| of(advice::absent(rank), served));
    }
    let seen = sum(reading.rows_of(owner), |counter| matches!(counter, Counter::Request { .. }));
    let bypassed = sum(reading.rows_of(owner), |counter| counter == Counter::Bypassed);
    let hardly_any = seen <= served / HARDLY_ANY;
    (served >= few && hardly_any && bypassed == 0).then(|| of(advice::stopped(), served - seen))
}

/// Uploads of spans of which none arrives.
fn unreachable(reading: &Reading, owner: &Who) -> Option<Finding> {
    let batches = |wanted: bool| {
        sum(
            reading.rows_of(owner),
            |counter| matches!(counter, Counter::Batch { result } if arrives(result) == wanted),
        )
    };
    let (failed, advice) = (batches(false), advice::unreachable());
    (failed > 0 && batches(true) == 0).then(|| Finding {
        who: owner.clone(),
        advice,
        labels: Labels::new(),
        count: failed,
        of: Some(failed),
    })
}

const fn arrives(result: BatchResult) -> bool {
    match result {
        BatchResult::Exported | BatchResult::Partial => true,
        BatchResult::Retried | BatchResult::Refused | BatchResult::GaveUp | BatchResult::NotSent => false,
    }
}
