//! The plugin's configuration: JSON and environment in, a [`Config`] that is valid by construction out.

mod environment;
mod fields;
mod json;
mod value;

use core::fmt;

pub use environment::OnBadConfig;
pub use fields::{DirectionWord, OtlpProtocol, TrustDefault};

use crate::correlation::Correlation;
use crate::egress::Egress;
use crate::exclude::Exclude;
use crate::export::Export;
use crate::labels::labels;
use crate::metrics::Direction;
use crate::notice::LogFormat;
use crate::propagation::Propagation;
use crate::resource::Service;
use crate::sampling::{Parent, Sampler, Threshold};
use crate::span::Spans;
use crate::trust::Trust;

/// A valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whether the filter does anything at all.
    pub enabled: bool,
    /// Whether it mends headers, or only counts.
    pub mode: Mode,
    /// What a missing context means.
    pub role: Role,
    /// The direction of every request, or `None` to ask the host for each.
    pub direction: Option<Direction>,
    /// Whether a trace may start here.
    pub start: Start,
    /// Where the trace-id of a trace that starts here is from.
    pub trace_id_source: TraceIdSource,
    /// What a continued context's parent-id becomes.
    pub parent_id: ParentId,
    /// The formats that requests are read in and written in.
    pub propagation: Propagation,
    /// Whose context counts.
    pub trust: Trust,
    /// How traces are sampled.
    pub sampling: Sampler,
    /// What is remembered between the two sides of a pod; `None` is nothing.
    pub correlation: Option<Correlation>,
    /// What does not leave the mesh.
    pub egress: Egress,
    /// Whether baggage is kept within the bounds that W3C gives it.
    pub limit_baggage: bool,
    /// Which requests are left alone.
    pub exclude: Exclude,
    /// What is done on the response.
    pub response: Response,
    /// Where spans go; `None` is nowhere, and then none is made.
    pub export: Option<Export>,
    /// What spans tell.
    pub spans: Spans,
    /// What they are of.
    pub service: Service,
    /// Whether the ids go into the stream's filter state, for Envoy's access log.
    pub filter_state: bool,
    /// How the filter's own log lines about a request begin.
    pub log_format: LogFormat,
    /// The label `listener` of what the passes count; `None` is no such label.
    pub listener: Option<String>,
}

labels! {
    /// Whether the filter mends headers, or only counts.
    pub enum Mode {
        /// What comes in is counted, and headers are mended.
        Enforce = "enforce",
        /// What comes in is counted, and no header is touched.
        Observe = "observe",
    }
}

labels! {
    /// What a missing context means.
    pub enum Role {
        /// None was due: requests come from outside of the mesh.
        Edge = "edge",
        /// One was due: requests come from services that should send one.
        Internal = "internal",
    }
}

labels! {
    /// Whether a trace may start here.
    pub enum Start {
        /// A missing or corrupt context is replaced by a new trace.
        Always = "always",
        /// A missing context stays missing, a corrupt one is removed, and no trace starts here.
        Never = "never",
    }
}

labels! {
    /// Where the trace-id of a trace that starts here is from.
    pub enum TraceIdSource {
        /// From the generator of ids.
        Random = "random",
        /// From the UUID in `x-request-id`.
        RequestId = "x-request-id",
    }
}

labels! {
    /// What a continued context's parent-id becomes.
    pub enum ParentId {
        /// `new` where this hop records a span, else `forward`.
        Auto = "auto",
        /// What came in.
        Forward = "forward",
        /// A new id on every request.
        New = "new",
    }
}

labels! {
    /// Where on the response a context can stand.
    pub enum ResponseHeader {
        /// In `traceparent`, or what the mesh calls it.
        Traceparent = "traceparent",
        /// In `traceresponse`, as earlier drafts of Trace Context Level 3 had it.
        Traceresponse = "traceresponse",
        /// Appended to `Server-Timing` as `traceparent;desc="…"`, which browsers show to scripts.
        ServerTiming = "server-timing",
    }
}

labels! {
    /// Which responses tell their context.
    pub enum When {
        /// All.
        Always = "always",
        /// Those of sampled traces.
        Sampled = "sampled",
    }
}

/// What is done on the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Whether the context that the upstream put on its response is checked.
    pub validate: bool,
    /// Where the request's context is put.
    pub inject: Vec<ResponseHeader>,
    /// Which responses get it.
    pub when: When,
}

/// A valid configuration, and what its operator should know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Lines about settings of the environment that were passed over.
    pub notices: Vec<String>,
}

/// Why a configuration is refused: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    place: String,
    problem: String,
}

impl Config {
    /// Reads the plugin's configuration; an empty one, like `{}`, is all defaults, which `environment` may change: it
    /// answers with the value of a variable.
    ///
    /// # Errors
    /// The first variable of ours or field that is unknown, of the wrong type or out of range, with its value.
    pub fn load(json: &[u8], environment: impl Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
        let mut notices = Vec::new();
        let mut config = environment::defaults(&environment, &mut notices)?;
        let headers = environment::upload_headers(&environment, &mut notices);
        fields::read(json, &mut config, headers, &environment)?;
        Ok(Loaded { config, notices })
    }
}

impl Config {
    /// Whether spans may be made of a trace that is sampled, or not.
    pub(crate) const fn records(&self, sampled: bool) -> bool {
        self.export.is_some() && (sampled || self.sampling.errors.is_some())
    }
}

impl Default for Config {
    /// What `{}` means in an empty environment.
    fn default() -> Self {
        Self {
            enabled: true,
            mode: Mode::Enforce,
            role: Role::Internal,
            direction: None,
            start: Start::Always,
            trace_id_source: TraceIdSource::Random,
            parent_id: ParentId::Auto,
            propagation: Propagation::default(),
            trust: Trust::default(),
            sampling: Sampler::new(Parent::Respect, Threshold::ALWAYS),
            correlation: None,
            egress: Egress::default(),
            limit_baggage: false,
            exclude: Exclude::default(),
            response: Response {
                validate: true,
                inject: vec![ResponseHeader::Traceparent],
                when: When::Always,
            },
            export: None,
            spans: Spans::default(),
            service: Service::default(),
            filter_state: false,
            log_format: LogFormat::default(),
            listener: None,
        }
    }
}

impl Response {
    /// Whether anything is put on the responses of traces with this sampled flag.
    pub(crate) fn injects(&self, sampled: bool) -> bool {
        !self.inject.is_empty() && (sampled || self.when == When::Always)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl core::error::Error for ConfigError {}
