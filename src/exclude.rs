//! Requests that are none of our business: probes, scrapes and the like.

use crate::headers::Malformed;
use crate::matching::{HeaderMatch, Match, Request};
use crate::metrics::Direction;

/// The requests to leave alone: those that one of the entries matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclude(pub(crate) Vec<Match>);

/// Where OTLP and Zipkin take uploads.
const UPLOAD_PATHS: &[&str] = &["/v1/traces", "/v1/metrics", "/v1/logs", "/api/v2/spans"];
/// The gRPC services of OTLP, and the one that is asked for its health.
const SERVICES: &[&str] = &[
    "opentelemetry.proto.collector.trace.v1.TraceService",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "opentelemetry.proto.collector.logs.v1.LogsService",
    "grpc.health.v1.Health",
];

impl Exclude {
    /// What is left alone where the configuration says nothing: where spans are exported, uploads of spans on their way
    /// through, probes of gRPC, and a browser's question before a request (CORS).
    pub(crate) fn of(exports: bool) -> Self {
        if !exports {
            return Self::default();
        }
        let preflight = HeaderMatch { name: "access-control-request-method".to_owned(), value: None };
        let mut all =
            vec![Match { method: Some("OPTIONS".to_owned()), header: Some(preflight), ..Match::default() }];
        for path in UPLOAD_PATHS {
            all.push(Match { path: Some((*path).to_owned()), ..Match::default() });
        }
        for service in SERVICES {
            all.push(Match { grpc_service: Some((*service).to_owned()), ..Match::default() });
        }
        Self(all)
    }

    /// Whether an entry matches the request with these headers.
    pub(crate) fn matches(&self, headers: &[u8], direction: Direction) -> Result<bool, Malformed> {
        if self.0.is_empty() {
            return Ok(false);
        }
        let request = Request::scan(headers, direction)?;
        Ok(self.0.iter().any(|entry| entry.holds(&request)))
    }
}
