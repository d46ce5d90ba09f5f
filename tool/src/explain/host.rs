//! A host that has what the command line says, and keeps what happens.

use tracewarden::headers::{HeaderWriter, Headers, Refused};
use tracewarden::host::{
    AccessLog, Clock, HeaderReader, Log, Metrics, Properties, Property, PropertyValue, Random, SharedMemory,
};
use tracewarden::metrics::{Counter, Measure};
use tracewarden::words::Direction;

use super::ids::Draws;
use super::input::Lines;

/// What the host knows of the stream, and what chance and the clock do.
#[derive(Clone, Default)]
pub(super) struct World {
    /// The direction of the listener.
    pub(super) direction: Option<Direction>,
    /// The URI in the certificate of the peer.
    pub(super) peer_uri: Option<Vec<u8>>,
    /// The address of the peer.
    pub(super) peer_address: Option<Vec<u8>>,
    /// The name of the route.
    pub(super) route: Option<Vec<u8>>,
    /// The name of the cluster.
    pub(super) cluster: Option<Vec<u8>>,
    /// What the filter draws.
    pub(super) draws: Draws,
    /// The question for the time that gets no answer, counted from 1. A rate allows nothing then.
    pub(super) silent: Option<usize>,
}

/// What happened in one pass.
#[derive(Clone, Default)]
pub(super) struct Record {
    /// The headers as they are after it.
    pub(super) headers: Lines,
    /// What was counted, in order.
    pub(super) counted: Vec<(Counter, u64)>,
    /// What an access log can show.
    pub(super) published: Vec<(&'static str, Vec<u8>)>,
    /// The lines of the filter's own log.
    pub(super) logged: Vec<String>,
    /// The names of the headers that were written.
    pub(super) written: Vec<Vec<u8>>,
}

/// The host of one exchange.
pub(super) struct Recorder {
    pub(super) world: World,
    pub(super) record: Record,
    asked: usize,
}

/// Some time; the filter compares times, and this host has one alone.
const NOW: u64 = 1_700_000_000_000_000_000;

impl Recorder {
    pub(super) fn new(world: World) -> Self {
        Self { world, record: Record::default(), asked: 0 }
    }

    /// Begins a pass over these headers, and returns what happened in the one before.
    pub(super) fn begin(&mut self, headers: Lines) -> Record {
        std::mem::replace(&mut self.record, Record { headers, ..Record::default() })
    }

    fn is_named(name: &str) -> impl Fn(&(Vec<u8>, Vec<u8>)) -> bool {
        move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes())
    }
}

impl Clock for Recorder {
    fn now(&mut self) -> Option<u64> {
        self.asked += 1;
        (self.world.silent != Some(self.asked)).then_some(NOW)
    }
}

impl Random for Recorder {
    type Rng = Draws;

    fn rng(&mut self) -> Option<&mut Draws> {
        Some(&mut self.world.draws)
    }
}

impl Properties for Recorder {
    fn direction(&mut self) -> Direction {
        self.world.direction.unwrap_or(Direction::Unspecified)
    }

    fn property(&mut self, property: Property<'_>) -> Option<PropertyValue> {
        let value = match property {
            Property::PeerUri => &self.world.peer_uri,
            Property::PeerAddress => &self.world.peer_address,
            Property::RouteName => &self.world.route,
            Property::ClusterName => &self.world.cluster,
            _ => &None,
        };
        value.clone().filter(|value| !value.is_empty()).map(PropertyValue::Text)
    }
}

/// Nothing was remembered before.
impl SharedMemory for Recorder {}

impl Metrics for Recorder {
    fn count(&mut self, counter: Counter, number: u64) {
        match self.record.counted.iter_mut().find(|(known, _)| *known == counter) {
            Some((_, count)) => *count += number,
            None => self.record.counted.push((counter, number)),
        }
    }

    fn adjust(&mut self, _: Measure, _: i64) -> bool {
        true
    }
}

impl AccessLog for Recorder {
    fn publish(&mut self, key: &'static str, value: &[u8]) {
        self.record.published.push((key, value.to_vec()));
    }
}

impl Log for Recorder {
    fn warn(&mut self, line: &str) {
        self.record.logged.push(line.to_owned());
    }
}

impl HeaderReader for Recorder {
    fn first(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        let line = self.record.headers.iter().find(|line| Self::is_named(name)(line));
        Ok(line.map(|(_, value)| value.clone()))
    }

    fn headers(&mut self) -> Result<Headers, Refused> {
        Ok(headers(&self.record.headers))
    }
}

impl HeaderWriter for Recorder {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        let lines = &mut self.record.headers;
        let place = lines.iter().position(Self::is_named(name)).unwrap_or(lines.len());
        lines.retain(|line| !Self::is_named(name)(line));
        lines.insert(place.min(lines.len()), (name.into(), value.into()));
        self.record.written.push(name.into());
        Ok(())
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.record.headers.push((name.into(), value.into()));
        self.record.written.push(name.into());
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        self.record.headers.retain(|line| !Self::is_named(name)(line));
        Ok(())
    }
}

/// The lines as the filter reads them.
pub(super) fn headers(lines: &Lines) -> Headers {
    lines.iter().map(|(name, value)| (name, value)).collect()
}
