//! How a stream ended.

use std::borrow::Cow;

use super::SpanKind;
use crate::headers::{Headers, is_grpc};
use crate::host::{EndedStream, HeaderMap};

/// How a stream ended; one that was broken off before its response has no status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) grpc_status: Option<u8>,
    /// Whether it was broken off within its response.
    pub(crate) is_cut_off: bool,
}

/// The gRPC statuses that are the server's fault
/// ([OpenTelemetry, gRPC](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/)).
const SERVER_FAULTS: &[u8] = &[2, 4, 12, 13, 14, 15];

const GRPC_NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Outcome {
    /// Reads the headers of the response, which may be all that came of it.
    pub(crate) fn of_headers(headers: &Headers) -> Self {
        Self {
            status: number(headers.first(":status")).filter(|status| (100..600).contains(status)),
            grpc_status: headers.first(GRPC_STATUS).and_then(grpc_status),
            is_cut_off: false,
        }
    }

    /// Reads the headers of the response of a stream that has ended, and returns them with it. The status of its trailers may
    /// be known.
    pub(super) fn read(in_trailers: Option<u8>, host: &mut impl EndedStream) -> (Headers, Self) {
        let headers = host.headers(HeaderMap::Response).unwrap_or_default();
        let outcome = Self::of_stream(&headers, in_trailers, host);
        (headers, outcome)
    }

    /// Reads the headers of the response, and for what those of gRPC leave open, its trailers.
    fn of_stream(headers: &Headers, in_trailers: Option<u8>, host: &mut impl EndedStream) -> Self {
        let mut outcome = Self::of_headers(headers);
        outcome.grpc_status = outcome.grpc_status.or(in_trailers);
        if headers.first("content-type").is_some_and(is_grpc)
            && outcome.grpc_status.is_none()
            && let Ok(trailers) = host.headers(HeaderMap::ResponseTrailers)
        {
            outcome.grpc_status = Self::of_headers(&trailers).grpc_status;
        }
        outcome
    }

    /// Whether the response says that the one who serves has failed.
    pub(crate) fn is_failure(&self) -> bool {
        self.status.is_some() && self.is_error(SpanKind::Server)
    }

    /// Whether a span of this kind has failed
    /// ([OpenTelemetry, HTTP spans](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status)).
    pub(crate) fn is_error(&self, kind: SpanKind) -> bool {
        let of_client = kind == SpanKind::Client;
        let by_status = self.status.is_none_or(|status| status >= if of_client { 400 } else { 500 });
        by_status
            || self.is_cut_off
            || self.grpc_status.is_some_and(|code| SERVER_FAULTS.contains(&code) || of_client && code != 0)
    }

    /// What kind of error it was, in a word of few (`error.type`).
    pub(crate) fn error(&self, kind: SpanKind) -> Option<Cow<'static, str>> {
        if !self.is_error(kind) {
            return None;
        }
        Some(match (self.grpc_status.filter(|code| *code != 0), self.status) {
            (Some(code), _) => GRPC_NAMES.get(usize::from(code)).copied().unwrap_or_default().into(),
            (None, Some(status)) if status >= 400 => status.to_string().into(),
            (None, _) => "_OTHER".into(),
        })
    }
}

pub(super) const GRPC_STATUS: &str = "grpc-status";

/// A status of gRPC, if there is one of this number.
pub(super) fn grpc_status(value: &[u8]) -> Option<u8> {
    number(Some(value)).filter(|code| usize::from(*code) < GRPC_NAMES.len())
}

/// A number in decimal digits.
fn number<T: core::str::FromStr>(value: Option<&[u8]>) -> Option<T> {
    let digits = value.filter(|value| value.iter().all(u8::is_ascii_digit))?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}
