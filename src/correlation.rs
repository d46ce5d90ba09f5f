//! What this pod received, remembered for a while in a memory that all its workers share. Its outbound side can then tell
//! an application that lost a context from one that never had it, and restore the lost one.

mod entry;

use core::num::NonZeroU32;

use self::entry::Entry;
use crate::headers::Headers;
use crate::host::{Clock, Metrics, SharedMemory};
use crate::metrics::Counter;
use crate::request_id;
use crate::settings::{settings, whole};
use crate::w3c::{TraceId, TraceParent};
use crate::words::CorrelationResult;

settings! {
    /// A memory that Envoy's workers share, with two entries for each slot. A slot takes about 335 bytes once it is used, and the
    /// bytes of the request's `tracestate` in addition. Such as `{}`.
    #[derive(Copy)]
    pub struct Correlation "Correlation" {
        /// How many traces, and as many requests, are remembered. A later one may take the place of an earlier one.
        pub slots: NonZeroU32 = whole(65_536),
        /// For how many seconds the entry of a request counts. That of a trace counts until another takes its place.
        pub ttl_seconds: NonZeroU32 = whole(60),
    }
}

/// A context that the workload received, with its `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) context: TraceParent,
    /// Empty if there was none.
    pub(crate) state: Vec<u8>,
}

/// How many bytes of a `tracestate` are remembered: as many as each hop should pass on at least (rule TS-08).
const MAX_STATE: usize = 512;

impl Correlation {
    /// Remembers a context that the workload receives, and the request that brings it.
    pub(crate) fn remember(
        self,
        received: Received,
        headers: &Headers,
        host: &mut (impl Clock + SharedMemory + Metrics),
    ) {
        let Some(now) = host.now() else { return };
        let trace_id = received.context.trace_id;
        let trace =
            Entry { came: now, context: received.context, is_ambiguous: false, request: &[], state: &[] };
        host.remember(&self.slot_of_trace(trace_id), &trace.to_bytes(), None);
        let Some(request) = request_id::key(headers) else {
            count(CorrelationResult::Unusable, host);
            return;
        };
        let fits = received.state.len() <= MAX_STATE;
        if !fits {
            count(CorrelationResult::StateDropped, host);
        }
        let state = if fits { received.state.as_slice() } else { &[] };
        self.remember_request(&Entry { request: &request, state, ..trace }, host);
        count(CorrelationResult::Remembered, host);
    }

    /// Whether the workload received this trace, however long ago: a stream can make calls for hours.
    pub(crate) fn received(self, trace_id: TraceId, host: &mut impl SharedMemory) -> bool {
        let found = host.recall(&self.slot_of_trace(trace_id));
        let entry = found.as_ref().and_then(|(bytes, _)| Entry::parse(bytes));
        entry.is_some_and(|entry| entry.context.trace_id.is_same_trace(trace_id))
    }

    /// The trace that the workload received last with the id of this request.
    pub(crate) fn trace_of_request(
        self,
        headers: &Headers,
        host: &mut (impl Clock + SharedMemory),
    ) -> Option<TraceId> {
        let request = request_id::key(headers)?;
        self.look_up(&request, host, |entry| entry.context.trace_id)
    }

    /// The context that the workload received with the request of this request's id, unless several traces came with it.
    pub(crate) fn of_request(
        self,
        headers: &Headers,
        host: &mut (impl Clock + SharedMemory + Metrics),
    ) -> Option<Received> {
        let Some(request) = request_id::key(headers) else {
            count(CorrelationResult::Unusable, host);
            return None;
        };
        let received = self.look_up(&request, host, |entry| {
            (!entry.is_ambiguous).then(|| Received { context: entry.context, state: entry.state.to_vec() })
        })?;
        let result =
            if received.is_some() { CorrelationResult::Repaired } else { CorrelationResult::Ambiguous };
        count(result, host);
        received
    }

    /// What is read from the entry of a request, if it counts.
    fn look_up<T>(
        self,
        request: &[u8],
        host: &mut (impl Clock + SharedMemory),
        read: impl FnOnce(&Entry<'_>) -> T,
    ) -> Option<T> {
        let (bytes, _) = host.recall(&self.slot_of_request(request))?;
        let now = host.now();
        let entry =
            Entry::parse(&bytes).filter(|entry| entry.request == request && self.is_fresh(entry, now))?;
        Some(read(&entry))
    }

    /// Writes the entry of a request. If the same id came with another trace, no later call can be given to one of them.
    fn remember_request(self, entry: &Entry<'_>, host: &mut impl SharedMemory) {
        let slot = self.slot_of_request(entry.request);
        // A second try sees what another worker has written meanwhile.
        for _ in 0..2 {
            let found = host.recall(&slot);
            let earlier = found.as_ref().and_then(|(bytes, _)| Entry::parse(bytes));
            let is_ambiguous = earlier.is_some_and(|earlier| {
                earlier.request == entry.request
                    && self.is_fresh(&earlier, Some(entry.came))
                    && (earlier.is_ambiguous
                        || !earlier.context.trace_id.is_same_trace(entry.context.trace_id))
            });
            let version = found.as_ref().map(|(_, version)| *version);
            if host.remember(&slot, &Entry { is_ambiguous, ..*entry }.to_bytes(), version) {
                return;
            }
        }
        host.remember(&slot, &Entry { is_ambiguous: true, ..*entry }.to_bytes(), None);
    }

    fn is_fresh(self, entry: &Entry<'_>, now: Option<u64>) -> bool {
        let ttl = u64::from(self.ttl_seconds.get()) * 1_000_000_000;
        now.is_some_and(|now| now.saturating_sub(entry.came) <= ttl)
    }

    fn slot_of_trace(self, id: TraceId) -> String {
        format!("tracewarden.t.{}", id.low() % u64::from(self.slots.get()))
    }

    fn slot_of_request(self, request: &[u8]) -> String {
        format!("tracewarden.r.{}", hash(request) % u64::from(self.slots.get()))
    }
}

fn count(result: CorrelationResult, host: &mut impl Metrics) {
    host.count(Counter::Correlation { result }, 1);
}

/// Which slot: FNV-1a. Whoever aims at one takes it from its owner, as whoever sends many requests does.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
