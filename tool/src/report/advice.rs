//! What a counter that should be zero means: its likely cause, and the fix. The texts are in `advice.yaml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracewarden::hop::HopChange;
use tracewarden::metrics::{Corruption, Counter};
use tracewarden::words::{Direction, Evidence, ResponseContext, Role, Verdict};

use super::names::Labels;

/// What is wrong, in one word for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Bypassed,
    NotRunning,
    PartlyRunning,
    LostByApplication,
    LostByCaller,
    Lost,
    LostByJobs,
    Corrupt,
    Torn,
    OwnTraces,
    Unlinked,
    BrokenByProxy,
    Conflict,
    Unread,
    SecondTrace,
    ResponseMismatch,
    ResponseCorrupt,
    CollectorUnreachable,
    SpansDropped,
    HostErrors,
}

/// How much is at stake, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Tracewarden does not see the requests at all.
    Blind,
    /// Traces are broken.
    Broken,
    /// Traces are intact, or never existed; something other than a trace is missing.
    Missing,
}

/// What a workload receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many contexts that its application would have one to send.
    Contexts,
    /// Requests, with next to no context.
    Requests,
    /// No request, as far as Tracewarden sees: it runs jobs, or it is a gateway that others call through.
    Nothing,
}

/// What there is to say of a finding.
#[derive(Serialize)]
pub(crate) struct Advice {
    pub(crate) kind: Kind,
    #[serde(skip)]
    pub(crate) rank: Rank,
    /// The word for one of what is counted.
    #[serde(skip)]
    pub(crate) unit: String,
    /// A few words for a table.
    #[serde(skip)]
    pub(crate) short: String,
    pub(crate) what: String,
    pub(crate) cause: String,
    #[serde(rename = "mend")]
    pub(crate) fix: String,
    pub(crate) runbook: String,
}

/// The texts of each kind of finding.
#[derive(Deserialize)]
pub(crate) struct Texts(BTreeMap<Kind, Vec<Row>>);

/// Texts by their names, for counters with certain labels.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    when: BTreeMap<String, Vec<String>>,
    #[serde(flatten)]
    texts: BTreeMap<String, String>,
}

impl Texts {
    pub(crate) fn read() -> Result<Self, String> {
        serde_saphyr::from_str(include_str!("advice.yaml")).map_err(|error| format!("advice.yaml: {error}"))
    }

    /// What to say of something wrong that these labels describe.
    pub(crate) fn advice(&self, kind: Kind, rank: Rank, labels: &Labels) -> Advice {
        let text = |name| self.text(kind, name, labels);
        Advice {
            kind,
            rank,
            unit: text("unit"),
            short: text("short"),
            what: text("what"),
            cause: text("cause"),
            fix: text("fix"),
            runbook: text("runbook"),
        }
    }

    fn text(&self, kind: Kind, name: &str, labels: &Labels) -> String {
        let mut rows = self.0.get(&kind).into_iter().flatten().filter(|row| row.fits(labels));
        let text = rows.find_map(|row| row.texts.get(name)).map_or("", String::as_str);
        // Every second piece was in braces.
        let pieces = text.split(['{', '}']).enumerate().map(|(place, piece)| match labels.get(piece) {
            _ if place % 2 == 0 => piece.to_owned(),
            Some(value) => value.clone(),
            None => self.text(kind, piece, labels),
        });
        pieces.collect()
    }
}

impl Row {
    fn fits(&self, labels: &Labels) -> bool {
        self.when.iter().all(|(label, values)| labels.get(label).is_some_and(|value| values.contains(value)))
    }
}

impl Received {
    /// The word for it in `advice.yaml`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Contexts => "contexts",
            Self::Requests => "requests",
            Self::Nothing => "nothing",
        }
    }
}

/// What is wrong if a counter has counted, given what the same workload receives. Every counter is matched, so that a new
/// one does not compile without it.
pub(crate) const fn kind(counter: Counter, received: Received) -> Option<(Kind, Rank)> {
    Some(match counter {
        Counter::Request { role: Role::Internal, direction, context, .. } => {
            return verdict(context, direction, received);
        }
        Counter::Corrupt { corruption: Corruption::TraceState(_) | Corruption::RequestId, .. } => {
            (Kind::Corrupt, Rank::Missing)
        }
        Counter::Corrupt { corruption: Corruption::TraceParent(_) | Corruption::Format(..), .. } => {
            (Kind::Corrupt, Rank::Broken)
        }
        Counter::Evidence { context, evidence, .. } => return weighed(context, evidence),
        Counter::Hop { change: HopChange::Replaced | HopChange::Removed } => {
            (Kind::BrokenByProxy, Rank::Broken)
        }
        Counter::Conflict { .. } => (Kind::Conflict, Rank::Broken),
        Counter::Unread { .. } => (Kind::Unread, Rank::Broken),
        Counter::SecondTrace { .. } => (Kind::SecondTrace, Rank::Broken),
        Counter::Response { context: ResponseContext::Mismatch } => (Kind::ResponseMismatch, Rank::Broken),
        Counter::Response { context: ResponseContext::Corrupt } => (Kind::ResponseCorrupt, Rank::Missing),
        Counter::SpanDropped { .. } => (Kind::SpansDropped, Rank::Missing),
        Counter::HostError { .. } => (Kind::HostErrors, Rank::Missing),
        Counter::Bypassed => (Kind::Bypassed, Rank::Blind),
        // At the edge no context is expected. The others count what was done, not what went wrong.
        Counter::Request { role: Role::Edge, .. }
        | Counter::Response { context: ResponseContext::Match | ResponseContext::Absent }
        | Counter::Repair { .. }
        | Counter::Sampled { .. }
        | Counter::Correlation { .. }
        | Counter::Format { .. }
        | Counter::Hop { .. }
        | Counter::SpanRecorded
        | Counter::SpanExported
        | Counter::Batch { .. }
        | Counter::BaggageLimited => return None,
    })
}

/// What a call is that was held against the requests which its pod received.
const fn weighed(context: Verdict, evidence: Evidence) -> Option<(Kind, Rank)> {
    match (context, evidence) {
        (Verdict::Lost, Evidence::RequestId | Evidence::InFlight) => {
            Some((Kind::LostByApplication, Rank::Broken))
        }
        (Verdict::Lost, Evidence::Nothing) => Some((Kind::LostByJobs, Rank::Missing)),
        (Verdict::Unlinked, Evidence::RequestId | Evidence::InFlight) => Some((Kind::Torn, Rank::Broken)),
        (Verdict::Unlinked, Evidence::Nothing) => Some((Kind::OwnTraces, Rank::Missing)),
        _ => None,
    }
}

const fn verdict(context: Verdict, direction: Direction, received: Received) -> Option<(Kind, Rank)> {
    match context {
        Verdict::Lost => Some(match (direction, received) {
            (Direction::Inbound, _) => (Kind::LostByCaller, Rank::Broken),
            (Direction::Outbound, Received::Contexts) => (Kind::LostByApplication, Rank::Broken),
            (Direction::Outbound, Received::Requests | Received::Nothing) => {
                (Kind::LostByJobs, Rank::Missing)
            }
            (Direction::Unspecified, _) => (Kind::Lost, Rank::Broken),
        }),
        Verdict::Unlinked => Some((Kind::Unlinked, Rank::Broken)),
        Verdict::Corrupt => Some((Kind::Corrupt, Rank::Broken)),
        Verdict::Continued | Verdict::Started | Verdict::Untrusted | Verdict::Excluded => None,
    }
}
