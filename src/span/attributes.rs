//! What a span tells of its request, by OpenTelemetry's
//! [conventions for HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/), and what the configuration adds.

use super::{Ending, Kind};
use crate::headers::{Malformed, first, is_grpc, scan};
use crate::matching::Pattern;
use crate::otlp::{KeyValue, SpanKind};
use crate::pass::{Facts, Left};

/// What spans tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    /// Which spans a hop has.
    pub kind: Kind,
    /// What they tell beside what they always do.
    pub attributes: Vec<Attribute>,
    /// Segments of paths, and values of headers, that are not shown.
    pub(crate) redact: Vec<Pattern>,
}

/// An attribute that the configuration adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Where its value is from.
    pub source: Source,
}

/// Where the value of an attribute is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is this one.
    Literal(String),
    /// A header of the request.
    RequestHeader(String),
    /// A header of the response.
    ResponseHeader(String),
    /// A property of the host, its path's parts joined by NUL.
    Property(String),
}

/// What the host still knows of a stream that has ended; each is asked for once, however many spans there are.
pub(super) struct Known<'a> {
    pub(super) request: &'a [u8],
    pub(super) ending: Ending,
    route: Option<String>,
    protocol: Option<String>,
    /// Of the one who sent the request, if there is a server's span.
    peer: Option<Vec<u8>>,
    /// Of the one who received it, and in how many attempts, if there is a client's span.
    upstream: Option<Vec<u8>>,
    attempts: Option<i64>,
    sizes: [Option<i64>; 2],
    /// What the configuration adds.
    added: Vec<KeyValue>,
}

/// The longest value of an attribute, in octets.
const MAX_VALUE: usize = 1024;

/// What stands where something is not shown.
const REDACTED: &str = "REDACTED";

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Text for an attribute: what is not UTF-8 is replaced, and what is too long cut off, before and after.
pub(crate) fn clip(value: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(value.get(..MAX_VALUE).unwrap_or(value)).into_owned();
    // A character that was cut in two.
    if value.len() > MAX_VALUE && text.ends_with(char::REPLACEMENT_CHARACTER) {
        text.pop();
    }
    text.truncate(text.floor_char_boundary(MAX_VALUE));
    text
}

impl Default for Spans {
    fn default() -> Self {
        Self { kind: Kind::Auto, attributes: Vec::new(), redact: Vec::new() }
    }
}

impl Spans {
    /// The path without its query, and without the segments that are not shown.
    fn path(&self, path: &[u8]) -> String {
        let path = path.split(|octet| *octet == b'?').next().unwrap_or_default();
        if self.redact.is_empty() {
            return clip(path);
        }
        let segments: Vec<String> =
            path.split(|octet| *octet == b'/').map(|segment| self.shown(segment)).collect();
        clip(segments.join("/").as_bytes())
    }

    /// The value, unless it is not to be seen, or too long to judge whether it is.
    fn shown(&self, value: &[u8]) -> String {
        if self.redact.is_empty() || value.is_empty() {
            return clip(value);
        }
        let whole = String::from_utf8_lossy(value);
        let is_hidden =
            whole.len() > MAX_VALUE || self.redact.iter().any(|pattern| pattern.holds(whole.as_bytes()));
        if is_hidden { REDACTED.to_owned() } else { whole.into_owned() }
    }
}

impl<'a> Known<'a> {
    pub(super) fn read(
        spans: &Spans,
        request: &'a [u8],
        serves: bool,
        calls: bool,
        facts: &mut impl Facts,
    ) -> Result<Self, Malformed> {
        let response = facts.left(Left::Response).unwrap_or_default();
        let mut number_of = |path: &str| facts.property(path).and_then(|value| number(&value));
        let sizes = [number_of("request\0size"), number_of("response\0size")];
        let attempts = if calls { number_of("upstream\0request_attempt_count") } else { None };
        let mut added = List(Vec::new());
        for Attribute { name, source } in &spans.attributes {
            let shown = |value: &[u8]| spans.shown(value);
            match source {
                Source::Literal(value) => added.text(name, Some(value.clone())),
                Source::RequestHeader(header) => added.text(name, first(request, header).map(shown)),
                Source::ResponseHeader(header) => added.text(name, first(&response, header).map(shown)),
                Source::Property(path) => match facts.property(path) {
                    // Text has no NUL, and a number of the host's nearly always has one.
                    Some(value) if value.contains(&0) => added.number(name, number(&value)),
                    value => added.text(name, value.as_deref().map(shown)),
                },
            }
        }
        Ok(Self {
            request,
            ending: Ending::read(&response, facts)?.or_cut_off(facts.property("response\0code_details")),
            route: facts.property("xds\0route_name").and_then(|name| route(&name)),
            protocol: facts.property("request\0protocol").and_then(|protocol| version(&protocol)),
            peer: if serves { facts.peer_address() } else { None },
            upstream: if calls { facts.property("upstream\0address") } else { None },
            attempts,
            sizes,
            added: added.0,
        })
    }

