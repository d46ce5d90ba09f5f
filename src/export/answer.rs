//! What a collector answers, and what that means for the batch
//! ([OTLP, failures](https://opentelemetry.io/docs/specs/otlp/#failures-1)).

use prost::Message;

use crate::otlp::ExportTraceServiceResponse;

/// What came back.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// An answer over HTTP.
    Http {
        /// Its status; none if it is no number.
        status: Option<u16>,
        /// `Retry-After`.
        retry_after: Option<&'a [u8]>,
        /// Its body, empty where it is not in protobuf.
        body: &'a [u8],
    },
    /// The message that gRPC answers.
    GrpcMessage(&'a [u8]),
    /// The status with which gRPC ended without a message.
    GrpcStatus(u32),
    /// Nothing: there was no connection, or no answer in time.
    Nothing,
    /// The host did not send the batch.
    NotSent,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It arrived, but for some spans.
    Taken { rejected: u64 },
    /// It may be sent again, after so many seconds if the collector says.
    Busy { seconds: Option<u64> },
    /// It must not be sent again.
    Refused,
    /// It was not sent at all.
    NotSent,
}

impl Answer<'_> {
    pub(super) fn judge(&self) -> Judgement {
        match *self {
            Self::Http { status: Some(200..=299), body, .. } | Self::GrpcMessage(body) => {
                Judgement::Taken { rejected: rejected(body) }
            }
            Self::Http { status: Some(429 | 502 | 503 | 504), retry_after, .. } => {
                Judgement::Busy { seconds: retry_after.and_then(seconds) }
            }
            // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss. Of an exhausted resource (8)
            // OTLP wants a hint that it recovers, which Envoy does not hand over; busy is what collectors mean by it.
            Self::GrpcStatus(1 | 4 | 8 | 10 | 11 | 14 | 15) | Self::Nothing => {
                Judgement::Busy { seconds: None }
            }
            Self::Http { .. } | Self::GrpcStatus(_) => Judgement::Refused,
            Self::NotSent => Judgement::NotSent,
        }
    }
}

/// How many spans of a batch that was taken were not; a body that cannot be read tells of none.
fn rejected(body: &[u8]) -> u64 {
    let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|response| response.partial_success);
    partial.and_then(|partial| u64::try_from(partial.rejected_spans).ok()).unwrap_or(0)
}

/// `Retry-After` in seconds; its other form, a date, is not read.
fn seconds(value: &[u8]) -> Option<u64> {
    core::str::from_utf8(value).ok()?.trim().parse().ok()
}
