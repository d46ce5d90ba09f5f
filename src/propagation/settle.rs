use super::{Carried, Extracted, Format, Propagation, Propagator};
use crate::headers::{Lines, Malformed, TRACESTATE, scan};
use crate::metrics::{Corruption, Counter, Direction};
use crate::pass::Sink;
use crate::sampling::{OtState, Question};
use crate::w3c::{TraceId, TraceParent};

/// What the headers of a request say about its trace, all formats considered.
pub(crate) struct Settled<'a> {
    pub(crate) extracted: Extracted<'a>,
    /// Whether a format that goes before the one that held the context was corrupt.
    pub(crate) repaired: bool,
    pub(crate) carriers: Carriers<'a>,
}

/// The headers that the context came in.
pub(crate) struct Carriers<'a> {
    pub(crate) direction: Direction,
    pub(crate) headers: &'a [u8],
    pub(crate) traceparent: Lines<'a>,
    pub(crate) tracestate: Lines<'a>,
    /// The formats whose headers are invalid.
    pub(crate) corrupt: Vec<Format>,
    /// Whether their sender is; if not, nothing of any format may go on but what we write.
    pub(crate) trusted: bool,
}

impl<'a> Carriers<'a> {
    /// What a sampler looks at.
    pub(crate) fn question(
        &self,
        trace_id: TraceId,
        flag: Option<bool>,
        ot: Option<OtState<'a>>,
        randomness: Option<u64>,
    ) -> Question<'a> {
        Question { trace_id, flag, ot, randomness, headers: self.headers, direction: self.direction }
    }

    /// The ids in a `traceparent` that is invalid for another reason.
    pub(crate) fn salvage(&self) -> Option<TraceParent> {
        self.traceparent.first().and_then(TraceParent::salvage)
    }
}

impl Propagation {
    /// Reads the context in the first format that holds a valid one (rule OT-19), and counts what the others say.
    pub(crate) fn extract<'a>(
        &'a self,
        headers: &'a [u8],
        direction: Direction,
        trusted: bool,
        sink: &mut dyn Sink,
    ) -> Result<Settled<'a>, Malformed> {
        let [traceparent, tracestate] = scan(headers, [&self.header, TRACESTATE])?;
        let carriers = Carriers { direction, headers, traceparent, tracestate, corrupt: Vec::new(), trusted };
        let w3c = || super::extract_w3c(traceparent, tracestate);
        if self.is_w3c_alone() {
            return Ok(Settled { extracted: w3c(), repaired: false, carriers });
        }
        let mut settled = Settled { extracted: Extracted::Absent(None), repaired: false, carriers };
        for format in self.extract.iter().copied() {
            let read = match format.propagator() {
                Some(propagator) => propagator.read(headers)?,
                None => w3c(),
            };
            settled.consider(format, read, sink);
        }
        if let Extracted::Valid(context) = &settled.extracted {
            sink.count(Counter::Format { format: context.format });
        }
        Ok(settled)
    }
}

impl Propagator {
    fn read<'a>(&self, headers: &[u8]) -> Result<Extracted<'a>, Malformed> {
        Ok(match (self.extract)(headers)? {
            Carried::Absent => Extracted::Absent(None),
            Carried::Decision(sampled) => Extracted::Absent(Some(sampled)),
            Carried::Valid(remote) => Extracted::Valid(remote.into_context(self.format)),
            Carried::Corrupt(reason) => Extracted::Corrupt(Corruption::Format(self.format, reason)),
        })
    }
}

impl<'a> Settled<'a> {
    /// Weighs what the next format says against what those before it said.
    fn consider(&mut self, format: Format, read: Extracted<'a>, sink: &mut dyn Sink) {
        let direction = self.carriers.direction;
        if matches!(read, Extracted::Corrupt(_)) {
            self.carriers.corrupt.push(format);
        }
        match (&mut self.extracted, read) {
            (Extracted::Valid(used), Extracted::Valid(other)) => {
                if used.trace_id != other.trace_id {
                    sink.count(Counter::Conflict { used: used.format, other: other.format });
                } else if other.format == Format::TraceContext {
                    used.complete_with(other);
                }
            }
            (Extracted::Valid(_) | Extracted::Corrupt(_), Extracted::Corrupt(corruption)) => {
                sink.count(Counter::Corrupt { direction, corruption });
            }
            (Extracted::Corrupt(corruption), Extracted::Valid(context)) => {
                sink.count(Counter::Corrupt { direction, corruption: *corruption });
                self.repaired = true;
                self.extracted = Extracted::Valid(context);
            }
            (Extracted::Absent(decision), Extracted::Absent(other)) => {
                self.extracted = Extracted::Absent(decision.or(other));
            }
            (Extracted::Absent(_), read) => self.extracted = read,
            (Extracted::Valid(_) | Extracted::Corrupt(_), Extracted::Absent(_)) => {}
        }
    }
}
