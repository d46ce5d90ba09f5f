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

/// What the headers of a request say about its trace, in a size that does not depend on theirs. It is all numbers, because it
/// is written and read as such: an id of zero is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// W3C's context, if it is valid.
    trace_id: Halves,
    parent_id: u64,
    flags: u8,
    /// A digest of `tracestate`; 0 if there is none.
    state: u64,
    /// One bit for each format whose headers are there, that of the first of [`Format::ALL`] the lowest.
    there: u16,
    /// The trace that each format names, in the order of [`Format::ALL`].
    named: [Halves; FORMATS],
}

/// How many formats there are.
const FORMATS: usize = Format::ALL.len();

/// The left and the right half of a trace-id.
type Halves = [u64; 2];

const NO_TRACE: Halves = [0, 0];

/// What a proxy did to a context: a set of [`HopChange`]s, without [`HopChange::Kept`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes(u8);

impl Snapshot {
    /// What these headers say, where `traceparent` is called `header`. A `traceparent` of the standard's name counts as
    /// another format then.
    #[must_use]
    #[inline(never)]
    pub fn of(headers: &Headers, header: &str) -> Self {
        let (mut there, mut named) = (0, [NO_TRACE; FORMATS]);
        for (place, (format, id)) in Format::ALL.iter().zip(&mut named).enumerate() {
            let said = match format.propagator() {
                Some(propagator) => propagator.extract(headers),
                None if header == TRACEPARENT || !headers.has(TRACEPARENT) => FormatContext::Absent,
                None => context(headers, TRACEPARENT).map_or(FormatContext::Decision(false), |context| {
                    FormatContext::valid(context.trace_id, Some(context.parent_id), None)
                }),
            };
            there |= u16::from(said != FormatContext::Absent) << place;
            *id = if let FormatContext::Valid(context) = said { halves(context.trace_id) } else { NO_TRACE };
        }
        let context = context(headers, header);
        Self {
            trace_id: context.map_or(NO_TRACE, |context| halves(context.trace_id)),
            parent_id: context.map_or(0, |context| context.parent_id.number()),
            flags: context.map_or(0, |context| context.flags.byte()),
            state: digest(headers),
            there,
            named,
        }
    }

    /// What was done between these headers and those which arrive later.
    #[must_use]
    pub fn changes(&self, later: &Self) -> Changes {
        let mut changes = Changes::default();
        match (self.trace_id == NO_TRACE, later.trace_id == NO_TRACE) {
            (false, false) => {
                if self.trace_id != later.trace_id {
                    changes.add(HopChange::Replaced);
                } else if self.parent_id != later.parent_id {
                    changes.add(HopChange::Child);
                }
                if self.flags != later.flags {
                    changes.add(HopChange::Flags);
                }
            }
            (false, true) => changes.add(HopChange::Removed),
            (true, false) => changes.add(HopChange::Added),
            (true, true) => {}
        }
        if self.state != later.state {
            changes.add(HopChange::Tracestate);
        }
        let mut named = self.named.iter().zip(&later.named);
        if self.there != later.there || named.any(|(one, other)| !is_same_trace(*one, *other)) {
            changes.add(HopChange::Format);
        }
        changes
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

fn halves(id: TraceId) -> Halves {
    [id.high(), id.low()]
}

/// Whether both are none, or name one trace: one of them may lack the left half, as in formats of 64 bits.
#[inline(never)]
fn is_same_trace(one: Halves, other: Halves) -> bool {
    let ([high, low], [other_high, other_low]) = (one, other);
    low == other_low && (high == other_high || low != 0 && (high == 0 || other_high == 0))
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
    bytes.fold(0xcbf2_9ce4_8422_2325, hash)
}
