//! What a configuration may say, field by field, in the order and by the names of the filter's own reader, which a test
//! holds against this.
#![expect(dead_code, reason = "the fields are described, and hold nothing")]

mod matching;
mod spans;
mod trust;

use schemars::JsonSchema;
use tracewarden::config::{DirectionWord, Mode, ParentId, ResponseHeader, Role, Start, TraceIdSource, When};
use tracewarden::propagation::Format;
use tracewarden::sampling::Parent;

use self::matching::{EgressEntry, Match, Rule};
use self::spans::{Export, Service, Spans};
use self::trust::{SecretHeader, Trust};
use super::values::{Flag, HeaderName, ListenerName, LogFormat, Probability, WholeNumber, Word, Written};

/// # Tracewarden's configuration
///
/// What the filter reads in `configuration` (Envoy) or `pluginConfig` (Istio). Every field may be left out.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, example = serde_json::json!({"role": "internal", "direction": "inbound"}))]
pub(super) struct Configuration {
    /// `false` does nothing at all, and counts nothing.
    #[schemars(extend("default" = true))]
    enabled: Flag,
    /// Whether headers are mended.
    #[schemars(extend("default" = "enforce"))]
    mode: Word<Mode>,
    /// What a missing context means: with `"internal"` it is `lost`, with `"edge"` `started`.
    #[schemars(extend("default" = "internal"))]
    role: Word<Role>,
    /// Which way requests go. `"auto"` costs a call to Envoy on every request.
    #[schemars(extend("default" = "auto"))]
    direction: Word<DirectionWord>,
    /// Whether a trace may start here. Where SDKs start the traces, a sidecar that records no span should not.
    #[schemars(extend("default" = "always"))]
    start: Word<Start>,
    /// Where the trace-id of a trace that starts here is from. With `"x-request-id"` services that forward that header
    /// alone stay in one trace; where it holds no UUID, that is counted in `tracewarden_corrupt_total`.
    #[schemars(extend("default" = "random"))]
    trace_id_source: Word<TraceIdSource>,
    /// What the parent-id of a valid context becomes. `"forward"` and `export` exclude each other.
    #[schemars(extend("default" = "auto"))]
    parent_id: Word<ParentId>,
    /// What the header `traceparent` is called, in a mesh that renamed it; no other header that the filter reads or writes.
    #[schemars(extend("default" = "traceparent", "examples" = ["x-traceparent"]))]
    header: HeaderName,
    /// The formats of trace context.
    #[schemars(extend("default" = {}))]
    propagation: Propagation,
    /// Which traces are sampled.
    #[schemars(extend("default" = {}))]
    sampling: Sampling,
    /// Whose context counts.
    #[schemars(extend("default" = {}))]
    trust: Trust,
    /// Remember what this pod receives, so that a lost context can be given back. Both sides of the pod need it, with the
    /// same `slots`, and in VMs of the same `vm_id` or none.
    correlation: Option<Correlation>,
    /// What outbound requests do not carry. The first entry that matches counts.
    #[schemars(extend("default" = []))]
    egress: Vec<EgressEntry>,
    /// W3C baggage.
    #[schemars(extend("default" = {}))]
    baggage: Baggage,
    /// What is done on the response.
    #[schemars(extend("default" = {}))]
    response: Response,
    /// Envoy's access log.
    #[schemars(extend("default" = {}))]
    access_log: AccessLog,
    /// The filter's own log lines.
    #[schemars(extend("default" = {}))]
    log: Log,
    /// The filter's own metrics.
    #[schemars(extend("default" = {}))]
    metrics: Metrics,
    /// Where spans go; without it none is made.
    export: Option<Export>,
    /// What spans tell.
    #[schemars(extend("default" = {}))]
    span: Spans,
    /// What spans are of.
    #[schemars(extend("default" = {}))]
    service: Service,
    /// The requests to leave alone: those that one of the entries matches. They are counted as `excluded`, and no context is
    /// written; what an untrusted sender put there is removed all the same. With `export` the default is uploads of OTLP and
    /// Zipkin, gRPC's health service, and CORS preflight.
    #[schemars(extend("default" = [], "examples" = [[{"path_prefix": "/healthz"}, {"user_agent_prefix": "kube-probe/"}]]))]
    exclude: Vec<Match>,
}

