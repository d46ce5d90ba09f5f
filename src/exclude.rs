//! Requests that are none of our business: probes, scrapes and the like.

use crate::headers::Malformed;
use crate::matching::{Match, Request};
use crate::metrics::Direction;

/// The requests to leave alone: those that one of the entries matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclude(pub(crate) Vec<Match>);

impl Exclude {
    /// Whether an entry matches the request with these headers.
    pub(crate) fn matches(&self, headers: &[u8], direction: Direction) -> Result<bool, Malformed> {
        if self.0.is_empty() {
            return Ok(false);
        }
        let request = Request::scan(headers, direction)?;
        Ok(self.0.iter().any(|entry| entry.holds(&request)))
    }
}
