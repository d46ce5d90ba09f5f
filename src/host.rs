//! What the core asks of a host: small capabilities, each asked for only when a stage needs it.
//!
//! A host implements what it has; the defaults are those of a host that has nothing. Only a callback whose host is a
//! [`HeaderWriter`](crate::headers::HeaderWriter) can change headers.
#![expect(unused_variables, reason = "the defaults have no use for their arguments")]

use rand::CryptoRng;

use crate::headers::{Headers, Refused};
use crate::metrics::{Counter, Measure};
use crate::words::Direction;

/// A clock.
pub trait Clock {
    /// Nanoseconds since 1970, if the host has a clock.
    fn now(&mut self) -> Option<u64> {
        None
    }
}

/// A source of ids.
pub trait Random {
    /// The generator of ids.
    type Rng: CryptoRng;

    /// The generator, or `None` if the host gave no seed for it.
    fn rng(&mut self) -> Option<&mut Self::Rng> {
        None
    }
}

/// What the host knows of a stream, its connection and its proxy. A property can cost as much as ten counters.
pub trait Properties {
    /// The direction of the listener that took the request.
    fn direction(&mut self) -> Direction {
        Direction::Unspecified
    }

    /// A property, unless the host lacks it or it is empty.
    fn property(&mut self, property: Property<'_>) -> Option<PropertyValue> {
        None
    }
}

/// A property that the core asks for by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property<'a> {
    /// The URI in the certificate of the connection's peer.
    PeerUri,
    /// The address of the connection's peer, with its port.
    PeerAddress,
    /// The address that the connection came in on, with its port: the listener's, unless it takes connections of others.
    LocalAddress,
    /// The name of the route that the host chose for the request.
    RouteName,
    /// The name of the cluster that the route leads to.
    ClusterName,
    /// The name of the virtual host of that route.
    VirtualHostName,
    /// The name of the workload that the proxy serves.
    Workload,
    /// The workload's namespace.
    Namespace,
    /// The workload's pod.
    Pod,
    /// The name of the mesh's cluster.
    MeshCluster,
    /// The id of the proxy.
    Node,
    /// The group of proxies that the proxy belongs to.
    NodeCluster,
    /// The one at this path among the host's own.
    Custom(&'a [String]),
}

/// The value of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyValue {
    /// Text, of any bytes.
    Text(Vec<u8>),
    /// A whole number.
    Number(i64),
}

/// A memory that all workers share.
pub trait SharedMemory {
    /// The value under this key, whichever worker wrote it, and its version.
    fn recall(&mut self, key: &str) -> Option<(Vec<u8>, u32)> {
        None
    }

    /// Writes a value under this key, and says whether it is done with: not if what is there has another version than this.
    fn remember(&mut self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        true
    }
}

/// The metrics.
pub trait Metrics {
    /// Adds to a counter.
    fn count(&mut self, counter: Counter, number: u64) {}

    /// Adds to a gauge, and says whether that is done: what is not added must not be taken away later.
    fn adjust(&mut self, gauge: Measure, difference: i64) -> bool {
        true
    }

    /// What a gauge says, on all workers together.
    fn level(&mut self, gauge: Measure) -> u64 {
        0
    }

    /// Adds a value to a histogram.
    fn record(&mut self, histogram: Measure, value: u64) {}
}

/// Values that an access log can print, and other filters of the stream can read.
pub trait AccessLog {
    /// Puts a value into the stream's filter state.
    fn publish(&mut self, key: &'static str, value: &[u8]) {}

    /// What a filter before this one, in the same stream, put there under that key.
    fn published(&mut self, key: &'static str) -> Option<Vec<u8>> {
        None
    }
}

/// The log of the proxy.
pub trait Log {
    /// How many lines were held back since the last one, or `None` if a line may not be written at this time
    /// (nanoseconds).
    fn held_back(&mut self, now: u64) -> Option<u64> {
        Some(0)
    }

    /// Writes a line of level `warn`.
    fn warn(&mut self, line: &str) {}
}

/// The headers of the message on its way, for a pass that needs few of them or none.
pub trait HeaderReader {
    /// The first line of one header.
    ///
    /// # Errors
    /// The host refused.
    fn first(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused>;
    /// All of them.
    ///
    /// # Errors
    /// The host refused.
    fn headers(&mut self) -> Result<Headers, Refused>;
}

/// A stream that has ended.
pub trait EndedStream {
    /// What is left of a header map, empty if there never was any.
    ///
    /// # Errors
    /// The host refused.
    fn headers(&mut self, map: HeaderMap) -> Result<Headers, Refused> {
        Ok(Headers::default())
    }

    /// The first line of one header of the request, as it went on.
    ///
    /// # Errors
    /// The host refused.
    fn request_header(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        Ok(None)
    }

    /// What is known of it, other than its headers.
    fn info(&mut self, sides: Sides) -> StreamInfo {
        StreamInfo::default()
    }
}

/// Which spans there are of a stream: each asks for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// The server's.
    Server,
    /// The client's.
    Client,
    /// Both.
    Both,
}

/// What a host knows of a stream that has ended; nothing in it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// The name of the route.
    pub route_name: Option<Vec<u8>>,
    /// The protocol of the request, such as `HTTP/1.1`.
    pub protocol: Option<Vec<u8>>,
    /// The bytes of the request's body.
    pub request_size: Option<i64>,
    /// The bytes of the response's body.
    pub response_size: Option<i64>,
    /// Whether the response began and did not come to its end.
    pub is_cut_off: bool,
    /// For a server's span: the address of the connection's peer, with its port.
    pub peer_address: Option<Vec<u8>>,
    /// For a client's span: the address of the upstream's host, with its port.
    pub upstream_address: Option<Vec<u8>>,
    /// For a client's span: how often the request was sent to the upstream.
    pub upstream_attempts: Option<i64>,
}

impl Sides {
    /// Whether there is a server's span.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::Server | Self::Both)
    }

    /// Whether there is a client's span.
    #[must_use]
    pub const fn calls(self) -> bool {
        matches!(self, Self::Client | Self::Both)
    }
}

/// A header map of a stream that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderMap {
    /// The request's headers.
    Request,
    /// The response's headers.
    Response,
    /// The response's trailers.
    ResponseTrailers,
}

/// What every pass may ask for.
pub trait Host: Clock + Random + Properties + SharedMemory + Metrics + AccessLog + Log {}

impl<T: Clock + Random + Properties + SharedMemory + Metrics + AccessLog + Log> Host for T {}

impl PropertyValue {
    /// The bytes of a text; a number has none.
    #[must_use]
    pub fn text(self) -> Option<Vec<u8>> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number; a text has none.
    #[must_use]
    pub const fn number(&self) -> Option<i64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}
