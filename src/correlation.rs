//! What this pod received, remembered for a while in a memory that all its workers share. Its outbound side can then tell
//! an application that lost a context from one that never had it, and restore the lost one.

use core::num::NonZeroU32;

use crate::headers::Headers;
use crate::host::{Clock, SharedMemory};
use crate::request_id;
use crate::settings::{settings, whole};
use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent};

settings! {
    /// A memory that Envoy's workers share, with two entries for each slot. A slot takes about 315 bytes once it is used.
    /// Such as `{}`.
    #[derive(Copy)]
    pub struct Correlation "Correlation" {
        /// How many traces, and as many requests, are remembered. A later one may take the place of an earlier one.
        pub slots: NonZeroU32 = whole(65_536),
        /// For how many seconds an entry counts.
        pub ttl_seconds: NonZeroU32 = whole(60),
    }
}

/// A received context: the trace-id, the span-id, the flags, when it came (nanoseconds), and by which request.
type Entry = [u8; ENTRY];
const ENTRY: usize = 16 + 8 + 1 + 8 + 16;

impl Correlation {
    /// Remembers a context that the workload receives.
    pub(crate) fn remember(
        self,
        sent: TraceParent,
        headers: &Headers,
        host: &mut (impl Clock + SharedMemory),
    ) {
        let Some(now) = host.now() else { return };
        let request = request_id::trace_id(headers).map(|(id, _)| id);
        let entry = write(sent, now, request);
        host.remember(&self.key('t', sent.trace_id), &entry);
        if let Some(request) = request {
            host.remember(&self.key('r', request), &entry);
        }
    }

    /// Whether the workload received this trace.
    pub(crate) fn received(self, trace_id: TraceId, host: &mut (impl Clock + SharedMemory)) -> bool {
        self.recall('t', trace_id, host).is_some_and(|(context, _)| context.trace_id == trace_id)
    }

    /// The context that the workload received with the request of this request's id.
    pub(crate) fn of_request(
        self,
        headers: &Headers,
        host: &mut (impl Clock + SharedMemory),
    ) -> Option<TraceParent> {
        let (request, _) = request_id::trace_id(headers)?;
        let (context, received) = self.recall('r', request, host)?;
        (received == Some(request)).then_some(context)
    }

    fn recall(
        self,
        kind: char,
        id: TraceId,
        host: &mut (impl Clock + SharedMemory),
    ) -> Option<(TraceParent, Option<TraceId>)> {
        let entry = host.recall(&self.key(kind, id))?;
        let (context, came, request) = read(entry.as_slice().try_into().ok()?)?;
        let ttl = u64::from(self.ttl_seconds.get()) * 1_000_000_000;
        let age = host.now()?.saturating_sub(came);
        (age <= ttl).then_some((context, request))
    }

    /// Ids are random, so their right-most bits are hash enough.
    fn key(self, kind: char, id: TraceId) -> String {
        format!("tracewarden.{kind}.{}", id.low() % u64::from(self.slots.get()))
    }
}

fn write(context: TraceParent, now: u64, request: Option<TraceId>) -> Entry {
    let mut entry = [0; ENTRY];
    let (high, low) = (context.trace_id.high(), context.trace_id.low());
    let (request_high, request_low) = request.map_or((0, 0), |id| (id.high(), id.low()));
    let numbers = [high, low, context.parent_id.number(), now, request_high, request_low];
    let bytes = numbers.into_iter().flat_map(u64::to_le_bytes).chain([context.flags.byte()]);
    entry.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    entry
}

fn read(entry: Entry) -> Option<(TraceParent, u64, Option<TraceId>)> {
    let (numbers, flags) = entry.as_chunks();
    let [high, low, parent, came, request_high, request_low] = numbers else { return None };
    let [flags] = flags else { return None };
    let number = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let trace_id = TraceId::of_halves(number(high), number(low))?;
    let parent_id = SpanId::of_number(number(parent))?;
    let flags = TraceFlags::of(flags & 1 != 0, flags & 2 != 0);
    let request = TraceId::of_halves(number(request_high), number(request_low));
    Some((TraceParent { trace_id, parent_id, flags }, number(came), request))
}
