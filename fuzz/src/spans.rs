//! The end of a stream, and what its spans say, held against the rules.

use tracewarden::filter::{Filter, StreamContext};
use tracewarden::host::{HeaderMap, PropertyValue};
use tracewarden::metrics::Counter;
use tracewarden::otlp::{KeyValue, Span, SpanKind, Value};
use tracewarden::span::{Kind, Source};
use tracewarden::w3c::TraceParent;

use crate::host::{Headers, Host, Known, Wire};
use crate::setup::Setup;
use crate::work;

/// The pattern that lets nothing be seen, whatever it is.
pub const ANYTHING: &str = "(?s).*";
const REDACTED: &str = "REDACTED";

/// The octets of a text that came.
const MAX_TEXT: usize = 1024;
const MAX_URL: usize = MAX_TEXT + "://".len() + MAX_TEXT + MAX_TEXT;
/// The octets that a method is told in.
const MAX_METHOD: usize = 7;
const MAX_OWN_ATTRIBUTES: usize = 20;

/// A hop that is recorded, and the context that it sent upstream.
struct Hop<'a> {
    setup: &'a Setup,
    request: Headers,
    sent: TraceParent,
    is_late: bool,
}

/// Ends a stream, and checks all that its spans say.
///
/// # Panics
/// A rule does not hold.
pub fn check(setup: &Setup, stream: StreamContext, known: &mut Known) -> Vec<Span> {
    let mut wire = Wire::default();
    let (sent, begins_span) = (stream.sent(), matches!(stream, StreamContext::Spanned(..)));
    let was_left_out = is_left_out(&stream);
    let values = known.properties.iter().map(|(_, value)| match value {
        PropertyValue::Text(text) => text.len(),
        PropertyValue::Number(_) => 8,
    });
    let size: usize = known.left.iter().map(|(_, map)| map.size()).chain(values).sum();
    let filter = Filter::new(setup.config.clone());
    let host = &mut Host { known, wire: &mut wire };
    let spans = work::bounded(16 * size + setup.work(), || filter.finish(stream, host));
    let is_late = is_recorded_late(setup, was_left_out, known, &wire);
    let Some(sent) = sent.filter(|sent| begins_span && (sent.flags.is_sampled() || is_late)) else {
        assert!(spans.is_empty(), "what is not recorded has no spans");
        return spans;
    };
    if known.now.is_none() || known.is_silent {
        assert!(spans.is_empty(), "a span has an end, and shows a request");
        return spans;
    }
    let hop = Hop { setup, request: left(known, HeaderMap::Request), sent, is_late };
    hop.is_made_of(&spans);
    spans.iter().for_each(|span| hop.is_told(span));
    spans
}

/// Whether the stream has a span that is recorded only if it fails.
#[must_use]
pub fn is_left_out(stream: &StreamContext) -> bool {
    matches!(stream, StreamContext::Spanned(sent, _) if !sent.flags.is_sampled())
}

/// Whether headers, or trailers after them, say that the one who serves has failed.
#[must_use]
pub fn fails(headers: &Headers, trailers: &Headers) -> bool {
    const OF_SERVER: &[u16] = &[2, 4, 12, 13, 14, 15];
    let status = number(headers, ":status").filter(|status| (100..600).contains(status));
    let mut codes = [headers, trailers].into_iter().filter_map(|map| number(map, "grpc-status"));
    status.is_some_and(|status| status >= 500 || codes.any(|code| OF_SERVER.contains(&code)))
}

