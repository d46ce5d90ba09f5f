//! The spans of one trace, and how they hang together.

use super::store::{Kind, Span};

/// A trace; its spans are sorted by their ids.
pub(super) struct Trace<'a> {
    pub(super) spans: &'a [Span],
}

/// Of a longer trace only so many spans are looked at for a call that encloses another span.
const MAX_SPANS: usize = 4096;

/// By how much clocks of two machines may differ, in microseconds.
const SLACK: u64 = 5_000;

impl<'a> Trace<'a> {
    pub(super) const fn new(spans: &'a [Span]) -> Self {
        Self { spans }
    }

    /// The span that this one names as its parent. A server that shares its client's id is that client's child.
    pub(super) fn parent(&self, span: &Span) -> Option<&'a Span> {
        if span.is_shared
            && let Some(client) = self.with_id(span, span.id).find(|other| !other.is_shared)
        {
            return Some(client);
        }
        // The side of a shared id that the child belongs to is the one of its own service.
        let mut parents = self.with_id(span, span.parent);
        parents.clone().find(|parent| parent.service == span.service).or_else(|| parents.next())
    }

    fn with_id(&self, of: &Span, id: u64) -> impl Iterator<Item = &'a Span> + Clone + use<'a> {
        let from = self.spans.partition_point(|span| span.id < id);
        let of = *of;
        let same = self.spans.iter().skip(from).take_while(move |span| span.id == id);
        same.filter(move |span| span.is_of_trace(&of))
    }

    /// The client's span of another service that encloses this one: one that names this service, one that does so without
    /// regard to clocks, the shortest one.
    pub(super) fn client_around(&self, span: &Span, fits: impl Fn(&Span) -> bool) -> Option<&'a Span> {
        let around = self.spans.iter().take(MAX_SPANS).filter(|client| {
            matches!(client.kind, Kind::Client | Kind::Producer)
                && client.service != span.service
                && client.is_of_trace(span)
                && encloses(client, span)
                && fits(client)
        });
        around.min_by_key(|client| {
            let is_exact = client.start <= span.start && client.end >= span.end;
            (client.peer != span.service, !is_exact, client.end.saturating_sub(client.start))
        })
    }
}

/// Whether the one lasted while the other did, as far as two clocks can tell.
pub(super) const fn encloses(outer: &Span, inner: &Span) -> bool {
    outer.start <= inner.start.saturating_add(SLACK) && outer.end.saturating_add(SLACK) >= inner.end
}

/// Whether a span is its own ancestor.
pub(super) fn is_in_cycle(trace: &Trace<'_>, span: &Span) -> bool {
    let mut at = span;
    // A way of so many steps has been at some span twice; it need not lead back to this one.
    for _ in 0..MAX_DEPTH {
        match trace.parent(at) {
            Some(parent) if (parent.id, parent.is_shared) == (span.id, span.is_shared) => return true,
            Some(parent) if parent.parent != 0 => at = parent,
            _ => return false,
        }
    }
    false
}

/// How far a cycle is followed.
const MAX_DEPTH: usize = 64;
