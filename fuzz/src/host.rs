//! A host that answers from what a scenario says, refuses what it is told to refuse, and records every call.

use std::collections::{BTreeMap, VecDeque};

use proxy_wasm_test_framework::HeaderMap;
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tracewarden::export::{Upload, UploadError, Uploads};
use tracewarden::headers::{HeaderWriter, Headers, Refused};
use tracewarden::host::{
    self, AccessLog, Clock, EndedStream, HeaderReader, Log, Metrics, Properties, Property, PropertyValue,
    Random, SharedMemory, Sides, StreamInfo,
};
use tracewarden::metrics::{Counter, Measure};
use tracewarden::words::{Direction, Labelled};

/// Header lines in order, as a scenario has them.
pub type Lines = Vec<(ByteBuf, ByteBuf)>;

/// What a host knows. Without anything it has no clock, and no seed for ids.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// The direction of the listener, as metrics word it.
    pub direction: String,
    /// Whether there is a seed for ids.
    pub has_seed: bool,
    /// The time until a stream ends, in nanoseconds.
    pub now: Option<u64>,
    /// The time from then on.
    pub ended: Option<u64>,
    /// What it knows of the stream, by the names of [`Property`], by those of [`StreamInfo`] in the same style, or by a path
    /// with dots.
    pub texts: BTreeMap<String, ByteBuf>,
    /// The same, as far as they are numbers.
    pub numbers: BTreeMap<String, i64>,
    /// What it recalls where nothing was remembered.
    pub garbage: Option<ByteBuf>,
    /// Whether it refuses to hand over headers that a pass asks for.
    pub is_silent: bool,
    /// Whether the response was broken off.
    pub is_cut_off: bool,
    /// Which changes of a message it refuses, in order; later ones are all done.
    pub refusals: Vec<bool>,
}

/// A host in the middle of its work.
#[derive(Default)]
pub struct Host {
    pub(crate) known: Known,
    /// The headers of the message on its way.
    pub headers: HeaderMap,
    /// What is left of a stream, in the order of [`host::HeaderMap`].
    pub left: [Lines; 3],
    /// What the workers share.
    pub memory: Vec<(String, Vec<u8>)>,
    /// What happens to the next upload.
    pub refusal: Option<UploadError>,
    /// The number of the last upload.
    pub token: u32,
    /// What was asked of it in the present callback.
    pub(crate) calls: Calls,
    /// The headers as they came.
    came: Headers,
    rng: Option<ChaCha12Rng>,
}

/// The calls of one callback.
#[derive(Default)]
pub(crate) struct Calls {
    /// How many of them cost a proxy something, and only ask.
    pub asked: usize,
    pub changes: Vec<Change>,
    /// Everything counted, as often as it was.
    pub counted: Vec<Counter>,
    /// By how much the gauge of waiting spans was moved.
    pub queued: i64,
    /// By how much the gauge of traced requests was moved.
    pub in_flight: i64,
    pub published: Vec<(&'static str, Vec<u8>)>,
    /// Everything remembered for the other workers.
    pub remembered: Vec<(String, Vec<u8>)>,
    /// Every line that was logged.
    pub lines: Vec<String>,
    /// Their bodies, each with what the host said of it.
    pub uploads: VecDeque<(Vec<u8>, Result<u32, UploadError>)>,
}

/// A change that was asked for.
#[derive(Debug)]
pub(crate) struct Change {
    pub verb: Verb,
    pub name: String,
    pub refused: bool,
}

/// What can be done to a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// One line in place of all.
    Set,
    /// One line more.
    Add,
    /// No lines.
    Remove,
}

/// Lines of pairs of bytes.
pub fn lines<N: Into<Vec<u8>>, V: Into<Vec<u8>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Lines {
    pairs.into_iter().map(|(name, value)| (ByteBuf::from(name), ByteBuf::from(value))).collect()
}

/// How many bytes they have.
pub fn size(lines: &Lines) -> usize {
    lines.iter().map(|(name, value)| name.len() + value.len() + 16).sum()
}

