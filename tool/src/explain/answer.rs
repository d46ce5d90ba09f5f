//! All that there is to say of one exchange.

use tracewarden::config::Config;
use tracewarden::metrics::{Counter, Scope};
use tracewarden::w3c::TraceParent;
use tracewarden::words::{DecidedBy, Direction, Format, Mode, Repair, Verdict};

use super::config::Configuration;
use super::decision::{Decision, Outcome, outcomes};
use super::host::{Record, World};
use super::input::Exchange;
use super::reading::{self, Found, Reading};
use super::why::{Why, stated};

/// What headers say, and what the filter does with them.
pub(super) struct Answer {
    pub(super) exchange: Exchange,
    pub(super) reading: Option<Reading>,
    pub(super) response: Option<reading::Answer>,
    pub(super) filtered: Option<Filtered>,
}

/// What the filter does.
pub(super) struct Filtered {
    pub(super) config: Config,
    pub(super) listener_direction: Option<Direction>,
    pub(super) why: Why,
    pub(super) decision: Option<Decision>,
    /// There is at least one.
    pub(super) outcomes: Vec<Outcome>,
    /// What the answer depends on that is not known here.
    pub(super) notes: Vec<String>,
}

/// What is not known of a response to a request that got new ids.
const NEW_IDS: &str = "The filter gives this request a new trace-id, which is another one each time. Whether the response \
    names it is not known here: what is counted of the response supposes that it does not.";

impl Answer {
    /// Answers for one exchange.
    pub(super) fn of(exchange: Exchange, configuration: Option<&Configuration>, world: &World) -> Self {
        let config = configuration.map(|configuration| &configuration.config.request);
        let header = config.map_or("traceparent", |config| &*config.header);
        let formats = config.map_or(Format::ALL, |config| config.propagation.extract.as_slice());
        let reading = exchange.request.as_ref().and_then(|lines| Reading::of(lines, header, formats));
        let mut filtered = configuration.map(|configuration| Filtered::of(configuration, &exchange, world));
        let came = reading.as_ref().and_then(Reading::context);
        let response = exchange.response.as_ref().and_then(|lines| reading::Answer::of(lines, came, header));
        let names_trace = response.as_ref().is_some_and(|response| response.named.is_some());
        if let Some(filtered) =
            filtered.as_mut().filter(|filtered| names_trace && filtered.starts_trace(came))
        {
            filtered.notes.push(NEW_IDS.to_owned());
        }
        Self { exchange, reading, response, filtered }
    }

    /// Whether what came is valid.
    pub(super) fn is_valid(&self) -> bool {
        match (&self.reading, &self.response) {
            (Some(reading), Some(response)) => reading.is_valid() && response.is_valid,
            (Some(reading), None) => reading.is_valid(),
            (None, response) => response.as_ref().is_some_and(|one| one.is_valid && one.context != "absent"),
        }
    }
}

impl Filtered {
    fn of(configuration: &Configuration, exchange: &Exchange, world: &World) -> Self {
        let config = configuration.config.clone();
        let (outcomes, decision) = outcomes(&config, exchange, world);
        let nothing = Vec::new();
        let why = Why::of(configuration, exchange.request.as_ref().unwrap_or(&nothing), world);
        let mut filtered =
            Self { listener_direction: world.direction, config, why, decision, outcomes, notes: Vec::new() };
        filtered.notes = filtered.open(exchange, configuration);
        filtered
    }

    /// Whether the request goes on with a trace that starts here.
    pub(super) fn starts_trace(&self, came: Option<TraceParent>) -> bool {
        let sent = self.outcomes.first().and_then(|outcome| outcome.run.sent);
        sent.is_some_and(|sent| came.is_none_or(|came| came.trace_id != sent.trace_id))
    }

    /// What happened to the request, in the likeliest case.
    pub(super) fn request(&self) -> Option<&Record> {
        self.outcomes.first()?.run.request.as_ref()
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.request()?.verdict()
    }

    /// The sampling rule that decides.
    pub(super) fn rule(&self) -> Option<&str> {
        let is_rule = self.decision.is_some_and(|decision| decision.by == DecidedBy::Rule);
        self.why.rule.as_deref().filter(|_| is_rule)
    }

    pub(super) fn repair(&self) -> Option<Repair> {
        self.request()?.counted.iter().find_map(|(counter, _)| match counter {
            Counter::Repair { by, .. } => Some(*by),
            _ => None,
        })
    }

    /// The direction that the filter sees.
    pub(super) fn direction(&self) -> Direction {
        stated(&self.config).or(self.listener_direction).unwrap_or(Direction::Unspecified)
    }

    /// What the answer depends on that a command line does not know.
    fn open(&self, exchange: &Exchange, configuration: &Configuration) -> Vec<String> {
        let mut notes: Vec<String> =
            configuration.notices.iter().map(|notice| format!("Ignored: {notice}")).collect();
        let request = &self.config.request;
        if !self.config.enabled {
            notes.push("enabled: false. The filter does nothing.".to_owned());
        }
        if self.config.audits_alone() {
            notes.push(
                "hop: after with mode: observe. The filter compares, and judges no request.".to_owned(),
            );
        }
        if request.correlation.is_some() {
            notes.push(
                "correlation: the memory is empty here. In a pod that has received a request with the same \
                 x-request-id, a lost context comes back, and other calls can be unlinked."
                    .to_owned(),
            );
        }
        match (stated(&self.config), self.listener_direction) {
            (Some(stated), Some(listener)) if stated != listener => notes.push(format!(
                "The configuration states direction: {}, so --direction {} has no effect.",
                stated.label(),
                listener.label()
            )),
            (None, None) => notes.push(
                "The direction is not known: state it with --direction inbound or --direction outbound."
                    .to_owned(),
            ),
            _ => {}
        }
        let is_redirect = |name: &[u8]| name == b"x-envoy-original-url";
        if exchange.request.iter().flatten().any(|(name, _)| is_redirect(name)) {
            notes.push(
                "x-envoy-original-url: if Envoy redirects this request by itself, the filter knows it from its first \
                 pass, which is not known here."
                    .to_owned(),
            );
        }
        notes
    }

    /// Whether the filter changes headers at all.
    pub(super) fn observes(&self) -> bool {
        self.config.request.mode == Mode::Observe
    }
}

impl Reading {
    /// The context that it holds, as far as `traceparent` can express it.
    pub(super) fn context(&self) -> Option<TraceParent> {
        if self.found != Found::Context {
            return None;
        }
        let flags = if self.sampled == Some(true) { "01" } else { "00" };
        let text = format!("00-{}-{}-{flags}", self.trace_id.as_deref()?, self.parent_id.as_deref()?);
        TraceParent::parse(text.as_bytes()).ok()
    }
}

/// The label of the listener that a counter has, if the configuration names one.
pub(super) fn listener(config: &Config, counter: Counter) -> Option<&str> {
    config.metrics.listener.as_deref().filter(|_| counter.scope() == Scope::Listener)
}
