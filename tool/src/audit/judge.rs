//! Why a parent is missing, and between which services.

use serde::Serialize;

use super::links::{Links, Parent};
use super::store::{Marks, Name, Span, Store, is_same_service};

/// How many calls are tried for one span whose parent is missing, the latest first.
const CANDIDATES: usize = 64;

/// Why the parent of a span is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    /// It was there when the backend was asked again.
    Late,
    /// Its trace, or it alone, was not sampled.
    NotSampled,
    /// Something on the way wrote the parent-id, and recorded no span.
    Proxy,
    Unknown,
}

/// How sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Certainty {
    Proved,
    Suspected,
    NotKnown,
}

/// A span whose parent is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    pub(super) place: u32,
    pub(super) caller: Name,
    pub(super) cause: Cause,
    pub(super) certainty: Certainty,
}

/// Looks at each trace for spans whose parents are missing.
pub(super) fn missing(store: &Store, links: &Links) -> Vec<Missing> {
    let mut all = Vec::new();
    let mut orphans = Vec::new();
    for (begin, end) in links.begins.iter().zip(links.begins.iter().skip(1)) {
        let places = *begin as usize..*end as usize;
        orphans.clear();
        orphans.extend(places.clone().filter(|place| links.parent(*place) == Parent::Missing));
        if orphans.is_empty() {
            continue;
        }
        let trace = Trace::new(store, links, places);
        let parent = |place: &usize| store.spans.get(*place).map(named_parent);
        orphans.sort_unstable_by_key(parent);
        for siblings in orphans.chunk_by(|one, next| parent(one) == parent(next)) {
            let spans = siblings.iter().filter_map(|place| Some((*place, store.spans.get(*place)?)));
            let local = spans.clone().find(|(_, span)| span.has_local_parent());
            let owner = local.map_or(Name::NONE, |(_, span)| span.service);
            all.extend(spans.map(|(place, span)| trace.judge(place, span, owner)));
        }
    }
    all
}

/// The id of the span that should be there.
const fn named_parent(span: &Span) -> u64 {
    if span.marks.has(Marks::SHARED) { span.id } else { span.parent }
}

/// What the other spans of a trace tell.
struct Trace<'a> {
    store: &'a Store,
    /// Calls that no other service answered, by their start.
    open_calls: Vec<&'a Span>,
    has_envoy: bool,
}

impl<'a> Trace<'a> {
    fn new(store: &'a Store, links: &Links, places: std::ops::Range<usize>) -> Self {
        let spans = store.spans.get(places.clone()).unwrap_or_default();
        let calls =
            places.zip(spans).filter(|(place, span)| span.kind.is_call() && !links.is_answered(*place));
        let mut open_calls: Vec<&Span> = calls.map(|(_, span)| span).collect();
        open_calls.sort_unstable_by_key(|call| (call.start, call.id));
        let has_envoy = spans.iter().any(|span| span.marks.has(Marks::BY_ENVOY));
        Self { store, open_calls, has_envoy }
    }

    /// `owner` is the service whose span the missing parent is, if its other children say so.
    fn judge(&self, place: usize, span: &Span, owner: Name) -> Missing {
        let told = owner.or(if span.kind.is_entry() { span.peer } else { Name::NONE });
        let call = self.call_around(span).filter(|_| !owner.is_some());
        let caller = told.or(call.map_or(Name::NONE, |call| call.service));
        let (cause, certainty) = self.cause(span, owner, call);
        Missing { place: place as u32, caller, cause, certainty }
    }

    fn cause(&self, span: &Span, owner: Name, call: Option<&Span>) -> (Cause, Certainty) {
        let is_entry = !span.has_local_parent() && !owner.is_some();
        let passed_envoy = span.marks.has(Marks::THROUGH_ENVOY) && !self.has_envoy;
        if span.marks.has(Marks::UNSAMPLED) {
            (Cause::NotSampled, Certainty::Proved)
        } else if span.marks.has(Marks::DECIDES) && !span.has_local_parent() {
            (Cause::NotSampled, Certainty::Suspected)
        } else if let Some(call) = call.filter(|_| is_entry) {
            (Cause::Proxy, if call.is_of_request(span) { Certainty::Proved } else { Certainty::Suspected })
        } else if is_entry && passed_envoy {
            (Cause::Proxy, Certainty::Suspected)
        } else {
            (Cause::Unknown, Certainty::NotKnown)
        }
    }

    /// The call of another service in whose time the span lies. One that names the span's service comes first.
    fn call_around(&self, span: &Span) -> Option<&'a Span> {
        let before = self.open_calls.partition_point(|call| call.start <= span.start);
        let latest = self.open_calls.get(..before)?.iter().rev().take(CANDIDATES);
        let around = latest.copied().filter(|call| call.encloses(span) && call.service != span.service);
        let text = |name| self.store.text(name).unwrap_or_default();
        let is_named =
            |call: &&Span| call.peer.is_some() && is_same_service(text(call.peer), text(span.service));
        let mut any = around.clone();
        around
            .clone()
            .find(|call| call.is_of_request(span))
            .or_else(|| around.clone().find(is_named))
            .or_else(|| any.next())
    }
}
