//! Streams that end, and collectors that answer.

use std::fmt;
use std::num::NonZeroU32;

use arbitrary::{Arbitrary, Result, Unstructured};
use prost::Message;
use tracewarden::export::{Export, Protocol};
use tracewarden::metrics::Direction;
use tracewarden::otlp::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tracewarden::pass::Left;

use super::{Source, context, pick, spoil};
use crate::host::{Headers, Known};
use crate::uploads::{Reply, Step};

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
    ("request\0protocol", &["HTTP/1.1", "HTTP/2", "HTTP/", "x"]),
    ("upstream\0address", &["10.0.0.1:80", "[fd00::1]:80", "fd00::1", "/run/socket"]),
    ("xds\0route_name", &["/cart/{id}", "default", "/"]),
    ("upstream\0cluster", &["outbound|80||cart"]),
    ("xds\0node\0metadata\0WORKLOAD_NAME", &["cart", ""]),
    ("xds\0node\0id", &["node-1"]),
];
const NUMBERS: &[&str] = &["upstream\0request_attempt_count", "request\0size", "response\0size"];
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

/// Octets as ASCII shows them, so that a reproducer can be read.
struct Shown<'a>(&'a [u8]);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.request.0.iter().map(|(name, value)| (Shown(name), Shown(value)));
        let left = self.known.left.iter().map(|(map, headers)| (map, Shown(headers)));
        let properties = self.known.properties.iter().map(|(path, value)| (path, Shown(value)));
        f.debug_struct("Story")
            .field("config", &self.config)
            .field("request", &lines.collect::<Vec<_>>())
            .field("refusals", &self.refusals)
            .field("direction", &self.known.direction)
            .field("now", &self.known.now)
            .field("is_within_rate", &self.known.is_within_rate)
            .field("is_silent", &self.known.is_silent)
            .field("peer_address", &self.known.peer_address.as_deref().map(Shown))
            .field("response", &Shown(&self.known.response))
            .field("left", &left.collect::<Vec<_>>())
            .field("properties", &properties.collect::<Vec<_>>())
            .field("ended", &self.ended)
            .field("export", &self.export)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

fn export(source: Source<'_, '_>) -> Result<Export> {
    let protocol = *source.choose(&[Protocol::OtlpHttp, Protocol::OtlpGrpc, Protocol::Zipkin])?;
    let mut export = Export::to(protocol, "collector".to_owned());
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
    known.is_within_rate = source.ratio(7, 8)?;
    known.is_silent = source.ratio(1, 16)?;
    if source.ratio(1, 2)? {
        known.peer_address = Some(text(&["10.0.0.7:4711", "[fd00::1]:80", ""], source)?);
    }
    known.response = map(RESPONSE, source)?;
    for (left, texts, of_eight) in
        [(Left::Request, REQUEST, 1), (Left::Response, RESPONSE, 1), (Left::ResponseTrailers, RESPONSE, 4)]
    {
        if source.ratio(of_eight, 8)? {
            known.left.push((left, map(texts, source)?));
        }
    }
    for (path, texts) in PROPERTIES {
        if source.ratio(1, 2)? {
            known.properties.push((path, text(texts, source)?));
        }
    }
    for path in NUMBERS {
        if source.ratio(1, 2)? {
            known.properties.push((path, number(source)?));
        }
    }
    Ok(known)
}

/// A serialized map that may be none.
fn map(texts: Texts<'_>, source: Source<'_, '_>) -> Result<Vec<u8>> {
    let mut map = Headers(lines(texts, source)?).serialized();
    if source.ratio(1, 12)? {
        let at = source.int_in_range(0..=map.len())?;
        let end = map.len().min(at + source.int_in_range(0..=8)?);
        map.splice(at..end, octets(source)?);
    }
    Ok(map)
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

/// A number as hosts hand it over, or almost.
fn number(source: Source<'_, '_>) -> Result<Vec<u8>> {
    let number = *source.choose(&[3, 0, 1, 2, -1, i64::MAX, i64::MIN])?;
    let mut octets = number.to_le_bytes().to_vec();
    if source.ratio(1, 8)? {
        spoil(&mut octets, source)?;
    }
    Ok(octets)
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
        steps.push(match source.int_in_range(0..=15)? {
            0..=4 => Step::Next,
            5..=7 => Step::Take(source.int_in_range(1..=3)?),
            8 => Step::Take(source.int_in_range(1..=96)?),
            9..=11 => Step::Answer(reply(source)?),
            12..=14 => Step::Clock(time(source)?),
            _ => Step::Abandon,
        });
    }
    Ok(steps)
}

fn reply(source: Source<'_, '_>) -> Result<Reply> {
    const RETRY_AFTER: &[&str] =
        &["1", "0", " 120 ", "-1", "18446744073709551615", "99999999999999999999", "x"];
    Ok(match source.int_in_range(0..=7)? {
        0 => Reply::Nothing,
        1 => Reply::NotSent,
        2 => Reply::GrpcMessage(message(source)?),
        3 => Reply::GrpcStatus(source.int_in_range(0..=17)?),
        4 => Reply::GrpcStatus(u32::arbitrary(source)?),
        5 => Reply::Http(Some(*source.choose(&[503, 429, 502, 504])?), None, Vec::new()),
        6 => Reply::Http(Some(503), Some(text(RETRY_AFTER, source)?), Vec::new()),
        _ => {
            let status = Some(*source.choose(&[200, 299, 300, 400, 500, 0, u16::MAX])?);
            Reply::Http(status.filter(|status| *status > 0), None, message(source)?)
        }
    })
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
