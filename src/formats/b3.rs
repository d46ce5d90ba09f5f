//! Zipkin's formats, rules B3-01 to B3-11 ([B3 propagation](https://github.com/openzipkin/b3-propagation)).

use super::format::{Read, ReadResult, ids, only, unjoined, unpadded_span_id};
use super::owned::{Companion, FormatHeaders};
use super::{FormatContext, FormatError, Outgoing, Propagator, RemoteContext};
use crate::headers::{HeaderWriter, Headers, Refused};
use crate::words::Format;

const B3: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const PARENT_SPAN_ID: &str = "x-b3-parentspanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// B3 itself has no baggage; Zipkin's clients of the Spring framework send it next to B3.
const SLEUTH_BAGGAGE: Companion = Companion::baggage("baggage-*", "Spring Cloud Sleuth, baggage");

pub(super) const SINGLE: Propagator = Propagator {
    format: Format::B3,
    headers: FormatHeaders { carriers: &[B3], companions: &[SLEUTH_BAGGAGE] },
    read: Read::Value(read_single),
    blamed: &[],
    inject: Some(inject_single),
};

pub(super) const MULTI: Propagator = Propagator {
    format: Format::B3Multi,
    headers: FormatHeaders {
        carriers: &[TRACE_ID, SPAN_ID, PARENT_SPAN_ID, SAMPLED, FLAGS],
        companions: &[SLEUTH_BAGGAGE],
    },
    read: Read::Headers(read_multi),
    blamed: &[(FormatError::SpanId, SPAN_ID), (FormatError::Sampled, SAMPLED)],
    inject: Some(inject_multi),
};

/// ```text
/// b3 = trace-id "-" span-id [ "-" state [ "-" parent-span-id ] ] / state      ; state = "0" / "1" / "d"
/// ```
fn read_single(value: &[u8]) -> ReadResult {
    let mut pieces = unjoined(value)?.split(|byte| *byte == b'-');
    let (first, second) = (pieces.next().unwrap_or_default(), pieces.next());
    let Some(span) = second else {
        return state(first).map(|(sampled, _)| FormatContext::Decision(sampled)).ok_or(FormatError::Shape);
    };
    let (trace_id, parent_id) = ids(first, span)?;
    let decision = pieces.next().map(|text| state(text).ok_or(FormatError::Sampled)).transpose()?;
    if let Some(parent) = pieces.next() {
        unpadded_span_id(parent).map_err(|_| FormatError::Shape)?;
    }
    if pieces.next().is_some() {
        return Err(FormatError::Shape);
    }
    let (sampled, debug) = (decision.map(|(sampled, _)| sampled), decision.is_some_and(|(_, debug)| debug));
    Ok(FormatContext::Valid(RemoteContext {
        trace_id,
        parent_id: Some(parent_id),
        sampled,
        debug,
        short: first.len() == 16,
        random: false,
    }))
}

/// Whether the trace is sampled, and whether at any cost.
const fn state(text: &[u8]) -> Option<(bool, bool)> {
    match text {
        b"0" => Some((false, false)),
        b"1" => Some((true, false)),
        b"d" => Some((true, true)),
        _ => None,
    }
}

fn inject_single(outgoing: &Outgoing<'_>, writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    let state = if outgoing.debug { b"d" } else { outgoing.sampled_digit() };
    let context = outgoing.context;
    let pieces: [&[u8]; 3] = [&outgoing.trace_id_digits(Format::B3), &context.parent_id.to_hex(), state];
    outgoing.put(B3, &pieces.join(&b'-'), writer)
}

fn read_multi(headers: &Headers) -> ReadResult {
    let only = |name| only(headers, name)?.map(unjoined).transpose();
    // Rule B3-04: of repeated decisions the first counts.
    let debug = headers.first(FLAGS) == Some(b"1");
    let sampled = if debug { Some(true) } else { decision(headers.first(SAMPLED))? };
    let (trace, span) = match (only(TRACE_ID)?, only(SPAN_ID)?) {
        (None, None) => return Ok(sampled.map_or(FormatContext::Absent, FormatContext::Decision)),
        (trace, span) => (trace.unwrap_or_default(), span.unwrap_or_default()),
    };
    let (trace_id, parent_id) = ids(trace, span)?;
    let short = trace.len() == 16;
    Ok(FormatContext::Valid(RemoteContext {
        trace_id,
        parent_id: Some(parent_id),
        sampled,
        debug,
        short,
        random: false,
    }))
}

/// Rule B3-06; an empty value is none.
fn decision(value: Option<&[u8]>) -> Result<Option<bool>, FormatError> {
    match value.map(unjoined).transpose()?.map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"") => Ok(None),
        Some(b"1" | b"true") => Ok(Some(true)),
        Some(b"0" | b"false") => Ok(Some(false)),
        Some(_) => Err(FormatError::Sampled),
    }
}

fn inject_multi(outgoing: &Outgoing<'_>, writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    outgoing.headers.remove(PARENT_SPAN_ID, writer);
    // Rule B3-07: debug says it all.
    if outgoing.debug {
        outgoing.headers.remove(SAMPLED, writer);
        outgoing.put(FLAGS, b"1", writer)?;
    } else {
        outgoing.headers.remove(FLAGS, writer);
        outgoing.put(SAMPLED, outgoing.sampled_digit(), writer)?;
    }
    outgoing.put(TRACE_ID, &outgoing.trace_id_digits(Format::B3Multi), writer)?;
    outgoing.put(SPAN_ID, &outgoing.context.parent_id.to_hex(), writer)
}
