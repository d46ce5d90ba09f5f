//! The hop audit: what the proxy itself did to the trace context of a request, between two filters of ours.
//!
//! The first filter leaves a [`Record`] of what goes on from it in the stream's filter state. The second one, among the
//! filters of the upstream, compares it with what arrives there.

mod record;

pub use record::{KEY, Record};

use crate::formats::FormatContext;
use crate::headers::{Headers, TRACEPARENT, TRACESTATE};
use crate::w3c::{TraceId, TraceParent};
use crate::words::{Format, labels};

labels! {
    /// Which filter of the hop audit a filter is.
    pub enum HopSide {
        /// None: there is no audit.
        Neither = "none",
        /// Among the HTTP filters of the listener. It remembers the context that goes on from it.
        Before = "before",
        /// Among the filters of the upstream (`upstream_http_filters` of the router). It compares, and counts in
        /// `tracewarden_hop_total`.
        After = "after",
    }

    /// What a proxy did to a trace context.
    pub enum HopChange {
        /// None of the others.
        Kept = "kept",
        /// The parent-id is another one, in the same trace. A proxy that records a span of its own does that.
        Child = "child",
        /// The trace-id is another one.
        Replaced = "replaced",
        /// There was a context, and there is none any more.
        Removed = "removed",
        /// There was no context, and there is one now.
        Added = "added",
        /// One of the flags `sampled` and `random` is another one.
        Flags = "flags",
        /// The header `tracestate` came, went, or holds other bytes.
        Tracestate = "tracestate",
        /// A context in another format came, went, or names another trace.
        Format = "format",
    }
}

/// What the headers of a request say about its trace, in a size that does not depend on theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// W3C's context, if it is valid.
    context: Option<TraceParent>,
    /// A digest of `tracestate`; 0 if there is none.
    state: u64,
    /// What each format says, in the order of [`Format::ALL`].
    formats: [Named; FORMATS],
}

/// How many formats there are.
const FORMATS: usize = Format::ALL.len();

/// What a format other than W3C's says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Nothing,
    /// Its headers are there, and name no trace.
    NoTrace,
    Trace(TraceId),
}

/// What a proxy did to a context: a set of [`HopChange`]s, without [`HopChange::Kept`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes(u8);

impl Snapshot {
    /// What these headers say, where `traceparent` is called `header`. A `traceparent` of the standard's name counts as
    /// another format then.
    #[must_use]
    #[inline(never)]
    pub fn of(headers: &Headers, header: &str) -> Self {
        let mut formats = [Named::Nothing; FORMATS];
        for (place, format) in formats.iter_mut().zip(Format::ALL) {
            *place = match format.propagator() {
                Some(propagator) => Named::of(propagator.extract(headers)),
                None if header != TRACEPARENT && headers.has(TRACEPARENT) => {
                    context(headers, TRACEPARENT).map_or(Named::NoTrace, |other| Named::Trace(other.trace_id))
                }
                None => Named::Nothing,
            };
        }
        Self { context: context(headers, header), state: digest(headers), formats }
    }

    /// What was done between these headers and those which arrive later.
    #[must_use]
    pub fn changes(&self, later: &Self) -> Changes {
        let mut changes = Changes::default();
        match (self.context, later.context) {
            (Some(before), Some(after)) => {
                if before.trace_id != after.trace_id {
                    changes.add(HopChange::Replaced);
                } else if before.parent_id != after.parent_id {
                    changes.add(HopChange::Child);
                }
                if before.flags != after.flags {
                    changes.add(HopChange::Flags);
                }
            }
            (Some(_), None) => changes.add(HopChange::Removed),
            (None, Some(_)) => changes.add(HopChange::Added),
            (None, None) => {}
        }
        if self.state != later.state {
            changes.add(HopChange::Tracestate);
        }
        if !self.formats.iter().zip(&later.formats).all(|(before, after)| before.agrees_with(*after)) {
            changes.add(HopChange::Format);
        }
        changes
    }
}

impl Named {
    const fn of(context: FormatContext) -> Self {
        match context {
            FormatContext::Absent => Self::Nothing,
            FormatContext::Decision(_) | FormatContext::Corrupt(_) => Self::NoTrace,
            FormatContext::Valid(context) => Self::Trace(context.trace_id),
        }
    }

    fn agrees_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Trace(one), Self::Trace(other)) => one.is_same_trace(other),
            (one, other) => one == other,
        }
    }
}

impl Changes {
    /// Each change, or [`HopChange::Kept`] alone if there is none.
    pub fn iter(self) -> impl Iterator<Item = HopChange> {
        let is_meant = move |change: &HopChange| match change {
            HopChange::Kept => self == Self::default(),
            change => self.0 & bit(*change) != 0,
        };
        HopChange::ALL.iter().copied().filter(is_meant)
    }

    /// The changes of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn add(&mut self, change: HopChange) {
        self.0 |= bit(change);
    }
}

const fn bit(change: HopChange) -> u8 {
    1 << change.index()
}

/// The only context in the lines of a header, if it is valid.
fn context(headers: &Headers, header: &str) -> Option<TraceParent> {
    let lines = headers.lines(header);
    if lines.is_repeated() { None } else { TraceParent::parse(lines.first()?).ok() }
}

/// Tells one `tracestate` from another, whatever their lengths: FNV-1a of its lines, joined by commas as proxies join
/// them. Whoever makes two that are alike hides a change of his own header alone.
fn digest(headers: &Headers) -> u64 {
    let mut lines = headers.lines(TRACESTATE).iter();
    let Some(first) = lines.next() else { return 0 };
    let others = lines.flat_map(|line| [b",", line]);
    let bytes = [first].into_iter().chain(others).flatten();
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.fold(0xcbf2_9ce4_8422_2325, hash).max(1)
}
