//! Which counters a configuration reaches.

use super::Config;
use crate::hop::HopSide;
use crate::metrics::{Counter, Scope};
use crate::words::{Direction, Mode, Repair, Role, Start, TraceIdSource, Verdict};

impl Config {
    /// The counters of a scope that traffic reaches sooner or later under this configuration. The reasons of corruption
    /// and the errors of the host are not among them: a healthy mesh never sees most of those.
    #[must_use]
    pub fn expected_counters(&self, scope: Scope) -> Vec<Counter> {
        let mut counters = if self.enabled { Counter::every() } else { Vec::new() };
        counters.retain(|counter| counter.scope() == scope && self.reaches(*counter));
        if self.audits_alone() {
            counters.retain(|counter| matches!(counter, Counter::Hop { .. }));
        }
        counters
    }

    fn reaches(&self, counter: Counter) -> bool {
        match counter {
            Counter::Request { direction, role, mode, context } => {
                self.sees(direction)
                    && role == self.request.role
                    && mode == self.request.mode
                    && self.judges(direction, context)
            }
            Counter::Repair { direction, by } => {
                self.sees(direction)
                    && self.request.mode == Mode::Enforce
                    && self.request.start == Start::Always
                    && self.starts(by)
            }
            Counter::Sampled { .. } => self.request.mode == Mode::Enforce,
            Counter::Response { .. } => self.response.validate,
            Counter::Correlation { .. } => self.request.correlation.is_some(),
            Counter::Evidence { mode, context, .. } => {
                mode == self.request.mode
                    && self.remembers(Direction::Outbound)
                    && self.judges(Direction::Outbound, context)
            }
            Counter::Hop { .. } => self.hop == HopSide::After,
            Counter::SpanRecorded
            | Counter::SpanExported
            | Counter::SpanDropped { .. }
            | Counter::Batch { .. } => self.export.is_some(),
            Counter::Corrupt { .. }
            | Counter::Format { .. }
            | Counter::Conflict { .. }
            | Counter::Unread { .. }
            | Counter::SecondTrace { .. }
            | Counter::BaggageLimited
            | Counter::Bypassed
            | Counter::HostError { .. } => false,
        }
    }

    /// Whether requests go this way. Envoy's listener says which, if the configuration does not.
    fn sees(&self, direction: Direction) -> bool {
        self.request
            .direction
            .stated()
            .map_or(direction != Direction::Unspecified, |configured| configured == direction)
    }

    /// Whether requests that go this way are held against what the pod received.
    fn remembers(&self, direction: Direction) -> bool {
        self.request.correlation.is_some() && self.sees(direction)
    }

    fn judges(&self, direction: Direction, context: Verdict) -> bool {
        match context {
            Verdict::Continued | Verdict::Corrupt => true,
            Verdict::Started => self.request.role == Role::Edge,
            Verdict::Lost => self.request.role == Role::Internal,
            Verdict::Unlinked => direction == Direction::Outbound && self.remembers(direction),
            Verdict::Untrusted => !self.request.trust.trusts_everyone(),
            Verdict::Excluded => !self.request.exclude.is_empty(),
        }
    }

    /// Whether a trace that starts here has its trace-id from there.
    fn starts(&self, by: Repair) -> bool {
        match by {
            Repair::New => true,
            Repair::RequestId => self.request.trace_id_source == TraceIdSource::RequestId,
            Repair::Correlation | Repair::Format => false,
        }
    }
}
