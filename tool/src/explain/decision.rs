//! The sampling decision, and what of it is open.

use tracewarden::config::Config;
use tracewarden::sampling::Threshold;
use tracewarden::words::DecidedBy;

use super::host::World;
use super::ids::END;
use super::input::Exchange;
use super::run::{Run, run};

/// What may become of an exchange.
pub(super) struct Outcome {
    /// How likely it is; `None` if that depends on how many requests came before.
    pub(super) probability: Option<f64>,
    pub(super) run: Run,
}

/// Who decides whether the trace is recorded.
#[derive(Clone, Copy)]
pub(super) struct Decision {
    pub(super) by: DecidedBy,
    /// The decision; `None` if chance or a rate decides.
    pub(super) sampled: Option<bool>,
    /// The probability in the configuration, if that decides.
    pub(super) probability: Option<f64>,
    /// Whether a rate may drop it.
    pub(super) is_limited: bool,
    is_open: bool,
}

impl Decision {
    /// Whether chance decides.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// The same with the probability of a rule or of the whole configuration, whichever decides.
    pub(super) fn with_probability(self, of_rule: Option<f64>, config: &Config) -> Self {
        let probability = match self.by {
            DecidedBy::Rule => of_rule,
            DecidedBy::Probability => Some(share(config.request.sampling.probability)),
            _ => None,
        };
        Self { probability: self.probability.or(probability), ..self }
    }
}

/// The share of traces that a threshold keeps.
fn share(keeps: Threshold) -> f64 {
    match (keeps.keeps(0), keeps.keeps(END - 1)) {
        (true, _) => 1.0,
        (_, false) => 0.0,
        _ => (END - threshold(|randomness| keeps.keeps(randomness))) as f64 / END as f64,
    }
}

/// All that may become of an exchange, the likeliest record first, and the decision if there is one.
pub(super) fn outcomes(
    config: &Config,
    exchange: &Exchange,
    world: &World,
) -> (Vec<Outcome>, Option<Decision>) {
    let at = |randomness: u64| {
        let world = World { draws: world.draws.with(randomness), ..world.clone() };
        run(config, exchange, world)
    };
    let decided = |run: &Run| run.request.as_ref().and_then(super::host::Record::sampled);
    let (low, high) = (decided(&at(0)), decided(&at(END - 1)));
    let certain = run(config, exchange, world.clone());
    let Some((sampled, by)) = decided(&certain) else {
        return (vec![Outcome { probability: Some(1.0), run: certain }], None);
    };
    let mut decision =
        Decision { by, sampled: Some(sampled), probability: None, is_limited: false, is_open: false };
    let mut outcomes = vec![Outcome { probability: Some(1.0), run: certain }];
    if low != high {
        let threshold = threshold(|randomness| decided(&at(randomness)) == high);
        let probability = (END - threshold) as f64 / END as f64;
        decision.is_open = true;
        decision.sampled = None;
        decision.probability = Some(probability);
        decision.by = high.map_or(by, |(_, by)| by);
        outcomes = vec![
            Outcome { probability: Some(probability), run: at(threshold + (END - threshold) / 2) },
            Outcome { probability: Some(1.0 - probability), run: at(threshold / 2) },
        ];
    }
    // A budget of nothing refuses it in any case.
    if decision.by != DecidedBy::RateLimit
        && let Some(run) = over_the_rate(config, exchange, world)
    {
        decision.is_limited = true;
        decision.sampled = None;
        outcomes.push(Outcome { probability: None, run });
    }
    (outcomes, Some(decision))
}

/// The least randomness that is kept: the greatest is, and zero is not.
fn threshold(keeps: impl Fn(u64) -> bool) -> u64 {
    let (mut dropped, mut kept) = (0, END - 1);
    while kept - dropped > 1 {
        let middle = dropped + (kept - dropped) / 2;
        if keeps(middle) { kept = middle } else { dropped = middle }
    }
    kept
}

/// How many times a pass may ask for the time before its rate does.
const QUESTIONS: usize = 4;

/// What becomes of it when the rate of new traces is used up.
fn over_the_rate(config: &Config, exchange: &Exchange, world: &World) -> Option<Run> {
    if !config.request.sampling.is_limited() {
        return None;
    }
    (1..=QUESTIONS).find_map(|silent| {
        let draws = world.draws.with(END - 1);
        let tried = run(config, exchange, World { silent: Some(silent), draws, ..world.clone() });
        let by_rate = tried.request.as_ref()?.sampled()?.1 == DecidedBy::RateLimit;
        by_rate.then_some(tried)
    })
}
