//! AWS X-Ray's format, rules XR-01 to XR-07
//! ([AWS X-Ray, tracing header](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader)).

use super::format::{Read, ReadResult, trace_id, unpadded_span_id};
use super::owned::FormatHeaders;
use super::{FormatContext, FormatError, Outgoing, Propagator};
use crate::headers::{HeaderWriter, Refused};
use crate::w3c::{TraceId, split_once, trim_ows};
use crate::words::Format;

const X_AMZN_TRACE_ID: &str = "x-amzn-trace-id";
/// How long a value may become (rule XR-06).
const MAX_LEN: usize = 256;

pub(super) const XRAY: Propagator = Propagator {
    format: Format::XRay,
    headers: FormatHeaders::alone(&[X_AMZN_TRACE_ID]),
    read: Read::Value(read),
    blamed: &[],
    inject: Some(inject),
};

/// ```text
/// x-amzn-trace-id = piece *( ";" piece )      ; piece = key "=" value, in any order, with spaces around it
/// ```
fn read(value: &[u8]) -> ReadResult {
    let (mut root, mut parent, mut sampled) = (None, None, None::<&[u8]>);
    for piece in pieces(value) {
        let (key, value) = key_and_value(piece).ok_or(FormatError::Shape)?;
        let place = match key {
            b"Root" => &mut root,
            b"Parent" => &mut parent,
            b"Sampled" => &mut sampled,
            _ => continue,
        };
        // Two values joined by a comma repeat their keys.
        if place.replace(value).is_some() {
            return Err(FormatError::Repeated);
        }
    }
    let sampled = match sampled {
        Some(b"1") => Some(true),
        Some(b"0") => Some(false),
        // Rule XR-04: `?` and anything else leave the decision to us.
        _ => None,
    };
    let trace_id = read_root(root.unwrap_or_default())?;
    let parent_id = parent.map(|digits| unpadded_span_id(&digits.to_ascii_lowercase())).transpose()?;
    Ok(FormatContext::valid(trace_id, parent_id, sampled))
}

/// `1-<8 hexadecimal digits>-<24 hexadecimal digits>` (rule XR-02). AWS leaves out leading zeros of the first.
fn read_root(value: &[u8]) -> Result<TraceId, FormatError> {
    let value = value.to_ascii_lowercase();
    let digits = value.strip_prefix(b"1-").and_then(|digits| split_once(digits, b'-'));
    match digits {
        Some((seconds, rest)) if (1..=8).contains(&seconds.len()) && rest.len() == 24 => {
            trace_id(&[seconds, rest].concat())
        }
        _ => Err(FormatError::TraceId),
    }
}

fn inject(outgoing: &Outgoing<'_>, writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    let context = outgoing.context;
    let trace_id = context.trace_id.to_hex();
    let (seconds, rest) = trace_id.split_at(8);
    let (parent, sampled) = (context.parent_id.to_hex(), outgoing.sampled_digit());
    let mut value = [b"Root=1-", seconds, b"-", rest, b";Parent=", &parent, b";Sampled=", sampled].concat();
    let came = outgoing.kept(Format::XRay, X_AMZN_TRACE_ID).unwrap_or_default();
    // Rules XR-05 and XR-06: what a load balancer or a Lambda put there stays, as far as there is room.
    for extra in pieces(came).filter(|piece| is_extra(piece)) {
        if value.len() + 1 + extra.len() <= MAX_LEN {
            value.push(b';');
            value.extend_from_slice(extra);
        }
    }
    outgoing.put(X_AMZN_TRACE_ID, &value, writer)
}

fn is_extra(piece: &[u8]) -> bool {
    key_and_value(piece).is_some_and(|(key, _)| !matches!(key, b"Root" | b"Parent" | b"Sampled"))
}

fn pieces(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b';').map(trim_ows).filter(|piece| !piece.is_empty())
}

fn key_and_value(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, value) = split_once(piece, b'=')?;
    Some((trim_ows(key), trim_ows(value)))
}
