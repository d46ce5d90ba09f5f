//! Streams that end, and collectors that answer.

use std::fmt;
use std::num::NonZeroU32;
use tracewarden::words::Direction;

use arbitrary::{Arbitrary, Result, Unstructured};
use prost::Message;
use tracewarden::config::Config;
use tracewarden::export::{Export, UploadError};
use tracewarden::host::{HeaderMap, PropertyValue};
use tracewarden::otlp::{ExportTracePartialSuccess, ExportTraceServiceResponse};

use super::{Source, context, pick, spoil};
use crate::host::{Headers, Known};
use crate::uploads::{Reply, Response, Step};

/// A stream from its request to the answers that its spans get.
pub struct Story {
    /// The number of its configuration.
    pub config: usize,
    /// The host, when the request comes.
    pub known: Known,
    /// The request's headers.
    pub request: Headers,
    /// Which changes of them the host refuses.
    pub refusals: Vec<bool>,
    /// The time at its end.
    pub ended: Option<u64>,
    /// Where its spans go.
    pub export: Export,
    /// What happens to them.
    pub steps: Vec<Step>,
}

type Texts<'a> = &'a [(&'static str, &'a [&'a str])];

const CONTEXTS: &[&str] = &[
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
    "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
];
const REQUEST: Texts<'_> = &[
    (":method", &["GET", "CONNECT", "get", "OPTIONS", ""]),
    (":path", &["/cart/42?token=x", "/shop.v1.Cart/Add", "/v1/traces", "*", "//", ""]),
    (":scheme", &["https", "http", ""]),
    (":authority", &["shop.example:8443", "[::1]:80", "::1", "a:99999", ":", "u:p@a:1", ""]),
    ("x-envoy-original-path", &["/before?x", ""]),
    ("user-agent", &["curl/8"]),
    ("content-type", &["application/grpc", "application/grpc+proto", "text/html"]),
    ("x-tenant", &["acme", ""]),
    ("tracestate", &["foo=1", "ot=th:8;rv:6e6d1a75832a2f,foo=1"]),
    ("b3", &["0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-1"]),
];
const RESPONSE: Texts<'_> = &[
    (":status", &["503", "200", "404", "500", "99", "+500", "600", ""]),
    ("content-type", &["application/grpc", "text/html"]),
    ("grpc-status", &["2", "0", "5", "14", "16", "17", "256"]),
    ("x-cache", &["hit"]),
    ("traceparent", CONTEXTS),
];
const PROPERTIES: Texts<'_> = &[
    ("Protocol", &["HTTP/1.1", "HTTP/2", "HTTP/", "x"]),
    ("UpstreamAddress", &["10.0.0.1:80", "[fd00::1]:80", "fd00::1", "/run/socket"]),
    ("RouteName", &["/cart/{id}", "default", "/"]),
    ("upstream.cluster", &["outbound|80||cart"]),
    ("Workload", &["cart", ""]),
    ("Node", &["node-1"]),
];
const NUMBERS: &[&str] = &["UpstreamAttempts", "RequestSize", "ResponseSize", "upstream.cluster"];
const TIMES_NS: &[u64] = &[
    0,
    1,
    999_999,
    1_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    16_000_000_000,
    59_999_999_999,
    60_000_000_000,
    3_600_000_000_000,
    1_800_000_000_000_000_000,
    u64::MAX - 1_000_000_000,
    u64::MAX,
];
const MOST_STEPS: usize = 48;

