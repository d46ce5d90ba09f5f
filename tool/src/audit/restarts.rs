//! Traces that start anew in the middle of a request.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::judge::Certainty;
use super::links::{Links, Parent};
use super::store::{Marks, Name, Span, Store, is_same_service, trace_text};

/// How many calls are tried for one trace that starts, the latest first.
const CANDIDATES: usize = 64;

/// Two services between which traces start anew.
#[derive(Debug, Serialize)]
pub(super) struct Restart {
    pub(super) caller: Option<String>,
    pub(super) callee: Option<String>,
    /// The traces whose first request has the id of a request in the caller's trace.
    pub(super) proved: u64,
    /// The traces whose first request lies in the time of a call to this service that nobody answered.
    pub(super) suspected: u64,
    /// All traces that begin at the callee.
    pub(super) roots: u64,
    pub(super) example: Example,
}

/// A trace that started anew, and the one that it belongs to.
#[derive(Debug, Serialize)]
pub(super) struct Example {
    pub(super) trace: String,
    pub(super) of_trace: String,
}

/// The place of a trace's first span, and of the span that it belongs under.
struct Found {
    root: u32,
    origin: u32,
    certainty: Certainty,
}

/// Looks for traces that start anew, the worst pair first.
pub(super) fn restarts(store: &Store, links: &Links) -> Vec<Restart> {
    let is_root = |place: usize, span: &Span| {
        let is_request = span.kind.is_entry() || span.marks.has(Marks::BY_ENVOY);
        is_request && links.parent(place) == Parent::None
    };
    let mut found = same_request(store, &is_root);
    let proved: HashSet<u32> = found.iter().map(|found| found.root).collect();
    let is_open = |place: usize, span: &Span| {
        span.kind.is_entry() && is_root(place, span) && !proved.contains(&(place as u32))
    };
    found.extend(nested(store, links, is_open));
    found.sort_unstable_by_key(|found| found.root);
    let mut roots: HashMap<Name, u64> = HashMap::new();
    for (place, span) in store.spans.iter().enumerate() {
        if is_root(place, span) {
            *roots.entry(span.service).or_default() += 1;
        }
    }
    by_pair(store, &found, &roots)
}

fn by_pair(store: &Store, found: &[Found], roots: &HashMap<Name, u64>) -> Vec<Restart> {
    let mut pairs: HashMap<(Name, Name), Restart> = HashMap::new();
    for Found { root, origin, certainty } in found {
        let spans = [root, origin].map(|place| store.spans.get(*place as usize));
        let [Some(root), Some(origin)] = spans else { continue };
        let pair = pairs.entry((origin.service, root.service)).or_insert_with(|| Restart {
            caller: store.text(origin.service).map(str::to_owned),
            callee: store.text(root.service).map(str::to_owned),
            proved: 0,
            suspected: 0,
            roots: roots.get(&root.service).copied().unwrap_or_default(),
            example: Example { trace: trace_text(root.trace), of_trace: trace_text(origin.trace) },
        });
        match certainty {
            Certainty::Proved => pair.proved += 1,
            Certainty::Suspected | Certainty::NotKnown => pair.suspected += 1,
        }
    }
    let mut pairs: Vec<Restart> = pairs.into_values().collect();
    pairs.sort_by(|one, other| {
        let key = |pair: &Restart| {
            (std::cmp::Reverse(pair.proved + pair.suspected), pair.caller.clone(), pair.callee.clone())
        };
        key(one).cmp(&key(other))
    });
    pairs
}

/// First spans whose request's id is that of an earlier span in another trace.
fn same_request(store: &Store, is_root: &impl Fn(usize, &Span) -> bool) -> Vec<Found> {
    let span = |place: u32| store.spans.get(place as usize);
    let mut places: Vec<u32> = (0..store.spans.len() as u32)
        .filter(|place| span(*place).is_some_and(|span| span.request != 0))
        .collect();
    places.sort_unstable_by_key(|place| {
        span(*place).map(|span| (span.request, span.start, span.trace, span.id))
    });
    let mut found = Vec::new();
    for request in
        places.chunk_by(|one, next| span(*one).map(|s| s.request) == span(*next).map(|s| s.request))
    {
        // The latest span so far, and the latest of another trace than that.
        let (mut last, mut other): (Option<(u32, &Span)>, Option<(u32, &Span)>) = (None, None);
        for (place, now) in request.iter().filter_map(|place| Some((*place, span(*place)?))) {
            let of_another =
                [last, other].into_iter().flatten().find(|(_, before)| before.trace != now.trace);
            if let Some((origin, before)) = of_another.filter(|_| is_root(place as usize, now)) {
                // A client from outside may send an id twice: that is another request to the same service.
                if before.service != now.service || before.encloses(now) {
                    found.push(Found { root: place, origin, certainty: Certainty::Proved });
                }
            }
            if last.is_some_and(|(_, before)| before.trace != now.trace) {
                other = last;
            }
            last = Some((place, now));
        }
    }
    found
}

/// First spans in the time of a call that names their service and that nobody answered. Each call explains one.
fn nested(store: &Store, links: &Links, is_open: impl Fn(usize, &Span) -> bool) -> Vec<Found> {
    let mut calls: HashMap<Name, Vec<u32>> = HashMap::new();
    for (place, span) in store.spans.iter().enumerate() {
        if span.kind.is_call() && span.peer.is_some() && !links.is_answered(place) {
            calls.entry(span.peer).or_default().push(place as u32);
        }
    }
    let start = |place: &u32| store.spans.get(*place as usize).map_or(0, |span| span.start);
    calls.values_mut().for_each(|calls| calls.sort_by_key(start));
    let mut peers: HashMap<Name, Vec<Name>> = HashMap::new();
    let mut used = HashSet::new();
    let mut found = Vec::new();
    for (place, root) in store.spans.iter().enumerate().filter(|(place, span)| is_open(*place, span)) {
        let Some(service) = store.text(root.service) else { continue };
        let peers = peers.entry(root.service).or_insert_with(|| {
            let is_own = |peer: &&Name| store.text(**peer).is_some_and(|peer| is_same_service(peer, service));
            calls.keys().filter(is_own).copied().collect()
        });
        let around = peers.iter().filter_map(|peer| {
            let calls = calls.get(peer)?;
            let before = calls.partition_point(|call| start(call) <= root.start);
            let is_around = |call: &&u32| {
                let span = store.spans.get(**call as usize);
                !used.contains(*call)
                    && span.is_some_and(|call| {
                        call.encloses(root) && call.service != root.service && call.trace != root.trace
                    })
            };
            calls.get(..before)?.iter().rev().take(CANDIDATES).find(is_around).copied()
        });
        if let Some(origin) = around.max_by_key(|place| (start(place), *place)) {
            used.insert(origin);
            found.push(Found { root: place as u32, origin, certainty: Certainty::Suspected });
        }
    }
    found
}
