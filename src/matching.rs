//! Conditions on a request, for those parts of the configuration that are about some requests only.

use regex_lite::{Regex, RegexBuilder};

use crate::headers::{Malformed, is_grpc, scan};
use crate::metrics::Direction;

/// Conditions that all have to hold; one that is not stated holds for every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Match {
    /// The host, without its port; `*.example.org` stands for every host that ends in `.example.org`.
    pub(crate) host: Option<String>,
    /// The path, without its query.
    pub(crate) path: Option<String>,
    pub(crate) path_prefix: Option<String>,
    pub(crate) path_regex: Option<Pattern>,
    pub(crate) method: Option<String>,
    pub(crate) user_agent_prefix: Option<String>,
    /// The service of a gRPC request, such as `shop.v1.Cart`.
    pub(crate) grpc_service: Option<String>,
    pub(crate) header: Option<HeaderMatch>,
    pub(crate) direction: Option<Direction>,
}

/// A regular expression that the whole path, without its query, must match. It takes time in proportion to the length of
/// the path and of the expression, whatever either of them is.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let build =
            |text: &str| RegexBuilder::new(text).dot_matches_new_line(true).size_limit(MAX_PATTERN).build();
        // Alone first: parentheses that only the frame around them completes would leave it.
        let whole = build(text).and_then(|_| build(&format!("^(?:{text})$")));
        whole.map(Self).map_err(|error| format!("{text:?} is no regular expression: {error}"))
    }

    /// A path of other octets than text matches nothing, and neither does one that is longer than any that we look at.
    pub(crate) fn holds(&self, path: &[u8]) -> bool {
        path.len() <= MAX_PATH && core::str::from_utf8(path).is_ok_and(|path| self.0.is_match(path))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// How many octets a pattern may take when it is ready to run.
const MAX_PATTERN: usize = 64 * 1024;
/// How many octets a path may have that a pattern is tried on.
const MAX_PATH: usize = 2048;

/// A header that must be there, and the value that one of its lines must have, if one is stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderMatch {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

/// What conditions look at; a header that is not there is empty.
pub(crate) struct Request<'a> {
    direction: Direction,
    headers: &'a [u8],
    host: &'a [u8],
    path: &'a [u8],
    method: &'a [u8],
    user_agent: &'a [u8],
    content_type: &'a [u8],
}

impl<'a> Request<'a> {
    /// Finds it in a request's serialized headers.
    pub(crate) fn scan(headers: &'a [u8], direction: Direction) -> Result<Self, Malformed> {
        let found = scan(headers, [":authority", ":path", ":method", "user-agent", "content-type"])?;
        let [host, path, method, user_agent, content_type] =
            found.map(|lines| lines.first().unwrap_or_default());
        Ok(Self { direction, headers, host: without_port(host), path, method, user_agent, content_type })
    }

    fn path_without_query(&self) -> &'a [u8] {
        self.path.split(|octet| *octet == b'?').next().unwrap_or_default()
    }

    /// `shop.v1.Cart` of `/shop.v1.Cart/Add`.
    fn grpc_service(&self) -> Option<&'a [u8]> {
        self.path
            .strip_prefix(b"/")
            .filter(|_| is_grpc(self.content_type))?
            .split(|octet| *octet == b'/')
            .next()
    }
}

impl Match {
    pub(crate) fn holds(&self, request: &Request<'_>) -> bool {
        let is = |wanted: &Option<String>, test: &dyn Fn(&[u8]) -> bool| {
            wanted.as_ref().is_none_or(|wanted| test(wanted.as_bytes()))
        };
        is(&self.host, &|wanted| is_host(request.host, wanted))
            && is(&self.path, &|wanted| request.path_without_query() == wanted)
            && self.path_regex.as_ref().is_none_or(|pattern| pattern.holds(request.path_without_query()))
            && is(&self.path_prefix, &|wanted| request.path.starts_with(wanted))
            && is(&self.method, &|wanted| request.method == wanted)
            && is(&self.user_agent_prefix, &|wanted| request.user_agent.starts_with(wanted))
            && is(&self.grpc_service, &|wanted| request.grpc_service() == Some(wanted))
            && self.direction.is_none_or(|wanted| request.direction == wanted)
            && self.header.as_ref().is_none_or(|header| header.holds(request.headers))
    }
}

impl HeaderMatch {
    fn holds(&self, headers: &[u8]) -> bool {
        // A map that cannot be read was refused when the request was scanned.
        let Ok([lines]) = scan(headers, [&self.name]) else { return false };
        lines.iter().any(|line| self.value.as_ref().is_none_or(|value| line == value.as_bytes()))
    }
}

/// Hosts are compared without regard to case; a wildcard stands for at least one label.
fn is_host(host: &[u8], wanted: &[u8]) -> bool {
    match wanted.strip_prefix(b"*") {
        Some(suffix) => {
            match host.len().checked_sub(suffix.len()).and_then(|place| host.split_at_checked(place)) {
                Some((label, end)) => !label.is_empty() && end.eq_ignore_ascii_case(suffix),
                None => false,
            }
        }
        None => host.eq_ignore_ascii_case(wanted),
    }
}

fn without_port(authority: &[u8]) -> &[u8] {
    let bracket = authority.iter().rposition(|octet| *octet == b']').unwrap_or(0);
    match authority.iter().rposition(|octet| *octet == b':') {
        Some(colon) if colon > bracket => authority.get(..colon).unwrap_or(authority),
        _ => authority,
    }
}
