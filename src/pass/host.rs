//! What the passes ask of the host, and what they do there.

use rand::CryptoRng;

use crate::metrics::{Counter, Direction};
use crate::notice::Notice;
use crate::sampling::RateLimit;

/// What the host knows; each is asked for only when a stage needs it.
pub trait Facts {
    /// The generator of ids.
    type Rng: CryptoRng;

    /// The direction of Envoy's listener.
    fn direction(&mut self) -> Direction;
    /// The generator of ids, or `None` if the host gave no seed for it.
    fn rng(&mut self) -> Option<&mut Self::Rng>;
    /// The URI in the certificate of the connection's peer.
    fn peer_san(&mut self) -> Option<Vec<u8>>;
    /// The address of the connection's peer.
    fn peer_address(&mut self) -> Option<Vec<u8>>;
    /// Nanoseconds since 1970, if the host tells.
    fn now(&mut self) -> Option<u64>;
    /// What was remembered under this key, in any worker.
    fn recall(&mut self, key: &str) -> Option<Vec<u8>>;
    /// Whether one more trace may be recorded under this rate.
    fn within_rate(&mut self, limit: RateLimit) -> bool;
    /// Whether one more failed request may be recorded under this rate.
    fn within_error_rate(&mut self, limit: RateLimit) -> bool;
    /// A property of the stream, its path's parts joined by NUL.
    fn property(&mut self, path: &str) -> Option<Vec<u8>>;
    /// What is left of a stream that has ended, empty if there never was any.
    ///
    /// # Errors
    /// The host refused.
    fn left(&mut self, map: Left) -> Result<Vec<u8>, Refused>;
    /// The first line of a header of the response.
    ///
    /// # Errors
    /// The host refused.
    fn response_header(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused>;
    /// All headers of the response, serialized as the host hands them over.
    ///
    /// # Errors
    /// The host refused.
    fn response_headers(&mut self) -> Result<Vec<u8>, Refused>;
}

/// A header map of a stream that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The request's headers.
    Request,
    /// The response's headers.
    Response,
    /// The response's trailers.
    ResponseTrailers,
}

/// What a pass may change: the headers of its request or response, the counters, and what others learn of it.
pub trait Sink {
    /// Makes `value` the header's only line.
    ///
    /// # Errors
    /// The host refused; the header is as it was.
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused>;
    /// Appends a line to the header.
    ///
    /// # Errors
    /// The host refused; the header is as it was.
    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused>;
    /// Removes all lines of the header.
    ///
    /// # Errors
    /// The host refused; the header is as it was.
    fn remove(&mut self, name: &str) -> Result<(), Refused>;
    /// Counts one.
    fn count(&mut self, counter: Counter);
    /// Puts a value into the stream's filter state, for Envoy's access log.
    fn publish(&mut self, key: &'static str, value: &[u8]);
    /// Remembers a value for all workers.
    fn remember(&mut self, key: &str, value: &[u8]);
    /// Offers a line for Envoy's log.
    fn notice(&mut self, notice: Notice);
}

/// The host refused a call, and the edge has counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// A refusal that changes nothing of what we believe to be on the wire; the edge has counted it.
pub(crate) fn ignore(_: Result<(), Refused>) {}
