//! OpenCensus' binary format, rules GB-01 to GB-04
//! ([OpenCensus, binary encoding](https://github.com/census-instrumentation/opencensus-specs/blob/master/encodings/BinaryEncoding.md)).

use super::format::{Read, ReadResult};
use super::owned::{Companion, FormatHeaders};
use super::{FormatContext, FormatError, Outgoing, Propagator};
use crate::base64;
use crate::headers::{HeaderWriter, Refused};
use crate::w3c::{SpanId, TraceId};
use crate::words::Format;

const NAME: &str = "grpc-trace-bin";

pub(super) const GRPC_TRACE_BIN: Propagator = Propagator {
    format: Format::GrpcTraceBin,
    headers: FormatHeaders {
        carriers: &[NAME],
        companions: &[Companion::baggage("grpc-tags-bin", "OpenCensus, gRPC propagation")],
    },
    read: Read::Value(read),
    blamed: &[],
    inject: Some(inject),
};

/// ```text
/// value  = %x00 [ %x00 16( OCTET ) ] [ %x01 8( OCTET ) ] [ %x02 OCTET ] *( OCTET )      ; in base64
/// ```
fn read(value: &[u8]) -> ReadResult {
    // gRPC joins several values with a comma (rule GB-01).
    if value.contains(&b',') {
        return Err(FormatError::Repeated);
    }
    let bytes = base64::decode(value).ok_or(FormatError::Shape)?;
    let rest = bytes.strip_prefix(&[0]).ok_or(FormatError::Shape)?;
    let (trace, rest) = field::<16>(0, rest)?;
    let (span, rest) = field::<8>(1, rest)?;
    let (options, _) = field::<1>(2, rest)?;
    let trace = u128::from_be_bytes(trace.unwrap_or_default());
    let trace_id = TraceId::of_halves((trace >> 64) as u64, trace as u64).ok_or(FormatError::TraceId)?;
    let span = u64::from_be_bytes(span.unwrap_or_default());
    let parent_id = SpanId::of_number(span).ok_or(FormatError::SpanId)?;
    let [options] = options.unwrap_or_default();
    Ok(FormatContext::valid(trace_id, Some(parent_id), Some(options & 1 != 0)))
}

type Field<'a, const N: usize> = (Option<[u8; N]>, &'a [u8]);

/// Takes the field with this id, if it is the next one (rule GB-03).
fn field<const N: usize>(id: u8, rest: &[u8]) -> Result<Field<'_, N>, FormatError> {
    match rest.split_first() {
        Some((first, rest)) if *first == id => {
            let (field, rest) = rest.split_first_chunk().ok_or(FormatError::Shape)?;
            Ok((Some(*field), rest))
        }
        _ => Ok((None, rest)),
    }
}

fn inject(outgoing: &Outgoing<'_>, writer: &mut dyn HeaderWriter) -> Result<(), Refused> {
    let (trace, span) = (outgoing.context.trace_id.to_bytes(), outgoing.context.parent_id.to_bytes());
    let options = u8::from(outgoing.is_sampled());
    let bytes = [&[0, 0][..], &trace, &[1], &span, &[2, options]].concat();
    outgoing.put(NAME, &base64::encode(&bytes), writer)
}
