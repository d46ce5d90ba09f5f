//! A host that records every call, and refuses those that it is told to refuse.

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use tracewarden::metrics::{Counter, Direction};
use tracewarden::notice::Notice;
use tracewarden::pass::{Facts, Left, Refused, Sink};
use tracewarden::sampling::RateLimit;

use crate::reading::{self, Pair};

/// Header lines in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<Pair>);

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
    /// Whether neither rate is reached yet.
    pub is_within_rate: bool,
    /// The time.
    pub now: Option<u64>,
    /// What the workers share.
    pub memory: Vec<(String, Vec<u8>)>,
    /// What the host answers with where nothing was remembered.
    pub garbage: Option<Vec<u8>>,
    /// The response's headers, serialized.
    pub response: Vec<u8>,
    /// What is left of a stream that has ended, serialized; the host refuses what is not there.
    pub left: Vec<(Left, Vec<u8>)>,
    /// What it knows of the stream besides, each with its path's parts joined by NUL.
    pub properties: Vec<(&'static str, Vec<u8>)>,
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
    /// Everything offered to the log.
    pub notices: Vec<Notice>,
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
    /// The form in which a host hands them over.
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
            is_within_rate: true,
            now: Some(1_800_000_000_000_000_000),
            memory: Vec::new(),
            garbage: None,
            response: Vec::new(),
            left: Vec::new(),
            properties: Vec::new(),
            is_silent: false,
            asked: 0,
        }
    }
}

impl Facts for Known {
    type Rng = ChaCha12Rng;

    fn direction(&mut self) -> Direction {
        self.asked += 1;
        self.direction
    }

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        self.asked += 1;
        self.rng.as_mut()
    }

    fn peer_san(&mut self) -> Option<Vec<u8>> {
        self.peer_san.clone()
    }

    fn peer_address(&mut self) -> Option<Vec<u8>> {
        self.peer_address.clone()
    }

    fn now(&mut self) -> Option<u64> {
        self.now
    }

    fn recall(&mut self, key: &str) -> Option<Vec<u8>> {
        let found = self.memory.iter().rev().find(|(other, _)| other == key);
        found.map(|(_, value)| value.clone()).or(self.garbage.clone())
    }

    fn within_rate(&mut self, _: RateLimit) -> bool {
        self.is_within_rate
    }

    fn within_error_rate(&mut self, _: RateLimit) -> bool {
        self.is_within_rate
    }

    fn property(&mut self, path: &str) -> Option<Vec<u8>> {
        let found = self.properties.iter().find(|(other, _)| *other == path);
        found.map(|(_, value)| value.clone())
    }

    fn left(&mut self, map: Left) -> Result<Vec<u8>, Refused> {
        let found = self.left.iter().find(|(other, _)| *other == map);
        found.map(|(_, headers)| headers.clone()).filter(|_| !self.is_silent).ok_or(Refused)
    }

    fn response_header(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        let headers = Headers(reading::header_map(&self.response_headers()?).unwrap_or_default());
        Ok(headers.lines(name).first().map(|line| line.to_vec()))
    }

    fn response_headers(&mut self) -> Result<Vec<u8>, Refused> {
        self.asked += 1;
        if self.is_silent { Err(Refused) } else { Ok(self.response.clone()) }
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
            && self.notices.is_empty()
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

impl Sink for Wire {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.change(Verb::Set, name, value)
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.change(Verb::Add, name, value)
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        self.change(Verb::Remove, name, b"")
    }

    fn count(&mut self, counter: Counter) {
        self.counted.push(counter);
    }

    fn publish(&mut self, key: &'static str, value: &[u8]) {
        self.published.push((key, value.to_vec()));
    }

    fn remember(&mut self, key: &str, value: &[u8]) {
        self.remembered.push((key.to_owned(), value.to_vec()));
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}