impl<'a> Arbitrary<'a> for Story {
    fn arbitrary(source: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            config: u8::arbitrary(source)?.into(),
            export: export(source)?,
            request: request(source)?,
            refusals: if source.ratio(1, 8)? { Vec::arbitrary(source)? } else { Vec::new() },
            known: known(source)?,
            ended: if source.ratio(15, 16)? { Some(time(source)?) } else { None },
            steps: steps(source)?,
        })
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Story")
            .field("config", &self.config)
            .field("request", &self.request)
            .field("refusals", &self.refusals)
            .field("direction", &self.known.direction)
            .field("now", &self.known.now)
            .field("is_silent", &self.known.is_silent)
            .field("is_cut_off", &self.known.is_cut_off)
            .field("peer_address", &self.known.peer_address.as_deref().map(<[u8]>::escape_ascii))
            .field("response", &self.known.response)
            .field("left", &self.known.left)
            .field("properties", &self.known.properties)
            .field("ended", &self.ended)
            .field("export", &self.export)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

fn export(source: Source<'_, '_>) -> Result<Export> {
    let collector = source.choose(&[
        r#"{"otlp": {"cluster": "collector"}}"#,
        r#"{"otlp": {"cluster": "collector", "protocol": "grpc"}}"#,
        r#"{"zipkin": {"cluster": "collector"}}"#,
    ])?;
    let loaded = Config::load(format!(r#"{{"export": {collector}}}"#).as_bytes(), |_| None);
    let export = loaded.ok().and_then(|loaded| loaded.config.export);
    let mut export = export.ok_or(arbitrary::Error::IncorrectFormat)?;
    let mut one_of =
        |numbers: &[u32]| Ok(NonZeroU32::new(*source.choose(numbers)?).unwrap_or(NonZeroU32::MIN));
    export.queue = one_of(&[2_048, 1, 2, 7])?;
    export.batch = one_of(&[512, 1, 2, 5])?;
    export.delay_ms = one_of(&[5_000, 1, 1_000_000])?;
    Ok(export)
}

fn request(source: Source<'_, '_>) -> Result<Headers> {
    let mut lines = lines(REQUEST, source)?;
    if source.ratio(7, 8)? {
        let context = if source.ratio(3, 4)? { pick(source, CONTEXTS)? } else { context(source)? };
        lines.push((b"traceparent".to_vec(), context));
    }
    Ok(Headers(lines))
}

fn known(source: Source<'_, '_>) -> Result<Known> {
    let directions = [Direction::Inbound, Direction::Outbound, Direction::Unspecified];
    let mut known = Known::new(*source.choose(&directions)?, source.ratio(15, 16)?);
    if source.ratio(1, 2)? {
        known.now = if source.ratio(15, 16)? { Some(time(source)?) } else { None };
    }
    known.is_cut_off = source.ratio(1, 8)?;
    known.is_silent = source.ratio(1, 16)?;
    if source.ratio(1, 2)? {
        known.peer_address = Some(text(&["10.0.0.7:4711", "[fd00::1]:80", ""], source)?);
    }
    known.response = Headers(lines(RESPONSE, source)?);
    for (map, texts, of_eight) in [
        (HeaderMap::Request, REQUEST, 1),
        (HeaderMap::Response, RESPONSE, 1),
        (HeaderMap::ResponseTrailers, RESPONSE, 4),
    ] {
        if source.ratio(of_eight, 8)? {
            known.left.push((map, Headers(lines(texts, source)?)));
        }
    }
    for (path, texts) in PROPERTIES {
        if source.ratio(1, 2)? {
            known.properties.push((path, PropertyValue::Text(text(texts, source)?)));
        }
    }
    for path in NUMBERS {
        if source.ratio(1, 2)? {
            known
                .properties
                .push((path, PropertyValue::Number(*source.choose(&[3, 0, 1, 2, -1, i64::MAX, i64::MIN])?)));
        }
    }
    Ok(known)
}

fn lines(texts: Texts<'_>, source: Source<'_, '_>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut lines = Vec::new();
    for (name, values) in texts {
        if source.ratio(2, 3)? {
            lines.push((name.as_bytes().to_vec(), text(values, source)?));
        }
    }
    Ok(lines)
}

/// One of the texts, or something like it, or anything, or too much of anything.
fn text(known: &[&str], source: Source<'_, '_>) -> Result<Vec<u8>> {
    let mut text = match source.int_in_range(0..=11)? {
        0 => octets(source)?,
        1 => long(source)?,
        _ => pick(source, known)?,
    };
    if source.ratio(1, 12)? {
        spoil(&mut text, source)?;
    }
    Ok(text)
}

fn octets(source: Source<'_, '_>) -> Result<Vec<u8>> {
    let length = source.int_in_range(0..=16)?;
    Ok(source.bytes(length.min(source.len()))?.to_vec())
}

/// More than an attribute takes: octets of one kind between others.
fn long(source: Source<'_, '_>) -> Result<Vec<u8>> {
    const FILLINGS: &[&[u8]] = &[b"a", b"/", b"/0", b"\xff", b"\n", b"\"", "\u{e9}".as_bytes(), b"\xf0\x9f"];
    let filling = *source.choose(FILLINGS)?;
    let length = source.int_in_range(250..=1_100)?;
    Ok([octets(source)?, filling.repeat(length), octets(source)?].concat())
}

fn time(source: Source<'_, '_>) -> Result<u64> {
    if source.ratio(1, 8)? {
        return u64::arbitrary(source);
    }
    let (first, second) = (*source.choose(TIMES_NS)?, *source.choose(TIMES_NS)?);
    Ok(first.wrapping_add(second))
}

fn steps(source: Source<'_, '_>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    while steps.len() < MOST_STEPS && !source.is_empty() {
        steps.push(match source.int_in_range(0..=16)? {
            0..=4 => Step::Tick,
            5..=7 => Step::Take(source.int_in_range(1..=3)?),
            8 => Step::Take(source.int_in_range(1..=96)?),
            9..=11 => Step::Answer(reply(source)?),
            12..=14 => Step::Clock(time(source)?),
            15 => Step::Refuse(*source.choose(&[UploadError::NoHost, UploadError::NotSent])?),
            _ => Step::Abandon,
        });
    }
    Ok(steps)
}

fn reply(source: Source<'_, '_>) -> Result<Reply> {
    const RETRY_AFTER: &[&str] =
        &["1", "0", " 120 ", "-1", "18446744073709551615", "99999999999999999999", "x"];
    let line = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let grpc_status = |number: u32| Headers(vec![line("grpc-status", &number.to_string())]);
    let mut response = Response { headers: Headers(vec![line(":status", "200")]), ..Response::default() };
    match source.int_in_range(0..=7)? {
        0 => return Ok(None),
        1 => {
            let message = message(source)?;
            let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
            response.body = [&[0][..], &length, &message].concat();
            response.trailers = grpc_status(0);
        }
        2 => response.trailers = grpc_status(source.int_in_range(0..=17)?),
        3 => response.headers.0.extend(grpc_status(u32::arbitrary(source)?).0),
        4 => response.headers.0 = vec![line(":status", source.choose(&["503", "429", "502", "504"])?)],
        5 => {
            let retry_after = (b"retry-after".to_vec(), text(RETRY_AFTER, source)?);
            response.headers.0 = vec![line(":status", "503"), retry_after];
        }
        _ => {
            let status = source.choose(&["200", "299", "300", "400", "500", "", "65535"])?;
            response.headers.0 =
                vec![line(":status", status), line("content-type", "application/x-protobuf")];
            response.body = message(source)?;
        }
    }
    Ok(Some(Box::new(response)))
}

/// An answer in protobuf, or octets.
fn message(source: Source<'_, '_>) -> Result<Vec<u8>> {
    if source.ratio(1, 4)? {
        return octets(source);
    }
    let rejected_spans = *source.choose(&[0, 1, 2, -1, i64::MAX, i64::MIN])?;
    let partial_success = source.ratio(3, 4)?.then_some(ExportTracePartialSuccess { rejected_spans });
    Ok(ExportTraceServiceResponse { partial_success }.encode_to_vec())
}
