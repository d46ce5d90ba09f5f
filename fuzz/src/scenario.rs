//! A stream from its request to the answers that its spans get, in Rust's object notation, so that a reproducer can be
//! read and written by hand. Every field may be left out.
//!
//! ```text
//! (
//!     config: "{\"parent_id\": \"new\"}",
//!     known: (direction: "inbound", has_seed: true, now: Some(1), refusals: [false, true]),
//!     request: [(b":path", b"/cart"), (b"traceparent", b"00-…")],
//!     response: [(b":status", b"503")],
//!     steps: [Take(1), Clock(6000000000), Tick, NoAnswer],
//! )
//! ```

use std::mem::take;

use ron::ser::PrettyConfig;
use serde::{Deserialize, Serialize};

use crate::host::{Host, Known, Lines};
use crate::setup::Setup;
use crate::spans::Passed;
use crate::uploads::{self, Step};
use crate::{request, response, spans};

/// A stream, its host, and the collector of its spans.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Scenario {
    pub(crate) config: String,
    pub(crate) known: Known,
    pub(crate) request: Lines,
    pub(crate) response: Lines,
    /// Those of the response.
    pub(crate) trailers: Lines,
    /// What is left of the headers at the end, if others changed them.
    pub(crate) request_left: Option<Lines>,
    pub(crate) response_left: Option<Lines>,
    /// What happens to its spans.
    pub(crate) steps: Vec<Step>,
}

impl Scenario {
    /// Reads a text; `None` if it is no scenario.
    pub fn parse(text: &[u8]) -> Option<Self> {
        ron::de::from_bytes(text).ok()
    }

    /// Writes it.
    pub fn print(&self) -> String {
        ron::ser::to_string_pretty(self, PrettyConfig::new().depth_limit(1)).expect("it can be written")
    }

    /// Takes the scenario of a text through all passes and to the collector, unless its configuration is refused.
    pub fn check(text: &[u8]) {
        let Some(scenario) = Self::parse(text) else { return };
        let Some(setup) = Setup::load(scenario.config.as_bytes()) else { return };
        let mut host = Host::new(scenario.known);
        if setup.policy().correlation.is_some() {
            // The same request came in before, so that there is something to recall.
            let mut earlier = Host::new(Known::inbound());
            request::check(&setup, &scenario.request, &mut earlier);
            host.memory = earlier.calls.remembered;
        }
        let mut stream = request::check(&setup, &scenario.request, &mut host);
        let mut passed = Passed { request: take(&mut host.calls.counted), ..Passed::default() };
        let request_left = scenario.request_left.unwrap_or_else(|| host.lines());
        response::check(&setup.config, &mut stream, &scenario.response, &mut host);
        (passed.response, passed.now) = (take(&mut host.calls.counted), host.known.now);
        let response_left = scenario.response_left.unwrap_or_else(|| host.lines());
        host.left = [request_left, response_left, scenario.trailers];
        host.known.now = host.known.ended;
        let spans = spans::check(&setup, stream, &passed, &mut host);
        if let Some(export) = &setup.config.export {
            let resource = setup.config.service.resource(&mut host);
            uploads::check(export, &resource, &spans, &scenario.steps);
        }
    }
}
