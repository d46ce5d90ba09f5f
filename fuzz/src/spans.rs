//! The end of a stream, and what its spans say, held against the rules.

use proxy_wasm_test_framework::HeaderMap;
use tracewarden::filter::{Filter, StreamContext};
use tracewarden::metrics::{Corruption, Counter};
use tracewarden::span::{Kind, Source};
use tracewarden::w3c::TraceParent;
use tracewarden::words::{ResponseContext, Verdict};

use crate::collected::{Collector, value_of};
use crate::host::{Host, Lines, map, size};
use crate::otlp::{Event, KeyValue, Span, SpanKind, Value};
use crate::reading;
use crate::setup::Setup;
use crate::work;

/// The pattern that lets nothing be seen, whatever it is.
pub const ANYTHING: &str = "(?s).*";
const REDACTED: &str = "REDACTED";

/// The bytes of a text that came.
const MAX_TEXT: usize = 1024;
const MAX_URL: usize = MAX_TEXT + "://".len() + MAX_TEXT + MAX_TEXT;
/// The bytes of a name: a method of at most seven, and a text.
const MAX_NAME: usize = 7 + 1 + MAX_TEXT;
const MAX_OWN_ATTRIBUTES: usize = 20;

const CONTEXT: &str = "tracewarden.context";
const REASON: &str = "tracewarden.reason";
const REPAIR: &str = "tracewarden.repair";
const CONFLICT: &str = "tracewarden.conflict";

/// What the passes of a stream have counted.
#[derive(Default)]
pub struct Passed {
    /// The request's.
    pub request: Vec<Counter>,
    /// The response's.
    pub response: Vec<Counter>,
    /// The time of the response.
    pub now: Option<u64>,
}

/// A hop that is recorded, and the context that it sent upstream.
struct Hop<'a> {
    setup: &'a Setup,
    passed: &'a Passed,
    request: HeaderMap,
    sent: TraceParent,
    is_late: bool,
}

/// Ends a stream, and checks all that its spans say when they arrive at a collector.
pub(crate) fn check(setup: &Setup, stream: StreamContext, passed: &Passed, host: &mut Host) -> Vec<Span> {
    host.begin(&Lines::new());
    let (sent, begins_span) = (stream.sent(), matches!(stream, StreamContext::Spanned(..)));
    let was_left_out = is_left_out(&stream);
    let texts: usize = host.known.texts.values().map(|text| text.len()).sum();
    let size = texts + 8 * host.known.numbers.len() + host.left.iter().map(size).sum::<usize>();
    let filter = Filter::new(setup.config.clone(), "");
    let mut collector = Collector::new();
    // What the configuration states is written as often as there are spans.
    let literals = setup.config.spans.attributes.iter().filter_map(|attribute| match &attribute.source {
        Source::Literal(value) => Some(value.len()),
        _ => None,
    });
    let size = size + literals.sum::<usize>();
    work::bounded(16 * size + setup.work(), || filter.finish(stream, host, |span, _| collector.take(span)));
    let spans = collector.arrived();
    let is_late = is_recorded_late(setup, was_left_out, host);
    let recorded = sent.filter(|sent| begins_span && (sent.flags.is_sampled() || is_late));
    // A span has an end, and shows a request.
    let Some(sent) = recorded.filter(|_| host.known.now.is_some() && !host.known.is_silent) else {
        assert!(spans.is_empty(), "what is not recorded has no spans");
        return spans;
    };
    let hop = Hop { setup, passed, request: map(&host.left[0]), sent, is_late };
    hop.is_made_of(&spans);
    spans.iter().for_each(|span| hop.is_told(span));
    hop.is_found(&spans);
    hop.is_mismatched(&spans);
    spans
}

/// Whether the stream has a span that is recorded only if it fails.
pub fn is_left_out(stream: &StreamContext) -> bool {
    matches!(stream, StreamContext::Spanned(sent, ..) if !sent.flags.is_sampled())
}

/// Whether headers, or trailers after them, say that the one who serves has failed.
pub fn fails(headers: &HeaderMap, trailers: &HeaderMap) -> bool {
    const OF_SERVER: &[u16] = &[2, 4, 12, 13, 14, 15];
    let number = |headers: &HeaderMap, name: &str| {
        let digits = headers.get(name).filter(|value| value.iter().all(u8::is_ascii_digit))?;
        core::str::from_utf8(digits).ok()?.parse::<u16>().ok()
    };
    let status = number(headers, ":status").filter(|status| (100..600).contains(status));
    let mut codes = [headers, trailers].into_iter().filter_map(|map| number(map, "grpc-status"));
    status.is_some_and(|status| status >= 500 || codes.any(|code| OF_SERVER.contains(&code)))
}

