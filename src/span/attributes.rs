//! What a span says about its request, by OpenTelemetry's
//! [conventions for HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/), and what the configuration adds.

use std::borrow::Cow;

use super::redact::Redaction;
use super::{KeyValue, Kind, Outcome, SpanKind, Value};
use crate::headers::{Headers, host_and_port, is_grpc, is_grpc_web, without_credentials, without_query};
use crate::host::{Properties, Property, PropertyValue, StreamInfo};
use crate::matching::Pattern;
use crate::settings::{HeaderName, NonEmpty, Reader, Rules, Setting, Step, Variable, settings};

settings! {
    /// Which spans a hop has, and what they say in addition to OpenTelemetry's conventions.
    pub struct Spans "Span", checked {
        /// Which spans a hop has. A waypoint, which Istio calls inbound, needs `"server_and_client"`.
        pub kind: Kind = Kind::Auto,
        /// Further attributes. No name may occur twice.
        pub attributes: Vec<Attribute> = Vec::new(),
        /// What is shown as `REDACTED`: a segment of a path, a value of a header or property, or the `user-agent`, if one of these
        /// patterns matches it as a whole, such as `["[0-9]+"]`. A value is tried as it came and percent-decoded, with and without
        /// what follows a `;` or a `:`. It is decoded up to three times, and redacted if it has escapes after that. Values over
        /// 1,024 bytes are redacted too. For each request the patterns read at most 64 KiB of values in all. The rest is redacted.
        pub(crate) redact: Vec<Pattern> = Vec::new(),
    }
}

impl Rules for Spans {
    fn check(&self, reader: &mut Reader<'_>) {
        for (place, attribute) in self.attributes.iter().enumerate() {
            if self.attributes.iter().take(place).any(|other| other.name == attribute.name) {
                reader.within(Step::Field("attributes".to_owned()), &mut |reader| {
                    reader.within(Step::Item(place), &mut |reader| {
                        let expected = "a name that no other attribute has";
                        reader.conflict("name", expected, &attribute.name.value());
                    });
                });
            }
        }
    }
}

settings! {
    /// A name, and one source of its value, such as `{"name": "tenant", "request_header": "x-tenant"}`.
    pub struct Attribute "Span attribute" {
        /// The attribute's name, such as `"tenant"`.
        pub name: NonEmpty,
    } includes {
        /// Where the value comes from.
        pub source: Source,
    }
}

settings! {
    /// Where the value of an attribute comes from.
    pub enum Source "Source" {
        /// The value itself, such as `"blue"`.
        Literal(String) = "value",
        /// The environment variable that holds the value, such as `"REGION"`. The value is empty if it is not set.
        Environment(Variable) = "environment",
        /// A header of the request.
        RequestHeader(HeaderName) = "request_header",
        /// A header of the response.
        ResponseHeader(HeaderName) = "response_header",
        /// The path of one of Envoy's attributes, such as `["upstream", "cluster"]`. Its value is a text or a whole number. It
        /// costs a call to Envoy for each span.
        Property(Vec<String>) = "property",
    }
}

/// What the host still knows of a request and its response; each is asked for once, however many spans there are.
pub(super) struct Exchange<'a> {
    request: &'a Headers,
    info: &'a StreamInfo,
    /// The path that was sent and the one that came, if another was sent, without what is not shown.
    path: Cow<'a, str>,
    original_path: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
    pub(super) outcome: Outcome,
    /// Whether nobody could say how a call of gRPC-Web ended: its status is in the body.
    is_open: bool,
    route: Option<Cow<'a, str>>,
    /// What the configuration adds.
    added: Vec<KeyValue<'a>>,
}

/// The longest value of an attribute, in bytes.
pub(super) const MAX_VALUE: usize = 1024;

/// The longest path of a gRPC method, in bytes.
const MAX_GRPC_METHOD: usize = 200;

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Text for an attribute: what is not UTF-8 is replaced, and what is too long cut off, before and after.
#[inline]
pub(crate) fn clip(value: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(value.get(..MAX_VALUE).unwrap_or(value));
    if value.len() <= MAX_VALUE && text.len() <= MAX_VALUE { text } else { cut(value, text.into_owned()) }
}

