//! What a counter that should be zero means: its likely cause, and the mend. Every counter and every reason is matched,
//! so that a new one does not compile without its text.

mod corruption;
mod host;
mod spans;

use serde::Serialize;
use tracewarden::metrics::Counter;
use tracewarden::words::{Direction, Format, ResponseContext, Role, Verdict};

pub(crate) use corruption::unexplained;
pub(crate) use spans::unreachable;

/// What is wrong, in one word for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Bypassed,
    NotRunning,
    LostByApplication,
    LostByCaller,
    Lost,
    LostByJobs,
    Corrupt,
    Unlinked,
    Conflict,
    ResponseMismatch,
    ResponseCorrupt,
    CollectorUnreachable,
    SpansDropped,
    HostErrors,
}

/// How much is at stake, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Tracewarden does not see the requests at all.
    Blind,
    /// Traces are broken.
    Broken,
    /// Traces are whole, or never were; something beside them is missing.
    Beside,
}

/// What a workload receives, beside what is wrong with its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many contexts that its application would have one to send.
    Contexts,
    /// Requests, with next to no context.
    Requests,
    /// No request, as far as Tracewarden sees: it runs jobs, or it is a gateway that others call through.
    Nothing,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Requests,
    Responses,
    Spans,
    Uploads,
    Calls,
}

/// The runbook's sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    TraceLoss,
    TraceCorruption,
    InconsistentTraces,
    TraceStorage,
    HostErrors,
    Bypassed,
    NotRunning,
}

/// What there is to say of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) kind: Kind,
    pub(crate) rank: Rank,
    pub(crate) unit: Unit,
    pub(crate) what: String,
    pub(crate) cause: String,
    pub(crate) mend: String,
    pub(crate) section: Section,
}

impl Unit {
    /// The word for so many.
    pub(crate) const fn word(self, number: u64) -> &'static str {
        match (self, number) {
            (Self::Requests, 1) => "request",
            (Self::Requests, _) => "requests",
            (Self::Responses, 1) => "response",
            (Self::Responses, _) => "responses",
            (Self::Spans, 1) => "span",
            (Self::Spans, _) => "spans",
            (Self::Uploads, 1) => "upload",
            (Self::Uploads, _) => "uploads",
            (Self::Calls, 1) => "call",
            (Self::Calls, _) => "calls",
        }
    }
}

impl Section {
    pub(crate) const fn link(self) -> &'static str {
        match self {
            Self::TraceLoss => "docs/runbook.md#trace-loss",
            Self::TraceCorruption => "docs/runbook.md#trace-corruption",
            Self::InconsistentTraces => "docs/runbook.md#inconsistent-traces",
            Self::TraceStorage => "docs/runbook.md#trace-storage",
            Self::HostErrors => "docs/runbook.md#host-errors",
            Self::Bypassed => "docs/runbook.md#bypassed",
            Self::NotRunning => "docs/runbook.md#not-running",
        }
    }
}

/// What a counter says by having counted, beside what the same workload receives.
pub(crate) fn of(counter: Counter, received: Received) -> Option<Advice> {
    match counter {
        Counter::Request { role: Role::Internal, direction, context, .. } => {
            verdict(context, direction, received)
        }
        Counter::Corrupt { direction, corruption } => {
            Some(corruption::advice(direction, received, corruption))
        }
        Counter::Conflict { used, other } => Some(conflict(used, other)),
        Counter::Response { context } => answer(context),
        Counter::SpanDropped { cause } => Some(spans::dropped(cause)),
        Counter::HostError { call } => Some(host::error(call)),
        Counter::Bypassed => Some(bypassed()),
        // Nothing is due at the edge. The others tell what was done, not what went wrong.
        Counter::Request { role: Role::Edge, .. }
        | Counter::Repair { .. }
        | Counter::Sampled { .. }
        | Counter::Format { .. }
        | Counter::SpanRecorded
        | Counter::SpanExported
        | Counter::Batch { .. }
        | Counter::BaggageLimited => None,
    }
}

fn verdict(context: Verdict, direction: Direction, received: Received) -> Option<Advice> {
    match context {
        Verdict::Lost => Some(match (direction, received) {
            (Direction::Inbound, _) => lost_by_caller(),
            (Direction::Outbound, Received::Contexts) => lost_by_application(),
            (Direction::Outbound, Received::Requests | Received::Nothing) => lost_by_jobs(),
            (Direction::Unspecified, _) => lost(),
        }),
        Verdict::Unlinked => Some(unlinked()),
        // A counter of its own has the reason.
        Verdict::Corrupt => None,
        Verdict::Continued | Verdict::Started | Verdict::Untrusted | Verdict::Excluded => None,
    }
}

fn lost_by_caller() -> Advice {
    Advice {
        kind: Kind::LostByCaller,
        rank: Rank::Broken,
        unit: Unit::Requests,
        what: "its callers send no trace context".to_owned(),
        cause: "A caller whose HTTP client is not instrumented; a gateway that filters headers it does not know; a proxy \
                that speaks another format, such as b3. Envoy's log names a caller once in ten seconds (lost inbound, from …)."
            .to_owned(),
        mend: "Instrument the caller, or let it forward traceparent and tracestate; read the other format as well \
               (propagation.extract). Where traces begin here, the role is edge; probes belong into exclude."
            .to_owned(),
        section: Section::TraceLoss,
    }
}

