//! Spans that do not arrive.

use super::{Advice, Kind, Rank, Section, Unit};
use tracewarden::words::DropCause;

/// Spans that were recorded, and are gone.
pub(super) fn dropped(cause: DropCause) -> Advice {
    let (what, why, mend) = match cause {
        DropCause::QueueFull => (
            "spans are dropped: the queue was full",
            "The collector is slow, or the sampling too high.",
            "Lower sampling.probability; raise export.batch and export.queue; give the collector more.",
        ),
        DropCause::Refused => (
            "spans are dropped: the collector refuses them for good",
            "A wrong path or protocol (404, 415), or a missing key (401, 403).",
            "Correct export's path and protocol, and the headers in OTEL_EXPORTER_OTLP_HEADERS.",
        ),
        DropCause::Rejected => (
            "spans are dropped: the collector took their batch, but not them",
            "A rule or a limit of the collector.",
            "Look into its log, which says why.",
        ),
        DropCause::GaveUp => (
            "spans are dropped: the collector could not be reached, or was busy, too often",
            "Its pods, its network policy, its own memory limit; over gRPC also a cluster that Envoy does not have.",
            "Bring the collector back, or give it more; look at its cluster in Envoy's /clusters.",
        ),
        DropCause::NotSent => (
            "spans are dropped: Envoy would not send them",
            "Envoy has no cluster of the name that export has.",
            "Name one that it has; in Istio outbound|PORT||SERVICE.NAMESPACE.svc.cluster.local.",
        ),
        DropCause::Shutdown => (
            "spans are dropped: their Envoy or its configuration came to an end",
            "Envoys that end, and plugins that get a new configuration: their last seconds.",
            "Lower export.delay_ms if they are many.",
        ),
    };
    advice(Kind::SpansDropped, Unit::Spans, what, why, mend)
}

/// Batches are sent, and none arrives.
pub(crate) fn unreachable() -> Advice {
    advice(
        Kind::CollectorUnreachable,
        Unit::Uploads,
        "no span arrives at the collector",
        "The collector is down or unreachable, or refuses everything.",
        "Its pods, its network policy; export's cluster, path and protocol.",
    )
}

fn advice(kind: Kind, unit: Unit, what: &str, cause: &str, mend: &str) -> Advice {
    Advice {
        kind,
        rank: Rank::Beside,
        unit,
        what: what.to_owned(),
        cause: cause.to_owned(),
        mend: mend.to_owned(),
        section: Section::TraceStorage,
    }
}
