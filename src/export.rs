//! Spans on their way to a collector: a bounded queue of batches, a few uploads at a time, and what becomes of a batch.

mod answer;
mod exporter;
mod exporters;
mod form;
mod grpc;
mod queue;
mod upload;
mod zipkin;

use core::num::NonZeroU32;

pub use answer::Answer;
pub use exporter::Exporter;
pub use exporters::{Exporters, Outlet};
pub use upload::{Upload, UploadError, Uploads};

use crate::settings::{Object, QueueBytes, Reader, Rule, Rules, Setting, UrlPath, Visible, settings, whole};
use crate::words::{Protocol, labels};

settings! {
    /// A collector, and how spans are batched for it, such as `{"otlp": {"cluster": "otel_collector"}}`. A recorded span, with its
    /// upload, costs about twice what the request pass costs. Plugins of a VM with the same collector and the same resource share a
    /// queue. The bounds of the plugin that was configured last count.
    pub struct Export "Export" {
        /// How many bytes of spans a worker keeps until they have arrived. Spans on their way count.
        pub queue_bytes: QueueBytes | null = QueueBytes::DEFAULT,
        /// How many spans a worker keeps until they have arrived, such as `10000`. `null` is as many as `queue_bytes` hold.
        pub queue: Option<NonZeroU32> = None,
        /// How many spans make a full batch, which is sent at once. A batch is also limited to 1 MiB, and to half of
        /// `queue_bytes`.
        pub batch: NonZeroU32 | null = whole(512),
        /// How many uploads of a worker may be on their way at a time.
        pub in_flight: NonZeroU32 | null = whole(4),
        /// How many milliseconds a span waits for its batch to fill.
        pub delay_ms: NonZeroU32 | null = whole(5_000),
    } includes {
        /// Where spans go.
        pub collector: Collector,
    } apart {
        /// Headers of every upload over OTLP, such as a key. They come from the environment.
        pub headers: Vec<(String, String)> = Vec::new(),
    }
}

settings! {
    /// Where spans go.
    pub enum Collector "Collector" {
        /// A collector that speaks OTLP.
        Otlp(Otlp) = "otlp",
        /// A collector that takes Zipkin's JSON, version 2. That format has no links, no `tracestate` and no sampling threshold.
        Zipkin(Endpoint) = "zipkin",
    }
}

settings! {
    /// A collector that speaks OTLP, such as `{"cluster": "otel_collector"}`. Headers that it needs, such as a key, are in
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    pub struct Otlp "OTLP", checked {
        /// Over which protocol.
        pub protocol: OtlpProtocol = OtlpProtocol::Http,
    } includes {
        /// How the collector is reached.
        pub endpoint: Endpoint,
    }
}

impl Rules for Otlp {
    fn check(&self, reader: &mut Reader<'_>) {
        if let (OtlpProtocol::Grpc, Some(path)) = (self.protocol, &self.endpoint.path) {
            reader.conflict("path", "no path with \"protocol\": \"grpc\"", &path.value());
        }
    }

    fn describe(object: &mut Object) {
        object.rules.push(Rule::Without("path", "protocol", "grpc"));
    }
}

labels! {
    /// How OTLP is sent.
    pub enum OtlpProtocol {
        /// Protobuf over HTTP, usually to port 4318.
        Http = "http/protobuf",
        /// gRPC, usually to port 4317. The cluster must speak HTTP/2.
        Grpc = "grpc",
    }
}

settings! {
    /// How a collector is reached, such as `{"cluster": "zipkin"}`.
    pub struct Endpoint "Endpoint" {
        /// Envoy's cluster of the collector, in Istio `outbound|4318||NAME.NAMESPACE.svc.cluster.local`.
        pub cluster: Visible,
        /// The host in the requests, such as `"collector.example.org"`. Without it the host in a cluster's name that Istio made,
        /// otherwise the cluster's name.
        pub authority: Option<Visible> = None,
        /// The path of uploads, such as `"/otlp/v1/traces"`. Without it `/v1/traces` for OTLP, `/api/v2/spans` for Zipkin. gRPC
        /// has a path of its own.
        pub path: Option<UrlPath> = None,
        /// How many milliseconds an upload may take.
        pub timeout_ms: NonZeroU32 | null = whole(10_000),
    }
}

impl Export {
    /// How the collector is spoken to.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match &self.collector {
            Collector::Otlp(Otlp { protocol: OtlpProtocol::Http, .. }) => Protocol::OtlpHttp,
            Collector::Otlp(Otlp { protocol: OtlpProtocol::Grpc, .. }) => Protocol::OtlpGrpc,
            Collector::Zipkin(_) => Protocol::Zipkin,
        }
    }

    /// How the collector is reached.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        match &self.collector {
            Collector::Otlp(otlp) => &otlp.endpoint,
            Collector::Zipkin(endpoint) => endpoint,
        }
    }

    /// Where on the collector uploads go; empty for gRPC.
    #[must_use]
    pub fn path(&self) -> &str {
        let usual = match self.protocol() {
            Protocol::OtlpHttp => "/v1/traces",
            Protocol::OtlpGrpc => "",
            Protocol::Zipkin => "/api/v2/spans",
        };
        self.endpoint().path.as_deref().unwrap_or(usual)
    }
}

impl Endpoint {
    /// The host that the collector is called by. Of a cluster that Istio named, `outbound|4318||HOST`, that is the host: servers
    /// refuse a name with `|`.
    #[must_use]
    pub fn authority(&self) -> &str {
        let host = self.cluster.rsplit('|').next().unwrap_or(&self.cluster);
        self.authority.as_deref().unwrap_or(host)
    }
}
