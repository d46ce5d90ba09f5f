//! Every counter: its labels, its place in a dense table, and its name in Envoy's stats.

use core::fmt;

use crate::config::{Config, Mode, Role, Start, TraceIdSource};
use crate::exclude::Exclude;
use crate::export::{BatchResult, DropCause};
use crate::labels::labels;
use crate::propagation::{Format, FormatError};
use crate::request_id::X_REQUEST_ID;
use crate::sampling::{DecidedBy, SamplingDecision};
use crate::w3c::{TraceParentError, TraceStateError};

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
}

labels! {
    /// What came in on a request: exactly one of these.
    pub enum Verdict {
        /// A valid context.
        Continued = "continued",
        /// No context, and none was due (role `edge`).
        Started = "started",
        /// No context where one was due (role `internal`).
        Lost = "lost",
        /// An invalid context.
        Corrupt = "corrupt",
        /// A valid context on the way out, of a trace that this pod did not receive.
        Unlinked = "unlinked",
        /// A valid context whose sender is not trusted.
        Restarted = "restarted",
        /// The request matches an `exclude` rule; nobody looked.
        Excluded = "excluded",
    }
}

labels! {
    /// What was done about a lost or a corrupt context.
    pub enum Repair {
        /// This pod remembered the context.
        Correlation = "correlation",
        /// Another format held the context.
        Format = "format",
        /// A new trace was started, with the trace-id that `x-request-id` stands for.
        RequestId = "request_id",
        /// A new trace was started.
        New = "new",
    }
}

labels! {
    /// What the upstream put on its response, compared with the request's context.
    pub enum Answer {
        /// No context.
        Absent = "absent",
        /// The same trace.
        Match = "match",
        /// Another trace.
        Mismatch = "mismatch",
        /// An invalid context.
        Corrupt = "corrupt",
    }
}

labels! {
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
        /// Draws random octets.
        RandomGet = "random_get",
        /// Sets a gauge, or adds to a histogram.
        RecordMetric = "record_metric",
        /// Asks for ticks.
        SetTickPeriod = "set_tick_period_milliseconds",
        /// Makes a request of the filter's own.
        HttpCall = "http_call",
        /// Makes a gRPC request of the filter's own.
        GrpcCall = "grpc_call",
    }
}

labels! {
    /// A metric that is no counter.
    pub enum Measure {
        /// How many spans wait on all workers: a gauge.
        QueuedSpans = "tracewarden_export_queue_spans",
        /// How long collectors take to answer, in milliseconds: a histogram.
        ExportDuration = "tracewarden_export_duration_ms",
        /// How long the pass of a request takes, in nanoseconds, one in [`TIMED_PASSES`]: a histogram.
        RequestPass = "pass=.=request;.;tracewarden_pass_duration_ns",
        /// The same of a response.
        ResponsePass = "pass=.=response;.;tracewarden_pass_duration_ns",
    }
}

/// Of how many passes one is timed. The number is odd, because requests and responses may take turns.
pub const TIMED_PASSES: u32 = 63;

