//! The form in which a collector takes spans.

use super::{Export, grpc, zipkin};
use crate::otlp::{self, Envelope};
use crate::resource::Resource;
use crate::span::Span;
use crate::words::Protocol;

/// The form of a collector's uploads, with what stands around the spans of every one.
#[derive(Debug)]
pub(super) enum Form {
    Otlp(Envelope),
    Grpc(Envelope),
    /// With the name of the service.
    Zipkin(String),
}

impl Form {
    pub(super) fn new(export: &Export, resource: &Resource) -> Self {
        match export.protocol() {
            Protocol::OtlpHttp => Self::Otlp(Envelope::new(resource)),
            Protocol::OtlpGrpc => Self::Grpc(Envelope::new(resource)),
            Protocol::Zipkin => Self::Zipkin(zipkin::service(resource)),
        }
    }

    /// Writes a span behind others.
    pub(super) fn write(&self, span: &Span<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Otlp(_) | Self::Grpc(_) => otlp::span(span, out),
            Self::Zipkin(service) => zipkin::span(span, service, out),
        }
    }

    /// The body of an upload of these spans, each written by [`Self::write`].
    pub(super) fn body(&self, spans: &[u8]) -> Vec<u8> {
        match self {
            Self::Otlp(envelope) => envelope.around(spans),
            Self::Grpc(envelope) => grpc::frame(&envelope.around(spans)),
            Self::Zipkin(_) => zipkin::around(spans),
        }
    }

    /// How many bytes a body has at most that its spans do not have.
    pub(super) const fn around(&self) -> usize {
        match self {
            Self::Otlp(envelope) => envelope.len(),
            Self::Grpc(envelope) => grpc::PREFIX + envelope.len(),
            Self::Zipkin(_) => 1,
        }
    }
}
