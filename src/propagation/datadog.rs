//! Datadog's format, rules DD-01 to DD-09
//! ([Datadog, trace context propagation](https://docs.datadoghq.com/tracing/trace_collection/trace_context_propagation/)).

use super::format::{decimal, only};
use super::{Carried, Format, FormatError, Outgoing, Propagator, Remote};
use crate::headers::{Malformed, TRACESTATE, scan};
use crate::pass::{Refused, Sink};
use crate::w3c::{SpanId, TraceId, TraceState, decode, trim_ows};

const TRACE_ID: &str = "x-datadog-trace-id";
const PARENT_ID: &str = "x-datadog-parent-id";
const PRIORITY: &str = "x-datadog-sampling-priority";
const TAGS: &str = "x-datadog-tags";
/// How long the tags may become (rule DD-04).
const MAX_TAGS: usize = 512;
/// The tag that holds the left half of the trace-id (rule DD-02).
const TID: &[u8] = b"_dd.p.tid=";

pub(super) const DATADOG: Propagator = Propagator {
    format: Format::Datadog,
    headers: &[TRACE_ID, PARENT_ID, PRIORITY, TAGS],
    extract,
    inject: Some(inject),
};

fn extract(headers: &[u8]) -> Result<Carried, Malformed> {
    let [trace, parent, priority, tags] = scan(headers, [TRACE_ID, PARENT_ID, PRIORITY, TAGS])?;
    let read = || {
        let Some(trace) = only(trace)? else { return Ok(Carried::Absent) };
        let low = decimal(trace).filter(|low| *low != 0).ok_or(FormatError::TraceId)?;
        let high = tags.first().and_then(high_half).unwrap_or(0);
        let trace_id = TraceId::of_halves(high, low).ok_or(FormatError::TraceId)?;
        let parent_id = match only(parent)? {
            None => None,
            Some(digits) => SpanId::of_number(decimal(digits).ok_or(FormatError::SpanId)?),
        };
        let priority =
            only(priority)?.map(|value| read_priority(value).ok_or(FormatError::Sampled)).transpose()?;
        let sampled = priority.map(|priority| priority > 0);
        Ok(Carried::Valid(Remote { trace_id, parent_id, sampled, debug: false }))
    };
    Ok(read().into())
}

/// A tag that is not 16 hexadecimal digits other than zero is passed over (rule DD-02).
fn high_half(tags: &[u8]) -> Option<u64> {
    let digits = split_tags(tags).find_map(|tag| tag.strip_prefix(TID))?;
    decode::<16>(digits.try_into().ok()?).filter(|high| *high != 0)
}

/// -1 and less: rejected by the user; 0: by the sampler; 1: kept by the sampler; 2 and more: by the user.
fn read_priority(value: &[u8]) -> Option<i64> {
    let (sign, digits) = value.strip_prefix(b"-").map_or((1, value), |digits| (-1, digits));
    let number = i64::try_from(decimal(digits)?).ok()?;
    Some(sign * number)
}

fn inject(outgoing: &Outgoing<'_>, sink: &mut dyn Sink) -> Result<(), Refused> {
    let context = outgoing.context;
    if context.trace_id.low() == 0 {
        return outgoing.withhold(DATADOG.headers, sink);
    }
    put_tags(outgoing, sink)?;
    put_priority(outgoing, sink)?;
    outgoing.put(TRACE_ID, context.trace_id.low().to_string().as_bytes(), sink)?;
    outgoing.put(PARENT_ID, context.parent_id.number().to_string().as_bytes(), sink)
}

/// Rules DD-06 and DD-09: a priority that came in stays where it says the same, since only it tells who decided; it
/// stands in a header of its own, or in Datadog's member of the `tracestate`.
fn put_priority(outgoing: &Outgoing<'_>, sink: &mut dyn Sink) -> Result<(), Refused> {
    let told = || outgoing.came(PRIORITY).map(trim_ows).or_else(|| priority_in_tracestate(outgoing.headers));
    let came = if outgoing.continued { told() } else { None };
    let says_the_same =
        |value: &&[u8]| read_priority(value).is_some_and(|priority| (priority > 0) == outgoing.is_sampled());
    let own: &[u8] = if outgoing.is_sampled() { b"1" } else { b"0" };
    outgoing.put(PRIORITY, came.filter(says_the_same).unwrap_or(own), sink)
}

/// `s` in `dd=s:2;o:rum;p:00f067aa0ba902b7` (rule DD-05).
fn priority_in_tracestate(headers: &[u8]) -> Option<&[u8]> {
    let [lines] = scan(headers, [TRACESTATE]).ok()?;
    let member = TraceState::parse(lines.iter()).ok()?.value(b"dd")?;
    member.split(|octet| *octet == b';').find_map(|pair| pair.strip_prefix(b"s:"))
}

/// The left half of the trace-id, then those of the tags that came in which travel (rule DD-04).
fn put_tags(outgoing: &Outgoing<'_>, sink: &mut dyn Sink) -> Result<(), Refused> {
    let mut tags = Vec::new();
    let high = outgoing.context.trace_id.high();
    if high != 0 {
        tags.extend_from_slice(TID);
        tags.extend_from_slice(format!("{high:016x}").as_bytes());
    }
    let came = outgoing.came(TAGS).filter(|_| outgoing.continued).unwrap_or_default();
    // One tag that is none would have the next reader refuse them all.
    let travels = |tag: &&[u8]| tag.starts_with(b"_dd.p.") && tag.contains(&b'=') && !tag.starts_with(TID);
    for tag in split_tags(came).filter(travels) {
        if tags.len() + 1 + tag.len() <= MAX_TAGS {
            tags.extend_from_slice(if tags.is_empty() { b"" } else { b"," });
            tags.extend_from_slice(tag);
        }
    }
    if tags.is_empty() {
        outgoing.take(TAGS, sink);
        return Ok(());
    }
    outgoing.put(TAGS, &tags, sink)
}

fn split_tags(tags: &[u8]) -> impl Iterator<Item = &[u8]> {
    tags.split(|octet| *octet == b',')
}
