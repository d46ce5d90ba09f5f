use super::{Export, grpc};
use crate::host::Random;
use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent};
use crate::words::Protocol;

/// Sends requests of the filter's own.
pub trait Uploads {
    /// Sends an upload. The answer comes later, under the number that is returned.
    ///
    /// # Errors
    /// Nothing was sent.
    fn send(&mut self, _upload: &Upload<'_>) -> Result<u32, UploadError> {
        Err(UploadError::NotSent)
    }
}

/// Why an upload was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadError {
    /// No host of the cluster could be called, which may change.
    NoHost,
    /// The host would not send it, for example because it has no such cluster.
    NotSent,
}

/// A request over HTTP that carries a batch of spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload<'a> {
    /// The cluster of the collector.
    pub cluster: &'a str,
    /// The request's headers.
    pub headers: Vec<(&'a str, String)>,
    /// The request's body.
    pub body: &'a [u8],
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u32,
}

const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

impl<'a> Upload<'a> {
    pub(super) fn new(export: &'a Export, body: &'a [u8], host: &mut impl Random) -> Self {
        let (protocol, endpoint) = (export.protocol(), export.endpoint());
        let (path, content_type) = match protocol {
            Protocol::OtlpHttp => (export.path(), "application/x-protobuf"),
            Protocol::OtlpGrpc => (grpc::EXPORT, "application/grpc"),
            Protocol::Zipkin => (export.path(), "application/json"),
        };
        let mut headers = vec![
            (":method", "POST".to_owned()),
            (":path", path.to_owned()),
            (":authority", endpoint.authority().to_owned()),
            ("content-type", content_type.to_owned()),
            ("user-agent", USER_AGENT.to_owned()),
        ];
        headers.extend(not_sampled(host).map(|context| ("traceparent", context)));
        headers.extend(export.headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
        if protocol == Protocol::OtlpGrpc {
            headers.push(("te", "trailers".to_owned()));
            headers.push(("grpc-timeout", grpc::timeout(endpoint.timeout_ms.get())));
        }
        Self { cluster: &endpoint.cluster, headers, body, timeout_ms: endpoint.timeout_ms.get() }
    }
}

/// A context that no proxy on the way to the collector records.
fn not_sampled(host: &mut impl Random) -> Option<String> {
    let rng = host.rng()?;
    let (trace_id, parent_id) = (TraceId::random(rng), SpanId::random(rng));
    Some(TraceParent { trace_id, parent_id, flags: TraceFlags::of(false, true) }.to_string())
}
