//! Between which services parents are missing.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Serialize;

use super::judge::{Cause, Certainty, Missing};
use super::links::{Links, Parent};
use super::store::{Name, Span, Store, trace_text};

/// Two services, and how many spans of the one miss a parent in the other.
#[derive(Debug, Serialize)]
pub(super) struct Pair {
    pub(super) caller: Option<String>,
    pub(super) callee: Option<String>,
    /// The spans of the callee under the caller. If the caller is not known: those under any other service.
    pub(super) spans: u64,
    pub(super) missing: u64,
    pub(super) causes: Vec<Part>,
    /// A trace in which a parent is missing.
    pub(super) example: String,
}

/// The spans of a pair with one cause.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) cause: Cause,
    pub(super) certainty: Certainty,
    pub(super) spans: u64,
}

/// A caller and a callee.
type Between = (Name, Name);

/// What was counted of the spans that name a parent.
#[derive(Default)]
struct Counts<'a> {
    /// The spans whose parent is there.
    found: HashMap<Between, u64>,
    /// The spans whose parent is missing, by cause, and the first of them.
    lost: HashMap<Between, (HashMap<(Cause, Certainty), u64>, Option<&'a Span>)>,
    /// The spans of a service whose parent is, or would be, in another one.
    entering: HashMap<Name, u64>,
}

/// How many spans name a parent, and the pairs of services in which it is missing, the worst first.
pub(super) fn pairs(store: &Store, links: &Links, missing: &[Missing]) -> (u64, Vec<Pair>) {
    let counts = Counts::of(store, links, missing);
    let mut pairs: Vec<Pair> =
        counts.lost.keys().filter_map(|between| counts.pair(*between, store)).collect();
    pairs.sort_by_cached_key(|pair| {
        (Reverse(pair.missing), pair.spans, pair.caller.clone(), pair.callee.clone())
    });
    (counts.found.values().sum::<u64>() + missing.len() as u64, pairs)
}

impl<'a> Counts<'a> {
    fn of(store: &'a Store, links: &Links, missing: &[Missing]) -> Self {
        let mut counts = Self::default();
        for (place, span) in store.spans.iter().enumerate() {
            let Parent::Found(parent) = links.parent(place) else { continue };
            let caller = store.spans.get(parent).map_or(Name::NONE, |parent| parent.service);
            *counts.found.entry((caller, span.service)).or_default() += 1;
            *counts.entering.entry(span.service).or_default() += u64::from(caller != span.service);
        }
        for one in missing {
            let Some(span) = store.spans.get(one.place as usize) else { continue };
            let (causes, first) = counts.lost.entry((one.caller, span.service)).or_default();
            *causes.entry((one.cause, one.certainty)).or_default() += 1;
            first.get_or_insert(span);
            *counts.entering.entry(span.service).or_default() += u64::from(one.caller != span.service);
        }
        counts
    }

    fn pair(&self, (caller, callee): Between, store: &Store) -> Option<Pair> {
        let (causes, first) = self.lost.get(&(caller, callee))?;
        let part = |(&(cause, certainty), &spans)| Part { cause, certainty, spans };
        let mut causes: Vec<Part> = causes.iter().map(part).collect();
        causes.sort_by_key(|part| (part.cause, part.certainty));
        let missing = causes.iter().map(|part| part.spans).sum();
        let count = |count: Option<&u64>| count.copied().unwrap_or_default();
        let spans = if caller.is_some() {
            missing + count(self.found.get(&(caller, callee)))
        } else {
            count(self.entering.get(&callee)).max(missing)
        };
        let name = |name| store.text(name).map(str::to_owned);
        let example = first.map(|span| trace_text(span.trace)).unwrap_or_default();
        Some(Pair { caller: name(caller), callee: name(callee), spans, missing, causes, example })
    }
}
