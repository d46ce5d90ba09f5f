//! What a configuration does that its operator may not expect. Each answer follows from the configuration alone.

use super::Config;
use crate::baggage::Baggage;
use crate::formats::Propagation;
use crate::hop::HopSide;
use crate::sampling::{Parent, Threshold};
use crate::trust::Trust;
use crate::words::{Mode, ParentId, Role, Start, TraceIdSource};

impl Config {
    /// Whether it enforces, and yet gives no lost or corrupt context back, records nothing and withholds nothing. It
    /// removes corrupt headers and names the trace to the caller, and that is all that it changes.
    #[must_use]
    pub fn repairs_nothing(&self) -> bool {
        let request = &self.request;
        self.enforces()
            && request.start == Start::Never
            && request.correlation.is_none()
            && self.export.is_none()
            && self.hop == HopSide::Neither
            && request.parent_id != ParentId::New
            && request.propagation == Propagation::default()
            && request.trust == Trust::default()
            && request.egress.is_empty()
            && request.baggage == Baggage::default()
            && request.sampling.parent == Parent::Respect
            && request.sampling.force.is_none()
    }

    /// Whether requests from outside begin traces here, sampled ones among them, whose first parent-id no exported span has.
    #[must_use]
    pub fn starts_without_a_span(&self) -> bool {
        let sampling = &self.request.sampling;
        self.starts_at_the_edge()
            && self.export.is_none()
            && (sampling.probability != Threshold::NEVER || !sampling.rules.is_empty())
    }

    /// Whether every request from outside that begins a trace here is sampled, however many there are.
    #[must_use]
    pub fn samples_all_from_outside(&self) -> bool {
        let sampling = &self.request.sampling;
        self.starts_at_the_edge()
            && !sampling.is_limited()
            && sampling.probability == Threshold::ALWAYS
            && sampling.rules.iter().all(|rule| rule.probability == Threshold::ALWAYS)
    }

    /// Whether the context of some senders does not count here.
    #[must_use]
    pub fn judges_senders(&self) -> bool {
        self.enforces() && !self.request.trust.trusts_everyone()
    }

    /// Whether no probability lets a trace be sampled.
    #[must_use]
    pub fn samples_nothing(&self) -> bool {
        let sampling = &self.request.sampling;
        sampling.probability == Threshold::NEVER
            && sampling.rules.iter().all(|rule| rule.probability == Threshold::NEVER)
    }

    /// Whether trace-ids are to come from a header, and no sender's header counts.
    #[must_use]
    pub fn takes_ids_of_nobody(&self) -> bool {
        self.request.trace_id_source == TraceIdSource::RequestId && self.request.trust.trusts_nobody()
    }

    fn enforces(&self) -> bool {
        self.enabled && self.request.mode == Mode::Enforce
    }

    fn starts_at_the_edge(&self) -> bool {
        self.enforces() && self.request.role == Role::Edge && self.request.start == Start::Always
    }
}
