//! Requests that are none of our business: probes, scrapes and the like.

use crate::headers::{Malformed, scan};

/// The requests to leave alone: those that one of the rules matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclude(pub(crate) Vec<Rule>);

/// Conditions that all have to hold; one that is not stated holds for every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The path, without its query.
    pub(crate) path: Option<String>,
    pub(crate) path_prefix: Option<String>,
    pub(crate) user_agent_prefix: Option<String>,
    pub(crate) method: Option<String>,
}

/// What rules look at; a header that is not there is empty.
struct Request<'a> {
    path: &'a [u8],
    user_agent: &'a [u8],
    method: &'a [u8],
}

impl Exclude {
    /// Whether a rule matches the request with these headers.
    pub(crate) fn matches(&self, serialized: &[u8]) -> Result<bool, Malformed> {
        if self.0.is_empty() {
            return Ok(false);
        }
        let found = scan(serialized, [":path", "user-agent", ":method"])?;
        let [path, user_agent, method] = found.map(|lines| lines.first().unwrap_or_default());
        let request = Request { path, user_agent, method };
        Ok(self.0.iter().any(|rule| rule.matches(&request)))
    }
}

impl Rule {
    fn matches(&self, request: &Request<'_>) -> bool {
        let without_query = request.path.split(|octet| *octet == b'?').next().unwrap_or_default();
        let holds = |condition: &Option<String>, test: fn(&[u8], &[u8]) -> bool, value: &[u8]| {
            condition.as_ref().is_none_or(|wanted| test(value, wanted.as_bytes()))
        };
        holds(&self.path, <[u8]>::eq, without_query)
            && holds(&self.path_prefix, <[u8]>::starts_with, request.path)
            && holds(&self.user_agent_prefix, <[u8]>::starts_with, request.user_agent)
            && holds(&self.method, <[u8]>::eq, request.method)
    }
}
