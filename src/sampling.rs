//! Whether a trace is recorded, and who says so.

mod ot;
mod rate_limit;
mod threshold;

pub use ot::OtState;
pub(crate) use ot::write_threshold;
pub use rate_limit::{RateLimit, TokenBucket};
pub use threshold::{ProbabilityError, Threshold};

use crate::labels::labels;
use crate::matching::{Match, Request};
use crate::metrics::Direction;
use crate::secret::SecretHeader;
use crate::w3c::TraceId;

labels! {
    /// What a sampler decided.
    pub enum SamplingDecision {
        /// The trace is recorded.
        Record = "record",
        /// The trace is not recorded.
        Drop = "drop",
    }
}

labels! {
    /// What a sampling decision stands on.
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
}

labels! {
    /// What the sampled flag that comes in is worth.
    pub enum Parent {
        // Rule TP-38.
        /// It decides.
        Respect = "respect",
        // Rule OT-12.
        /// It means nothing: every hop decides by its own probability.
        Ignore = "ignore",
        /// A set flag stays; an unset one may be set by this hop's own probability.
        Raise = "raise",
    }
}

/// How traces are sampled. A force header goes before the parent, the parent before the rules, the rules before the
/// probability, and the rate limits what the last two record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// What the sampled flag that comes in is worth.
    pub parent: Parent,
    /// Which traces are recorded where the flag does not decide.
    pub probability: Threshold,
    /// The probabilities of some requests; the first that matches counts.
    pub(crate) rules: Vec<Rule>,
    /// Who may have a trace recorded whatever the rest says.
    pub(crate) force: Option<SecretHeader>,
    /// How many traces may be recorded that no parent asked for.
    pub rate: Option<RateLimit>,
    /// Of how many failed requests whose traces are not recorded the spans of this hop are.
    pub errors: Option<RateLimit>,
}

/// The probability of the requests that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) when: Match,
    pub(crate) probability: Threshold,
}

/// What a sampler looks at.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The trace.
    pub trace_id: TraceId,
    /// The sampled flag that came in; `None` where the trace starts here, or the decision was left to us.
    pub flag: Option<bool>,
    /// OpenTelemetry's member of the `tracestate`.
    pub ot: Option<OtState<'a>>,
    /// Randomness that nobody outside could choose, where that of the trace cannot be trusted.
    pub randomness: Option<u64>,
    /// The request's serialized headers.
    pub headers: &'a [u8],
    /// Which way the request goes.
    pub direction: Direction,
}

/// A decision about one trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// What was decided.
    pub decision: SamplingDecision,
    /// On what ground.
    pub by: DecidedBy,
    /// The threshold that `th` has to tell; `None` if nobody knows the probability (rules OT-08 to OT-11).
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
    pub const fn new(parent: Parent, probability: Threshold) -> Self {
        Self { parent, probability, rules: Vec::new(), force: None, rate: None, errors: None }
    }

    /// Decides about one trace; `within_rate` is asked about a trace that this hop wants to record.
    pub fn decide(&self, question: &Question<'_>, within_rate: impl FnOnce(RateLimit) -> bool) -> Sampled {
        if self.force.as_ref().is_some_and(|force| force.is_in(question.headers)) {
            return Sampled { decision: SamplingDecision::Record, by: DecidedBy::Force, threshold: None };
        }
        // Rule OT-04: an explicit randomness goes before that of the trace-id.
        let told = question.ot.and_then(|ot| ot.randomness());
        let randomness = question.randomness.or(told).unwrap_or_else(|| question.trace_id.randomness());
        match (self.parent, question.flag) {
            (Parent::Respect, Some(sampled)) => by_parent(sampled, question.ot, randomness),
            (Parent::Raise, Some(true)) => by_parent(true, question.ot, randomness),
            (Parent::Ignore, _) | (Parent::Raise, Some(false)) | (_, None) => {
                let own = self.by_probability(question, randomness);
                match self.rate {
                    Some(limit) if own.decision.is_record() && !within_rate(limit) => Sampled {
                        decision: SamplingDecision::Drop,
                        by: DecidedBy::RateLimit,
                        threshold: None,
                    },
                    _ => own,
                }
            }
        }
    }

    fn by_probability(&self, question: &Question<'_>, randomness: u64) -> Sampled {
        let (probability, by) = match self.rule(question) {
            Some(rule) => (rule.probability, DecidedBy::Rule),
            None => (self.probability, DecidedBy::Probability),
        };
        let record = probability.keeps(randomness);
        // A threshold that the trace's own randomness was not compared with would be a lie.
        let told = record && question.randomness.is_none();
        Sampled { decision: SamplingDecision::of(record), by, threshold: told.then_some(probability) }
    }

    fn rule(&self, question: &Question<'_>) -> Option<&Rule> {
        if self.rules.is_empty() {
            return None;
        }
        let request = Request::scan(question.headers, question.direction).ok()?;
        self.rules.iter().find(|rule| rule.when.holds(&request))
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
