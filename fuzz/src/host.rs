//! A host that records every call, and refuses those that it is told to refuse.

use std::fmt;

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use tracewarden::headers::{self, HeaderWriter, Refused};
use tracewarden::host::{
    AccessLog, Clock, EndedStream, HeaderMap, HeaderReader, Log, Metrics, Properties, Property,
    PropertyValue, Random, SharedMemory,
};
use tracewarden::metrics::Counter;
use tracewarden::words::Direction;

use crate::reading::Pair;

/// Header lines in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<Pair>);

/// As ASCII, so that a reproducer can be read.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines =
            self.0.iter().map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
        f.debug_list().entries(lines).finish()
    }
}

/// What the host knows, and how often it was asked.
pub struct Known {
    /// The direction of the listener.
    pub direction: Direction,
    /// The generator, if there is a seed for it.
    pub rng: Option<ChaCha12Rng>,
    /// The URI in the peer's certificate.
    pub peer_san: Option<Vec<u8>>,
    /// The peer's address.
    pub peer_address: Option<Vec<u8>>,
    /// The time.
    pub now: Option<u64>,
    /// What the workers share.
    pub memory: Vec<(String, Vec<u8>)>,
    /// What the host answers with where nothing was remembered.
    pub garbage: Option<Vec<u8>>,
    /// The response's headers.
    pub response: Headers,
    /// What is left of a stream that has ended.
    pub left: Vec<(HeaderMap, Headers)>,
    /// Whether its response was broken off.
    pub is_cut_off: bool,
    /// What else it knows of the stream, by names of our own.
    pub properties: Vec<(&'static str, PropertyValue)>,
    /// Whether the host refuses to hand over headers of the response.
    pub is_silent: bool,
    /// How many calls were made.
    pub asked: usize,
}

/// The headers on the wire, and everything that was done to them.
#[derive(Default)]
pub struct Wire {
    /// The headers as they are now.
    pub headers: Headers,
    /// Which changes to refuse, in order; later ones are all done.
    pub refusals: Vec<bool>,
    /// Every change that was asked for.
    pub changes: Vec<Change>,
    /// Everything counted.
    pub counted: Vec<Counter>,
    /// Everything published.
    pub published: Vec<(&'static str, Vec<u8>)>,
    /// Everything remembered for the other workers.
    pub remembered: Vec<(String, Vec<u8>)>,
    /// Every line that was logged.
    pub lines: Vec<String>,
}

/// The two together, which is what a pass needs.
pub struct Host<'a> {
    /// What it knows.
    pub known: &'a mut Known,
    /// The headers of the message on its way.
    pub wire: &'a mut Wire,
}

/// A change that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What to do.
    pub verb: Verb,
    /// To which header.
    pub name: String,
    /// Whether the host refused.
    pub refused: bool,
}

/// What can be done to a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One line in place of all.
    Set,
    /// One line more.
    Add,
    /// No lines.
    Remove,
}

impl Headers {
    /// The form in which proxy-wasm hands them over.
    #[must_use]
    pub fn serialized(&self) -> Vec<u8> {
        let number = |length: usize| (length as u32).to_le_bytes();
        let mut out = number(self.0.len()).to_vec();
        for (name, value) in &self.0 {
            out.extend([number(name.len()), number(value.len())].concat());
        }
        for (name, value) in &self.0 {
            out.extend([name, &b"\0"[..], value, b"\0"].concat());
        }
        out
    }

    /// The form in which the core takes them.
    #[must_use]
    pub fn of_core(&self) -> headers::Headers {
        self.0.iter().map(|(name, value)| (name, value)).collect()
    }

    /// How many bytes they have.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len() + 16).sum()
    }

    /// The values of a header, in order.
    #[must_use]
    pub fn lines(&self, name: &str) -> Vec<&[u8]> {
        let named = self.0.iter().filter(|(other, _)| is(other, name));
        named.map(|(_, value)| value.as_slice()).collect()
    }

    /// The headers that have none of these names.
    #[must_use]
    pub fn others(&self, names: &[&str]) -> Vec<&Pair> {
        self.0.iter().filter(|(name, _)| !names.iter().any(|other| is(name, other))).collect()
    }
}

fn is(name: &[u8], other: &str) -> bool {
    name.eq_ignore_ascii_case(other.as_bytes())
}

impl Known {
    /// A host whose generator, if it has one, always begins alike.
    #[must_use]
    pub fn new(direction: Direction, has_seed: bool) -> Self {
        let rng = has_seed.then(|| ChaCha12Rng::from_seed([7; 32]));
        Self {
            direction,
            rng,
            peer_san: None,
            peer_address: None,
            now: Some(1_800_000_000_000_000_000),
            memory: Vec::new(),
            garbage: None,
            response: Headers::default(),
            left: Vec::new(),
            is_cut_off: false,
            properties: Vec::new(),
            is_silent: false,
            asked: 0,
        }
    }
}

