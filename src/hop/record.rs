use super::{Changes, FORMATS, Snapshot};

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
/// How many numbers a record has.
const NUMBERS: usize = 5 + 2 * FORMATS;

impl Record {
    /// ```text
    /// record = version changes flags there trace-id parent-id digest-of-tracestate 10( trace-id )
    /// ```
    ///
    /// These are numbers of 64 bits, little-endian; the first one holds all before the trace-id.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let Self { sent, changes: Changes(changes) } = self;
        let Snapshot { trace_id: [high, low], parent_id, flags, state, there, named } = sent;
        let [there, more] = there.to_le_bytes();
        let first = u64::from_le_bytes([VERSION, changes, flags, there, more, 0, 0, 0]);
        let mut bytes = Vec::with_capacity(8 * NUMBERS);
        for number in [first, high, low, parent_id, state].iter().chain(named.as_flattened()) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads a record, which may be anything that was written under the key.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks() else { return None };
        let numbers: &[[u8; 8]; NUMBERS] = numbers.try_into().ok()?;
        let [first, numbers @ ..] = numbers.map(u64::from_le_bytes);
        let [VERSION, changes, flags, there, more, ..] = first.to_le_bytes() else { return None };
        let [high, low, parent_id, state, named @ ..] = numbers;
        let named = named.as_chunks().0.try_into().ok()?;
        let there = u16::from_le_bytes([there, more]);
        let sent = Snapshot { trace_id: [high, low], parent_id, flags, state, there, named };
        Some(Self { sent, changes: Changes(changes) })
    }
}
