//! What is counted when, and how it relates to the rest.

use tracewarden::labels::Labelled;
use tracewarden::metrics::{Corruption, Counter, Measure};
use tracewarden::propagation::Format;

/// What is told of a metric.
pub(super) struct About {
    pub(super) kind: &'static str,
    /// What there is a number of.
    pub(super) unit: &'static str,
    pub(super) text: &'static str,
    /// Whether `metrics.listener` gives it a label.
    pub(super) by_listener: bool,
}

/// What a value of a label means.
pub(super) type Meaning = String;

/// What the passes count.
const fn of_passes(unit: &'static str, text: &'static str) -> About {
    About { kind: "counter", unit, text, by_listener: true }
}

/// What the rest of the module counts.
const fn of_module(unit: &'static str, text: &'static str) -> About {
    About { kind: "counter", unit, text, by_listener: false }
}

pub(super) const BUILD_INFO: About = About {
    kind: "gauge",
    unit: "",
    text: "1 for each build of the module that this Envoy has run, by its `version` and its git `revision`.",
    by_listener: false,
};

pub(super) fn counter(counter: Counter) -> About {
    match counter {
        Counter::Request { .. } => of_passes(
            "requests",
            "Each request that reaches the filter, once, by what came in; after an internal redirect once more. The sum over \
             `context` is what the filter has seen. `lost` on `inbound` is the caller's loss; `lost` on `outbound` is a call \
             that the workload's own application made without a context. A bad `tracestate` beside a good `traceparent` is \
             `continued`.",
        ),
        Counter::Corrupt { .. } => of_passes(
            "headers",
            "Each invalid header of each format that is read, so that one request can count several times. A request with \
             `context=\"corrupt\"` is here at least once; what stands beside a valid context is here as well. `header` is the \
             standard's name, whatever the option `header` calls it, and of a format with several headers the first.",
        ),
        Counter::Repair { .. } => of_passes(
            "requests",
            "What was done about a lost or corrupt context, beside the verdict, which it does not change; nothing in `mode: \
             observe`. `format` stands beside a request that another format's context saved from being `corrupt`. The others \
             together are at most the requests that are `lost` or `corrupt`: the rest of those went on without a context, as \
             with `start: never`.",
        ),
        Counter::Sampled { .. } => of_passes(
            "requests",
            "Each request that goes on with a context, once, by what was decided about its trace and on what ground; nothing \
             in `mode: observe`. `by=\"error\"` comes on top, for a span that is recorded late.",
        ),
        Counter::Response { .. } => of_passes(
            "responses",
            "With `response.validate`: each response to a request that went on with a context, by what the upstream put on \
             it. Envoy's own answers count as `absent`.",
        ),
        Counter::Format { .. } => of_passes(
            "requests",
            "Each request with a valid context, by the format that held it, where `propagation` names more than \
             `tracecontext`. The sum is that of the requests that are `continued`, `unlinked` and `restarted`.",
        ),
        Counter::Conflict { .. } => of_passes(
            "contexts",
            "Each valid context that names another trace than the one that is used, which is that of the format that stands \
             first in `propagation.extract`.",
        ),
        Counter::BaggageLimited => of_passes(
            "requests",
            "With `baggage.limit`: each request whose baggage was cut down to its bounds.",
        ),
        Counter::SpanRecorded => of_module(
            "spans",
            "With `export`: each span that was made. It is exported, or dropped, or waits: recorded = exported + dropped + \
             `tracewarden_export_queue_spans`.",
        ),
        Counter::SpanExported => of_module("spans", "With `export`: each span that the collector took."),
        Counter::SpanDropped { .. } => {
            of_module("spans", "With `export`: each span that does not arrive, by why.")
        }
        Counter::Batch { .. } => of_module(
            "attempts",
            "With `export`: each attempt to send a batch of spans, by what became of it. All but `retried` end the batch.",
        ),
        Counter::Bypassed => of_module(
            "requests",
            "Each request that passed untouched because the configuration is bad and `TRACEWARDEN_ON_BAD_CONFIG` is `bypass`. \
             It is in no other metric.",
        ),
        Counter::HostError { .. } => of_module(
            "calls",
            "Each call that Envoy answered with an error, by its name in proxy-wasm or WASI. The request went on, without what \
             the call was for. A header map that cannot be read counts as `get_header_map_pairs`.",
        ),
    }
}

pub(super) fn measure(measure: Measure) -> About {
    let (kind, unit, text) = match measure {
        Measure::QueuedSpans => ("gauge", "spans", "With `export`: the spans that wait, on all workers."),
        Measure::ExportDuration => {
            ("histogram", "milliseconds", "With `export`: how long the collector takes to answer an upload.")
        }
        Measure::RequestPass | Measure::ResponsePass => (
            "histogram",
            "nanoseconds",
            "How long a pass takes, one in 63, the time in which its worker had no processor included.",
        ),
    };
    About { kind, unit, text, by_listener: false }
}

/// What the values of its labels mean, in their order.
pub(super) fn meanings(counter: Counter) -> Vec<Meaning> {
    match counter {
        Counter::Request { direction, role, mode, context } => {
            vec![of(direction), of(role), of(mode), of(context)]
        }
        Counter::Corrupt { direction, corruption } => {
            let [header, reason] = of_corruption(corruption);
            vec![of(direction), header, reason]
        }
        Counter::Repair { direction, by } => vec![of(direction), of(by)],
        Counter::Sampled { decision, by } => vec![of(decision), of(by)],
        Counter::Response { context } => vec![of(context)],
        Counter::Format { format } => vec![of(format)],
        Counter::Conflict { used, other } => vec![of(used), of(other)],
        Counter::SpanDropped { cause } => vec![of(cause)],
        Counter::Batch { result } => vec![of(result)],
        Counter::HostError { call } => vec![of(call)],
        Counter::SpanRecorded | Counter::SpanExported | Counter::BaggageLimited | Counter::Bypassed => {
            Vec::new()
        }
    }
}

pub(super) fn meanings_of_measure(measure: Measure) -> Vec<Meaning> {
    match measure {
        Measure::QueuedSpans | Measure::ExportDuration => Vec::new(),
        Measure::RequestPass => vec!["That of a request's headers.".to_owned()],
        Measure::ResponsePass => vec!["That of a response's headers.".to_owned()],
    }
}

fn of<T: Labelled>(word: T) -> Meaning {
    let named = T::LABELS.iter().zip(T::MEANINGS).find(|(label, _)| **label == word.label());
    named.map(|(_, meaning)| (*meaning).to_owned()).unwrap_or_default()
}

/// What the header is, and what is wrong with it there.
fn of_corruption(corruption: Corruption) -> [Meaning; 2] {
    let (header, place) = match corruption {
        Corruption::TraceParent(_) | Corruption::TraceState(_) => (of(Format::TraceContext), None),
        Corruption::RequestId => ("The UUID of `trace_id_source: x-request-id`.".to_owned(), None),
        Corruption::Format(format, _) => (of(format), Some("another format".to_owned())),
    };
    let told = corruption.to_string();
    let (name, reason) = told.split_once(": ").unwrap_or_default();
    let place = place.unwrap_or_else(|| format!("`{name}`"));
    [header, format!("{place}: {reason}")]
}
