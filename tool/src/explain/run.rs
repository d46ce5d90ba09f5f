//! The filter itself, over an exchange.

use tracewarden::config::Config;
use tracewarden::filter::{Filter, StreamContext};
use tracewarden::metrics::Counter;
use tracewarden::w3c::TraceParent;
use tracewarden::words::{DecidedBy, Verdict};

use super::host::{Record, Recorder, World, headers};
use super::ids::Draws;
use super::input::Exchange;

/// What the filter did.
pub(super) struct Run {
    pub(super) request: Option<Record>,
    pub(super) response: Option<Record>,
    /// The context that the upstream receives.
    pub(super) sent: Option<TraceParent>,
    /// Whether a span may be recorded.
    pub(super) has_span: bool,
    pub(super) draws: Draws,
}

/// Has a filter of this configuration pass the messages.
pub(super) fn run(config: &Config, exchange: &Exchange, world: World) -> Run {
    let mut host = Recorder::new(world);
    let mut stream = StreamContext::default();
    let filter = config.enabled.then(|| Filter::new(config.clone(), ""));
    let (mut request, mut response) = (None, None);
    if let Some(lines) = &exchange.request {
        host.begin(lines.clone());
        if let Some(filter) = &filter {
            stream = filter.audited_request(&headers(lines), &mut host);
        }
        request = Some(host.begin(Vec::new()));
    }
    let sent = stream.sent();
    let has_span = matches!(&stream, StreamContext::Spanned(sent, ..) if sent.flags.is_sampled());
    if let Some(lines) = &exchange.response {
        host.begin(lines.clone());
        if let Some(filter) = &filter {
            filter.response(&mut stream, &mut host);
        }
        response = Some(host.begin(Vec::new()));
    }
    Run { request, response, sent, has_span, draws: host.world.draws }
}

impl Record {
    /// What came in.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.counted.iter().find_map(|(counter, _)| match counter {
            Counter::Request { context, .. } => Some(*context),
            _ => None,
        })
    }

    /// Whether the trace is recorded, and who decided.
    pub(super) fn sampled(&self) -> Option<(bool, DecidedBy)> {
        self.counted.iter().find_map(|(counter, _)| match counter {
            Counter::Sampled { decision, by } => Some((decision.is_record(), *by)),
            _ => None,
        })
    }
}
