//! Where spans go, what they tell, and what they are of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use tracewarden::config::OtlpProtocol;
use tracewarden::span::Kind;

use crate::reference::values::{
    HeaderName, Path, Pattern, SomeText, Text, VisibleText, WholeNumber, Word, one_of,
};

/// # Export
///
/// Either `otlp` or `zipkin`, and how spans are put together for it. A recorded span costs more than twice the request pass.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, extend("oneOf" = one_of(&["otlp", "zipkin"])))]
#[schemars(example = serde_json::json!({"otlp": {"cluster": "otel_collector"}}))]
pub(super) struct Export {
    /// A collector that speaks OTLP.
    otlp: Option<Otlp>,
    /// A collector that takes Zipkin's JSON, version 2.
    zipkin: Option<Zipkin>,
    /// How many spans a worker keeps until they can be sent; also at most 4 MiB of them.
    #[schemars(extend("default" = 2_048))]
    queue: Option<WholeNumber>,
    /// How many spans make a full batch; also at most 1 MiB of them.
    #[schemars(extend("default" = 512))]
    batch: Option<WholeNumber>,
    /// How many milliseconds a span waits for the batch to be full.
    #[schemars(extend("default" = 5_000))]
    delay_ms: Option<WholeNumber>,
}

/// # OTLP
///
/// Headers that the collector wants, such as a key, are in `OTEL_EXPORTER_OTLP_HEADERS`.
#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields, example = serde_json::json!({"cluster": "otel_collector"}))]
#[schemars(extend(
    "if" = {"properties": {"protocol": {"const": "grpc"}}, "required": ["protocol"]},
    "then" = {"properties": {"path": false}},
))]
struct Otlp {
    /// How it is spoken.
    #[schemars(default, extend("default" = "http/protobuf"))]
    protocol: Word<OtlpProtocol>,
    /// Envoy's cluster of the collector; in Istio `outbound|4318||NAME.NAMESPACE.svc.cluster.local`.
    cluster: VisibleText,
    /// The host that the collector is called by; else the cluster's name, or its host if Istio named it.
    #[schemars(extend("examples" = ["collector.example.org"]))]
    authority: Option<VisibleText>,
    /// Where uploads go; not of gRPC, whose path is fixed.
    #[schemars(extend("default" = "/v1/traces", "examples" = ["/otlp/v1/traces"]))]
    path: Option<Path>,
    /// How many milliseconds an upload may take.
    #[schemars(extend("default" = 10_000))]
    timeout_ms: Option<WholeNumber>,
}

/// # Zipkin
///
/// Zipkin's JSON has no links, no `tracestate` and no sampling threshold.
#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields, example = serde_json::json!({"cluster": "zipkin"}))]
struct Zipkin {
    /// Envoy's cluster of the collector.
    cluster: VisibleText,
    /// The host that the collector is called by; else the cluster's name, or its host if Istio named it.
    #[schemars(extend("examples" = ["zipkin.example.org"]))]
    authority: Option<VisibleText>,
    /// Where uploads go.
    #[schemars(extend("default" = "/api/v2/spans", "examples" = ["/zipkin/api/v2/spans"]))]
    path: Option<Path>,
    /// How many milliseconds an upload may take.
    #[schemars(extend("default" = 10_000))]
    timeout_ms: Option<WholeNumber>,
}

/// # Span
///
/// Which spans a hop has, and what they say beside what OpenTelemetry's conventions want.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct Spans {
    /// Which spans a hop has. At a waypoint, which Istio calls inbound, state `"server_and_client"`.
    #[schemars(extend("default" = "auto"))]
    kind: Word<Kind>,
    /// What they tell besides; each name once.
    #[schemars(extend("default" = []))]
    attributes: Vec<Attribute>,
    /// What they do not show: a segment of a path, or a value from a header or a property, that matches one of these as a
    /// whole, or is too long to be judged (1,024 octets), is shown as `REDACTED`.
    #[schemars(extend("default" = [], "examples" = [["[0-9]+"]]))]
    redact: Vec<Pattern>,
}

/// # Span attribute
///
/// A name, and one source of its value: `value`, `environment`, `request_header`, `response_header` or `property`.
#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields, example = serde_json::json!({"name": "tenant", "request_header": "x-tenant"}))]
#[schemars(extend("oneOf" = one_of(&["value", "environment", "request_header", "response_header", "property"])))]
struct Attribute {
    /// Its name.
    #[schemars(extend("examples" = ["tenant"]))]
    name: SomeText,
    /// The value itself.
    #[schemars(extend("examples" = ["blue"]))]
    value: Option<Text>,
    /// The environment variable that holds it; one that is not set gives an empty text.
    #[schemars(extend("examples" = ["REGION"]))]
    environment: Option<Text>,
    /// A header of the request.
    request_header: Option<HeaderName>,
    /// A header of the response.
    response_header: Option<HeaderName>,
    /// The path of one of Envoy's attributes; text or a whole number. It costs a call to Envoy for each span.
    #[schemars(extend("examples" = [["upstream", "cluster"]]))]
    property: Option<Vec<Text>>,
}

/// # Service
///
/// The resource of the spans. Under the application's own name its requests would count twice wherever metrics are made of
/// spans.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct Service {
    /// `service.name`; else `OTEL_SERVICE_NAME`, else `service.name` in `OTEL_RESOURCE_ATTRIBUTES`, else the workload of
    /// Istio's node metadata, Envoy's cluster or node, with `-proxy` behind it.
    #[schemars(extend("examples" = ["checkout-proxy"]))]
    name: Option<Text>,
    /// Further attributes of the resource. They go before those of `OTEL_RESOURCE_ATTRIBUTES` and of Istio's node.
    #[schemars(extend(
        "default" = {},
        "examples" = [{"deployment.environment.name": "production"}],
        "propertyNames" = {"not": {"const": "service.name"}},
    ))]
    attributes: BTreeMap<String, Text>,
}