/// Whether the end of the stream had it recorded, which is all that can be counted there.
fn is_recorded_late(setup: &Setup, was_left_out: bool, host: &Host) -> bool {
    let calls = &host.calls;
    assert!(calls.changes.is_empty() && calls.published.is_empty(), "it is too late to change anything");
    let is_late = matches!(calls.counted[..], [Counter::Sampled { decision, .. }] if decision.is_record());
    assert!(is_late || calls.counted.is_empty(), "{:?}", calls.counted);
    if is_late {
        assert!(was_left_out && host.known.now.is_some() && setup.policy().sampling.errors.is_some());
        let has_failed = !host.known.is_silent && fails(&map(&host.left[1]), &map(&host.left[2]));
        assert!(has_failed, "only what failed is recorded late");
    }
    is_late
}

impl Hop<'_> {
    /// Which spans there are, and how they hang together.
    fn is_made_of(&self, spans: &[Span]) {
        let kinds: Vec<i32> = spans.iter().map(|span| span.kind).collect();
        let (server, client) = (SpanKind::Server.into(), SpanKind::Client.into());
        let allowed: &[&[i32]] = match self.setup.config.spans.kind {
            Kind::Auto => &[&[server], &[client], &[server, client]],
            Kind::Server => &[&[server]],
            Kind::Client => &[&[client]],
            Kind::ServerAndClient => &[&[server, client]],
        };
        assert!(allowed.contains(&&kinds[..]), "{kinds:?}");
        let (first, last) = (&spans[0], &spans[spans.len() - 1]);
        assert_eq!(
            hex::encode(&last.span_id).as_bytes(),
            self.sent.parent_id.to_hex(),
            "the upstream's parent"
        );
        if spans.len() == 2 {
            assert_eq!(last.parent_span_id, first.span_id);
            assert!(last.span_id != first.span_id && last.links.is_empty());
        }
        assert!([0, 8].contains(&first.parent_span_id.len()) && first.links.len() <= 1);
        let is_of_others = first.links.iter().all(|link| link.trace_id != first.trace_id);
        assert!(is_of_others, "a span of its own trace needs no link");
    }

    /// What one span says.
    fn is_told(&self, span: &Span) {
        assert_eq!(hex::encode(&span.trace_id).as_bytes(), self.sent.trace_id.to_hex());
        assert!(span.span_id.len() == 8 && span.span_id != span.parent_span_id);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        let flags = u32::from(self.sent.flags.is_random()) << 1 | 1;
        assert!([0x100 | flags, 0x300 | flags].contains(&span.flags), "{:x}", span.flags);
        assert!(span.trace_state.is_empty() || !self.is_late, "no threshold kept it");
        assert!(span.trace_state.len() <= MAX_TEXT && span.name.len() <= MAX_NAME, "{}", span.name);
        let has_error = span.attributes.iter().any(|attribute| attribute.key == "error.type");
        assert_eq!(has_error, span.status.is_some(), "{:?}", span.status);
        self.is_described(&span.attributes);
        if self.setup.list("/span/redact").iter().any(|pattern| pattern == ANYTHING) {
            self.is_redacted(span);
        }
    }

    /// What the passes found, which the first span says in the words of the metrics, and no other.
    fn is_found(&self, spans: &[Span]) {
        let [first, others @ ..] = spans else { return };
        let is_own =
            |attribute: &&KeyValue| attribute.key.starts_with("tracewarden.") && !self.is_added(attribute);
        let own: Vec<_> = first.attributes.iter().filter(is_own).collect();
        assert!(
            own.iter().all(|one| [CONTEXT, REASON, REPAIR, CONFLICT].contains(&one.key.as_str())),
            "{own:?}"
        );
        assert!(!others.iter().flat_map(|span| &span.attributes).any(|one| is_own(&one)), "{others:?}");
        let counted = |word: fn(&Counter) -> Option<&'static str>| -> Vec<_> {
            self.passed.request.iter().filter_map(word).collect()
        };
        let words: [(&str, Vec<&str>); 4] = [
            (CONTEXT, counted(verdict_of)),
            (REASON, counted(reason_of)),
            (
                REPAIR,
                counted(|one| if let Counter::Repair { by, .. } = one { Some(by.label()) } else { None }),
            ),
            (
                CONFLICT,
                counted(
                    |one| if let Counter::Conflict { other, .. } = one { Some(other.label()) } else { None },
                ),
            ),
        ];
        for (key, counted) in words {
            let said = own.iter().find(|one| one.key == key).and_then(|one| text_of(one));
            let is_due = counted.is_empty() == said.is_none();
            assert!(
                is_due && said.is_none_or(|said| counted.contains(&said)),
                "{key}: {said:?}, {counted:?}"
            );
        }
    }

    /// Whether the configuration adds an attribute of this name.
    fn is_added(&self, attribute: &KeyValue) -> bool {
        self.setup.config.spans.attributes.iter().any(|added| *added.name == *attribute.key)
    }

    /// The event of a response that named another trace, which every span has then, and none otherwise.
    fn is_mismatched(&self, spans: &[Span]) {
        let is_counted =
            |one: &Counter| matches!(one, Counter::Response { context: ResponseContext::Mismatch });
        let time = self.passed.now.filter(|_| self.passed.response.iter().any(is_counted));
        for span in spans {
            assert_eq!(span.events.len(), usize::from(time.is_some()), "{:?}", span.events);
            let Some(Event { time_unix_nano, name, attributes }) = span.events.first() else { continue };
            assert_eq!((time, &**name), (Some(*time_unix_nano), "tracewarden.response.mismatch"));
            let [trace, parent] = &attributes[..] else { panic!("{attributes:?}") };
            assert_eq!(trace.key, "tracewarden.response.trace_id");
            assert_eq!(parent.key, "tracewarden.response.span_id");
            let (trace, parent) = (text_of(trace).unwrap_or_default(), text_of(parent).unwrap_or_default());
            let line = ["00-", trace, "-", parent, "-00"].concat();
            assert!(reading::traceparent(line.as_bytes()).is_some(), "{line}");
            assert_ne!(trace.as_bytes(), self.sent.trace_id.to_hex(), "another trace");
        }
    }

    fn is_described(&self, attributes: &[KeyValue]) {
        let added = &self.setup.config.spans.attributes;
        assert!(attributes.len() <= MAX_OWN_ATTRIBUTES + added.len());
        for attribute in attributes {
            let key = attribute.key.as_str();
            let times = attributes.iter().filter(|other| other.key == key).count();
            assert!(times == 1 && !key.is_empty(), "{key:?} is there {times} times");
            let Some(text) = text_of(attribute) else { continue };
            let stated = added.iter().filter_map(|one| match &one.source {
                Source::Literal(value) if *one.name == *key => Some(value.len()),
                _ => None,
            });
            let most = if key == "url.full" { MAX_URL } else { stated.max().unwrap_or(MAX_TEXT) };
            assert!((1..=most).contains(&text.len()), "{} bytes in {key}", text.len());
        }
    }

    /// The first line of a header of the request.
    fn first(&self, name: &str) -> &[u8] {
        self.request.get(name).unwrap_or_default()
    }

    /// Of a path only how many segments it has is seen, and of a header nothing.
    fn is_redacted(&self, span: &Span) {
        // What is too long is cut off, perhaps within the word.
        let is_hidden = |text: &str| text.split('/').all(|segment| REDACTED.starts_with(segment));
        let path = shown(self.first(":path"));
        let is_named = path.split('?').next().is_some_and(|path| path.contains(|sign| sign != '/'));
        let is_grpc = self.first("content-type").starts_with(b"application/grpc");
        assert!(!is_grpc || !is_named || is_hidden(&span.name) || span.name == "_OTHER", "{}", span.name);
        let value = |name: &str| span.attributes.iter().find(|one| one.key == name).and_then(text_of);
        assert!(value("url.path").is_none_or(is_hidden), "{:?}", value("url.path"));
        assert!(value("user_agent.original").is_none_or(|text| text == REDACTED));
        if let Some(url) = value("url.full") {
            let authority = self.first(":authority").rsplit(|byte| *byte == b'@').next();
            let scheme = shown(self.first(":scheme"));
            let origin = [&scheme, "://", &shown(authority.unwrap_or_default())].concat();
            let path = url.strip_prefix(&origin).expect("a URL begins with its origin");
            assert!(is_hidden(path), "{url}");
        }
        for added in &self.setup.config.spans.attributes {
            let is_stated = matches!(added.source, Source::Literal(_));
            assert!(is_stated || value(&added.name).is_none_or(|text| text == REDACTED), "{:?}", added.name);
        }
    }
}

/// The beginning of a text that came, as a span shows it.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT)]).into_owned();
    if bytes.len() > MAX_TEXT && text.ends_with(char::REPLACEMENT_CHARACTER) {
        text.pop();
    }
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

/// What a verdict that is not the usual one is called.
fn verdict_of(counter: &Counter) -> Option<&'static str> {
    match counter {
        Counter::Request { context: Verdict::Continued | Verdict::Started, .. } => None,
        Counter::Request { context, .. } => Some(context.label()),
        _ => None,
    }
}

/// What was wrong with a header.
fn reason_of(counter: &Counter) -> Option<&'static str> {
    let Counter::Corrupt { corruption, .. } = counter else { return None };
    Some(match corruption {
        Corruption::TraceParent(reason) => reason.label(),
        Corruption::TraceState(reason) => reason.label(),
        Corruption::RequestId => "uuid",
        Corruption::Format(_, reason) => reason.label(),
    })
}

fn text_of(attribute: &KeyValue) -> Option<&str> {
    match value_of(attribute) {
        Value::Text(text) => Some(text),
        Value::Number(_) => None,
    }
}
