//! Datadog's format, rules DD-01 to DD-09
//! ([Datadog, trace context propagation](https://docs.datadoghq.com/tracing/trace_collection/trace_context_propagation/)).

use super::format::{Read, ReadResult, decimal, only};
use super::owned::{Companion, FormatHeaders};
use super::{FormatContext, FormatError, Outgoing, Propagator};
use crate::headers::{HeaderWriter, Headers, Refused, TRACESTATE};
use crate::w3c::{SpanId, TraceId, TraceState, decode, split_once, trim_ows};
use crate::words::Format;

const TRACE_ID: &str = "x-datadog-trace-id";
const PARENT_ID: &str = "x-datadog-parent-id";
const PRIORITY: &str = "x-datadog-sampling-priority";
const TAGS: &str = "x-datadog-tags";
/// Which product started the trace; the trace's own, and not its parent's.
const ORIGIN: &str = "x-datadog-origin";
/// How long the tags may become (rule DD-04).
const MAX_TAGS: usize = 512;
/// The tag that holds the left half of the trace-id (rule DD-02).
const TID: &[u8] = b"_dd.p.tid=";

pub(super) const DATADOG: Propagator = Propagator {
    format: Format::Datadog,
    headers: FormatHeaders {
        carriers: &[TRACE_ID, PARENT_ID, PRIORITY, TAGS],
        companions: &[
            Companion::hint(ORIGIN, "Datadog, trace context propagation"),
            Companion::hint(
                "x-datadog-delegate-trace-sampling",
                "Datadog, dd-trace-cpp, sampling delegation",
            ),
            Companion::baggage("ot-baggage-*", "Datadog, dd-trace, header names"),
        ],
    },
    read: Read::Headers(read),
    blamed: &[(FormatError::SpanId, PARENT_ID), (FormatError::Sampled, PRIORITY)],
    inject: Some(inject),
};

fn read(headers: &Headers) -> ReadResult {
    let Some(trace) = only(headers, TRACE_ID)? else { return Ok(FormatContext::Absent) };
    let low = decimal(trace).filter(|low| *low != 0).ok_or(FormatError::TraceId)?;
    let high = headers.first(TAGS).and_then(high_half).unwrap_or(0);
    let trace_id = TraceId::of_halves(high, low).ok_or(FormatError::TraceId)?;
    let parent_id = match only(headers, PARENT_ID)? {
        None => None,
        Some(digits) => SpanId::of_number(decimal(digits).ok_or(FormatError::SpanId)?),
    };
    let priority = match only(headers, PRIORITY)? {
        None => None,
        Some(value) => Some(read_priority(value).ok_or(FormatError::Sampled)?),
    };
    Ok(FormatContext::valid(trace_id, parent_id, priority.map(|priority| priority > 0)))
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

fn inject(outgoing: &Outgoing<'_>, writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    let context = outgoing.context;
    if context.trace_id.low() == 0 {
        return outgoing.withhold(DATADOG.headers.carriers, writer);
    }
    let member = member(outgoing);
    put_tags(outgoing, member, writer)?;
    put_origin(outgoing, member, writer)?;
    put_priority(outgoing, member, writer)?;
    outgoing.put(TRACE_ID, context.trace_id.low().to_string().as_bytes(), writer)?;
    outgoing.put(PARENT_ID, context.parent_id.number().to_string().as_bytes(), writer)
}

/// Datadog's member of the `tracestate` that came with this trace, such as `s:2;o:rum;p:00f067aa0ba902b7;t.dm:-4` (rule
/// DD-05); empty if there is none.
fn member<'a>(outgoing: &Outgoing<'a>) -> &'a [u8] {
    let lines = outgoing.came_in(Format::TraceContext).map(|_| outgoing.headers.lines(TRACESTATE));
    let list = lines.and_then(|lines| TraceState::parse(lines.iter()).ok());
    list.and_then(|list| list.value(b"dd")).unwrap_or_default()
}

fn pairs(member: &[u8]) -> impl Iterator<Item = &[u8]> {
    member.split(|byte| *byte == b';')
}

/// Rules DD-06 and DD-09: a priority that came in and says the same stays, since only it says who decided. It is in a
/// header of its own, or in Datadog's member of the `tracestate`.
fn put_priority(
    outgoing: &Outgoing<'_>,
    member: &[u8],
    writer: &mut dyn HeaderWriter,
) -> Result<(), Refused> {
    let told = || pairs(member).find_map(|pair| pair.strip_prefix(b"s:"));
    let came = outgoing.kept(Format::Datadog, PRIORITY).map(trim_ows).or_else(told);
    let says_the_same =
        |value: &&[u8]| read_priority(value).is_some_and(|priority| (priority > 0) == outgoing.is_sampled());
    outgoing.put(PRIORITY, came.filter(says_the_same).unwrap_or(outgoing.sampled_digit()), writer)
}

/// The origin goes with the trace: it came in its own header, or in the member, which writes `=` as `~` (rule DD-05).
fn put_origin(outgoing: &Outgoing<'_>, member: &[u8], writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    if outgoing.kept(Format::Datadog, ORIGIN).is_some() {
        return Ok(());
    }
    match pairs(member).find_map(|pair| pair.strip_prefix(b"o:")).filter(|origin| !origin.is_empty()) {
        Some(origin) => outgoing.put(ORIGIN, &with_equals(origin), writer),
        None => {
            outgoing.headers.remove(ORIGIN, writer);
            Ok(())
        }
    }
}

fn with_equals(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if *byte == b'~' { b'=' } else { *byte }).collect()
}

/// The left half of the trace-id, then those of the tags that came in which travel (rule DD-04). They came in their own
/// header, or in the member as `t.…` (rule DD-05).
fn put_tags(outgoing: &Outgoing<'_>, member: &[u8], writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    let mut tags = Vec::new();
    let high = outgoing.context.trace_id.high();
    if high != 0 {
        tags.extend_from_slice(TID);
        tags.extend_from_slice(format!("{high:016x}").as_bytes());
    }
    let came = match outgoing.kept(Format::Datadog, TAGS) {
        Some(tags) => tags.to_vec(),
        None => tags_of(member),
    };
    // One tag that is none would have the next reader refuse them all.
    let travels = |tag: &&[u8]| tag.starts_with(b"_dd.p.") && tag.contains(&b'=') && !tag.starts_with(TID);
    for tag in split_tags(&came).filter(travels) {
        if tags.len() + 1 + tag.len() <= MAX_TAGS {
            tags.extend_from_slice(if tags.is_empty() { b"" } else { b"," });
            tags.extend_from_slice(tag);
        }
    }
    if tags.is_empty() {
        outgoing.headers.remove(TAGS, writer);
        return Ok(());
    }
    outgoing.put(TAGS, &tags, writer)
}

/// `_dd.p.dm=-4,_dd.p.usr.id=x==` of `t.dm:-4;t.usr.id:x~~`.
fn tags_of(member: &[u8]) -> Vec<u8> {
    let named = pairs(member).filter_map(|pair| split_once(pair.strip_prefix(b"t.")?, b':'));
    let tags = named.map(|(name, value)| [b"_dd.p.", name, b"=", &with_equals(value)].concat());
    tags.collect::<Vec<_>>().join(&b',')
}

fn split_tags(tags: &[u8]) -> impl Iterator<Item = &[u8]> {
    tags.split(|byte| *byte == b',')
}
