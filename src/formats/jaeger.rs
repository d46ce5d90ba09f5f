//! Jaeger's format, rules JA-01 to JA-07
//! ([Jaeger client libraries, propagation format](https://www.jaegertracing.io/docs/1.76/client-libraries/#propagation-format)).

use super::format::{Read, ReadResult, byte, span_id, trace_id};
use super::owned::{Companion, FormatHeaders};
use super::{FormatContext, FormatError, Outgoing, Propagator, RemoteContext};
use crate::headers::{HeaderWriter, Refused};
use crate::words::Format;

const UBER_TRACE_ID: &str = "uber-trace-id";

pub(super) const JAEGER: Propagator = Propagator {
    format: Format::Jaeger,
    headers: FormatHeaders {
        carriers: &[UBER_TRACE_ID],
        companions: &[
            Companion::hint("jaeger-debug-id", "Jaeger, client libraries, forced sampling"),
            Companion::baggage("uberctx-*", "Jaeger, client libraries, baggage"),
            Companion::baggage("jaeger-baggage", "Jaeger, client libraries, baggage"),
        ],
    },
    read: Read::Value(read),
    blamed: &[],
    inject: Some(inject),
};

/// The longest value that has four pieces, each colon written as three bytes.
const MAX_LEN: usize = 32 + 16 + 16 + 2 + 3 * 3;

/// ```text
/// uber-trace-id = trace-id ":" span-id ":" parent-span-id ":" flags      ; hexadecimal, ":" perhaps as "%3A"
/// ```
fn read(value: &[u8]) -> ReadResult {
    if value.len() > MAX_LEN {
        return Err(FormatError::Shape);
    }
    // Jaeger's clients read the value as part of a URL.
    let value = String::from_utf8_lossy(&value.to_ascii_lowercase()).replace("%3a", ":");
    let pieces: Vec<&[u8]> = value.as_bytes().split(|byte| *byte == b':').collect();
    let [trace, span, _parent, flags] = pieces.as_slice() else { return Err(FormatError::Shape) };
    let short = trace.len() <= 16;
    let (trace_id, parent_id) = (trace_id(trace)?, Some(span_id(span)?));
    let flags = byte(flags).ok_or(FormatError::Sampled)?;
    let (sampled, debug) = (Some(flags & 1 != 0), flags & 3 == 3);
    Ok(FormatContext::Valid(RemoteContext { trace_id, parent_id, sampled, debug, short, random: false }))
}

fn inject(outgoing: &Outgoing<'_>, writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    let flags = if outgoing.debug && outgoing.is_sampled() { b"3" } else { outgoing.sampled_digit() };
    let context = outgoing.context;
    let pieces: [&[u8]; 4] =
        [&outgoing.trace_id_digits(Format::Jaeger), &context.parent_id.to_hex(), b"0", flags];
    outgoing.put(UBER_TRACE_ID, &pieces.join(&b':'), writer)
}
