//! Whether a trace is recorded, and who says so.

mod budget;
mod ot;
mod rate_limit;
mod threshold;
mod tracestate;

pub use budget::Budget;
pub use ot::OtState;
pub(crate) use rate_limit::Rates;
pub use rate_limit::{RateLimit, TokenBucket};
pub(crate) use threshold::PROBABILITY;
pub use threshold::{ProbabilityError, Threshold};
pub(crate) use tracestate::{reports_threshold, tracestate_of_child, tracestate_of_root};

pub use crate::matching::Target;

use crate::matching::Match;
use crate::secret::SecretHeader;
use crate::settings::settings;
use crate::w3c::TraceId;
use crate::words::{DecidedBy, SamplingDecision, labels};

labels! {
    /// Whether the sampled flag of a received context decides.
    pub enum Parent {
        // Rule TP-38.
        /// The flag decides.
        Respect = "respect",
        // Rule OT-12.
        /// The flag is ignored. Every hop decides by its own probability.
        Ignore = "ignore",
        /// A set flag stays. This hop's own probability may set one that is not set.
        Raise = "raise",
    }
}

settings! {
    /// Which traces are sampled. The first of these that says something decides: `force`, `parent`, `rules`, `probability`.
    /// The rate limits what the last two sample.
    pub struct Sampler "Sampling" {
        /// The share of the traces starting here that is sampled, such as `0.1`.
        pub probability: Threshold = Threshold::ALWAYS,
        /// Whether the sampled flag of a received context decides. A hop that changes the flag also writes a new parent-id.
        pub parent: Parent = Parent::Respect,
        /// Probabilities for some requests, such as `[{"match": {"path_prefix": "/checkout"}, "probability": 0.5}]`. The first
        /// rule that matches counts.
        pub(crate) rules: Vec<Rule> = Vec::new(),
        /// A header with a secret that has a trace sampled, whatever else is configured. It is never sent on, unless `enabled` is
        /// `false`.
        pub(crate) force: Option<SecretHeader> = None,
        /// Whether traces that start here say that their ids are random (flags `03`, W3C Level 2). Older SDKs refuse such a
        /// `traceparent`, such as OpenTelemetry's for Rust before 0.32. A received context keeps its flag.
        pub random_flag: bool = true,
        /// Limit for sampling traces without a sampled parent, in traces per second of the whole Envoy process, such as `100` or
        /// `0.5`. Its workers share it, and so do all listeners and configurations with this plugin's name. What is left of one
        /// second may come at once. Traces over the limit are not sampled. `0` samples none.
        pub budget as "max_traces_per_second": Option<Budget> = None,
        /// The same limit for each worker alone, such as `100`. An Envoy with 16 workers may sample 16 times as many, and one with
        /// a single connection only one worker's. One second's worth may come at once. If both limits are stated, both hold.
        pub rate as "max_traces_per_second_per_worker": Option<RateLimit> = None,
        /// Rate limit for recording spans of failed requests whose trace is not sampled, in requests per second and worker,
        /// such as `5`. It needs `export`, and costs a new parent-id on every request that is not sampled.
        pub errors as "errors_per_second": Option<RateLimit> = None,
    }
}

settings! {
    /// The probability for some requests, such as `{"match": {"path_prefix": "/checkout"}, "probability": 0.5}`.
    pub(crate) struct Rule "Sampling rule" {
        /// Which requests.
        pub(crate) when as "match": Match,
        /// The share of their traces that is sampled, such as `0.5`.
        pub(crate) probability: Threshold,
        /// Limit for the traces that this rule samples, in traces per second of the whole process, such as `5`. A trace that it
        /// refuses is not sampled, and takes nothing of the limit for all.
        pub(crate) budget as "max_traces_per_second": Option<Budget> = None,
    }
}

/// What a sampler looks at.
#[derive(Clone, Copy)]
pub struct Question<'a, 'h> {
    /// The trace.
    pub trace_id: TraceId,
    /// The sampled flag that came in; `None` where the trace starts here, or the decision was left to us.
    pub flag: Option<bool>,
    /// OpenTelemetry's member of the `tracestate`.
    pub ot: Option<OtState<'a>>,
    /// Randomness that no sender could choose, if that of the trace cannot be trusted.
    pub randomness: Option<u64>,
    /// The request.
    pub request: &'a Target<'h>,
}

