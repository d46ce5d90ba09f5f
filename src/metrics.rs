//! Every metric, in two tables: what counts, and what measures. Place, name, labels and reference follow from them.

mod table;

use core::fmt;

use crate::formats::FormatError;
use crate::headers::{TRACEPARENT, TRACESTATE, X_REQUEST_ID};
use crate::hop::HopChange;
use crate::w3c::{TraceParentError, TraceStateError};
use crate::words::{
    BatchResult, CorrelationResult, DecidedBy, Direction, DirectionWord, DropCause, Evidence, Format,
    HostCall, Labelled, Mode, Repair, ResponseContext, Role, SamplingDecision, Verdict, labels,
};

use self::table::{LabelSet, Place, choices, series, sum};

series! {
    /// A series of a metric that counts.
    pub enum Counter {
        /// Each request that reaches the filter, once, by what came in. An internal redirect does not count again. The sum over
        /// `context` is all that the filter has seen. `lost` on `inbound` means that the caller sent no context; on
        /// `outbound`, that the workload's own application made a call without one. A bad `tracestate` next to a good
        /// `traceparent` is `continued`.
        Request { direction: Direction, role: Role, mode: Mode, context: Verdict }
            = Metric::of_destination("tracewarden_requests_total", "requests"),
        /// Each invalid header of each format that is read, so that one request can count several times. A request with
        /// `context="corrupt"` counts here at least once. An invalid header next to a valid context counts here too.
        /// `header` is the standard's name, whatever the option `header` calls it. A format with several headers has the
        /// name of the first, if it is not another one that is wrong.
        Corrupt { direction: Direction, corruption: Corruption }
            = Metric::of_destination("tracewarden_corrupt_total", "headers"),
        /// What was done about a lost or corrupt context, in addition to the verdict, which it does not change. In
        /// `mode: observe` nothing counts here. `format` is a request that another format's context saved from being
        /// `corrupt`. The others together are at most the requests that are `lost` or `corrupt`: the rest of those went
        /// on without a context, as with `start: never`.
        Repair { direction: Direction, by: Repair } = Metric::of_listener("tracewarden_repairs_total", "requests"),
        /// Each request that goes on with a context, once, by what was decided about its trace and on what ground. In
        /// `mode: observe` nothing counts here. `by="error"` counts in addition, for a span that is recorded late.
        Sampled { decision: SamplingDecision, by: DecidedBy } if (can_decide(by, decision))
            = Metric::of_listener("tracewarden_sampled_total", "requests"),
        /// With `response.validate`: each response to a request that went on with a context, by what the upstream put on
        /// it. Envoy's own answers count as `absent`.
        Response { context: ResponseContext }
            = Metric::of_destination("tracewarden_responses_total", "responses"),
        /// Each request with a valid context, by the format that held it, if `propagation` names more than
        /// `tracecontext`. The sum is that of the requests that are `continued`, `unlinked` and `untrusted`.
        Format { format: Format } = Metric::of_listener("tracewarden_formats_total", "requests"),
        /// Each valid context that names another trace than the one that is used. The format that comes first in
        /// `propagation.extract` is used.
        Conflict { used: Format, other: Format } if (used != other)
            = Metric::of_listener("tracewarden_conflicts_total", "contexts"),
        /// Each request without a context in a format that is read, by each other known format whose header came. Name it in
        /// `propagation.extract` to continue those traces.
        Unread { format: Format } = Metric::of_listener("tracewarden_unread_total", "requests"),
        /// If `propagation.inject` names more than `tracecontext`: each request that went on with a second trace, by the format
        /// that names it when the stream ends. Envoy's tracer, another filter or the route wrote it after this filter. A worker
        /// looks at its first request and at one in 17. Once it has found one, it looks at all.
        SecondTrace { format: Format } = Metric::of_listener("tracewarden_second_trace_total", "requests"),
        /// With `correlation`: each inbound request with a context, and each outbound request that lost its own, by what the
        /// memory did for it.
        Correlation { result: CorrelationResult } = Metric::of_listener("tracewarden_correlation_total", "requests"),
        /// With `correlation`: each outbound request that is `lost` or `unlinked`, by what shows that it belongs to a traced
        /// request that this pod received. Without `correlation` that is not checked.
        Evidence { mode: Mode, context: Verdict, evidence: Evidence } if (can_be_weighed(context))
            = Metric::of_listener("tracewarden_call_evidence_total", "requests"),
        /// With `hop: after`: each attempt to send a request that passed a filter with `hop: before`, by what the proxy did to
        /// its trace context between the two. `kept` is alone. Otherwise each change counts, so that one attempt can count
        /// several times. A retry is another attempt.
        Hop { change: HopChange } = Metric::of_listener("tracewarden_hop_total", "attempts"),
        /// With `export`: each span that was made. It is exported, or dropped, or waits: recorded = exported + dropped +
        /// `tracewarden_export_queue_spans`.
        SpanRecorded = Metric::of_module("tracewarden_spans_recorded_total", "spans"),
        /// With `export`: each span that the collector took.
        SpanExported = Metric::of_module("tracewarden_spans_exported_total", "spans"),
        /// With `export`: each span that does not arrive, by the cause.
        SpanDropped { cause: DropCause } = Metric::of_module("tracewarden_spans_dropped_total", "spans"),
        /// With `export`: each attempt to send a batch of spans, by its result. All but `retried` end the batch.
        Batch { result: BatchResult } = Metric::of_module("tracewarden_export_batches_total", "attempts"),
        /// With `baggage.limit`: each request whose baggage was cut down to its bounds.
        BaggageLimited = Metric::of_listener("tracewarden_baggage_limited_total", "requests"),
        /// Each request that passed untouched because the configuration is bad and `TRACEWARDEN_ON_BAD_CONFIG` is
        /// `bypass`. It is in no other metric.
        Bypassed = Metric::of_module("tracewarden_bypassed_total", "requests"),
        /// Each call that Envoy answered with an error, by its name in proxy-wasm or WASI. The request went on, without
        /// what the call was for. A header map that cannot be read counts as `get_header_map_pairs`.
        HostError { call: HostCall } = Metric::of_module("tracewarden_host_errors_total", "calls"),
    }
}

