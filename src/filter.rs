//! The passes of one plugin: a configuration, and what is left of its rates on one worker.

use core::cell::Cell;

use crate::config::Config;
use crate::headers::{HeaderWriter, Headers, Refused};
use crate::hop::{self, Changes, HopSide, Record, Snapshot};
use crate::host::{AccessLog, Clock, EndedStream, HeaderMap, HeaderReader, Host, Log, Metrics, Properties};
use crate::matching::Asked;
use crate::metrics::{Counter, Measure};
use crate::redirect::{FirstPass, Redirects, is_marked};
use crate::request::{Outcome, Plugin, Policy, Request, SAMPLED, salvage};
use crate::response::Served;
use crate::sampling::Rates;
use crate::second_trace::Watch;
use crate::span::{self, Hop, Origin, Span};
use crate::w3c::{TraceFlags, TraceParent};
use crate::words::{DecidedBy, Direction, Mode, SamplingDecision};

/// Of how many requests one is read once more, until a second trace is found: from then on, every one is. The number is a
/// prime, because requests of different kinds may take turns.
const LOOKED_AT: u32 = 17;

/// A plugin that works.
#[derive(Debug)]
pub struct Filter {
    config: Config,
    rates: Rates,
    /// What the conditions of the configuration ask of a request's destination.
    asks_for: Asked,
    /// Whether the log says that the direction is unknown on which the configuration depends.
    is_direction_noticed: Cell<bool>,
    /// Whether requests are read once more when their streams have ended, as far as [`LOOKED_AT`] says.
    is_watching: bool,
    watched: Cell<u32>,
    /// Whether the log says that a request went on with two traces.
    is_second_trace_noticed: Cell<bool>,
    redirects: Redirects,
}

/// Who sent a request, as far as the rest of its stream has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// Whether it sent a valid context with a parent-id, in a format that is read. A load balancer's trace-id without a
    /// parent-id says nothing about the caller.
    pub participates: bool,
    trusted: bool,
    /// Whether the request arrived with the mark of a redirect that is not known.
    is_marked: bool,
    /// Whether the request is among the traced ones that the workload serves.
    is_in_flight: bool,
    /// The formats that are read once more when the stream has ended.
    watch: Watch,
}

/// What is remembered of a request until its stream ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamContext {
    /// The upstream receives no context that we know of.
    Untraced(Sender),
    /// The upstream receives this context.
    Traced(TraceParent, Sender),
    /// The upstream receives this context, whose parent-id is a span of this hop.
    Spanned(TraceParent, Sender, Box<Hop>),
}

impl Default for StreamContext {
    fn default() -> Self {
        Self::Untraced(Sender::default())
    }
}

impl Filter {
    /// A filter that works by this configuration. Plugins of the same name share their budgets.
    #[must_use]
    pub fn new(config: Config, plugin: &str) -> Self {
        Self {
            is_watching: config.request.writes_more_than_w3c(),
            rates: Rates::new(&config.request.sampling, plugin),
            asks_for: config.request.asks_for(),
            config,
            is_direction_noticed: Cell::new(false),
            watched: Cell::new(0),
            is_second_trace_noticed: Cell::new(false),
            redirects: Redirects::default(),
        }
    }

    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes a request through its pass, and through the hop audit if the configuration has one. Without one, [`Self::request`]
    /// does the same.
    #[inline(never)]
    pub fn audited_request(
        &self,
        headers: &Headers,
        host: &mut (impl Host + HeaderReader + HeaderWriter),
    ) -> StreamContext {
        let changes = self.audit(headers, host);
        if self.config.audits_alone() {
            return StreamContext::default();
        }
        let stream = self.request(headers, host);
        if let Some(changes) = changes {
            self.leave_record(changes, headers, host);
        }
        stream
    }

    /// Takes a request through its pass alone.
    pub fn request(&self, headers: &Headers, host: &mut (impl Host + HeaderWriter)) -> StreamContext {
        let Config { request: policy, export, metrics, .. } = &self.config;
        let is_marked = is_marked(headers);
        let first = if is_marked { self.redirects.first_pass(headers) } else { None };
        let (exports, listener) = (export.is_some(), metrics.listener.as_deref());
        let plugin = Plugin { exports, listener, asks_for: self.asks_for };
        let outcome = Request::new(policy, &self.rates, plugin, first, headers, host).pass();
        if outcome.direction == Direction::Unspecified && !policy.egress.is_empty() {
            self.notice_direction(host);
        }
        let mut sender = Sender {
            participates: outcome.came.is_some(),
            trusted: outcome.trusted,
            is_marked: is_marked && first.is_none(),
            is_in_flight: policy.serves(&outcome) && host.adjust(Measure::TracedInFlight, 1),
            watch: Watch::default(),
        };
        let Some(sent) = outcome.sent else { return StreamContext::Untraced(sender) };
        if self.is_watching {
            sender.watch = self.watch(first, headers);
        }
        match self.begin_hop(&outcome, sent, headers, host) {
            Some(hop) => StreamContext::Spanned(sent, sender, Box::new(hop)),
            None => StreamContext::Traced(sent, sender),
        }
    }

