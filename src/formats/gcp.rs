//! Google Cloud's format, rules GC-01 to GC-05
//! ([Google Cloud Trace, trace context](https://cloud.google.com/trace/docs/trace-context)).

use super::format::{Read, ReadResult, decimal, trace_id};
use super::owned::FormatHeaders;
use super::{FormatContext, FormatError, Outgoing, Propagator};
use crate::headers::{HeaderWriter, Refused};
use crate::w3c::{SpanId, split_once};
use crate::words::Format;

const X_CLOUD_TRACE_CONTEXT: &str = "x-cloud-trace-context";

pub(super) const GCP: Propagator = Propagator {
    format: Format::Gcp,
    headers: FormatHeaders::alone(&[X_CLOUD_TRACE_CONTEXT]),
    read: Read::Value(read),
    blamed: &[],
    inject: Some(inject),
};

/// ```text
/// x-cloud-trace-context = 32( HEXDIG ) [ "/" *20( DIGIT ) ] [ ";" [ "o=" [ DIGIT ] ] ]      ; digits of any case
/// ```
fn read(value: &[u8]) -> ReadResult {
    let (trace, rest) = value.split_at_checked(32).ok_or(FormatError::TraceId)?;
    let trace_id = trace_id(&trace.to_ascii_lowercase())?;
    let (span, option) = split_once(rest, b';').map_or((rest, None), |(span, option)| (span, Some(option)));
    let parent_id = match span {
        b"" | b"/" => None,
        // Rule GC-02: a span of zero names no span.
        [b'/', digits @ ..] => SpanId::of_number(decimal(digits).ok_or(FormatError::SpanId)?),
        _ => return Err(FormatError::Shape),
    };
    let sampled = match option {
        None | Some(b"" | b"o=") => None,
        Some([b'o', b'=', digit]) if digit.is_ascii_digit() => Some(*digit != b'0'),
        _ => return Err(FormatError::Sampled),
    };
    Ok(FormatContext::valid(trace_id, parent_id, sampled))
}

fn inject(outgoing: &Outgoing<'_>, writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    let context = outgoing.context;
    let option = u8::from(outgoing.is_sampled());
    let value = format!("{}/{};o={option}", context.trace_id, context.parent_id.number());
    outgoing.put(X_CLOUD_TRACE_CONTEXT, value.as_bytes(), writer)
}
