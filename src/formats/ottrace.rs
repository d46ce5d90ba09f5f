//! OpenTracing's format, rules OTT-01 to OTT-03
//! ([OpenTelemetry, propagators distribution](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#propagators-distribution)).

use super::format::{Read, ReadResult, only, span_id, trace_id};
use super::owned::{Companion, FormatHeaders};
use super::{FormatContext, FormatError, Outgoing, Propagator};
use crate::headers::{HeaderWriter, Headers, Refused};
use crate::words::Format;

const TRACE_ID: &str = "ot-tracer-traceid";
const SPAN_ID: &str = "ot-tracer-spanid";
const SAMPLED: &str = "ot-tracer-sampled";

pub(super) const OTTRACE: Propagator = Propagator {
    format: Format::OtTrace,
    headers: FormatHeaders {
        carriers: &[TRACE_ID, SPAN_ID, SAMPLED],
        companions: &[
            Companion::baggage("ot-baggage-*", "OpenTelemetry, OT trace propagator"),
            Companion::hint("x-ot-span-context", "Istio, trace context propagation (Lightstep)"),
        ],
    },
    read: Read::Headers(read),
    blamed: &[(FormatError::SpanId, SPAN_ID), (FormatError::Sampled, SAMPLED)],
    inject: Some(inject),
};

fn read(headers: &Headers) -> ReadResult {
    let (trace, span) = match (only(headers, TRACE_ID)?, only(headers, SPAN_ID)?) {
        (None, None) => return Ok(FormatContext::Absent),
        (trace, span) => (trace.unwrap_or_default(), span.unwrap_or_default()),
    };
    if !matches!(trace.len(), 16 | 32) {
        return Err(FormatError::TraceId);
    }
    // Some libraries leave out a span-id's leading zeros.
    let (trace_id, parent_id) = (trace_id(trace)?, span_id(span)?);
    let sampled = match only(headers, SAMPLED)?.map(<[u8]>::to_ascii_lowercase).as_deref() {
        None => None,
        Some(b"true" | b"1") => Some(true),
        Some(b"false" | b"0" | b"") => Some(false),
        Some(_) => return Err(FormatError::Sampled),
    };
    Ok(FormatContext::valid(trace_id, Some(parent_id), sampled))
}

/// Rule OTT-03: the left half of the trace-id has no place here.
fn inject(outgoing: &Outgoing<'_>, writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    if outgoing.context.trace_id.low() == 0 {
        return outgoing.withhold(OTTRACE.headers.carriers, writer);
    }
    let trace_id = outgoing.context.trace_id.to_hex();
    let (_, low) = trace_id.split_at(16);
    outgoing.put(SAMPLED, if outgoing.is_sampled() { b"true" } else { b"false" }, writer)?;
    outgoing.put(TRACE_ID, low, writer)?;
    outgoing.put(SPAN_ID, &outgoing.context.parent_id.to_hex(), writer)
}