#[cold]
fn cut(value: &[u8], mut text: String) -> Cow<'_, str> {
    // A character that was cut in two.
    if value.len() > MAX_VALUE && text.ends_with(char::REPLACEMENT_CHARACTER) {
        text.pop();
    }
    text.truncate(text.floor_char_boundary(MAX_VALUE));
    text.into()
}

impl Spans {
    /// What the configuration adds.
    fn added<'a>(
        &'a self,
        request: &'a Headers,
        response: &'a Headers,
        redaction: &Redaction<'_>,
        host: &mut dyn Properties,
    ) -> Vec<KeyValue<'a>> {
        let mut added = List(Vec::new());
        for Attribute { name, source } in &self.attributes {
            match source {
                Source::Literal(value) | Source::Environment(Variable(value)) => {
                    added.text(name, Some(value.into()));
                }
                Source::RequestHeader(header) => {
                    added.text(name, request.first(header).map(|value| redaction.shown(value)));
                }
                Source::ResponseHeader(header) => {
                    added.text(name, response.first(header).map(|value| redaction.shown(value)));
                }
                Source::Property(path) => match host.property(Property::Custom(path)) {
                    Some(PropertyValue::Number(number)) => added.number(name, Some(number)),
                    Some(PropertyValue::Text(text)) => {
                        added.text(name, Some(redaction.shown(&text).into_owned().into()));
                    }
                    None => {}
                },
            }
        }
        added.0
    }
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        spans: &'a Spans,
        request: &'a Headers,
        response: &'a Headers,
        outcome: Outcome,
        info: &'a StreamInfo,
        host: &mut impl Properties,
    ) -> Self {
        let redaction = Redaction::new(&spans.redact);
        let [path, original_path] = [":path", "x-envoy-original-path"]
            .map(|name| request.first(name).map(|path| redaction.path(path)));
        Self {
            request,
            info,
            path: path.unwrap_or_default(),
            original_path,
            user_agent: request.first("user-agent").map(|agent| redaction.shown(agent)),
            added: spans.added(request, response, &redaction, host),
            is_open: outcome.grpc_status.is_none()
                && outcome.status == Some(200)
                && response.first("content-type").is_some_and(is_grpc_web),
            outcome,
            route: info.route_name.as_deref().and_then(route),
        }
    }

    /// The method, and the route if the host knows one; of gRPC the service and its method.
    pub(super) fn name(&self) -> Cow<'_, str> {
        let header = |name| self.request.first(name).unwrap_or_default();
        if is_grpc(header("content-type")) {
            return if is_grpc_method(without_query(header(":path"))) {
                self.path.trim_start_matches('/').into()
            } else {
                "_OTHER".into()
            };
        }
        let method = method_of(header(":method")).unwrap_or("HTTP");
        match &self.route {
            Some(route) => [method, " ", route].concat().into(),
            None => method.into(),
        }
    }

    /// The attributes of a span of this kind.
    pub(super) fn attributes(&self, kind: SpanKind) -> Vec<KeyValue<'_>> {
        let mut all = List(Vec::with_capacity(USUAL));
        self.of_request(kind, &mut all);
        self.of_connection(kind, &mut all);
        self.of_response(kind, &mut all);
        if !self.added.is_empty() {
            all.0.retain(|attribute| self.added.iter().all(|added| added.key != attribute.key));
            all.0.extend(self.added.iter().cloned());
        }
        all.0
    }

    fn of_request<'s>(&'s self, kind: SpanKind, all: &mut List<'s>) {
        let header = |name| self.request.first(name);
        let (scheme, authority) = (header(":scheme"), header(":authority").map(without_credentials));
        let method = header(":method");
        match method_of(method.unwrap_or_default()) {
            Some(known) => all.text("http.request.method", Some(known.into())),
            None => {
                all.text("http.request.method", Some("_OTHER".into()));
                all.text("http.request.method_original", method.map(clip));
            }
        }
        let (host, port) = authority.map_or((None, None), address);
        if kind == SpanKind::Server {
            all.text("url.scheme", scheme.map(clip));
            all.text("url.path", Some(self.original_path.as_deref().unwrap_or(&self.path).into()));
        } else if let (Some(scheme), Some(authority)) = (scheme, authority) {
            let url = [&clip(scheme), "://", &clip(authority), &self.path].concat();
            all.text("url.full", Some(url.into()));
        }
        // A client's span must name its port, and a URL need not.
        let usual = if scheme == Some(b"https") { 443 } else { 80 };
        let usual = host.as_ref().filter(|_| kind == SpanKind::Client).map(|_| usual);
        all.text("server.address", host);
        all.number("server.port", port.or(usual));
        all.text("user_agent.original", self.user_agent.as_deref().map(Into::into));
        if header("content-type").is_some_and(is_grpc) {
            all.text("rpc.system", Some("grpc".into()));
        }
    }

    fn of_connection<'s>(&'s self, kind: SpanKind, all: &mut List<'s>) {
        let StreamInfo { protocol, peer_address, upstream_address, upstream_attempts, .. } = self.info;
        let address_of = |peer: &'s Option<Vec<u8>>| peer.as_deref().map_or((None, None), address);
        if kind == SpanKind::Server {
            all.text("network.protocol.version", protocol.as_deref().and_then(version));
            all.text("client.address", address_of(peer_address).0);
            return;
        }
        let (host, port) = address_of(upstream_address);
        all.text("network.peer.address", host);
        all.number("network.peer.port", port);
        let again = upstream_attempts.map(|attempts| attempts.saturating_sub(1));
        all.number("http.request.resend_count", again.filter(|again| *again > 0));
    }

    fn of_response<'s>(&'s self, kind: SpanKind, all: &mut List<'s>) {
        all.number("http.response.status_code", self.outcome.status.map(i64::from));
        all.number("rpc.grpc.status_code", self.outcome.grpc_status.map(i64::from));
        all.text("error.type", self.outcome.error(kind));
        if self.is_open {
            all.text("tracewarden.outcome", Some("unknown".into()));
        }
        if kind == SpanKind::Server {
            all.text("http.route", self.route.as_deref().map(Into::into));
        }
        all.number("http.request.body.size", self.info.request_size);
        all.number("http.response.body.size", self.info.response_size);
    }
}

