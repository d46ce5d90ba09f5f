//! Jaeger's format, rules JA-01 to JA-07
//! ([Jaeger client libraries, propagation format](https://www.jaegertracing.io/docs/1.76/client-libraries/#propagation-format)).

use super::format::{only_line, span_id, trace_id};
use super::{FormatContext, FormatError, Outgoing, Propagator, RemoteContext};
use crate::headers::{HeaderWriter, Headers, Refused};
use crate::words::Format;

const UBER_TRACE_ID: &str = "uber-trace-id";

pub(super) const JAEGER: Propagator =
    Propagator { format: Format::Jaeger, headers: &[UBER_TRACE_ID], extract, inject: Some(inject) };

/// The longest value that has four pieces, each colon written as three bytes.
const MAX_LEN: usize = 32 + 16 + 16 + 2 + 3 * 3;

fn extract(headers: &Headers) -> FormatContext {
    only_line(headers, UBER_TRACE_ID, read)
}

/// ```text
/// uber-trace-id = trace-id ":" span-id ":" parent-span-id ":" flags      ; hexadecimal, ":" perhaps as "%3A"
/// ```
fn read(value: &[u8]) -> Result<FormatContext, FormatError> {
    if value.len() > MAX_LEN {
        return Err(FormatError::Shape);
    }
    let value = unescape(&value.to_ascii_lowercase());
    let pieces: Vec<&[u8]> = value.split(|byte| *byte == b':').collect();
    let [trace, span, _parent, flags] = pieces.as_slice() else { return Err(FormatError::Shape) };
    let (trace_id, span_id) = (trace_id(trace)?, span_id(span)?);
    let flags = match flags.len() {
        1 | 2 => super::format::byte(flags).ok_or(FormatError::Sampled)?,
        _ => return Err(FormatError::Sampled),
    };
    let (sampled, debug) = (flags & 1 != 0, flags & 3 == 3);
    Ok(FormatContext::Valid(RemoteContext {
        trace_id,
        parent_id: Some(span_id),
        sampled: Some(sampled),
        debug,
    }))
}

/// Jaeger's clients read the value as part of a URL.
fn unescape(mut value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    while let [first, rest @ ..] = value {
        match value.strip_prefix(b"%3a") {
            Some(after) => {
                out.push(b':');
                value = after;
            }
            None => {
                out.push(*first);
                value = rest;
            }
        }
    }
    out
}

fn inject(outgoing: &Outgoing<'_>, writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    let flags = match (outgoing.debug, outgoing.is_sampled()) {
        (true, true) => b"3",
        (_, true) => b"1",
        (_, false) => b"0",
    };
    let context = outgoing.context;
    let pieces: [&[u8]; 4] = [&context.trace_id.to_hex(), &context.parent_id.to_hex(), b"0", flags];
    outgoing.put(UBER_TRACE_ID, &pieces.join(&b':'), writer)
}