/// The lines in the core's form.
pub fn of_core(lines: &Lines) -> Headers {
    lines.iter().map(|(name, value)| (name, value)).collect()
}

/// The lines as the proxy keeps them.
pub fn map(lines: &Lines) -> HeaderMap {
    lines.iter().map(|(name, value)| (name, value)).collect()
}

/// The lines that have none of these names.
pub fn others<'a>(headers: &'a HeaderMap, names: &[&str]) -> Vec<(&'a [u8], &'a [u8])> {
    let is_other = |name: &[u8]| !names.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
    headers.iter().filter(|(name, _)| is_other(name)).collect()
}

impl Known {
    /// What a host of an inbound listener knows that has a clock and a seed.
    pub fn inbound() -> Self {
        let now = Some(1_800_000_000_000_000_000);
        Self { direction: "inbound".to_owned(), has_seed: true, now, ended: now, ..Self::default() }
    }

    /// A text that it knows. A host has no empty ones.
    fn text(&self, name: &str) -> Option<Vec<u8>> {
        self.texts.get(name).filter(|text| !text.is_empty()).map(|text| text.to_vec())
    }

    /// A number that it knows.
    fn number(&self, name: &str) -> Option<i64> {
        self.numbers.get(name).copied()
    }

    /// The direction of the listener.
    pub fn direction(&self) -> Direction {
        Direction::of_label(&self.direction).unwrap_or(Direction::Unspecified)
    }
}

impl Host {
    /// A host whose ids always begin alike.
    pub fn new(known: Known) -> Self {
        let rng = known.has_seed.then(|| ChaCha12Rng::from_seed([7; 32]));
        Self { known, rng, ..Self::default() }
    }

    /// A callback begins, about a message with these headers.
    pub fn begin(&mut self, lines: &Lines) {
        self.came = of_core(lines);
        self.headers = map(lines);
        self.calls = Calls::default();
    }

    /// The headers of the message as they are now.
    pub fn lines(&self) -> Lines {
        lines(self.headers.iter())
    }

    fn change(&mut self, verb: Verb, name: &str, change: impl FnOnce(&mut HeaderMap)) -> Result<(), Refused> {
        let refused = self.known.refusals.get(self.calls.changes.len()).copied().unwrap_or_default();
        self.calls.changes.push(Change { verb, name: name.to_owned(), refused });
        if refused {
            return Err(Refused);
        }
        change(&mut self.headers);
        Ok(())
    }
}

impl Calls {
    /// The changes of one header.
    pub fn changes_of(&self, name: &str) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.name == name)
    }

    /// Whether a line of the header was written.
    pub fn wrote(&self, name: &str) -> bool {
        self.changes_of(name).any(|change| change.verb == Verb::Set && !change.refused)
    }

    /// Whether the host refused anything.
    pub fn refused_any(&self) -> bool {
        self.changes.iter().any(|change| change.refused)
    }

    /// Whether the host refused to do this to the header.
    pub fn refused(&self, verb: Verb, name: &str) -> bool {
        self.changes_of(name).any(|change| change.verb == verb && change.refused)
    }

    /// How often such a thing was counted.
    pub fn counted(&self, test: impl Fn(&Counter) -> bool) -> usize {
        self.counted.iter().filter(|one| test(one)).count()
    }

    /// Whether nothing was done, counted or told.
    pub fn is_empty(&self) -> bool {
        let Self { changes, counted, published, remembered, lines, .. } = self;
        changes.is_empty()
            && counted.is_empty()
            && published.is_empty()
            && remembered.is_empty()
            && lines.is_empty()
    }
}

impl Clock for Host {
    fn now(&mut self) -> Option<u64> {
        self.known.now
    }
}

impl Random for Host {
    type Rng = ChaCha12Rng;

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        self.calls.asked += 1;
        self.rng.as_mut()
    }
}

impl Properties for Host {
    fn direction(&mut self) -> Direction {
        self.calls.asked += 1;
        self.known.direction()
    }

