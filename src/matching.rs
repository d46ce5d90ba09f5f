//! Conditions on a request, for those parts of the configuration that are about some requests only.

mod destination;
mod pattern;

pub(crate) use destination::{Asked, Destination};
pub(crate) use pattern::Pattern;

use core::cell::OnceCell;
use core::ops::Deref;

use crate::headers::{Headers, host_and_port, is_grpc, without_credentials, without_query};
use crate::settings::{Expected, FaultKind, HeaderName, NonEmpty, Object, Reader, Rule, Rules, settings};
use crate::words::{Direction, DirectionWord};

settings! {
    /// Conditions on a request, all of which must hold. At least one is stated, such as `{"path_prefix": "/healthz"}`.
    pub(crate) struct Match "Match", checked {
        /// The host without its port. Upper and lower case are the same, and so is an absolute name (`example.org.`). A `*`
        /// at the start stands for one or more labels, such as `"*.example.org"`.
        pub(crate) host: Option<String> = None,
        /// The path without its query, such as `"/healthz"`.
        pub(crate) path: Option<String> = None,
        /// How the path begins, such as `"/static/"`.
        pub(crate) path_prefix: Option<String> = None,
        /// A regular expression that the whole path without its query must match. A path of more than 2,048 bytes
        /// matches nothing.
        pub(crate) path_regex: Option<Pattern> = None,
        /// The method, usually in upper case, such as `"OPTIONS"`.
        pub(crate) method: Option<String> = None,
        /// How `user-agent` begins, such as `"kube-probe/"`.
        pub(crate) user_agent_prefix: Option<String> = None,
        /// The service of a gRPC request, such as `"grpc.health.v1.Health"`.
        pub(crate) grpc_service: Option<String> = None,
        /// A header that the request has.
        pub(crate) header: Option<HeaderMatch> = None,
        /// The name of the route that Envoy chose before the filter. A `*` at the end stands for anything, such as `"api-*"`. Only
        /// routes with a name have one. Envoy may choose anew after the filter: see [Routes and clusters](in-envoy.md#routes-and-clusters).
        pub(crate) route: Option<NonEmpty> = None,
        /// The name of the cluster that this route leads to. A `*` at the end stands for anything, such as `"partner_*"`.
        pub(crate) cluster: Option<NonEmpty> = None,
        /// Which way the request goes. `"auto"` is any way, and no condition if it is alone.
        pub(crate) direction: DirectionWord = DirectionWord::Auto,
    }
}

impl Rules for Match {
    fn check(&self, reader: &mut Reader<'_>) {
        if *self == Self::default() {
            let expected = Expected::Phrase("a condition: without one every request would match");
            reader.absent(FaultKind::MissingField, expected);
        }
    }

    fn describe(object: &mut Object) {
        object.rules.push(Rule::NotEmpty);
    }
}

settings! {
    /// A header that a request has, such as `{"name": "x-tier", "value": "gold"}`.
    pub(crate) struct HeaderMatch "Header match" {
        /// The header's name.
        pub(crate) name: HeaderName,
        /// The value that one of its lines must have, exactly. Without it any value will do. Such as `"gold"`.
        pub(crate) value: Option<String> = None,
    }
}

/// A request that conditions are tried on. Each header is looked up when a condition first asks for it, and one that the
/// request does not have is empty.
pub struct Target<'a> {
    pub(crate) headers: &'a Headers,
    pub(crate) direction: Direction,
    host: OnceCell<&'a [u8]>,
    path: OnceCell<&'a [u8]>,
    path_without_query: OnceCell<&'a [u8]>,
    method: OnceCell<&'a [u8]>,
    user_agent: OnceCell<&'a [u8]>,
    is_grpc: OnceCell<bool>,
    /// Unless no condition asks for it.
    destination: Option<Box<Destination>>,
}

impl<'a> Target<'a> {
    /// A request with these headers that goes this way.
    #[must_use]
    #[inline]
    pub const fn new(headers: &'a Headers, direction: Direction) -> Self {
        Self {
            headers,
            direction,
            host: OnceCell::new(),
            path: OnceCell::new(),
            path_without_query: OnceCell::new(),
            method: OnceCell::new(),
            user_agent: OnceCell::new(),
            is_grpc: OnceCell::new(),
            destination: None,
        }
    }