/// A header that was invalid, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// In `traceparent`.
    TraceParent(TraceParentError),
    /// In `tracestate`.
    TraceState(TraceStateError),
    /// In `x-request-id`, which was to give a trace-id and is no UUID.
    RequestId,
    /// In a header of another format.
    Format(Format, FormatError),
}

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Requests, by what came in.
    Request {
        /// Which way the request went.
        direction: Direction,
        /// What a missing context meant.
        role: Role,
        /// Whether headers were mended.
        mode: Mode,
        /// What came in.
        context: Verdict,
    },
    /// Invalid headers.
    Corrupt {
        /// Which way the request went.
        direction: Direction,
        /// The header and the reason.
        corruption: Corruption,
    },
    /// Mended contexts.
    Repair {
        /// Which way the request went.
        direction: Direction,
        /// How it was mended.
        by: Repair,
    },
    /// Sampling decisions.
    Sampled {
        /// What was decided.
        decision: SamplingDecision,
        /// On what ground.
        by: DecidedBy,
    },
    /// Responses, by what the upstream put on them.
    Response {
        /// What was found.
        context: Answer,
    },
    /// Continued contexts, by the format that held them, where more than W3C's is read.
    Format {
        /// The format.
        format: Format,
    },
    /// Valid contexts of two formats that name different traces.
    Conflict {
        /// The format whose context was used.
        used: Format,
        /// The format whose context was not.
        other: Format,
    },
    /// Spans that were made.
    SpanRecorded,
    /// Spans that arrived at the collector.
    SpanExported,
    /// Spans that did not.
    SpanDropped {
        /// Why.
        cause: DropCause,
    },
    /// Attempts to send a batch of spans.
    Batch {
        /// What became of it.
        result: BatchResult,
    },
    /// Requests whose baggage was cut down to its bounds.
    BaggageLimited,
    /// Requests that passed because the configuration is bad.
    Bypassed,
    /// Host calls that answered an error.
    HostError {
        /// Which call.
        call: HostCall,
    },
}

impl Corruption {
    const W3C: usize = TraceParentError::ALL.len() + TraceStateError::ALL.len();
    const REQUEST_ID: usize = 1;
    const COUNT: usize = Self::W3C + Self::REQUEST_ID + Format::ALL.len() * FormatError::ALL.len();

    /// Every header that can be invalid, with every reason.
    fn every() -> Vec<Self> {
        let of_parent = TraceParentError::ALL.iter().map(|&reason| Self::TraceParent(reason));
        let of_state = TraceStateError::ALL.iter().map(|&reason| Self::TraceState(reason));
        // W3C's own reasons are those of its two parsers.
        let formats = Format::ALL.iter().filter(|format| **format != Format::TraceContext);
        let of_formats = formats
            .flat_map(|&format| FormatError::ALL.iter().map(move |&reason| Self::Format(format, reason)));
        of_parent.chain(of_state).chain([Self::RequestId]).chain(of_formats).collect()
    }

    #[inline]
    const fn index(self) -> usize {
        match self {
            Self::TraceParent(reason) => reason as usize,
            Self::TraceState(reason) => TraceParentError::ALL.len() + reason as usize,
            Self::RequestId => Self::W3C,
            Self::Format(format, reason) => {
                Self::W3C + Self::REQUEST_ID + format as usize * FormatError::ALL.len() + reason as usize
            }
        }
    }

    /// Which header, and what is wrong with it.
    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::TraceParent(reason) => (crate::headers::TRACEPARENT, reason.label()),
            Self::TraceState(reason) => (crate::headers::TRACESTATE, reason.label()),
            Self::RequestId => (X_REQUEST_ID, "uuid"),
            Self::Format(format, reason) => (format.header(), reason.label()),
        }
    }
}

const REQUESTS: usize = Direction::ALL.len() * Role::ALL.len() * Mode::ALL.len() * Verdict::ALL.len();
const CORRUPT: usize = Direction::ALL.len() * Corruption::COUNT;
const REPAIRS: usize = Direction::ALL.len() * Repair::ALL.len();
const SAMPLED: usize = SamplingDecision::ALL.len() * DecidedBy::ALL.len();
const RESPONSES: usize = Answer::ALL.len();

const AFTER_REQUESTS: usize = REQUESTS;
const AFTER_CORRUPT: usize = AFTER_REQUESTS + CORRUPT;
const AFTER_REPAIRS: usize = AFTER_CORRUPT + REPAIRS;
const AFTER_SAMPLED: usize = AFTER_REPAIRS + SAMPLED;
const AFTER_RESPONSES: usize = AFTER_SAMPLED + RESPONSES;
const AFTER_FORMATS: usize = AFTER_RESPONSES + Format::ALL.len();
const AFTER_CONFLICTS: usize = AFTER_FORMATS + Format::ALL.len() * Format::ALL.len();
const AFTER_DROPPED: usize = AFTER_CONFLICTS + DropCause::ALL.len();
const AFTER_BATCHES: usize = AFTER_DROPPED + BatchResult::ALL.len();
const ALONE: usize = 4;

