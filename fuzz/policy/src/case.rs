//! A case: two hops, and a request that passes both.

use core::fmt;

use rand::RngExt;
use rand::rngs::ChaCha12Rng;

use crate::configuration::Configuration;
use crate::wire::Lines;
use crate::{hop, invariants, traffic};

pub(crate) struct Case {
    hops: [Configuration; 2],
    request: Lines,
    response: Lines,
    seed: u64,
}

impl Case {
    pub(crate) fn draw(source: &mut ChaCha12Rng) -> Self {
        let hops = [Configuration::draw(source), Configuration::draw(source)];
        Self {
            hops,
            request: traffic::request(source),
            response: traffic::response(source),
            seed: source.random(),
        }
    }

    /// Fails if an invariant does not hold.
    pub(crate) fn check(&self) {
        let [first, second] = &self.hops;
        let passed = hop::pass(first, &self.request, &self.response, self.seed);
        invariants::check(first, &passed);
        let again = hop::pass(second, &passed.goes, &self.response, self.seed ^ 1);
        invariants::check(second, &again);
        invariants::check_both(first, &passed, second, &again);
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hop in &self.hops {
            writeln!(f, "{:?}", hop.tree)?;
        }
        for (name, value) in &self.request {
            writeln!(f, "  {name}: {}", value.escape_ascii())?;
        }
        let passed = hop::pass(self.hops.first().expect("a hop"), &self.request, &self.response, self.seed);
        writeln!(f, "after the first hop, which counted {:?}:", passed.counted)?;
        for (name, value) in &passed.goes {
            writeln!(f, "  {name}: {}", value.escape_ascii())?;
        }
        Ok(())
    }
}
