//! The ids that the filter draws: values that are known, so that the answer can show `<new trace-id>` in their place.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};

use rand::{TryCryptoRng, TryRng};
use tracewarden::w3c::TraceParent;

/// How the answer writes an id that the filter draws.
pub(super) const NEW_TRACE: &str = "<new trace-id>";
pub(super) const NEW_PARENT: &str = "<new parent-id>";
/// The same for a value that hides its ids in base64.
const NEW_BINARY: &str = "<binary, with new ids>";

/// One more than the largest randomness of a trace.
pub(super) const END: u64 = 1 << 56;

/// A generator whose first two numbers have the same 56 bits of randomness, wherever a sampler takes them from: a number that
/// is drawn for sampling has them on the left, the second half of a trace-id on the right.
#[derive(Clone)]
pub(super) struct Draws {
    randomness: u64,
    base: u64,
    drawn: Vec<u64>,
}

impl Default for Draws {
    /// Numbers that no sender can know.
    fn default() -> Self {
        let base = RandomState::new().hash_one("ids");
        Self { randomness: base.rotate_left(17) % END, base, drawn: Vec::new() }
    }
}

impl Draws {
    /// The same with this randomness.
    pub(super) fn with(&self, randomness: u64) -> Self {
        Self { randomness, base: self.base, drawn: Vec::new() }
    }

    /// The texts that stand for what was drawn, each with what is shown in its place. A trace-id is looked for first.
    fn shown(&self, sent: Option<TraceParent>) -> Vec<(String, &'static str)> {
        let mut shown = Vec::new();
        let halves = [0, 1].map(|place| self.drawn.get(place).copied().unwrap_or_default());
        let whole = halves.map(|half| format!("{half:016x}")).concat();
        let is_new = sent.is_some_and(|sent| sent.trace_id.to_string() == whole);
        if is_new {
            let (seconds, rest) = whole.split_at_checked(8).unwrap_or_default();
            shown.push((format!("{seconds}-{rest}"), NEW_TRACE));
            shown.push((whole, NEW_TRACE));
            shown.extend(halves.map(|half| (format!("{half:016x}"), NEW_TRACE)));
            shown.extend(halves.map(|half| (half.to_string(), NEW_TRACE)));
        }
        for id in self.drawn.iter().skip(if is_new { 2 } else { 0 }) {
            shown.push((format!("{id:016x}"), NEW_PARENT));
            shown.push((id.to_string(), NEW_PARENT));
        }
        shown
    }

    /// A text that the filter wrote, without the ids that it drew.
    pub(super) fn hide(&self, text: &str, sent: Option<TraceParent>) -> String {
        let hidden = |text: String, (id, shown): (String, &str)| replaced(&text, &id, shown);
        self.shown(sent).into_iter().fold(text.to_owned(), hidden)
    }

    /// A header value that the filter wrote, without the ids that it drew.
    pub(super) fn hide_value(&self, name: &[u8], text: &str, sent: Option<TraceParent>) -> String {
        if name.eq_ignore_ascii_case(b"grpc-trace-bin") && !self.drawn.is_empty() {
            return NEW_BINARY.to_owned();
        }
        self.hide(text, sent)
    }
}

/// The text with another one in place of every id that is no part of a longer word.
fn replaced(text: &str, id: &str, shown: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(id) {
        let is_whole = !before.ends_with(|end: char| end.is_ascii_alphanumeric())
            && !after.starts_with(|start: char| start.is_ascii_alphanumeric());
        out.push_str(before);
        out.push_str(if is_whole { shown } else { id });
        rest = after;
    }
    out + rest
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|number| (number >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let place = self.drawn.len() as u64;
        let own = self.base.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
        let number = match place {
            0 => self.randomness << 8 | own & 0xff,
            1 => own << 56 | self.randomness,
            _ => own,
        };
        self.drawn.push(number);
        Ok(number)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let number = self.try_next_u64()?.to_be_bytes();
            chunk.iter_mut().zip(number).for_each(|(byte, drawn)| *byte = drawn);
        }
        Ok(())
    }
}

impl TryCryptoRng for Draws {}