impl Counter {
    /// How many counters there are.
    pub const COUNT: usize = AFTER_BATCHES + ALONE + HostCall::ALL.len();

    /// Every counter that there can be.
    pub fn every() -> Vec<Self> {
        let mut all = Vec::new();
        for &direction in Direction::ALL {
            for &role in Role::ALL {
                for &mode in Mode::ALL {
                    let verdicts = Verdict::ALL.iter();
                    all.extend(verdicts.map(|&context| Self::Request { direction, role, mode, context }));
                }
            }
            let corruptions = Corruption::every().into_iter();
            all.extend(corruptions.map(|corruption| Self::Corrupt { direction, corruption }));
            all.extend(Repair::ALL.iter().map(|&by| Self::Repair { direction, by }));
        }
        for &decision in SamplingDecision::ALL {
            all.extend(DecidedBy::ALL.iter().map(|&by| Self::Sampled { decision, by }));
        }
        all.extend(Answer::ALL.iter().map(|&context| Self::Response { context }));
        all.extend(Format::ALL.iter().map(|&format| Self::Format { format }));
        for &used in Format::ALL {
            let others = Format::ALL.iter().filter(|other| **other != used);
            all.extend(others.map(|&other| Self::Conflict { used, other }));
        }
        all.extend([Self::SpanRecorded, Self::SpanExported]);
        all.extend(DropCause::ALL.iter().map(|&cause| Self::SpanDropped { cause }));
        all.extend(BatchResult::ALL.iter().map(|&result| Self::Batch { result }));
        all.extend([Self::BaggageLimited, Self::Bypassed]);
        all.extend(HostCall::ALL.iter().map(|&call| Self::HostError { call }));
        all
    }

    /// The counters that the passes under this configuration reach sooner or later; not the reasons of corruption and
    /// the errors of the host, most of which a healthy mesh never sees.
    pub fn expected(config: &Config) -> Vec<Self> {
        let Config { mode, role, .. } = *config;
        let enforces = mode == Mode::Enforce;
        let missing = match role {
            Role::Edge => Verdict::Started,
            Role::Internal => Verdict::Lost,
        };
        let mut counters = Vec::new();
        if !config.enabled {
            return counters;
        }
        for direction in
            config.direction.map_or(vec![Direction::Inbound, Direction::Outbound], |one| vec![one])
        {
            let excluded = (config.exclude != Exclude::default()).then_some(Verdict::Excluded);
            let restarted = config.trust.trusted.is_some().then_some(Verdict::Restarted);
            let unlinked =
                config.correlation.filter(|_| direction == Direction::Outbound).map(|_| Verdict::Unlinked);
            let always = [Verdict::Continued, missing, Verdict::Corrupt];
            for context in always.into_iter().chain(excluded).chain(restarted).chain(unlinked) {
                counters.push(Self::Request { direction, role, mode, context });
            }
            if enforces && config.start == Start::Always {
                counters.push(Self::Repair { direction, by: Repair::New });
                if config.trace_id_source == TraceIdSource::RequestId {
                    counters.push(Self::Repair { direction, by: Repair::RequestId });
                }
            }
        }
        if enforces {
            for &decision in SamplingDecision::ALL {
                counters.extend(DecidedBy::ALL.iter().map(|&by| Self::Sampled { decision, by }));
            }
        }
        if config.response.validate {
            counters.extend(Answer::ALL.iter().map(|&context| Self::Response { context }));
        }
        counters
    }