/// # Propagation
///
/// The formats that requests are read in and written in. Each further one costs a look at its headers, or their writing.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
struct Propagation {
    /// The formats that are read, in order of precedence. What is not listed is neither read nor touched.
    #[schemars(extend("default" = ["tracecontext"], "examples" = [["tracecontext", "b3"]]))]
    extract: Vec<Word<Format>>,
    /// The formats that are written.
    #[schemars(extend("default" = ["tracecontext"], "examples" = [["tracecontext", "b3"]]))]
    inject: Vec<Written>,
    /// Headers that do not go on in any case.
    #[schemars(extend("default" = [], "examples" = [["uber-trace-id"]]))]
    remove: Vec<HeaderName>,
}

/// # Sampling
///
/// `force` goes before the parent, the parent before the rules, the rules before the probability, and the rate limits what
/// the last two record.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
struct Sampling {
    /// The share of the traces starting here that is sampled.
    #[schemars(extend("default" = 1, "examples" = [0.1]))]
    probability: Probability,
    /// What the sampled flag that comes in is worth. Where its answer changes the flag, a new parent-id goes out with it.
    #[schemars(extend("default" = "respect"))]
    parent: Word<Parent>,
    /// The probabilities of some requests. The first rule that matches counts.
    #[schemars(extend("default" = [], "examples" = [[{"match": {"path_prefix": "/checkout"}, "probability": 0.5}]]))]
    rules: Vec<Rule>,
    /// A header that has this one trace sampled. It never goes on to the upstream.
    force: Option<SecretHeader>,
    /// How many traces that no parent asked for are sampled in a second, in each worker, with one second of burst. A trace
    /// over it is not sampled.
    #[schemars(extend("examples" = [100]))]
    max_traces_per_second_per_worker: Option<WholeNumber>,
    /// How many failed requests of traces that are not sampled have their span recorded in a second, in each worker. It needs
    /// `export`, and costs a new parent-id on every request that is not sampled.
    #[schemars(extend("examples" = [5]))]
    errors_per_second: Option<WholeNumber>,
}

/// # Correlation
///
/// Two entries a slot, in a memory that Envoy's workers share. A slot takes about 315 octets once it is used.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, example = serde_json::json!({}))]
struct Correlation {
    /// How many traces, and as many requests, are remembered. A later one may take the place of an earlier.
    #[schemars(extend("default" = 65_536))]
    slots: WholeNumber,
    /// For how many seconds an entry counts.
    #[schemars(extend("default" = 60))]
    ttl_seconds: WholeNumber,
}

/// # Baggage
///
/// The header `baggage`, which otherwise goes on as it is.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
struct Baggage {
    /// Keep it within 64 members and 8,192 octets; whole members go, from the right.
    #[schemars(extend("default" = false))]
    limit: Flag,
}

/// # Response
///
/// The context that the upstream answers with, and the one that the caller is told.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
struct Response {
    /// Compare the context that the upstream put on its response with what it was sent, and count the outcome. It costs one
    /// look at the response's headers.
    #[schemars(extend("default" = true))]
    validate: Flag,
    /// Where to tell the caller its request's context; nowhere: `[]`. Each place costs one write.
    #[schemars(extend("default" = ["traceparent"], "examples" = [["server-timing"]]))]
    inject: Vec<Word<ResponseHeader>>,
    /// Which responses tell it.
    #[schemars(extend("default" = "always"))]
    when: Word<When>,
}

/// # Access log
///
/// What the access log can say.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
struct AccessLog {
    /// Publish `trace_context` (the verdict), `trace_id`, `span_id`, `parent_id` and `sampled`, of a replaced context also
    /// `linked_trace_id` and `linked_span_id`, for `%FILTER_STATE(wasm.trace_id:PLAIN)%` and so on. Each costs a call to Envoy.
    #[schemars(extend("default" = false))]
    filter_state: Flag,
}

/// # Log
///
/// The lines about losses and corruption in Envoy's log, at most one in ten seconds and worker.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
struct Log {
    /// How a line begins, with `%(trace_id)s` and `%(span_id)s`; a percent sign is `%%`.
    #[schemars(extend("default" = "[%(trace_id)s] [%(span_id)s]", "examples" = ["trace=%(trace_id)s"]))]
    format: LogFormat,
}

/// # Metrics
///
/// What the metrics tell besides.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
struct Metrics {
    /// The label `listener` of what the passes count, where one Envoy has several listeners. Each name that Envoy has seen
    /// keeps its counters until Envoy ends.
    #[schemars(extend("examples" = ["checkout_inbound"]))]
    listener: Option<ListenerName>,
}
