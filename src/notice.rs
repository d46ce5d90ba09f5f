//! Lines about losses and corruption for Envoy's log: seldom, with the reason and the peer, never with a header's value.

use crate::metrics::{Corruption, Direction, Verdict};
use crate::w3c::TraceParent;

/// Something that an operator may want to read about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What came in.
    pub verdict: Verdict,
    /// Which way the request went.
    pub direction: Direction,
    /// Why it was invalid.
    pub corruption: Option<Corruption>,
    /// The context that the upstream receives.
    pub sent: Option<TraceParent>,
}

/// How a line begins: text with the ids of the trace in it, worded as Python's logging does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    TraceId,
    SpanId,
}

/// Lets one line pass in ten seconds, and counts the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throttle {
    next: u64,
    held: u64,
}

impl Throttle {
    const PERIOD_NS: u64 = 10_000_000_000;

    /// Nothing has passed yet.
    pub const NEW: Self = Self { next: 0, held: 0 };

    /// Whether a line may pass at this time (nanoseconds), and if so how many were held back since the last.
    pub fn pass(&mut self, now: u64) -> Option<u64> {
        // A clock that was set back must not silence us for as long.
        let wait = self.next.saturating_sub(now);
        if (1..=Self::PERIOD_NS).contains(&wait) {
            self.held += 1;
            return None;
        }
        self.next = now.saturating_add(Self::PERIOD_NS);
        Some(core::mem::take(&mut self.held))
    }
}

impl Default for LogFormat {
    /// `[%(trace_id)s] [%(span_id)s]`
    fn default() -> Self {
        let text = |text: &str| Piece::Text(text.to_owned());
        Self(vec![text("["), Piece::TraceId, text("] ["), Piece::SpanId, text("]")])
    }
}

impl LogFormat {
    /// Reads a format with the fields `%(trace_id)s` and `%(span_id)s`.
    ///
    /// # Errors
    /// It has another field, or a `%` that begins none; a percent sign is written `%%`.
    pub fn parse(format: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = format;
        while let Some((text, after)) = rest.split_once('%') {
            pieces.push(Piece::Text(text.to_owned()));
            let fields = [
                ("%", Piece::Text("%".to_owned())),
                ("(trace_id)s", Piece::TraceId),
                ("(span_id)s", Piece::SpanId),
            ];
            let found = fields.into_iter().find_map(|(name, piece)| Some((after.strip_prefix(name)?, piece)));
            let Some((after, piece)) = found else {
                return Err(format!(
                    "{format:?} has a % that begins neither %(trace_id)s, %(span_id)s nor %%"
                ));
            };
            pieces.push(piece);
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    fn write(&self, sent: Option<TraceParent>) -> String {
        let id = |id: Option<String>| id.unwrap_or_else(|| "-".to_owned());
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::TraceId => id(sent.map(|sent| sent.trace_id.to_string())),
            Piece::SpanId => id(sent.map(|sent| sent.parent_id.to_string())),
        });
        pieces.collect()
    }
}

impl Notice {
    /// The line; `held` others were not written since the last one.
    #[must_use]
    pub fn line(&self, format: &LogFormat, peer: Option<&str>, held: u64) -> String {
        let reason = match self.corruption {
            Some(corruption) => corruption.to_string(),
            None => "no traceparent came".to_owned(),
        };
        let held = if held == 0 { String::new() } else { format!(" ({held} more since the last such line)") };
        format!(
            "tracewarden: {} {} {}, from {}: {reason}{held}",
            format.write(self.sent),
            self.verdict.label(),
            self.direction.label(),
            peer.unwrap_or("an unknown peer"),
        )
    }
}