    /// The same of spans and their way to the collector, which are of the whole VM and no listener's.
    pub fn expected_of_export(config: &Config) -> Vec<Self> {
        if !config.enabled || config.export.is_none() {
            return Vec::new();
        }
        let dropped = DropCause::ALL.iter().map(|&cause| Self::SpanDropped { cause });
        let batches = BatchResult::ALL.iter().map(|&result| Self::Batch { result });
        [Self::SpanRecorded, Self::SpanExported].into_iter().chain(dropped).chain(batches).collect()
    }

    /// Its place among [`Self::COUNT`] counters.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Request { direction, role, mode, context } => {
                let place = direction as usize * Role::ALL.len() + role as usize;
                let place = place * Mode::ALL.len() + mode as usize;
                place * Verdict::ALL.len() + context as usize
            }
            Self::Corrupt { direction, corruption } => {
                AFTER_REQUESTS + direction as usize * Corruption::COUNT + corruption.index()
            }
            Self::Repair { direction, by } => {
                AFTER_CORRUPT + direction as usize * Repair::ALL.len() + by as usize
            }
            Self::Sampled { decision, by } => {
                AFTER_REPAIRS + decision as usize * DecidedBy::ALL.len() + by as usize
            }
            Self::Response { context } => AFTER_SAMPLED + context as usize,
            Self::Format { format } => AFTER_RESPONSES + format as usize,
            Self::Conflict { used, other } => {
                AFTER_FORMATS + used as usize * Format::ALL.len() + other as usize
            }
            Self::SpanDropped { cause } => AFTER_CONFLICTS + cause as usize,
            Self::Batch { result } => AFTER_DROPPED + result as usize,
            Self::Bypassed => AFTER_BATCHES,
            Self::BaggageLimited => AFTER_BATCHES + 1,
            Self::SpanRecorded => AFTER_BATCHES + 2,
            Self::SpanExported => AFTER_BATCHES + 3,
            Self::HostError { call } => AFTER_BATCHES + ALONE + call as usize,
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TraceParent(reason) => write!(f, "{}: {reason}", crate::headers::TRACEPARENT),
            Self::TraceState(reason) => write!(f, "{}: {reason}", crate::headers::TRACESTATE),
            Self::RequestId => write!(f, "{X_REQUEST_ID}: it is no UUID"),
            Self::Format(format, reason) => write!(f, "{}: {reason}", format.header()),
        }
    }
}

/// The name of the stat: each label as `key=.=value;.;`, the form that Istio's tag extraction reads, then the metric.
impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut label = |key, value| write!(f, "{key}=.={value};.;");
        let metric = match self {
            Self::Request { direction, role, mode, context } => {
                label("direction", direction.label())?;
                label("role", role.label())?;
                label("mode", mode.label())?;
                label("context", context.label())?;
                "requests"
            }
            Self::Corrupt { direction, corruption } => {
                let (header, reason) = corruption.labels();
                label("direction", direction.label())?;
                label("header", header)?;
                label("reason", reason)?;
                "corrupt"
            }
            Self::Repair { direction, by } => {
                label("direction", direction.label())?;
                label("by", by.label())?;
                "repairs"
            }
            Self::Sampled { decision, by } => {
                label("decision", decision.label())?;
                label("by", by.label())?;
                "sampled"
            }
            Self::Response { context } => {
                label("context", context.label())?;
                "responses"
            }
            Self::Format { format } => {
                label("format", format.label())?;
                "formats"
            }
            Self::Conflict { used, other } => {
                label("used", used.label())?;
                label("other", other.label())?;
                "conflicts"
            }
            Self::SpanRecorded => "spans_recorded",
            Self::SpanExported => "spans_exported",
            Self::SpanDropped { cause } => {
                label("cause", cause.label())?;
                "spans_dropped"
            }
            Self::Batch { result } => {
                label("result", result.label())?;
                "export_batches"
            }
            Self::BaggageLimited => "baggage_limited",
            Self::Bypassed => "bypassed",
            Self::HostError { call } => {
                label("call", call.label())?;
                "host_errors"
            }
        };
        write!(f, "tracewarden_{metric}_total")
    }
}
