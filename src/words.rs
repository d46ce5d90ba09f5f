//! Closed sets of words, each written once: a label, what it means, and the list of all of them.

mod labels;

pub use labels::Labelled;
pub(crate) use labels::{errors, labels, write_clause};

labels! {
    /// Which way a request goes, seen from the workload whose Envoy this is.
    pub enum Direction {
        /// Envoy's listener does not say.
        Unspecified = "unspecified",
        /// Towards the workload.
        Inbound = "inbound",
        /// Away from the workload.
        Outbound = "outbound",
    }

    /// Which way requests go, as a configuration states it.
    pub enum DirectionWord {
        /// Not stated: the plugin asks Envoy's listener, and a condition holds either way.
        Auto = "auto",
        /// To the workload.
        Inbound = "inbound",
        /// From the workload.
        Outbound = "outbound",
    }

    /// What came in on a request: exactly one of these.
    pub enum Verdict {
        /// A valid context.
        Continued = "continued",
        /// No context, and none was expected (role `edge`).
        Started = "started",
        /// No context, though one was expected (role `internal`).
        Lost = "lost",
        /// An invalid context.
        Corrupt = "corrupt",
        /// A valid context on the way out, of a trace that this pod did not receive.
        Unlinked = "unlinked",
        /// A valid context whose sender is not trusted.
        Untrusted = "untrusted",
        /// The request matches an `exclude` rule, and its context was not read.
        Excluded = "excluded",
    }

    /// How a lost or a corrupt context was repaired.
    pub enum Repair {
        /// This pod remembered the context.
        Correlation = "correlation",
        /// Another format held the context.
        Format = "format",
        /// A new trace was started, with the trace-id made from `x-request-id`.
        RequestId = "request_id",
        /// A new trace was started.
        New = "new",
    }

    /// What became of a request that correlation looks at.
    pub enum CorrelationResult {
        /// An inbound request's context is remembered under the request's id.
        Remembered = "remembered",
        /// The same, without its `tracestate`, which was over 512 bytes long. It counts in addition.
        StateDropped = "state_dropped",
        /// An outbound request that had lost its context got it back.
        Repaired = "repaired",
        /// An outbound request got nothing back, because requests of several traces had its id.
        Ambiguous = "ambiguous",
        /// The request has no `x-request-id`, several, or one of over 200 bytes.
        Unusable = "unusable",
    }

    /// What shows that a call without the trace that its pod received belongs to a request that has one.
    pub enum Evidence {
        /// Proof: the call has the `x-request-id` of a request that came in with a trace.
        RequestId = "request_id",
        /// Suspicion: the pod was serving a traced request. A job that runs next to it looks the same.
        InFlight = "in_flight",
        /// None: the pod was serving no traced request, so the call is a job's, or its request has ended.
        Nothing = "none",
    }

    /// The context that the upstream put on its response, compared with the request's.
    pub enum ResponseContext {
        /// No context.
        Absent = "absent",
        /// The same trace.
        Match = "match",
        /// Another trace.
        Mismatch = "mismatch",
        /// An invalid context.
        Corrupt = "corrupt",
    }

    /// By what requests, broken headers and answers are counted in addition.
    pub enum CountBy {
        /// The label `upstream_cluster`: the cluster that Envoy has chosen when the request arrives.
        Cluster = "cluster",
        /// The label `virtual_host`: the virtual host of the request's route.
        VirtualHost = "virtual_host",
    }

    /// A host call that answered an error.
    pub enum HostCall {
        /// Reads a buffer.
        GetBuffer = "get_buffer_bytes",
        /// Reads all headers.
        GetHeaders = "get_header_map_pairs",
        /// Reads one header.
        GetHeader = "get_header_map_value",
        /// Writes one header.
        ReplaceHeader = "replace_header_map_value",
        /// Appends a line of one header.
        AddHeader = "add_header_map_value",
        /// Removes one header.
        RemoveHeader = "remove_header_map_value",
        /// Reads a property.
        GetProperty = "get_property",
        /// Writes a property.
        SetProperty = "set_property",
        /// Reads the memory that workers share.
        GetSharedData = "get_shared_data",
        /// Writes the memory that workers share.
        SetSharedData = "set_shared_data",
        /// Reads the clock.
        GetTime = "get_current_time_nanoseconds",
        /// Reads the environment.
        Environment = "environ_get",
        /// Defines a metric.
        DefineMetric = "define_metric",
        /// Adds to a metric.
        IncrementMetric = "increment_metric",
        /// Draws random bytes.
        RandomGet = "random_get",
        /// Reads a gauge.
        GetMetric = "get_metric",
        /// Sets a gauge, or adds to a histogram.
        RecordMetric = "record_metric",
        /// Asks for ticks.
        SetTickPeriod = "set_tick_period_milliseconds",
        /// Makes a request of the filter's own.
        HttpCall = "http_call",
        /// Goes on in the context that an answer is for.
        SetEffectiveContext = "set_effective_context",
        /// Compiles or evaluates an expression.
        CallForeignFunction = "call_foreign_function",
    }

    /// Whether the filter repairs headers, or only counts.
    pub enum Mode {
        /// Requests are counted and headers repaired.
        Enforce = "enforce",
        /// Requests are counted. No header is changed, but headers that hold secrets are removed.
        Observe = "observe",
    }

    /// What a missing context means.
    pub enum Role {
        /// None was expected: requests come from outside the mesh.
        Edge = "edge",
        /// One was expected: requests come from services that should send one.
        Internal = "internal",
    }

    /// Whether a trace may start here.
    pub enum Start {
        /// A missing or corrupt context is replaced by a new trace.
        Always = "always",
        /// No trace starts here. A missing context stays missing, and a corrupt one is removed.
        Never = "never",
    }

    /// Where the trace-id of a trace that starts here comes from.
    pub enum TraceIdSource {
        /// A random number.
        Random = "random",
        /// The UUID in `x-request-id`.
        RequestId = "x-request-id",
    }

    /// Which parent-id a continued context is sent on with.
    pub enum ParentId {
        /// `new` if this hop records a span, otherwise `forward`.
        Auto = "auto",
        /// The received one.
        Forward = "forward",
        /// A new one on every request.
        New = "new",
    }

    /// A response header that can hold a context.
    pub enum ResponseHeader {
        /// The header `traceparent`, or its name in the field `header`.
        Traceparent = "traceparent",
        /// The header `traceresponse` of earlier drafts of Trace Context Level 3.
        Traceresponse = "traceresponse",
        /// An entry `traceparent;desc="…"` in `Server-Timing`, which scripts in a browser can read.
        ServerTiming = "server-timing",
        /// An entry `trace;desc=…` in `Server-Timing`, as the draft of Trace Context Level 3 has it.
        ServerTimingTrace = "server-timing-trace",
    }

    /// Which responses carry the context.
    pub enum When {
        /// All responses.
        Always = "always",
        /// Responses of sampled traces.
        Sampled = "sampled",
        /// Responses to callers that sent a valid context with a parent-id, in a format that is read.
        Participating = "participating",
    }

    /// What becomes of the context that the upstream put on its response.
    pub enum UpstreamContext {
        /// `remove` with role `edge`, `keep` with role `internal`.
        Auto = "auto",
        /// It goes on.
        Keep = "keep",
        /// The caller does not receive it.
        Remove = "remove",
    }

    /// A format of trace context, by the name that `OTEL_PROPAGATORS` has for it.
    pub enum Format {
        /// W3C Trace Context: `traceparent` and `tracestate`.
        TraceContext = "tracecontext",
        /// Zipkin's single header, `b3`.
        B3 = "b3",
        /// Zipkin's headers `x-b3-…`.
        B3Multi = "b3multi",
        /// Jaeger's `uber-trace-id`.
        Jaeger = "jaeger",
        /// AWS X-Ray's `x-amzn-trace-id`.
        XRay = "xray",
        /// Google Cloud's `x-cloud-trace-context`.
        Gcp = "gcp",
        /// Datadog's headers `x-datadog-…`.
        Datadog = "datadog",
        /// OpenTracing's headers `ot-tracer-…`.
        OtTrace = "ottrace",
        /// OpenCensus' `grpc-trace-bin`.
        GrpcTraceBin = "grpc_trace_bin",
        /// Apache SkyWalking's `sw8`, which is only read.
        Sw8 = "sw8",
    }

    /// What a sampler decided.
    pub enum SamplingDecision {
        /// The trace is recorded.
        Record = "record",
        /// The trace is not recorded.
        Drop = "drop",
    }

    /// What a sampling decision is based on.
    pub enum DecidedBy {
        /// The sampled flag that came in.
        Parent = "parent",
        /// A header with the configured secret.
        Force = "force",
        /// The probability of a rule that matches the request.
        Rule = "rule",
        /// The configured probability.
        Probability = "probability",
        /// The configured rate, which new traces have reached.
        RateLimit = "rate_limit",
        /// The request failed.
        Error = "error",
    }

    /// How a collector is spoken to.
    pub enum Protocol {
        /// OTLP in protobuf over HTTP.
        OtlpHttp = "http/protobuf",
        /// OTLP over gRPC.
        OtlpGrpc = "grpc",
        /// Zipkin's JSON, version 2.
        Zipkin = "zipkin",
    }

    /// Why a span that was recorded does not arrive.
    pub enum DropCause {
        /// The queue was full.
        QueueFull = "queue_full",
        /// The collector refused the batch, and would refuse it again.
        Refused = "refused",
        /// The collector took the batch, but not this span.
        Rejected = "rejected",
        /// The collector could not be reached, or was busy, five times.
        GaveUp = "gave_up",
        /// Envoy would not send the batch, for example because it has no such cluster.
        NotSent = "not_sent",
        /// The VM ended, with the last plugin that could send it: Envoy shut down, or has another module or environment.
        Shutdown = "shutdown",
    }

    /// What became of an attempt to send a batch.
    pub enum BatchResult {
        /// The collector took all of it.
        Exported = "exported",
        /// The collector took some of its spans.
        Partial = "partial",
        /// It will be sent again. That is also so if the plugin ended that waited for the answer.
        Retried = "retried",
        /// The collector refused it, and would refuse it again.
        Refused = "refused",
        /// It was sent five times, and will not be again.
        GaveUp = "gave_up",
        /// Envoy would not send it.
        NotSent = "not_sent",
    }
}

impl DirectionWord {
    /// The stated direction, or `None` if the host has to be asked.
    #[must_use]
    pub const fn stated(self) -> Option<Direction> {
        match self {
            Self::Auto => None,
            Self::Inbound => Some(Direction::Inbound),
            Self::Outbound => Some(Direction::Outbound),
        }
    }
}

impl Verdict {
    /// Whether something came in that breaks a trace, or would: what a log of broken calls shows.
    #[must_use]
    pub const fn is_broken(self) -> bool {
        match self {
            Self::Lost | Self::Corrupt | Self::Untrusted | Self::Unlinked => true,
            Self::Continued | Self::Started | Self::Excluded => false,
        }
    }
}
