//! Traces that were started anew in the middle: a server's first span that belongs to a call of another trace.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::links::encloses;
use super::store::{Kind, Name, Span, Store};

/// Where a service starts traces anew.
#[derive(Debug, Serialize)]
pub(super) struct Restart {
    pub(super) caller: String,
    pub(super) callee: String,
    pub(super) count: u64,
    /// Whether the request's id says so; otherwise time and the name of the callee do.
    pub(super) is_proved: bool,
}

/// How many calls to one service are looked at for one span.
const MAX_CANDIDATES: usize = 256;

pub(super) fn restarts(store: &Store) -> Vec<Restart> {
    let mut counts: BTreeMap<(bool, Name, Name), u64> = BTreeMap::new();
    let requests = by_request(store);
    let mut calls = open_calls(store);
    let mut answered = HashSet::new();
    let roots = store.spans.iter().filter(|span| span.kind.is_entry() && span.parent == 0 && !span.is_shared);
    for root in roots {
        let found = proved(root, &requests)
            .map(|caller| (false, caller))
            .or_else(|| suspected(root, &mut calls, &mut answered).map(|caller| (true, caller)));
        if let Some((is_suspected, caller)) = found {
            *counts.entry((is_suspected, caller, root.service)).or_default() += 1;
        }
    }
    let mut restarts: Vec<Restart> = counts
        .into_iter()
        .map(|((is_suspected, caller, callee), count)| Restart {
            caller: store.text(caller),
            callee: store.text(callee),
            count,
            is_proved: !is_suspected,
        })
        .collect();
    restarts.sort_by_key(|restart| (u64::MAX - restart.count, !restart.is_proved, restart.callee.clone()));
    restarts
}

/// The spans that have the id of a request.
fn by_request(store: &Store) -> HashMap<u64, Vec<&Span>> {
    let mut all: HashMap<u64, Vec<&Span>> = HashMap::new();
    for span in store.spans.iter().filter(|span| span.request != 0) {
        all.entry(span.request).or_default().push(span);
    }
    all
}

/// Who called, if the request came in with another trace before.
fn proved(root: &Span, requests: &HashMap<u64, Vec<&Span>>) -> Option<Name> {
    let others = requests.get(&root.request)?.iter().take(MAX_CANDIDATES);
    let before = others
        .filter(|span| !span.is_of_trace(root) && span.service != root.service && span.start <= root.start);
    before.max_by_key(|span| (span.kind == Kind::Client, span.start)).map(|span| span.service)
}

/// The calls that no span answers, by whom they name, in the order of their beginning.
fn open_calls(store: &Store) -> HashMap<Name, Vec<&Span>> {
    let mut all: HashMap<Name, Vec<&Span>> = HashMap::new();
    for spans in store.traces() {
        let parents: HashSet<u64> =
            spans.iter().map(|span| if span.is_shared { span.id } else { span.parent }).collect();
        let calls = spans.iter().filter(|span| span.kind == Kind::Client && span.peer != Name::NONE);
        for call in calls.filter(|span| !parents.contains(&span.id)) {
            all.entry(call.peer).or_default().push(call);
        }
    }
    all.values_mut().for_each(|calls| calls.sort_unstable_by_key(|call| call.start));
    all
}

/// Who called, if just one call to this service, which nobody else answers, lasted while the span did.
fn suspected(
    root: &Span,
    calls: &mut HashMap<Name, Vec<&Span>>,
    answered: &mut HashSet<(u64, u64)>,
) -> Option<Name> {
    let calls = calls.get(&root.service)?;
    let end = calls.partition_point(|call| call.start <= root.start);
    let near = calls.iter().take(end).rev().take(MAX_CANDIDATES);
    let mut around = near.filter(|call| {
        encloses(call, root) && !call.is_of_trace(root) && !answered.contains(&(call.low, call.id))
    });
    let call = around.next()?;
    answered.insert((call.low, call.id));
    Some(call.service)
}
