use super::Request;
use super::context::{Incoming, TraceContext};
use crate::formats::{FormatContext, Propagator, Reading};
use crate::headers::{HeaderWriter, Headers, TRACESTATE};
use crate::host::Host;
use crate::metrics::{Corruption, Counter};
use crate::w3c::{TraceParent, TraceParentError, TraceState};

/// What the headers of a request say about its trace, all formats considered.
pub(super) struct Extraction<'a> {
    pub(super) context: Incoming<'a>,
    /// Whether a format that goes before the one that held the context was corrupt.
    pub(super) repaired: bool,
}

/// Reads the context in the first format that holds a valid one (rule OT-19), and counts what the others say.
#[inline]
pub(super) fn extract<'a, H: Host + HeaderWriter>(request: &mut Request<'a, H>) -> Extraction<'a> {
    let (propagation, header, headers) =
        (&request.policy.propagation, &request.policy.header, request.target.headers);
    let w3c = || extract_w3c(header, headers);
    let mut extraction = Extraction { context: Incoming::Absent(None), repaired: false };
    if propagation.is_w3c_alone() {
        extraction.context = w3c();
        return extraction;
    }
    for format in propagation.extract.iter().copied() {
        let read = format.propagator().map_or_else(w3c, |propagator| read(propagator, headers));
        request.readings.extend(read.said().map(|said| Reading { format, said }));
        extraction.consider(read, request);
    }
    if let Incoming::Valid(context) = &extraction.context {
        request.count(Counter::Format { format: context.format });
    }
    extraction
}

/// The ids in a `traceparent` that is invalid for another reason, for a span to be linked to.
pub(crate) fn salvage(header: &str, headers: &Headers) -> Option<TraceParent> {
    headers.first(header).and_then(TraceParent::salvage)
}

/// Reads W3C's context from the lines of its two headers.
#[inline]
fn extract_w3c<'a>(header: &'a str, headers: &'a Headers) -> Incoming<'a> {
    let lines = headers.lines(header);
    let Some(line) = lines.first() else {
        return Incoming::Absent(None);
    };
    let parsed = if lines.is_repeated() { Err(TraceParentError::Repeated) } else { TraceParent::parse(line) };
    match parsed {
        Ok(sent) => {
            let state = TraceState::parse(headers.lines(TRACESTATE).iter());
            Incoming::Valid(TraceContext::of_w3c(sent, state))
        }
        Err(reason) => Incoming::Corrupt(Corruption::TraceParent(reason)),
    }
}

fn read<'a>(propagator: &Propagator, headers: &Headers) -> Incoming<'a> {
    let format = propagator.format;
    match propagator.extract(headers) {
        FormatContext::Absent => Incoming::Absent(None),
        FormatContext::Decision(sampled) => Incoming::Absent(Some(sampled)),
        FormatContext::Valid(context) => Incoming::Valid(TraceContext::of_format(format, context)),
        FormatContext::Corrupt(reason) => Incoming::Corrupt(Corruption::Format(format, reason)),
    }
}

impl<'a> Extraction<'a> {
    /// Weighs what the next format says against what those before it said.
    fn consider(&mut self, read: Incoming<'a>, request: &mut Request<'a, impl Host + HeaderWriter>) {
        let direction = request.target.direction;
        match (&mut self.context, read) {
            (Incoming::Valid(used), Incoming::Valid(other)) => {
                if used.trace_id.is_same_trace(other.trace_id) {
                    used.complete_with(other);
                } else {
                    request.conflict = request.conflict.or(Some(other.format));
                    request.count(Counter::Conflict { used: used.format, other: other.format });
                }
            }
            (Incoming::Valid(_) | Incoming::Corrupt(_), Incoming::Corrupt(corruption)) => {
                request.passed_over = Some(corruption);
                request.count(Counter::Corrupt { direction, corruption });
            }
            (Incoming::Corrupt(corruption), Incoming::Valid(context)) => {
                request.passed_over = Some(*corruption);
                request.count(Counter::Corrupt { direction, corruption: *corruption });
                self.repaired = true;
                self.context = Incoming::Valid(context);
            }
            (Incoming::Absent(decision), Incoming::Absent(other)) => {
                self.context = Incoming::Absent(decision.or(other));
            }
            (Incoming::Absent(_), read) => self.context = read,
            (Incoming::Valid(_) | Incoming::Corrupt(_), Incoming::Absent(_)) => {}
        }
    }
}
