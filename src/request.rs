//! The request pass: close the border, extract what came, assess it, sample the trace, apply the outcome; one file each.

mod apply;
mod assess;
mod border;
mod context;
mod extract;
mod message;
mod report;
mod sample;

pub(crate) use self::extract::salvage;
pub(crate) use self::report::{Finding, SAMPLED};

use self::apply::Applied;
use self::assess::{Assessment, Next};
use self::border::Border;
use self::extract::Extraction;
use crate::access_log::AccessLogSettings;
use crate::baggage::Baggage;
use crate::correlation::{Correlation, Received};
use crate::egress::Egress;
use crate::exclude::Exclude;
use crate::formats::{Propagation, Reading, strip};
use crate::headers::{HeaderWriter, Headers, TRACEPARENT};
use crate::host::Host;
use crate::matching::{Asked, Target};
use crate::metrics::{Corruption, Counter};
use crate::notice::LogSettings;
use crate::redirect::FirstPass;
use crate::sampling::{Rates, Sampler};
use crate::settings::{HeaderName, settings};
use crate::trust::Trust;
use crate::w3c::TraceParent;
use crate::words::{Direction, DirectionWord, Format, Mode, ParentId, Role, Start, TraceIdSource, Verdict};

settings! {
    /// What happens to requests.
    pub struct Policy "Requests" {
        /// Whether headers are repaired.
        pub mode: Mode = Mode::Enforce,
        /// What a missing context means. It is counted as `lost` with `"internal"`, as `started` with `"edge"`.
        pub role: Role = Role::Internal,
        /// Which way requests go. `"auto"` costs a call to Envoy on every request.
        pub direction: DirectionWord = DirectionWord::Auto,
        /// Whether a trace may start here. A sidecar that records no spans should start none if SDKs start the traces.
        pub start: Start = Start::Always,
        /// Where the trace-id of a trace that starts here comes from. With `"x-request-id"`, services that only pass on that header
        /// stay in one trace. A header without a UUID is counted in `tracewarden_corrupt_total`. The header of a sender that is not
        /// trusted is ignored.
        pub trace_id_source: TraceIdSource = TraceIdSource::Random,
        /// Which parent-id a valid context is sent on with. `"forward"` is not possible with `export`.
        pub parent_id: ParentId = ParentId::Auto,
        /// The name of the header `traceparent` in a mesh that renamed it, such as `"x-traceparent"`. The names of headers that
        /// HTTP or the filter gives a meaning are refused.
        pub header: HeaderName = HeaderName::known(TRACEPARENT),
        /// The formats of trace context.
        pub propagation: Propagation = Propagation::default(),
        /// Which traces are sampled.
        pub sampling: Sampler = Sampler::default(),
        /// Whose context counts.
        pub trust: Trust = Trust::default(),
        /// Remember what this pod receives, so that a lost context can be restored. Both sides of the pod need it, with the same
        /// `slots`, in VMs that have the same `vm_id` or none.
        pub correlation: Option<Correlation> = None,
        /// What is removed from requests, such as those to hosts outside of the mesh. The first entry that matches counts.
        pub egress: Egress = Egress::default(),
        /// W3C baggage.
        pub baggage: Baggage = Baggage::default(),
        /// Envoy's access log.
        pub access_log: AccessLogSettings = AccessLogSettings::default(),
        /// The filter's own log lines.
        pub log: LogSettings = LogSettings::default(),
        /// The requests to leave alone: those that one of the entries matches, such as
        /// `[{"path_prefix": "/healthz"}, "default"]`. They are counted as `excluded`, and no context is written. A context from an
        /// untrusted sender, or to a host of `egress`, is removed all the same. `null` is `["default"]`: the
        /// [known requests](#known-requests) of health checkers, scrapers, browsers and telemetry. A list without that word
        /// replaces them.
        pub exclude: Exclude = Exclude::default(),
    }
}

/// A request, and all that its pass looks at.
pub(crate) struct Request<'a, H> {
    policy: &'a Policy,
    rates: &'a Rates,
    plugin: Plugin<'a>,
    /// What the first pass of this request knew, if this is another one: Envoy redirects it by itself.
    first: Option<FirstPass>,
    /// Its headers and its direction, for conditions to look at.
    target: Target<'a>,
    border: Border,
    /// What each format says of its trace; empty if W3C's is the only one.
    readings: Vec<Reading>,
    /// What was invalid beside the context, and the first format that named another trace.
    passed_over: Option<Corruption>,
    conflict: Option<Format>,
    host: &'a mut H,
}

/// What the pass has to know of the plugin, other than its policy.
#[derive(Clone, Copy)]
pub(crate) struct Plugin<'a> {
    /// Whether this hop exports spans.
    pub(crate) exports: bool,
    /// The name of the listener, if the configuration has one.
    pub(crate) listener: Option<&'a str>,
    /// What its conditions ask of a request's destination.
    pub(crate) asks_for: Asked,
}

/// What became of a request's context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) direction: Direction,
    /// Whether its sender was trusted.
    pub(crate) trusted: bool,
    /// The context that came in.
    pub(crate) came: Option<TraceParent>,
    /// The context that the hop continues.
    pub(crate) parent: Option<TraceParent>,
    /// The context that the upstream receives.
    pub(crate) sent: Option<TraceParent>,
    /// What the request's span is to say of it.
    pub(crate) finding: Finding,
}