fn number(headers: &Headers, name: &str) -> Option<u16> {
    let digits = headers.lines(name).first().copied().filter(|value| value.iter().all(u8::is_ascii_digit))?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// What is left of a stream, if the host tells.
fn left(known: &Known, map: HeaderMap) -> Headers {
    let found = known.left.iter().find(|(other, _)| *other == map).filter(|_| !known.is_silent);
    found.map(|(_, headers)| headers.clone()).unwrap_or_default()
}

/// Whether the end of the stream had it recorded, which is all that can be counted there.
fn is_recorded_late(setup: &Setup, was_left_out: bool, known: &Known, wire: &Wire) -> bool {
    assert!(wire.changes.is_empty() && wire.published.is_empty(), "it is too late to change anything");
    let is_late = matches!(wire.counted[..], [Counter::Sampled { decision, .. }] if decision.is_record());
    assert!(is_late || wire.counted.is_empty(), "{:?}", wire.counted);
    if is_late {
        assert!(was_left_out && known.now.is_some() && setup.policy().sampling.errors.is_some());
        let [headers, trailers] =
            [HeaderMap::Response, HeaderMap::ResponseTrailers].map(|map| left(known, map));
        assert!(fails(&headers, &trailers), "only what failed is recorded late");
    }
    is_late
}

impl Hop<'_> {
    /// Which spans there are, and how they hang together.
    fn is_made_of(&self, spans: &[Span]) {
        let kinds: Vec<i32> = spans.iter().map(|span| span.kind).collect();
        let (server, client) = (SpanKind::Server.into(), SpanKind::Client.into());
        match self.setup.config.spans.kind {
            Kind::Auto => assert!([&[server][..], &[client], &[server, client]].contains(&&kinds[..])),
            Kind::Server => assert_eq!(kinds, [server]),
            Kind::Client => assert_eq!(kinds, [client]),
            Kind::ServerAndClient => assert_eq!(kinds, [server, client]),
        }
        let (first, last) = (&spans[0], &spans[spans.len() - 1]);
        assert_eq!(hex(&last.span_id), self.sent.parent_id.to_hex(), "the upstream's parent");
        if spans.len() == 2 {
            assert_eq!(last.parent_span_id, first.span_id);
            assert!(last.span_id != first.span_id && last.links.is_empty());
        }
        assert!([0, 8].contains(&first.parent_span_id.len()) && first.links.len() <= 1);
        let of_others = |link: &tracewarden::otlp::Link| link.trace_id != first.trace_id;
        assert!(first.links.iter().all(of_others), "a span of its own trace needs no link");
    }

    /// What one span says.
    fn is_told(&self, span: &Span) {
        assert_eq!(hex(&span.trace_id), self.sent.trace_id.to_hex());
        assert!(span.span_id.len() == 8 && span.span_id != span.parent_span_id);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        let flags = u32::from(self.sent.flags.is_random()) << 1 | 1;
        assert!([0x100 | flags, 0x300 | flags].contains(&span.flags), "{:x}", span.flags);
        assert!(span.trace_state.is_empty() || !self.is_late, "no threshold kept it");
        assert!(span.trace_state.len() <= MAX_TEXT && span.name.len() <= self.max_name(), "{}", span.name);
        let has_error = span.attributes.iter().any(|attribute| attribute.key == "error.type");
        assert_eq!(has_error, span.status.is_some(), "{:?}", span.status);
        self.is_described(&span.attributes);
        if self.setup.texts("/span/redact").contains(&ANYTHING) {
            self.is_redacted(span);
        }
    }

    fn max_name(&self) -> usize {
        MAX_METHOD + 1 + MAX_TEXT
    }

    fn is_grpc(&self) -> bool {
        let lines = self.request.lines("content-type");
        lines.first().is_some_and(|value| value.starts_with(b"application/grpc"))
    }

    fn is_described(&self, attributes: &[KeyValue]) {
        let added = &self.setup.config.spans.attributes;
        assert!(attributes.len() <= MAX_OWN_ATTRIBUTES + added.len());
        for attribute in attributes {
            let stands = attributes.iter().filter(|other| other.key == attribute.key).count();
            assert!(stands == 1, "{} stands there twice", attribute.key);
            assert!(!attribute.key.is_empty());
            let Some(text) = text_of(attribute) else { continue };
            let literal = added.iter().filter(|one| *one.name == *attribute.key).map(|one| &one.source);
            let stated = literal.filter_map(|source| match source {
                Source::Literal(value) => Some(value.len()),
                _ => None,
            });
            let most = match attribute.key.as_str() {
                "url.full" => MAX_URL,
                _ => stated.max().unwrap_or(MAX_TEXT),
            };
            assert!((1..=most).contains(&text.len()), "{} octets in {}", text.len(), attribute.key);
        }
    }

    /// Of a path only how many segments it has is seen, and of a header nothing.
    fn is_redacted(&self, span: &Span) {
        // What is too long is cut off, perhaps within the word.
        let is_hidden = |text: &str| text.split('/').all(|segment| REDACTED.starts_with(segment));
        let path = self.first(":path");
        let is_named = path.split('?').next().is_some_and(|path| path.contains(|sign| sign != '/'));
        assert!(!self.is_grpc() || !is_named || is_hidden(&span.name), "{}", span.name);
        let value = |name: &str| span.attributes.iter().find(|one| one.key == name).and_then(text_of);
        assert!(value("url.path").is_none_or(is_hidden), "{:?}", value("url.path"));
        if let Some(url) = value("url.full") {
            let authority = self.shown(":authority", |octets| octets.rsplit(|octet| *octet == b'@').next());
            let origin = [self.first(":scheme"), "://".to_owned(), authority].concat();
            let path = url.strip_prefix(&origin).expect("a URL begins with its origin");
            assert!(is_hidden(path), "{url}");
        }
        for added in &self.setup.config.spans.attributes {
            let is_stated = matches!(added.source, Source::Literal(_));
            assert!(is_stated || value(&added.name).is_none_or(|text| text == REDACTED), "{:?}", added.name);
        }
    }

    /// The beginning of a header, as a span shows it.
    fn first(&self, name: &str) -> String {
        self.shown(name, |octets| Some(octets))
    }

    /// The beginning of a part of it.
    fn shown(&self, name: &str, part: impl for<'a> Fn(&'a [u8]) -> Option<&'a [u8]>) -> String {
        let lines = self.request.lines(name);
        let octets = lines.first().copied().and_then(part).unwrap_or_default();
        let mut text = String::from_utf8_lossy(&octets[..octets.len().min(MAX_TEXT)]).into_owned();
        if octets.len() > MAX_TEXT && text.ends_with(char::REPLACEMENT_CHARACTER) {
            text.pop();
        }
        while text.len() > MAX_TEXT {
            text.pop();
        }
        text
    }
}

fn text_of(attribute: &KeyValue) -> Option<&str> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::Text(text) => Some(text),
        Value::Number(_) => None,
    }
}

fn hex(octets: &[u8]) -> Vec<u8> {
    octets.iter().flat_map(|octet| format!("{octet:02x}").into_bytes()).collect()
}