/// More attributes than a span has by the conventions.
const USUAL: usize = 24;

/// Attributes, of which those without a value are left out.
pub(super) struct List<'a>(pub(super) Vec<KeyValue<'a>>);

impl<'a> List<'a> {
    #[inline(never)]
    pub(super) fn text(&mut self, key: &'a str, value: Option<Cow<'a, str>>) {
        let value = value.filter(|value| !value.is_empty());
        self.0.extend(value.map(|value| KeyValue { key, value: Value::Text(value) }));
    }

    #[inline(never)]
    fn number(&mut self, key: &'a str, value: Option<i64>) {
        self.0.extend(value.map(|value| KeyValue { key, value: Value::Number(value) }));
    }
}

/// The name of Envoy's route, where it is the template of a path; any other name is no `http.route`.
fn route(name: &[u8]) -> Option<Cow<'_, str>> {
    name.starts_with(b"/").then(|| clip(name))
}

fn method_of(method: &[u8]) -> Option<&'static str> {
    METHODS.iter().find(|known| known.as_bytes() == method).copied()
}

/// Whether a path is that of a method of gRPC: whoever sends another must not make a name.
///
/// ```text
/// path = "/" name "/" name      ; name = 1*( ALPHA / DIGIT / "." / "_" / "-" ), 200 bytes in all
/// ```
fn is_grpc_method(path: &[u8]) -> bool {
    let is_sign = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_name = |name: &[u8]| !name.is_empty() && name.iter().all(is_sign);
    let mut names = path.split(|byte| *byte == b'/').skip(1);
    path.len() <= MAX_GRPC_METHOD
        && path.starts_with(b"/")
        && names.next().is_some_and(is_name)
        && names.next().is_some_and(is_name)
        && names.next().is_none()
}

/// `1.1` of `HTTP/1.1`.
fn version(protocol: &[u8]) -> Option<Cow<'_, str>> {
    protocol.strip_prefix(b"HTTP/").map(clip)
}

/// The host, without the brackets of an IPv6 address, and the port.
fn address(authority: &[u8]) -> (Option<Cow<'_, str>>, Option<i64>) {
    let (host, port) = host_and_port(authority);
    let host = match clip(host) {
        Cow::Borrowed(host) => Cow::Borrowed(host.trim_matches(BRACKETS)),
        Cow::Owned(host) => Cow::Owned(host.trim_matches(BRACKETS).to_owned()),
    };
    (Some(host), port.map(i64::from))
}

const BRACKETS: [char; 2] = ['[', ']'];