    /// The method, and the route where the host knows one; of gRPC the service and its method.
    pub(super) fn name(&self, spans: &Spans) -> Result<String, Malformed> {
        let [method, path, content_type] = scan(self.request, [":method", ":path", "content-type"])?;
        if content_type.first().is_some_and(is_grpc) {
            let path = spans.path(path.first().unwrap_or_default());
            let method = path.trim_start_matches('/');
            if !method.is_empty() {
                return Ok(method.to_owned());
            }
        }
        let method = method_of(method.first().unwrap_or_default()).unwrap_or("HTTP");
        Ok(match &self.route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        })
    }

    /// The attributes of a span of this kind.
    pub(super) fn attributes(&self, kind: SpanKind, spans: &Spans) -> Result<Vec<KeyValue>, Malformed> {
        let mut all = List(Vec::new());
        self.of_request(kind, spans, &mut all)?;
        self.of_connection(kind, &mut all);
        self.of_response(kind, &mut all);
        all.0.retain(|attribute| self.added.iter().all(|added| added.key != attribute.key));
        all.0.extend(self.added.iter().cloned());
        Ok(all.0)
    }

    fn of_request(&self, kind: SpanKind, spans: &Spans, all: &mut List) -> Result<(), Malformed> {
        let names = [
            ":method",
            ":path",
            "x-envoy-original-path",
            ":scheme",
            ":authority",
            "user-agent",
            "content-type",
        ];
        let [method, path, original_path, scheme, authority, user_agent, content_type] =
            scan(self.request, names)?.map(|lines| lines.first());
        let authority = authority.map(without_credentials);
        match method_of(method.unwrap_or_default()) {
            Some(known) => all.text("http.request.method", Some(known.to_owned())),
            None => {
                all.text("http.request.method", Some("_OTHER".to_owned()));
                all.text("http.request.method_original", method.map(clip));
            }
        }
        let path_sent = spans.path(path.unwrap_or_default());
        let (host, port) = authority.map_or((None, None), host_and_port);
        if kind == SpanKind::Server {
            all.text("url.scheme", scheme.map(clip));
            all.text("url.path", Some(original_path.map_or(path_sent, |path| spans.path(path))));
        } else if let (Some(scheme), Some(authority)) = (scheme, authority) {
            all.text("url.full", Some(format!("{}://{}{path_sent}", clip(scheme), clip(authority))));
        }
        // A client's span must tell its port, and a URL need not.
        let usual = if scheme == Some(b"https") { 443 } else { 80 };
        let usual = host.as_ref().filter(|_| kind == SpanKind::Client).map(|_| usual);
        all.text("server.address", host);
        all.number("server.port", port.or(usual));
        all.text("user_agent.original", user_agent.map(clip));
        if content_type.is_some_and(is_grpc) {
            all.text("rpc.system", Some("grpc".to_owned()));
        }
        Ok(())
    }

    fn of_connection(&self, kind: SpanKind, all: &mut List) {
        let address_of = |peer: &Option<Vec<u8>>| peer.as_deref().map_or((None, None), host_and_port);
        if kind == SpanKind::Server {
            all.text("network.protocol.version", self.protocol.clone());
            all.text("client.address", address_of(&self.peer).0);
            return;
        }
        let (address, port) = address_of(&self.upstream);
        all.text("network.peer.address", address);
        all.number("network.peer.port", port);
        let again = self.attempts.map(|attempts| attempts.saturating_sub(1));
        all.number("http.request.resend_count", again.filter(|again| *again > 0));
    }

    fn of_response(&self, kind: SpanKind, all: &mut List) {
        all.number("http.response.status_code", self.ending.status.map(i64::from));
        all.number("rpc.grpc.status_code", self.ending.grpc_status.map(i64::from));
        all.text("error.type", self.ending.error(kind));
        if kind == SpanKind::Server {
            all.text("http.route", self.route.clone());
        }
        let [request, response] = self.sizes;
        all.number("http.request.body.size", request);
        all.number("http.response.body.size", response);
    }
}

/// Attributes, of which those without a value are left out.
struct List(Vec<KeyValue>);

impl List {
    #[inline(never)]
    fn text(&mut self, name: &str, value: Option<String>) {
        self.0.extend(value.filter(|value| !value.is_empty()).map(|value| KeyValue::text(name, value)));
    }

    #[inline(never)]
    fn number(&mut self, name: &str, value: Option<i64>) {
        self.0.extend(value.map(|value| KeyValue::number(name, value)));
    }
}

/// The name of Envoy's route, where it is the template of a path; any other name is no `http.route`.
fn route(name: &[u8]) -> Option<String> {
    name.starts_with(b"/").then(|| clip(name))
}

fn method_of(method: &[u8]) -> Option<&'static str> {
    METHODS.iter().find(|known| known.as_bytes() == method).copied()
}

/// `1.1` of `HTTP/1.1`.
fn version(protocol: &[u8]) -> Option<String> {
    protocol.strip_prefix(b"HTTP/").map(clip)
}

/// A number as the host hands it over: 8 octets, little-endian.
fn number(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_le_bytes)
}

/// The authority of a URL without what stands before its `@`, which may be a password.
fn without_credentials(authority: &[u8]) -> &[u8] {
    authority.rsplit(|octet| *octet == b'@').next().unwrap_or(authority)
}

/// `[::1]:80` and `host:80` in two; what has no port is a host.
fn host_and_port(address: &[u8]) -> (Option<String>, Option<i64>) {
    let text = clip(address);
    let split = text.rsplit_once(':').filter(|(host, _)| host.ends_with(']') || !host.contains(':'));
    let parsed = split.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) = parsed.map_or((text.as_str(), None), |(host, port)| (host, Some(i64::from(port))));
    (Some(host.trim_matches(['[', ']']).to_owned()), port)
}