impl Known {
    /// The name under which a property is kept.
    fn name(property: Property<'_>) -> String {
        match property {
            Property::Custom(path) => path.join("."),
            other => format!("{other:?}"),
        }
    }
}

impl Clock for Host<'_> {
    fn now(&mut self) -> Option<u64> {
        self.known.now
    }
}

impl Random for Host<'_> {
    type Rng = ChaCha12Rng;

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        self.known.asked += 1;
        self.known.rng.as_mut()
    }
}

impl Properties for Host<'_> {
    fn direction(&mut self) -> Direction {
        self.known.asked += 1;
        self.known.direction
    }

    fn property(&mut self, property: Property<'_>) -> Option<PropertyValue> {
        match property {
            Property::PeerUri => self.known.peer_san.clone().map(PropertyValue::Text),
            Property::PeerAddress => self.known.peer_address.clone().map(PropertyValue::Text),
            other => {
                let name = Known::name(other);
                let found = self.known.properties.iter().find(|(known, _)| *known == name);
                // A host has no empty properties.
                found
                    .map(|(_, value)| value.clone())
                    .filter(|value| *value != PropertyValue::Text(Vec::new()))
            }
        }
    }
}

impl SharedMemory for Host<'_> {
    fn recall(&mut self, key: &str) -> Option<Vec<u8>> {
        let found = self.known.memory.iter().rev().find(|(other, _)| other == key);
        found.map(|(_, value)| value.clone()).or(self.known.garbage.clone())
    }

    fn remember(&mut self, key: &str, value: &[u8]) {
        self.wire.remembered.push((key.to_owned(), value.to_vec()));
    }
}

impl Metrics for Host<'_> {
    fn count(&mut self, counter: Counter, number: u64) {
        assert_eq!(number, 1, "{counter}");
        self.wire.counted.push(counter);
    }
}

impl AccessLog for Host<'_> {
    fn publish(&mut self, key: &'static str, value: &[u8]) {
        self.wire.published.push((key, value.to_vec()));
    }
}

impl Log for Host<'_> {
    fn warn(&mut self, line: &str) {
        self.wire.lines.push(line.to_owned());
    }
}

impl HeaderReader for Host<'_> {
    fn first(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        let headers = HeaderReader::headers(self)?;
        Ok(headers.first(name).map(<[u8]>::to_vec))
    }

    fn headers(&mut self) -> Result<headers::Headers, Refused> {
        self.known.asked += 1;
        if self.known.is_silent { Err(Refused) } else { Ok(self.known.response.of_core()) }
    }
}

impl EndedStream for Host<'_> {
    fn headers(&mut self, map: HeaderMap) -> Result<headers::Headers, Refused> {
        if self.known.is_silent {
            return Err(Refused);
        }
        let found = self.known.left.iter().find(|(other, _)| *other == map);
        Ok(found.map(|(_, headers)| headers.of_core()).unwrap_or_default())
    }

    fn is_cut_off(&mut self) -> bool {
        self.known.is_cut_off
    }
}

impl Wire {
    /// These headers, and a host that refuses so.
    #[must_use]
    pub fn new(headers: Headers, refusals: Vec<bool>) -> Self {
        Self { headers, refusals, ..Self::default() }
    }

    /// The changes of one header.
    pub fn changes_of(&self, name: &str) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.name == name)
    }

    /// Whether the host refused anything.
    #[must_use]
    pub fn refused_any(&self) -> bool {
        self.changes.iter().any(|change| change.refused)
    }

    /// Whether the host refused to do this to the header.
    #[must_use]
    pub fn refused(&self, verb: Verb, name: &str) -> bool {
        self.changes_of(name).any(|change| change.verb == verb && change.refused)
    }

    /// Whether nothing was done, counted or told.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.changes.is_empty()
            && self.counted.is_empty()
            && self.published.is_empty()
            && self.remembered.is_empty()
            && self.lines.is_empty()
    }

    fn change(&mut self, verb: Verb, name: &str, value: &[u8]) -> Result<(), Refused> {
        let refused = self.refusals.get(self.changes.len()).copied().unwrap_or_default();
        self.changes.push(Change { verb, name: name.to_owned(), refused });
        if refused {
            return Err(Refused);
        }
        let lines = &mut self.headers.0;
        if verb != Verb::Add {
            lines.retain(|(other, _)| !is(other, name));
        }
        if verb != Verb::Remove {
            lines.push((name.as_bytes().to_vec(), value.to_vec()));
        }
        Ok(())
    }
}

impl HeaderWriter for Host<'_> {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.wire.change(Verb::Set, name, value)
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.wire.change(Verb::Add, name, value)
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        self.wire.change(Verb::Remove, name, b"")
    }
}