/// A decision about one trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// What was decided.
    pub decision: SamplingDecision,
    /// On what ground.
    pub by: DecidedBy,
    /// The threshold that `th` has to report; `None` if the probability is unknown (rules OT-08 to OT-11).
    pub threshold: Option<Threshold>,
}

impl SamplingDecision {
    const fn of(record: bool) -> Self {
        if record { Self::Record } else { Self::Drop }
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub const fn is_record(self) -> bool {
        matches!(self, Self::Record)
    }
}

impl Sampled {
    /// The decision that came in.
    pub(crate) const fn by_parent(sampled: bool) -> Self {
        Self { decision: SamplingDecision::of(sampled), by: DecidedBy::Parent, threshold: None }
    }

    /// Whether this hop decided by itself.
    #[must_use]
    pub const fn is_own(self) -> bool {
        !matches!(self.by, DecidedBy::Parent)
    }
}

impl Sampler {
    /// A sampler without rules, force header and rate.
    #[must_use]
    pub fn new(parent: Parent, probability: Threshold) -> Self {
        Self { parent, probability, ..Self::default() }
    }

    /// Decides about one trace; `within_limits` is asked about a trace that this hop wants to record, by the rule of this place
    /// if by any.
    pub fn decide(
        &self,
        question: &Question<'_, '_>,
        within_limits: impl FnOnce(Option<usize>) -> bool,
    ) -> Sampled {
        if self.force.as_ref().is_some_and(|force| force.is_in(question.request.headers)) {
            return Sampled { decision: SamplingDecision::Record, by: DecidedBy::Force, threshold: None };
        }
        // Rule OT-04: an explicit randomness goes before that of the trace-id.
        let told = question.ot.and_then(|ot| ot.randomness());
        let randomness = question.randomness.or(told).unwrap_or_else(|| question.trace_id.randomness());
        match (self.parent, question.flag) {
            (Parent::Respect, Some(sampled)) => by_parent(sampled, question.ot, randomness),
            (Parent::Raise, Some(true)) => by_parent(true, question.ot, randomness),
            (Parent::Ignore, _) | (Parent::Raise, Some(false)) | (_, None) => {
                let place = self.rules.iter().position(|rule| rule.when.holds(question.request));
                let own = self.by_probability(place, question, randomness);
                if own.decision.is_record() && self.is_limited() && !within_limits(place) {
                    let (decision, by) = (SamplingDecision::Drop, DecidedBy::RateLimit);
                    return Sampled { decision, by, threshold: None };
                }
                own
            }
        }
    }

    /// Whether there is a limit for what this hop records, for all traces or for those of a rule.
    #[inline]
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.rate.is_some() || self.has_budget()
    }

    /// Whether the workers share a budget.
    #[inline]
    #[must_use]
    pub fn has_budget(&self) -> bool {
        self.budget.is_some() || self.rules.iter().any(|rule| rule.budget.is_some())
    }

    fn by_probability(&self, place: Option<usize>, question: &Question<'_, '_>, randomness: u64) -> Sampled {
        let rule = place.and_then(|place| self.rules.get(place));
        let (probability, by) = match rule {
            Some(rule) => (rule.probability, DecidedBy::Rule),
            None => (self.probability, DecidedBy::Probability),
        };
        let record = probability.keeps(randomness);
        // A threshold that the trace's own randomness was not compared with would be a lie.
        let told = record && question.randomness.is_none();
        Sampled { decision: SamplingDecision::of(record), by, threshold: told.then_some(probability) }
    }
}

fn by_parent(sampled: bool, ot: Option<OtState<'_>>, randomness: u64) -> Sampled {
    let told = ot.and_then(|ot| ot.threshold());
    Sampled {
        decision: SamplingDecision::of(sampled),
        by: DecidedBy::Parent,
        threshold: told.filter(|threshold| sampled && threshold.keeps(randomness)),
    }
}