    /// Looks at a stream that ended without a response: Envoy may have taken the request back, to redirect it by itself.
    #[cold]
    pub fn unanswered(&self, stream: &StreamContext, host: &mut impl EndedStream) {
        let sender = stream.sender();
        if !sender.is_marked
            && let Ok(headers) = host.headers(HeaderMap::Request)
        {
            self.redirects.note(&headers, FirstPass { trusted: sender.trusted, sent: stream.sent() });
        }
    }

    /// Notes that a stream has ended, which ends once.
    pub fn ended(&self, stream: &StreamContext, host: &mut (impl Metrics + EndedStream + Log)) {
        let Sender { is_in_flight, watch, .. } = stream.sender();
        if is_in_flight {
            host.adjust(Measure::TracedInFlight, -1);
        }
        if !watch.is_empty()
            && let Some(sent) = stream.sent()
            && watch.count(sent, &self.config.request.header, host)
        {
            self.notice_second_trace(host);
        }
    }

    /// Notes that a stream is gone, of whose end the host has not told: Envoy tells of none over HTTP/3.
    #[cold]
    pub fn abandoned(&self, stream: &StreamContext, host: &mut impl Metrics) {
        if stream.sender().is_in_flight {
            host.adjust(Measure::TracedInFlight, -1);
        }
    }

    /// Takes the response to a request through its pass. A stream without a context has none to compare or to show, but
    /// what the upstream says may have to go.
    pub fn response(&self, stream: &mut StreamContext, host: &mut (impl Host + HeaderReader + HeaderWriter)) {
        let Config { request: policy, response, .. } = &self.config;
        if stream.is_left_out() {
            self.record_failed_response(stream, host);
        }
        let named = response.pass(policy, stream.served(), host);
        if let (Some(named), StreamContext::Spanned(_, _, hop)) = (named, stream) {
            hop.note_mismatch(named, host);
        }
    }

    /// Takes the trailers of a response, of which the spans of gRPC tell the status.
    pub fn trailers(&self, stream: &mut StreamContext, host: &mut impl HeaderReader) {
        if let StreamContext::Spanned(_, _, hop) = stream {
            hop.note_trailers(host);
        }
    }

