//! What a request's headers say about its trace.

use crate::headers::Headers;
use crate::w3c::{TraceParent, TraceParentError, TraceState, TraceStateError};

/// The context that came in.
#[derive(Clone, Debug)]
pub(crate) enum Extracted<'a> {
    /// None.
    Absent,
    /// A valid one; a bad `tracestate` does not spoil it (rule TP-31).
    Valid(TraceParent, Result<TraceState<'a>, TraceStateError>),
    /// One that must not be used; `tracestate` is not even read then (rule TS-02).
    Corrupt(TraceParentError),
}

/// Reads the context from the headers.
pub(crate) fn extract<'a>(headers: &Headers<'a>) -> Extracted<'a> {
    let Some(line) = headers.traceparent.first() else {
        return Extracted::Absent;
    };
    let repeated = headers.traceparent.is_repeated();
    let parsed = if repeated { Err(TraceParentError::Repeated) } else { TraceParent::parse(line) };
    match parsed {
        Ok(parent) => Extracted::Valid(parent, TraceState::parse(headers.tracestate.iter())),
        Err(reason) => Extracted::Corrupt(reason),
    }
}