fn lost_by_application() -> Advice {
    Advice {
        kind: Kind::LostByApplication,
        rank: Rank::Broken,
        unit: Unit::Requests,
        what: "its own application calls out without the trace context that it receives".to_owned(),
        cause: "An HTTP client that is not instrumented, or is made before the instrumentation; a thread pool or a queue \
                that drops the context."
            .to_owned(),
        mend: "Instrument the client, or forward traceparent and tracestate. Until then correlation gives the context \
               back where the application forwards x-request-id."
            .to_owned(),
        section: Section::TraceLoss,
    }
}

fn lost_by_jobs() -> Advice {
    Advice {
        kind: Kind::LostByJobs,
        rank: Rank::Beside,
        unit: Unit::Requests,
        what: "it calls out without a trace context, and is given next to none".to_owned(),
        cause: "Jobs and timers that never had one, or at a gateway who calls through it; or an application whose inbound \
                side has no Tracewarden."
            .to_owned(),
        mend: "Let the job start a trace, and the gateway's caller send its own. If calls may start one here, the role of \
               this side is edge; if they are probes, they belong into exclude."
            .to_owned(),
        section: Section::TraceLoss,
    }
}

fn lost() -> Advice {
    Advice {
        kind: Kind::Lost,
        rank: Rank::Broken,
        unit: Unit::Requests,
        what: "requests come without a trace context; in which direction, Envoy does not say".to_owned(),
        cause: "The listener has no traffic_direction, so whether a caller or the application lost it is not known.".to_owned(),
        mend: "State direction in the plugin's configuration, or traffic_direction on the listener.".to_owned(),
        section: Section::TraceLoss,
    }
}

fn unlinked() -> Advice {
    Advice {
        kind: Kind::Unlinked,
        rank: Rank::Broken,
        unit: Unit::Requests,
        what: "its own application calls out in a trace that this pod did not receive".to_owned(),
        cause: "An application that starts a trace of its own instead of continuing: its server side is not instrumented, or \
                reads another format than its client side writes. Or a pod that receives more traces in a minute than \
                correlation.slots holds, or answers later than correlation.ttl_seconds."
            .to_owned(),
        mend: "Instrument the server side; give both sides the same propagators. Else raise slots or ttl_seconds.".to_owned(),
        section: Section::InconsistentTraces,
    }
}

fn conflict(used: Format, other: Format) -> Advice {
    let (used, other) = (used.label(), other.label());
    Advice {
        kind: Kind::Conflict,
        rank: Rank::Broken,
        unit: Unit::Requests,
        what: format!("requests name two traces: one in {used}, which is used, and another in {other}"),
        cause: "Two instrumentations on the way, each of which continues only the format that it knows."
            .to_owned(),
        mend: format!(
            "Give both the same propagators; or take {other} out of propagation.extract, and remove its headers by \
             propagation.remove. The first format in propagation.extract counts."
        ),
        section: Section::InconsistentTraces,
    }
}

fn answer(context: ResponseContext) -> Option<Advice> {
    let (kind, rank, what, cause) = match context {
        ResponseContext::Mismatch => (
            Kind::ResponseMismatch,
            Rank::Broken,
            "responses name another trace than the requests were sent with",
            "An upstream that starts a trace of its own instead of continuing; a cache that keeps the header of an \
             earlier response.",
        ),
        ResponseContext::Corrupt => (
            Kind::ResponseCorrupt,
            Rank::Beside,
            "responses tell their trace in a header that is not valid",
            "An upstream that writes traceparent, traceresponse or server-timing by hand.",
        ),
        ResponseContext::Match | ResponseContext::Absent => return None,
    };
    Some(Advice {
        kind,
        rank,
        unit: Unit::Responses,
        what: what.to_owned(),
        cause: cause.to_owned(),
        mend: "Let the upstream continue the traceparent that it receives and answer with it, or with none; keep trace \
               headers out of caches."
            .to_owned(),
        section: Section::InconsistentTraces,
    })
}

fn bypassed() -> Advice {
    Advice {
        kind: Kind::Bypassed,
        rank: Rank::Blind,
        unit: Unit::Requests,
        what: "every request passes untouched and unjudged: the configuration is refused".to_owned(),
        cause: "The plugin's configuration is bad, and TRACEWARDEN_ON_BAD_CONFIG=bypass lets requests pass.".to_owned(),
        mend: "Mend the field that Envoy's log names (configuration refused); tracewarden check validates the rest.".to_owned(),
        section: Section::Bypassed,
    }
}

/// Envoy has counters of Tracewarden, and they stand still.
pub(crate) fn stopped() -> Advice {
    Advice {
        kind: Kind::NotRunning,
        rank: Rank::Blind,
        unit: Unit::Requests,
        what: "Envoy serves requests, and Tracewarden sees hardly any of them".to_owned(),
        cause: "The filter trapped, and FAIL_OPEN has gone on without it since; or most listeners have no filter.".to_owned(),
        mend: "Look for wasm in Envoy's log at the time when the counters stopped; restart the Envoy, and report the trap."
            .to_owned(),
        section: Section::NotRunning,
    }
}

/// Envoy has no counter of Tracewarden.
pub(crate) fn absent(rank: Rank) -> Advice {
    Advice {
        kind: Kind::NotRunning,
        rank,
        unit: Unit::Requests,
        what: "Envoy serves without Tracewarden: there is none of its counters".to_owned(),
        cause: "The module was never loaded, no listener has the filter, or it is switched off (enabled: false); or \
                stats_matcher, in Istio proxyStatsMatcher, leaves its stats out."
            .to_owned(),
        mend: "Look for wasm in Envoy's log, in Istio also in the agent's about the pull; look for the filter in \
               /config_dump."
            .to_owned(),
        section: Section::NotRunning,
    }
}