    /// Tells the spans of a stream that has ended.
    pub fn finish<H: Clock + Properties + Metrics + EndedStream>(
        &self,
        mut stream: StreamContext,
        host: &mut H,
        tell: impl FnMut(&Span<'_>, &mut H),
    ) {
        let response = match &stream {
            StreamContext::Spanned(_, _, hop) if stream.is_left_out() => Some(hop.outcome(host)),
            _ => None,
        };
        // What the headers showed was decided when they came, and the caller was informed.
        if let Some((headers, outcome)) = &response
            && !span::Outcome::of_headers(headers).is_failure()
        {
            self.record_failure(&mut stream, outcome, host);
        }
        if let StreamContext::Spanned(sent, _, hop) = stream
            && sent.flags.is_sampled()
        {
            hop.finish(&self.config.spans, sent, response, host, tell);
        }
    }

    /// Counts what the proxy did since the filter before it in the stream, and returns what the next filter is to be told of
    /// that. After no filter there is nothing to count, and nothing to tell.
    #[inline(never)]
    fn audit(&self, headers: &Headers, host: &mut (impl AccessLog + Metrics)) -> Option<Changes> {
        match self.config.hop {
            HopSide::Neither => return None,
            HopSide::Before => return Some(Changes::default()),
            HopSide::After => {}
        }
        let Record { sent, changes } = Record::parse(&host.published(hop::KEY)?)?;
        let changes = changes.and(sent.changes(&Snapshot::of(headers, &self.config.request.header)));
        changes.iter().for_each(|change| host.count(Counter::Hop { change }, 1));
        Some(changes)
    }

    /// Leaves what goes on from here for the next filter in the stream. What the pass has written is only on the wire.
    #[inline(never)]
    fn leave_record(&self, changes: Changes, came: &Headers, host: &mut (impl AccessLog + HeaderReader)) {
        let Policy { mode, header, .. } = &self.config.request;
        let sent = match mode {
            Mode::Observe => Snapshot::of(came, header),
            Mode::Enforce => match host.headers() {
                Ok(written) => Snapshot::of(&written, header),
                // What goes on is not known.
                Err(Refused) => return,
            },
        };
        host.publish(hop::KEY, &Record { sent, changes }.to_bytes());
    }

    /// Says once that entries of `egress` may apply to more requests than they are meant for.
    #[cold]
    fn notice_direction(&self, host: &mut impl Log) {
        if !self.is_direction_noticed.replace(true) {
            host.warn(
                "tracewarden: egress: the listener states no traffic_direction, so every entry that matches a request \
                 applies; set direction in the plugin's configuration or traffic_direction on the listener",
            );
        }
    }

    /// Which headers are to be read once more when the stream has ended. An internal redirect is one request, whose first
    /// stream was read.
    #[cold]
    fn watch(&self, first: Option<FirstPass>, headers: &Headers) -> Watch {
        let Policy { propagation, header, .. } = &self.config.request;
        let number = self.watched.replace(self.watched.get().wrapping_add(1));
        let is_due = number.is_multiple_of(LOOKED_AT) || self.is_second_trace_noticed.get();
        if is_due && first.is_none() { Watch::of(propagation, header, headers) } else { Watch::default() }
    }

    /// Says once that requests go on with two traces.
    #[cold]
    fn notice_second_trace(&self, host: &mut impl Log) {
        if !self.is_second_trace_noticed.replace(true) {
            host.warn(
                "tracewarden: a request went on with two traces: Envoy's tracer, another filter or the route wrote one \
                 after this filter; counted from now on in tracewarden_second_trace_total; to fix it, see \
                 docs/coexistence.md",
            );
        }
    }

    /// Begins the span of the hop, if it may be recorded.
    #[inline]
    fn begin_hop(
        &self,
        outcome: &Outcome,
        sent: TraceParent,
        headers: &Headers,
        host: &mut (impl Host + HeaderWriter),
    ) -> Option<Hop> {
        let Config { request: policy, export, spans, .. } = &self.config;
        let records = export.is_some() && (sent.flags.is_sampled() || policy.sampling.errors.is_some());
        if policy.mode == Mode::Observe || !records {
            return None;
        }
        let came = outcome.came.or_else(|| salvage(&policy.header, headers));
        let origin = Origin { parent: outcome.parent, came, finding: outcome.finding };
        Hop::begin(spans.kind, policy.role, outcome.direction, sent, origin, host)
    }

    #[inline(never)]
    fn record_failed_response(&self, stream: &mut StreamContext, host: &mut (impl Host + HeaderReader)) {
        if let Ok(headers) = host.headers()
            && self.record_failure(stream, &span::Outcome::of_headers(&headers), host)
            && self.config.request.access_log.filter_state
        {
            host.publish(SAMPLED, b"true");
        }
    }

    /// Has the span of a failed request recorded, though its trace is not, as long as the rate of those allows it.
    fn record_failure(
        &self,
        stream: &mut StreamContext,
        outcome: &span::Outcome,
        host: &mut (impl Clock + Metrics),
    ) -> bool {
        if let (StreamContext::Spanned(sent, _, hop), Some(rate), true) =
            (stream, self.config.request.sampling.errors, outcome.is_failure())
            && self.rates.failures.take(rate, host)
        {
            sent.flags = TraceFlags::of(true, sent.flags.is_random());
            hop.record_late();
            host.count(Counter::Sampled { decision: SamplingDecision::Record, by: DecidedBy::Error }, 1);
            return true;
        }
        false
    }
}

impl StreamContext {
    /// The context that the upstream receives.
    #[must_use]
    pub fn sent(&self) -> Option<TraceParent> {
        self.served().map(|served| served.sent)
    }

    const fn sender(&self) -> Sender {
        match self {
            Self::Untraced(sender) | Self::Traced(_, sender) | Self::Spanned(_, sender, _) => *sender,
        }
    }

    /// What the response is compared with, and who receives it.
    const fn served(&self) -> Option<Served> {
        match self {
            Self::Untraced(_) => None,
            Self::Traced(sent, sender) | Self::Spanned(sent, sender, _) => {
                Some(Served { sent: *sent, participates: sender.participates })
            }
        }
    }

    /// Whether it has a span that will not be recorded, unless it fails.
    const fn is_left_out(&self) -> bool {
        matches!(self, Self::Spanned(sent, ..) if !sent.flags.is_sampled())
    }
}