series! {
    /// A series of a metric that does not count.
    pub enum Measure {
        /// Whether the plugin works: 1, or 0 with `"enabled": false`. Plugins of one direction in one Envoy share it, unless
        /// `metrics.listener` tells them apart: the one that was configured last counts. It stays after a plugin is removed.
        Enabled { direction: DirectionWord }
            = Metric::of_listener("tracewarden_enabled", "plugins").kind(MetricKind::Gauge),
        /// With `export`: the spans that wait, on all workers.
        QueuedSpans = Metric::of_module("tracewarden_export_queue_spans", "spans").kind(MetricKind::Gauge),
        /// With `correlation`: the inbound requests with a context whose streams have not ended, on all workers. After a trap it
        /// can stay too high until Envoy ends.
        TracedInFlight
            = Metric::of_module("tracewarden_traced_requests_in_flight", "requests").kind(MetricKind::Gauge),
        /// With `export`: how long the collector takes to answer an upload.
        ExportDuration
            = Metric::of_module("tracewarden_export_duration_ms", "milliseconds").kind(MetricKind::Histogram),
        /// How long a pass takes, one in 63, including the time in which its worker had no processor.
        PassDuration { pass: Pass }
            = Metric::of_module("tracewarden_pass_duration_ns", "nanoseconds").kind(MetricKind::Histogram),
    }
}

/// Of how many passes one is timed. The number is odd, because requests and responses may take turns.
pub const TIMED_PASSES: u32 = 63;

labels! {
    /// What passes the filter.
    pub enum Pass {
        /// That of a request's headers.
        Request = "request",
        /// That of a response's headers.
        Response = "response",
    }
}

choices! {
    /// A header that was invalid, and why.
    pub enum Corruption {
        /// In `traceparent`.
        TraceParent(reason: TraceParentError),
        /// In `tracestate`.
        TraceState(reason: TraceStateError),
        /// In `x-request-id`, which was to give a trace-id and is no UUID.
        RequestId,
        /// In a header of another format than W3C's.
        Format(format: Format, reason: FormatError) if (format != Format::TraceContext),
    }
}

