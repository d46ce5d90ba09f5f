//! Apache SkyWalking's format, rules SW-01 to SW-04
//! ([SkyWalking cross-process propagation headers, v3](https://skywalking.apache.org/docs/main/next/en/api/x-process-propagation-headers-v3/)).

use super::format::{Read, ReadResult, decimal, trace_id};
use super::owned::{Companion, FormatHeaders};
use super::{FormatContext, FormatError, Propagator};
use crate::base64;
use crate::words::Format;

const SW8_HEADER: &str = "sw8";
/// How long a value may be (rule SW-01).
const MAX_LEN: usize = 2048;

/// Only read: to write it, one must name a service, an instance and an endpoint (rule SW-03).
pub(super) const SW8: Propagator = Propagator {
    format: Format::Sw8,
    headers: FormatHeaders {
        carriers: &[SW8_HEADER],
        companions: &[
            Companion::hint("sw8-x", "SkyWalking, cross-process propagation headers, v3"),
            Companion::baggage("sw8-correlation", "SkyWalking, cross-process correlation headers"),
        ],
    },
    read: Read::Value(read),
    blamed: &[],
    inject: None,
};

/// ```text
/// sw8 = sample "-" trace-id "-" segment-id "-" span "-" service "-" instance "-" endpoint "-" address
/// ```
fn read(value: &[u8]) -> ReadResult {
    if value.len() > MAX_LEN {
        return Err(FormatError::Shape);
    }
    let pieces: Vec<&[u8]> = value.split(|byte| *byte == b'-').collect();
    let [sample, trace, _, span, _, _, _, _] = pieces.as_slice() else { return Err(FormatError::Shape) };
    let sampled = match *sample {
        b"0" => false,
        b"1" => true,
        _ => return Err(FormatError::Sampled),
    };
    // Spans are numbered in their segment.
    decimal(span).ok_or(FormatError::SpanId)?;
    let text = base64::decode(trace).ok_or(FormatError::TraceId)?;
    // Rule SW-02: an id that is no W3C trace-id has no counterpart here, and is left alone.
    Ok(match trace_id(&text) {
        Ok(trace_id) if text.len() == 32 => FormatContext::valid(trace_id, None, Some(sampled)),
        _ => FormatContext::Absent,
    })
}
