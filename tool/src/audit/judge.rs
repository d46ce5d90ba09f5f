//! Which spans miss their parents, between which services, and why as far as the spans tell.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::links::{Trace, is_in_cycle};
use super::store::{Name, Span, Store};

/// Why a parent is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    /// It was there when the backend was asked again.
    Late,
    /// The service decided about sampling by itself, so its caller's span was not recorded.
    NotSampled,
    /// A client's span encloses this one and has no child: what is between the two wrote a parent-id, and recorded nothing.
    Proxy,
    Unknown,
}

/// A span whose parent is missing.
pub(super) struct Missing {
    pub(super) span: Span,
    pub(super) caller: Name,
    pub(super) cause: Cause,
}

/// Two services, and what is missing between them.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Pair {
    pub(super) caller: String,
    pub(super) callee: String,
    /// The spans of the callee that name a parent in the caller, or one that is missing.
    pub(super) children: u64,
    pub(super) missing: u64,
    pub(super) causes: BTreeMap<Cause, u64>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Judgement {
    pub(super) traces: u64,
    pub(super) children: u64,
    pub(super) missing: Vec<Missing>,
    /// How many links from the first service to the second are whole.
    whole: BTreeMap<(Name, Name), u64>,
}

impl Judgement {
    pub(super) fn of(store: &mut Store) -> Self {
        let mut judgement = Self::default();
        let mut cycles = Vec::new();
        for spans in store.traces() {
            judgement.traces += 1;
            judgement.judge(&Trace::new(spans), &mut cycles);
        }
        for service in cycles {
            let name = store.text(service);
            store.oddities.cycles.add(|| format!("service {name}"));
        }
        judgement
    }

    fn judge(&mut self, trace: &Trace<'_>, cycles: &mut Vec<Name>) {
        let mut answered = HashSet::new();
        let children = || trace.spans.iter().filter(|span| span.parent != 0);
        for span in children() {
            self.children += 1;
            let Some(parent) = trace.parent(span) else { continue };
            answered.insert(parent.id);
            *self.whole.entry((parent.service, span.service)).or_default() += 1;
            if is_in_cycle(trace, span) {
                cycles.push(span.service);
            }
        }
        for span in children().filter(|span| trace.parent(span).is_none()) {
            let (caller, cause) = cause(trace, span, &mut answered);
            self.missing.push(Missing { span: *span, caller, cause });
        }
    }

    /// Every pair with something missing, worst first.
    pub(super) fn pairs(&self, store: &Store) -> Vec<Pair> {
        let mut pairs: BTreeMap<(Name, Name), Pair> = BTreeMap::new();
        for Missing { span, caller, cause } in &self.missing {
            let pair = pairs.entry((*caller, span.service)).or_default();
            pair.missing += 1;
            *pair.causes.entry(*cause).or_default() += 1;
        }
        let named = pairs.into_iter().map(|((caller, callee), pair)| Pair {
            caller: store.text(caller),
            callee: store.text(callee),
            children: pair.missing + self.whole.get(&(caller, callee)).copied().unwrap_or(0),
            ..pair
        });
        let mut pairs: Vec<Pair> = named.collect();
        pairs.sort_by_key(|pair| (u64::MAX - pair.missing, pair.caller.clone(), pair.callee.clone()));
        pairs
    }
}

/// Who called, and why the parent is missing. A client's span answers for one child only.
fn cause(trace: &Trace<'_>, span: &Span, answered: &mut HashSet<u64>) -> (Name, Cause) {
    // Inside of a process nobody is between parent and child.
    if !span.kind.is_entry() {
        return (span.service, Cause::Unknown);
    }
    let client = trace.client_around(span, |client| !answered.contains(&client.id));
    if let Some(client) = client {
        answered.insert(client.id);
        return (client.service, Cause::Proxy);
    }
    (Name::NONE, if span.decides { Cause::NotSampled } else { Cause::Unknown })
}