    /// Notes where the host sends the request.
    #[inline]
    pub(crate) fn lead_to(&mut self, destination: Option<Box<Destination>>) {
        self.destination = destination;
    }

    /// A name of the destination, which is empty if the host does not know it.
    fn name(&self, of: impl Fn(&Destination) -> &Vec<u8>) -> &[u8] {
        self.destination.as_deref().map(of).map_or(&[], Vec::as_slice)
    }

    fn header(&self, name: &str) -> &'a [u8] {
        self.headers.first(name).unwrap_or_default()
    }

    /// The host of the authority.
    fn host(&self) -> &'a [u8] {
        self.host.get_or_init(|| without_dot(host_and_port(without_credentials(self.header(":authority"))).0))
    }

    fn path(&self) -> &'a [u8] {
        self.path.get_or_init(|| self.header(":path"))
    }

    fn path_without_query(&self) -> &'a [u8] {
        self.path_without_query.get_or_init(|| without_query(self.path()))
    }

    fn method(&self) -> &'a [u8] {
        self.method.get_or_init(|| self.header(":method"))
    }

    fn user_agent(&self) -> &'a [u8] {
        self.user_agent.get_or_init(|| self.header("user-agent"))
    }

    /// `shop.v1.Cart` of `/shop.v1.Cart/Add`.
    fn grpc_service(&self) -> Option<&'a [u8]> {
        if !self.is_grpc.get_or_init(|| is_grpc(self.header("content-type"))) {
            return None;
        }
        self.path().strip_prefix(b"/")?.split(|byte| *byte == b'/').next()
    }
}

impl Match {
    /// Whether it holds.
    pub(crate) fn holds(&self, target: &Target<'_>) -> bool {
        self.is_of_direction(target.direction) && self.holds_but_for_direction(target)
    }

    /// Whether it holds, as far as is known: the listener need not state the direction.
    pub(crate) fn may_hold(&self, target: &Target<'_>) -> bool {
        let direction = target.direction;
        (direction == Direction::Unspecified || self.is_of_direction(direction))
            && self.holds_but_for_direction(target)
    }

    fn is_of_direction(&self, direction: Direction) -> bool {
        self.direction.stated().is_none_or(|wanted| direction == wanted)
    }

    fn holds_but_for_direction(&self, target: &Target<'_>) -> bool {
        is(&self.host, &|wanted| is_host(target.host(), wanted))
            && is(&self.path, &|wanted| target.path_without_query() == wanted)
            && self.path_regex.as_ref().is_none_or(|pattern| pattern.holds(target.path_without_query()))
            && is(&self.path_prefix, &|wanted| target.path().starts_with(wanted))
            && is(&self.method, &|wanted| target.method() == wanted)
            && is(&self.user_agent_prefix, &|wanted| target.user_agent().starts_with(wanted))
            && is(&self.grpc_service, &|wanted| target.grpc_service() == Some(wanted))
            && self.header.as_ref().is_none_or(|header| header.holds(target.headers))
            && is(&self.route, &|wanted| is_like(target.name(|to| &to.route), wanted))
            && is(&self.cluster, &|wanted| is_like(target.name(|to| &to.cluster), wanted))
    }
}

/// Whether a test holds, or none is wanted.
fn is(wanted: &Option<impl Deref<Target = str>>, test: &dyn Fn(&[u8]) -> bool) -> bool {
    wanted.as_ref().is_none_or(|wanted| test(wanted.as_bytes()))
}

/// Whether a name is this one, or begins as it does before its `*`. Whoever has no name is like nobody.
pub(crate) fn is_like(name: &[u8], pattern: &[u8]) -> bool {
    !name.is_empty()
        && match pattern.strip_suffix(b"*") {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        }
}

impl HeaderMatch {
    fn holds(&self, headers: &Headers) -> bool {
        let mut lines = headers.lines(&self.name).iter();
        lines.any(|line| self.value.as_ref().is_none_or(|value| line == value.as_bytes()))
    }
}

/// Hosts are compared without regard to case, and to the dot at the end of an absolute name; a wildcard matches at least
/// one label.
fn is_host(host: &[u8], wanted: &[u8]) -> bool {
    let wanted = without_dot(wanted);
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

fn without_dot(mut host: &[u8]) -> &[u8] {
    while let [rest @ .., b'.'] = host {
        host = rest;
    }
    host
}
