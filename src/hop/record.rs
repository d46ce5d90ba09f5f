use super::{Changes, FORMATS, Named, Snapshot};
use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent};

/// The key of the record in the filter state, where Envoy puts `wasm.` before it.
pub const KEY: &str = "tracewarden.hop";

/// What a filter leaves for the next one in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What went on from it.
    pub sent: Snapshot,
    /// What the proxy had done to that before. A retry brings what the filter of the last attempt has written.
    pub changes: Changes,
}

/// The first byte of a record. Filters of two releases can meet in one stream.
const VERSION: u8 = 1;
/// How many numbers a record has before those of the formats.
const HEAD: usize = 5;
/// How many numbers a record has.
const NUMBERS: usize = HEAD + 2 * FORMATS;

impl Record {
    /// ```text
    /// record = version changes flags kinds trace-id parent-id digest-of-tracestate 10( trace-id )
    /// kinds  = 10( 2( BIT ) )      ; in 5 bytes, that of the first format in the lowest bits
    /// ```
    ///
    /// These are numbers of 64 bits, little-endian. An id of zero is none.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let Self { sent: Snapshot { context, state, formats }, changes: Changes(changes) } = self;
        let (mut kinds, mut ids) = (0, Vec::with_capacity(2 * FORMATS));
        for (place, named) in formats.into_iter().enumerate() {
            let (kind, id) = match named {
                Named::Nothing => (0, None),
                Named::NoTrace => (1, None),
                Named::Trace(id) => (2, Some(id)),
            };
            kinds |= kind << (2 * place);
            ids.extend(halves(id));
        }
        let flags = context.map_or(0, |context| context.flags.byte());
        let words = u64::from(VERSION) | u64::from(changes) << 8 | u64::from(flags) << 16 | kinds << 24;
        let [high, low] = halves(context.map(|context| context.trace_id));
        let parent_id = context.map_or(0, |context| context.parent_id.number());
        let head: [u64; HEAD] = [words, high, low, parent_id, state];
        head.into_iter().chain(ids).flat_map(u64::to_le_bytes).collect()
    }

    /// Reads a record, which may be anything that was written under the key.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks() else { return None };
        let numbers: &[[u8; 8]; NUMBERS] = numbers.try_into().ok()?;
        let ([words, high, low, parent_id, state], ids) = numbers.split_first_chunk::<HEAD>()?;
        let [VERSION, changes, flags, _, ..] = *words else { return None };
        let number = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let ids_of = |high, low| TraceId::of_halves(number(high), number(low));
        let context = ids_of(high, low).zip(SpanId::of_number(number(parent_id)));
        let flags = TraceFlags::of(flags & 1 != 0, flags & 2 != 0);
        let context = context.map(|(trace_id, parent_id)| TraceParent { trace_id, parent_id, flags });
        let mut formats = [Named::Nothing; FORMATS];
        let mut kinds = number(words) >> 24;
        for (named, [high, low]) in formats.iter_mut().zip(ids.as_chunks().0) {
            *named = match (kinds & 3, ids_of(high, low)) {
                (0, _) => Named::Nothing,
                (2, Some(id)) => Named::Trace(id),
                _ => Named::NoTrace,
            };
            kinds >>= 2;
        }
        let sent = Snapshot { context, state: number(state), formats };
        Some(Self { sent, changes: Changes(changes) })
    }
}

fn halves(id: Option<TraceId>) -> [u64; 2] {
    id.map_or([0, 0], |id| [id.high(), id.low()])
}
