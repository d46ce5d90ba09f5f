//! What a collector answers, and what that means for the batch
//! ([OTLP, failures](https://opentelemetry.io/docs/specs/otlp/#failures-1)).

use prost::Message;

use super::grpc;
use crate::headers::Headers;
use crate::otlp::ExportTraceServiceResponse;
use crate::words::Protocol;

/// What a collector answered to an upload.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The headers.
    pub headers: &'a Headers,
    /// The body, or its beginning.
    pub body: &'a [u8],
    /// The trailers.
    pub trailers: &'a Headers,
}

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

impl Judgement {
    /// There was no connection, or no answer in time.
    pub(super) const UNANSWERED: Self = Self::Busy { seconds: None };
}

impl Answer<'_> {
    pub(super) fn judge(self, protocol: Protocol) -> Judgement {
        let status = self.headers.first(":status").and_then(number);
        match protocol {
            Protocol::OtlpGrpc => self.judge_grpc(status),
            Protocol::OtlpHttp | Protocol::Zipkin => self.judge_http(status),
        }
    }

    fn judge_http(self, status: Option<u32>) -> Judgement {
        match status {
            Some(200..=299) => {
                let content_type = self.headers.first("content-type").unwrap_or_default();
                let is_protobuf = content_type.starts_with(b"application/x-protobuf");
                Judgement::Taken { rejected: if is_protobuf { rejected(self.body) } else { 0 } }
            }
            // The other form of `Retry-After`, a date, is not read.
            Some(429 | 502 | 503 | 504) => {
                Judgement::Busy { seconds: self.headers.first("retry-after").and_then(number).map(u64::from) }
            }
            _ => Judgement::Refused,
        }
    }

    /// The status is in the trailers, or in the headers of an answer that has nothing else.
    fn judge_grpc(self, status: Option<u32>) -> Judgement {
        let grpc_status = self.trailers.first(GRPC_STATUS).or_else(|| self.headers.first(GRPC_STATUS));
        match grpc::status(grpc_status, status) {
            grpc::OK => match grpc::message(self.body) {
                Some(message) => Judgement::Taken { rejected: rejected(message) },
                None => Judgement::Refused,
            },
            // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss. Of an exhausted resource (8)
            // OTLP wants a hint that it recovers; busy is what collectors mean by it.
            1 | 4 | 8 | 10 | 11 | 14 | 15 => Judgement::UNANSWERED,
            _ => Judgement::Refused,
        }
    }
}

const GRPC_STATUS: &str = "grpc-status";

/// How many spans of a batch that was taken were not; a body that cannot be read names none.
fn rejected(body: &[u8]) -> u64 {
    let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|response| response.partial_success);
    partial.and_then(|partial| u64::try_from(partial.rejected_spans).ok()).unwrap_or(0)
}

/// The number that a header's value is.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    core::str::from_utf8(value).ok()?.trim().parse().ok()
}
