//! Whether a trace is recorded: by its parent where there is one, by probability where it starts.

mod ot;
mod threshold;

pub use ot::OtState;
pub(crate) use ot::write_threshold;
pub use threshold::{ProbabilityError, Threshold};

use crate::labels::labels;
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
        /// The configured probability.
        Probability = "probability",
    }
}

labels! {
    /// What the sampled flag that comes in is worth.
    pub enum Parent {
        /// It decides (rule TP-38).
        Respect = "respect",
        /// It means nothing: every hop decides by its own probability (rule OT-12).
        Ignore = "ignore",
        /// A set flag stays; an unset one may be set by this hop's own probability.
        Raise = "raise",
    }
}

/// How traces are sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// What the sampled flag that comes in is worth.
    pub parent: Parent,
    /// Which traces are recorded where the flag does not decide.
    pub probability: Threshold,
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
    /// Whether this hop decided by itself.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self.by, DecidedBy::Probability)
    }
}

impl Sampler {
    /// Decides about a trace that starts here; `decision` is what came in instead of a context.
    #[must_use]
    pub fn start(self, trace_id: TraceId, decision: Option<bool>) -> Sampled {
        self.proceed(trace_id, decision, None)
    }

    /// Decides about a trace that came in with this sampled flag, or with none where the decision was left to us; `ot`
    /// is OpenTelemetry's member of its `tracestate`.
    #[must_use]
    pub fn proceed(self, trace_id: TraceId, flag: Option<bool>, ot: Option<&OtState<'_>>) -> Sampled {
        // Rule OT-04: an explicit randomness goes before that of the trace-id.
        let randomness = ot.and_then(OtState::randomness).unwrap_or_else(|| trace_id.randomness());
        match (self.parent, flag) {
            (Parent::Ignore, _) | (Parent::Raise, Some(false)) | (_, None) => self.by_probability(randomness),
            (Parent::Raise | Parent::Respect, Some(sampled)) => {
                let told = ot.and_then(OtState::threshold);
                Sampled {
                    decision: SamplingDecision::of(sampled),
                    by: DecidedBy::Parent,
                    threshold: told.filter(|threshold| sampled && threshold.keeps(randomness)),
                }
            }
        }
    }

    fn by_probability(self, randomness: u64) -> Sampled {
        let record = self.probability.keeps(randomness);
        Sampled {
            decision: SamplingDecision::of(record),
            by: DecidedBy::Probability,
            threshold: record.then_some(self.probability),
        }
    }
}
