use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent};

/// What is remembered under a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// When the request came, in nanoseconds.
    pub(super) came: u64,
    pub(super) context: TraceParent,
    /// Whether requests of more than one trace had the request's id.
    pub(super) is_ambiguous: bool,
    /// The request's id; empty in the entry of a trace.
    pub(super) request: &'a [u8],
    pub(super) state: &'a [u8],
}

/// The bits of the last byte before the texts, next to those of the trace flags.
const FLAGS: u8 = 3;
const AMBIGUOUS: u8 = 0x80;

impl<'a> Entry<'a> {
    /// ```text
    /// entry = time trace-id-high trace-id-low span-id bits length-of-request-id request-id tracestate
    /// ```
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Self { came, context, is_ambiguous, request, state } = self;
        let numbers = [came, context.trace_id.high(), context.trace_id.low(), context.parent_id.number()];
        let bits = context.flags.byte() & FLAGS | if is_ambiguous { AMBIGUOUS } else { 0 };
        let head = numbers.into_iter().flat_map(u64::to_le_bytes).chain([bits, request.len() as u8]);
        head.chain(request.iter().copied()).chain(state.iter().copied()).collect()
    }

    /// Reads an entry, which may be anything that was written under its key.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (numbers, rest) = bytes.split_at_checked(4 * 8)?;
        let (numbers, _) = numbers.as_chunks();
        let [came, high, low, parent] = numbers else { return None };
        let number = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let [bits, length, texts @ ..] = rest else { return None };
        let (request, state) = texts.split_at_checked(usize::from(*length))?;
        let context = TraceParent {
            trace_id: TraceId::of_halves(number(high), number(low))?,
            parent_id: SpanId::of_number(number(parent))?,
            flags: TraceFlags::of(bits & 1 != 0, bits & 2 != 0),
        };
        Some(Self { came: number(came), context, is_ambiguous: bits & AMBIGUOUS != 0, request, state })
    }
}