    fn property(&mut self, property: Property<'_>) -> Option<PropertyValue> {
        let name = match property {
            Property::Custom(path) => path.join("."),
            other => format!("{other:?}"),
        };
        let number = self.known.number(&name).map(PropertyValue::Number);
        self.known.text(&name).map(PropertyValue::Text).or(number)
    }
}

impl SharedMemory for Host {
    fn recall(&mut self, key: &str) -> Option<(Vec<u8>, u32)> {
        let found = self.memory.iter().rev().find(|(other, _)| other == key);
        let value =
            found.map(|(_, value)| value.clone()).or(self.known.garbage.clone().map(ByteBuf::into_vec));
        value.map(|value| (value, 1))
    }

    fn remember(&mut self, key: &str, value: &[u8], _: Option<u32>) -> bool {
        self.calls.remembered.push((key.to_owned(), value.to_vec()));
        true
    }
}

impl Metrics for Host {
    fn count(&mut self, counter: Counter, number: u64) {
        let may_be_many =
            matches!(counter, Counter::SpanExported | Counter::SpanDropped { .. } | Counter::Batch { .. });
        assert!(number == 1 || may_be_many && number > 0, "{counter} {number}");
        self.calls.counted.extend((0..number).map(|_| counter));
    }

    fn adjust(&mut self, gauge: Measure, difference: i64) -> bool {
        match gauge {
            Measure::QueuedSpans => self.calls.queued += difference,
            Measure::TracedInFlight => self.calls.in_flight += difference,
            measure => panic!("{measure:?} is no gauge"),
        }
        true
    }

    fn level(&mut self, gauge: Measure) -> u64 {
        assert_eq!(gauge, Measure::TracedInFlight);
        self.calls.asked += 1;
        self.known.garbage.as_ref().map_or(0, |garbage| garbage.len() as u64)
    }
}

impl AccessLog for Host {
    fn publish(&mut self, key: &'static str, value: &[u8]) {
        self.calls.published.push((key, value.to_vec()));
    }
}

impl Log for Host {
    fn warn(&mut self, line: &str) {
        self.calls.lines.push(line.to_owned());
    }
}

impl HeaderReader for Host {
    fn first(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        Ok(HeaderReader::headers(self)?.first(name).map(<[u8]>::to_vec))
    }

    fn headers(&mut self) -> Result<Headers, Refused> {
        self.calls.asked += 1;
        if self.known.is_silent { Err(Refused) } else { Ok(self.came.clone()) }
    }
}

impl EndedStream for Host {
    fn headers(&mut self, map: host::HeaderMap) -> Result<Headers, Refused> {
        if self.known.is_silent { Err(Refused) } else { Ok(of_core(&self.left[map as usize])) }
    }

    fn info(&mut self, sides: Sides) -> StreamInfo {
        let known = &self.known;
        StreamInfo {
            route_name: known.text("RouteName"),
            protocol: known.text("Protocol"),
            request_size: known.number("RequestSize"),
            response_size: known.number("ResponseSize"),
            is_cut_off: known.is_cut_off,
            peer_address: known.text("PeerAddress").filter(|_| sides.serves()),
            upstream_address: known.text("UpstreamAddress").filter(|_| sides.calls()),
            upstream_attempts: known.number("UpstreamAttempts").filter(|_| sides.calls()),
        }
    }
}

impl HeaderWriter for Host {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.change(Verb::Set, name, |headers| headers.replace(name, value))
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.change(Verb::Add, name, |headers| headers.add(name, value))
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        self.change(Verb::Remove, name, |headers| headers.remove(name))
    }
}

impl Uploads for Host {
    fn send(&mut self, upload: &Upload<'_>) -> Result<u32, UploadError> {
        let fits = |value: &str| value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        assert!(upload.headers.iter().all(|(name, value)| fits(name) && fits(value)), "{:?}", upload.headers);
        let said = match self.refusal.take() {
            Some(error) => Err(error),
            None => {
                self.token += 1;
                Ok(self.token)
            }
        };
        self.calls.uploads.push_back((upload.body.to_vec(), said));
        said
    }
}
