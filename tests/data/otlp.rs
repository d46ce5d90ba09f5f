//! What the tests read in an upload.

use prost::Message;
use tracewarden::otlp::{ExportTraceServiceRequest, Span};

/// The spans in an upload's body.
pub(crate) fn spans_of(body: &[u8]) -> Vec<Span> {
    let upload = ExportTraceServiceRequest::decode(body).expect("OTLP");
    upload.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
