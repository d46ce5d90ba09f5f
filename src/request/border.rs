use crate::baggage;
use crate::egress::Strip;
use crate::formats::{CompanionKind, remove_companions, strip};
use crate::headers::{HeaderWriter, Headers, Refused, TRACEPARENT, TRACESTATE};
use crate::host::Metrics;
use crate::matching::Target;
use crate::metrics::Counter;
use crate::request::Policy;
use crate::words::Mode;

/// What may cross this hop: in from the sender, and out to the upstream.
#[derive(Clone, Copy)]
pub(super) struct Border {
    /// Whether the sender's context counts.
    pub(super) trusted: bool,
    /// What the upstream does not get.
    pub(super) strip: Option<Strip>,
}

impl Border {
    /// Judges the sender and the upstream, and removes at once what must not cross. Nothing that is decided later can let
    /// it through.
    #[inline]
    pub(super) fn close(
        policy: &Policy,
        target: &Target<'_>,
        trusted: bool,
        host: &mut (impl HeaderWriter + Metrics),
    ) -> Self {
        let headers = target.headers;
        for secret in policy.sampling.force.iter().chain(policy.trust.secrets()) {
            headers.remove(&secret.name, host);
        }
        if policy.mode == Mode::Observe {
            return Self { trusted, strip: None };
        }
        let border = Self { trusted, strip: policy.egress.strip(target) };
        if !trusted {
            border.remove_from_sender(policy, headers, host);
        }
        border.remove_for_upstream(policy, headers, host);
        policy.propagation.remove_retired(&policy.header, headers, host);
        let baggage_stays = (trusted || policy.trust.baggage) && !border.keeps_baggage_back();
        if baggage_stays && policy.baggage.limit && baggage::limit(headers, host) {
            host.count(Counter::BaggageLimited, 1);
        }
        border
    }

    /// Whether the upstream gets no context at all.
    #[inline]
    pub(super) fn is_closed(self) -> bool {
        self.strip == Some(Strip::All)
    }

    /// Whether a header of this name does not go out, whoever writes it.
    pub(super) fn withholds(self, policy: &Policy, name: &str) -> bool {
        policy.propagation.removes(name) || self.strip == Some(Strip::TraceState) && name == TRACESTATE
    }

    /// Whether there is a header that does not go out, or one of the sender's that stays.
    #[inline]
    pub(super) fn guards_any(self, policy: &Policy) -> bool {
        self.strip.is_some()
            || !policy.propagation.remove.is_empty()
            || !self.trusted && !policy.trust.keep.is_empty()
    }

    fn keeps_baggage_back(self) -> bool {
        matches!(self.strip, Some(Strip::Baggage | Strip::All))
    }

    /// Removes what accompanies an outsider's context. What carries it is replaced later, or removed.
    fn remove_from_sender(self, policy: &Policy, headers: &Headers, writer: &mut dyn HeaderWriter) {
        let trust = &policy.trust;
        remove_companions(headers, writer, |companion, name| {
            (companion == CompanionKind::Hint || !trust.baggage) && !trust.keep.passes(name, headers)
        });
        if !trust.baggage && trust.keep.names_baggage() {
            trust.keep.cut_baggage(headers, writer);
        }
        // Under another name it is not ours to write, and still somebody's to read.
        if *policy.header != *TRACEPARENT {
            headers.remove(TRACEPARENT, writer);
        }
    }

    /// Removes what the upstream does not get.
    #[inline]
    fn remove_for_upstream(self, policy: &Policy, headers: &Headers, writer: &mut dyn HeaderWriter) {
        match self.strip {
            Some(Strip::TraceState) => headers.remove(TRACESTATE, writer),
            Some(Strip::Baggage) => {
                remove_companions(headers, writer, |kind, _| kind == CompanionKind::Baggage)
            }
            Some(Strip::All) => {
                strip(&policy.header, headers, writer);
                remove_companions(headers, writer, |_, _| true);
            }
            None => {}
        }
    }
}

/// Writes what may go out, passes over what may not, and leaves what was kept of an outsider's.
pub(super) struct Outward<'a> {
    pub(super) headers: &'a Headers,
    pub(super) border: Border,
    pub(super) policy: &'a Policy,
    pub(super) writer: &'a mut dyn HeaderWriter,
}

impl HeaderWriter for Outward<'_> {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        if self.border.withholds(self.policy, name) { Ok(()) } else { self.writer.set(name, value) }
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        if self.border.withholds(self.policy, name) { Ok(()) } else { self.writer.add(name, value) }
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        let is_kept = !self.border.trusted && self.policy.trust.keep.passes(name, self.headers);
        if is_kept { Ok(()) } else { self.writer.remove(name) }
    }
}