/// A metric, and what the reference says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// How its values are read.
    pub kind: MetricKind,
    /// What there is a number of; empty if that is nothing.
    pub unit: &'static str,
    /// Whose it is.
    pub scope: Scope,
    /// What it says, in Markdown.
    pub meaning: &'static str,
}

labels! {
    /// How the values of a metric are read.
    pub enum MetricKind {
        /// It only grows.
        Counter = "counter",
        /// It goes up and down.
        Gauge = "gauge",
        /// It is sorted into buckets.
        Histogram = "histogram",
    }
}

/// Whose series they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of the plugin, which `metrics.listener` gives a label, and of where requests go, which `metrics.by` gives one.
    Destination,
    /// Of the plugin, which `metrics.listener` gives a label.
    Listener,
    /// Of the whole VM.
    Module,
}

/// A label of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: &'static str,
    /// What the value means, in Markdown.
    pub meaning: String,
}

impl Metric {
    const fn of_listener(name: &'static str, unit: &'static str) -> Self {
        Self { name, kind: MetricKind::Counter, unit, scope: Scope::Listener, meaning: "" }
    }

    const fn of_destination(name: &'static str, unit: &'static str) -> Self {
        Self { scope: Scope::Destination, ..Self::of_listener(name, unit) }
    }

    const fn of_module(name: &'static str, unit: &'static str) -> Self {
        Self { scope: Scope::Module, ..Self::of_listener(name, unit) }
    }

    const fn kind(self, kind: MetricKind) -> Self {
        Self { kind, ..self }
    }
}

impl Label {
    fn of<T: LabelSet>(set: T, name: &'static str) -> impl Iterator<Item = Self> {
        set.labels(name).zip(set.meanings()).map(|((name, value), meaning)| Self { name, value, meaning })
    }
}

// Names are written when counters are defined, once a VM: size goes before speed.
#[inline(never)]
fn write_label(name: &str, value: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{name}=.={value};.;")
}

/// Whether a verdict leaves open whose fault it is.
fn can_be_weighed(context: Verdict) -> bool {
    matches!(context, Verdict::Lost | Verdict::Unlinked)
}

/// Whether a sampling decision can be made on this ground: two of them only ever record, and the rate only drops.
fn can_decide(by: DecidedBy, decision: SamplingDecision) -> bool {
    match by {
        DecidedBy::Force | DecidedBy::Error => decision == SamplingDecision::Record,
        DecidedBy::RateLimit => decision == SamplingDecision::Drop,
        DecidedBy::Parent | DecidedBy::Rule | DecidedBy::Probability => true,
    }
}

impl Corruption {
    /// The header (the first one, if the format has several), and what is wrong with it in one word and in a few.
    fn parts(&self) -> (&'static str, &'static str, &dyn fmt::Display) {
        match self {
            Self::TraceParent(reason) => (TRACEPARENT, reason.label(), reason),
            Self::TraceState(reason) => (TRACESTATE, reason.label(), reason),
            Self::RequestId => (X_REQUEST_ID, "uuid", &"it is no UUID"),
            Self::Format(format, reason) => (format.blamed(*reason), reason.label(), reason),
        }
    }

    /// What is wrong, as the label `reason` says it.
    pub(crate) fn reason(&self) -> &'static str {
        let (_, reason, _) = self.parts();
        reason
    }
}

impl LabelSet for Corruption {
    const COUNT: usize = Self::COUNT;

    fn at(place: usize) -> Option<Self> {
        Self::at(place)
    }

    fn labels(self, _: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
        let (header, reason, _) = self.parts();
        [("header", header), ("reason", reason)].into_iter()
    }

    fn meanings(self) -> Vec<String> {
        let (name, _, problem) = self.parts();
        let header = match self {
            Self::TraceParent(_) | Self::TraceState(_) => Format::TraceContext.meaning(),
            Self::RequestId => "The UUID of `trace_id_source: x-request-id`.",
            Self::Format(format, _) => format.meaning(),
        };
        let place = match self {
            Self::Format(..) => "another format".to_owned(),
            _ => format!("`{name}`"),
        };
        vec![header.to_owned(), format!("{place}: {problem}")]
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, _, problem) = self.parts();
        write!(f, "{header}: {problem}")
    }
}
