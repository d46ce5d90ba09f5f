//! OpenTracing's format, rules OTT-01 to OTT-03
//! ([OpenTelemetry, propagators distribution](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#propagators-distribution)).

use super::format::{only, span_id, trace_id};
use super::{Carried, Format, FormatError, Outgoing, Propagator, Remote};
use crate::headers::{Malformed, scan};
use crate::pass::{Refused, Sink};

const TRACE_ID: &str = "ot-tracer-traceid";
const SPAN_ID: &str = "ot-tracer-spanid";
const SAMPLED: &str = "ot-tracer-sampled";

pub(super) const OTTRACE: Propagator = Propagator {
    format: Format::OtTrace,
    headers: &[TRACE_ID, SPAN_ID, SAMPLED],
    extract,
    inject: Some(inject),
};

fn extract(headers: &[u8]) -> Result<Carried, Malformed> {
    let [trace, span, sampled] = scan(headers, [TRACE_ID, SPAN_ID, SAMPLED])?;
    let read = || {
        let (trace, span) = match (only(trace)?, only(span)?) {
            (None, None) => return Ok(Carried::Absent),
            (trace, span) => (trace.unwrap_or_default(), span.unwrap_or_default()),
        };
        if !matches!(trace.len(), 16 | 32) {
            return Err(FormatError::TraceId);
        }
        if span.len() != 16 {
            return Err(FormatError::SpanId);
        }
        let (trace_id, span_id) = (trace_id(trace)?, span_id(span)?);
        let sampled = match only(sampled)?.map(<[u8]>::to_ascii_lowercase).as_deref() {
            None => None,
            Some(b"true" | b"1") => Some(true),
            Some(b"false" | b"0" | b"") => Some(false),
            Some(_) => return Err(FormatError::Sampled),
        };
        Ok(Carried::Valid(Remote { trace_id, parent_id: Some(span_id), sampled, debug: false }))
    };
    Ok(read().into())
}

/// Rule OTT-03: the left half of the trace-id has no place here.
fn inject(outgoing: &Outgoing<'_>, sink: &mut dyn Sink) -> Result<(), Refused> {
    if outgoing.context.trace_id.low() == 0 {
        return outgoing.withhold(OTTRACE.headers, sink);
    }
    let trace_id = outgoing.context.trace_id.to_hex();
    let (_, low) = trace_id.split_at(16);
    outgoing.put(SAMPLED, if outgoing.is_sampled() { b"true" } else { b"false" }, sink)?;
    outgoing.put(TRACE_ID, low, sink)?;
    outgoing.put(SPAN_ID, &outgoing.context.parent_id.to_hex(), sink)
}
