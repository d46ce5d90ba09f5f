//! All that there is to say of one exchange.

use tracewarden::config::Config;
use tracewarden::metrics::{Counter, Scope};
use tracewarden::w3c::TraceParent;
use tracewarden::words::{DecidedBy, Direction, Format, Mode, Repair, Verdict};

use super::config::Configuration;
use super::decision::{Decision, Outcome, outcomes};
use super::host::{Record, World};
use super::input::Exchange;
use super::open;
use super::reading::{self, Found, Reading};
use super::why::{Why, secrets, stated};

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
    /// The entries that decide, if the filter judges the request.
    pub(super) why: Option<Why>,
    /// Headers whose values are secrets, in lower case.
    pub(super) secrets: Vec<Vec<u8>>,
    pub(super) decision: Option<Decision>,
    /// There is at least one.
    pub(super) outcomes: Vec<Outcome>,
    /// What the answer depends on that is not known here.
    pub(super) notes: Vec<String>,
}

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
            filtered.notes.push(open::NEW_IDS.to_owned());
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
        let judges = config.enabled && !config.audits_alone();
        let request = exchange.request.as_ref().filter(|_| judges);
        let why = request.map(|request| Why::of(configuration, request, world));
        let of_rule =
            why.as_ref().and_then(|why| why.rule.as_ref()).and_then(|(_, probability)| *probability);
        let decision = decision.map(|decision| decision.with_probability(of_rule, &config));
        let (listener_direction, secrets) = (world.direction, secrets(&configuration.tree));
        let notes = Vec::new();
        let mut filtered = Self { config, listener_direction, why, secrets, decision, outcomes, notes };
        filtered.notes = open::notes(&filtered, exchange, configuration, world);
        filtered
    }

    /// Whether the request goes on with a trace that starts here.
    pub(super) fn starts_trace(&self, came: Option<TraceParent>) -> bool {
        self.sent().is_some_and(|sent| came.is_none_or(|came| came.trace_id != sent.trace_id))
    }

    /// The context that the upstream receives, in the likeliest case.
    pub(super) fn sent(&self) -> Option<TraceParent> {
        self.outcomes.first().and_then(|outcome| outcome.run.sent)
    }

    /// Whether any header of the request is changed.
    pub(super) fn changes_request(&self, exchange: &Exchange) -> bool {
        self.request().zip(exchange.request.as_ref()).is_some_and(|(record, came)| record.headers != *came)
    }

    /// The format that held the context, if the filter reads several.
    pub(super) fn format(&self) -> Option<Format> {
        self.request()?.counted.iter().find_map(|(counter, _)| match counter {
            Counter::Format { format } => Some(*format),
            _ => None,
        })
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
        let rule = self.why.as_ref()?.rule.as_ref().filter(|_| is_rule);
        rule.map(|(rule, _)| rule.as_str())
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

    /// Whether the filter changes no header whatever comes.
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
        let flags = u8::from(self.sampled == Some(true)) + 2 * u8::from(self.random == Some(true));
        let text = format!("00-{}-{}-{flags:02x}", self.trace_id.as_deref()?, self.parent_id.as_deref()?);
        TraceParent::parse(text.as_bytes()).ok()
    }
}

/// The label of the listener that a counter has, if the configuration names one.
pub(super) fn listener(config: &Config, counter: Counter) -> Option<&str> {
    config.metrics.listener.as_deref().filter(|_| counter.scope() != Scope::Module)
}