impl Policy {
    /// Which parts of a request's destination its conditions ask for.
    pub(crate) fn asks_for(&self) -> Asked {
        let of_rules = self.sampling.rules.iter().map(|rule| &rule.when);
        Asked::by(self.exclude.conditions().chain(self.egress.conditions()).chain(of_rules))
    }

    /// Whether contexts are written in other formats than W3C's.
    #[must_use]
    pub fn writes_more_than_w3c(&self) -> bool {
        self.mode == Mode::Enforce && self.propagation.writes_more_than_w3c()
    }

    /// Whether a request with this outcome is among the traced ones that the workload serves, as far as calls are held
    /// against those.
    #[inline]
    pub(crate) const fn serves(&self, outcome: &Outcome) -> bool {
        self.correlation.is_some()
            && matches!(outcome.direction, Direction::Inbound)
            && outcome.sent.is_some()
    }
}

impl<'a, H: Host + HeaderWriter> Request<'a, H> {
    /// A request that has arrived. What must not cross is removed at once.
    pub(crate) fn new(
        policy: &'a Policy,
        rates: &'a Rates,
        plugin: Plugin<'a>,
        first: Option<FirstPass>,
        headers: &'a Headers,
        host: &'a mut H,
    ) -> Self {
        // A secret was removed by the first pass, and an outsider's context replaced.
        let is_ours = |first: FirstPass| {
            (first.trusted || first.sent.is_some()) && first.is_intact(&policy.header, headers)
        };
        let trusted = policy.trust.admits(headers, host) || first.is_some_and(is_ours);
        let direction = policy.direction.stated().unwrap_or_else(|| host.direction());
        let mut target = Target::new(headers, direction);
        target.lead_to(plugin.asks_for.of(host));
        let border = Border::close(policy, &target, trusted, host);
        Self {
            policy,
            rates,
            plugin,
            first,
            target,
            border,
            readings: Vec::new(),
            passed_over: None,
            conflict: None,
            host,
        }
    }

    /// Takes the request through the stages.
    pub(crate) fn pass(mut self) -> Outcome {
        let direction = self.target.direction;
        if self.policy.exclude.matches(&self.target) {
            self.leave_alone();
            let finding = Finding { context: Verdict::Excluded, reason: None, repair: None, conflict: None };
            let trusted = self.border.trusted;
            return Outcome { direction, trusted, came: None, parent: None, sent: None, finding };
        }
        let Extraction { context, repaired } = extract::extract(&mut self);
        let (came, corruption) = (context.parent(), context.corruption());
        let is_observed = self.policy.mode == Mode::Observe && self.remembers();
        let observed_state = if is_observed { context.state() } else { None };
        let Assessment { verdict, evidence, next } = assess::assess(&mut self, context, repaired);
        self.count_verdict(verdict);
        if let Some(evidence) = evidence {
            self.count(Counter::Evidence { mode: self.policy.mode, context: verdict, evidence });
        }
        if let Some(corruption) = corruption {
            self.count(Counter::Corrupt { direction, corruption });
        }
        let applied = match self.policy.mode {
            Mode::Observe => {
                Applied { sent: came, state: observed_state.unwrap_or_default(), ..Applied::NOTHING }
            }
            Mode::Enforce => self.enforce(next),
        };
        let finding = report::report(&mut self, verdict, corruption, came, &applied);
        if let (Some(memory), Some(sent), true) = (self.policy.correlation, applied.sent, self.remembers()) {
            let received = Received { context: sent, state: applied.state };
            memory.remember(received, self.target.headers, self.host);
        }
        let trusted = self.border.trusted;
        Outcome { direction, trusted, came, parent: applied.parent, sent: applied.sent, finding }
    }

    /// Writes what the assessment leads to, if the border lets a context out.
    #[inline]
    fn enforce(&mut self, next: Next<'_>) -> Applied {
        if self.border.is_closed() {
            return Applied::NOTHING;
        }
        let received = match next {
            Next::Start(_) => self.recall(),
            Next::Continue { .. } | Next::Withhold => None,
        };
        let plan = sample::sample(self, next, received.as_ref());
        apply::apply(self, plan)
    }

    /// The context that this pod received with a request that has lost it on its way out.
    #[cold]
    fn recall(&mut self) -> Option<Received> {
        self.memory()?.of_request(self.target.headers, self.host)
    }

    /// Counts an excluded request, and removes the context that an outsider put there all the same.
    fn leave_alone(&mut self) {
        self.count_verdict(Verdict::Excluded);
        if self.policy.mode == Mode::Enforce && !self.border.trusted {
            strip(&self.policy.header, self.target.headers, self.host);
        }
    }

    #[inline]
    fn count_verdict(&mut self, context: Verdict) {
        let Policy { role, mode, .. } = *self.policy;
        self.count(Counter::Request { direction: self.target.direction, role, mode, context });
    }

    /// Counts something about the request, which counts once however often it passes.
    #[inline]
    fn count(&mut self, counter: Counter) {
        if self.first.is_none() {
            self.host.count(counter, 1);
        }
    }

    /// Whether what this hop sends in is remembered, whoever sent it.
    #[inline]
    fn remembers(&self) -> bool {
        self.policy.correlation.is_some() && self.target.direction == Direction::Inbound
    }

    /// What this pod remembers of its inbound side, for a request on its way out.
    #[inline]
    fn memory(&self) -> Option<Correlation> {
        self.policy
            .correlation
            .filter(|_| self.border.trusted && self.target.direction == Direction::Outbound)
    }
}
