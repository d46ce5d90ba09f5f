//! Whether a trace is recorded: by its parent where there is one, by probability where it starts.

mod threshold;

pub use threshold::{ProbabilityError, Threshold};

use crate::labels::labels;
use crate::w3c::{TraceFlags, TraceId};

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

/// Decides about a trace that came in: its sampled flag is respected (rule TP-38).
pub(crate) const fn by_parent(flags: TraceFlags) -> SamplingDecision {
    SamplingDecision::of(flags.is_sampled())
}

/// Decides about a trace that starts here (rule OT-05).
pub(crate) const fn by_probability(threshold: Threshold, trace_id: TraceId) -> SamplingDecision {
    SamplingDecision::of(threshold.keeps(trace_id.randomness()))
}
