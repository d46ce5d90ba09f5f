//! Requests that the filter leaves alone: probes, scrapes and the like.

use crate::matching::{HeaderMatch, Match, Target};
use crate::settings::{HeaderName, settings};

settings! {
    /// The requests to leave alone: those that one of the entries matches.
    #[derive(Default)]
    pub struct Exclude(Vec<Match>);
}

/// Paths that spans, metrics and logs are uploaded to.
const UPLOAD_PATHS: &[&str] = &["/v1/traces", "/v1/metrics", "/v1/logs", "/api/v2/spans"];
/// The same of gRPC, and its health probe.
const GRPC_SERVICES: &[&str] = &[
    "opentelemetry.proto.collector.trace.v1.TraceService",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "opentelemetry.proto.collector.logs.v1.LogsService",
    "grpc.health.v1.Health",
];

impl Exclude {
    /// The default where spans are exported: uploads on their way through, gRPC's health probe, and the request that a
    /// browser sends before another (CORS preflight).
    pub(crate) fn with_export() -> Self {
        let text = |text: &str| Some(text.to_owned());
        let paths = UPLOAD_PATHS.iter().map(|path| Match { path: text(path), ..Match::default() });
        let services =
            GRPC_SERVICES.iter().map(|service| Match { grpc_service: text(service), ..Match::default() });
        let header = HeaderMatch { name: HeaderName::known("access-control-request-method"), value: None };
        let preflight = Match { method: text("OPTIONS"), header: Some(header), ..Match::default() };
        Self(paths.chain(services).chain([preflight]).collect())
    }

    /// Whether an entry matches the request.
    #[inline]
    pub(crate) fn matches(&self, target: &Target<'_>) -> bool {
        self.0.iter().any(|entry| entry.holds(target))
    }
}
