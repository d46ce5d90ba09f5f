//! The core's [`Facts`] and [`Sink`], answered by the host.

use core::cell::Cell;

use rand::rngs::ChaCha12Rng;

use super::abi::MapType;
use super::host::{self, Failed};
use super::{Filter, vm};
use crate::metrics::{Counter, Direction, HostCall};
use crate::notice::Notice;
use crate::pass::{Facts, Left, Refused, Sink};
use crate::sampling::{RateLimit, TokenBucket};

/// What the host knows of the stream whose callback runs.
pub(super) struct HostFacts<'a> {
    filter: &'a Filter,
    rng: Option<Box<ChaCha12Rng>>,
}

impl<'a> HostFacts<'a> {
    pub(super) const fn new(filter: &'a Filter) -> Self {
        Self { filter, rng: None }
    }
}

/// Changes to one header map of the stream whose callback runs.
pub(super) struct Changes<'a> {
    pub(super) map: MapType,
    pub(super) filter: &'a Filter,
}

impl Facts for HostFacts<'_> {
    type Rng = ChaCha12Rng;

    fn direction(&mut self) -> Direction {
        match host::property("xds\0listener_direction") {
            Ok(value) => listener_direction(value.as_deref()),
            Err(failed) => {
                vm::report(failed);
                Direction::Unspecified
            }
        }
    }

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        if self.rng.is_none() {
            self.rng = vm::take_rng();
        }
        self.rng.as_deref_mut()
    }

    fn peer_san(&mut self) -> Option<Vec<u8>> {
        property(PEER_SAN)
    }

    fn peer_address(&mut self) -> Option<Vec<u8>> {
        property(PEER_ADDRESS)
    }

    fn now(&mut self) -> Option<u64> {
        asked(host::now().map(Some))
    }

    fn recall(&mut self, key: &str) -> Option<Vec<u8>> {
        asked(host::shared_data(key))
    }

    fn within_rate(&mut self, limit: RateLimit) -> bool {
        self.take(&self.filter.bucket, limit)
    }

    fn within_error_rate(&mut self, limit: RateLimit) -> bool {
        self.take(&self.filter.error_bucket, limit)
    }

    fn property(&mut self, path: &str) -> Option<Vec<u8>> {
        property(path)
    }

    fn left(&mut self, map: Left) -> Result<Vec<u8>, Refused> {
        let map = match map {
            Left::Request => MapType::RequestHeaders,
            Left::Response => MapType::ResponseHeaders,
            Left::ResponseTrailers => MapType::ResponseTrailers,
        };
        host::headers_if_any(map).map_err(refused)
    }

    fn response_headers(&mut self) -> Result<Vec<u8>, Refused> {
        host::headers(MapType::ResponseHeaders).map_err(refused)
    }

    fn response_header(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        host::header(MapType::ResponseHeaders, name).map_err(refused)
    }
}

impl HostFacts<'_> {
    fn take(&self, bucket: &Cell<TokenBucket>, limit: RateLimit) -> bool {
        let Some(now) = asked(host::now().map(Some)) else { return false };
        let mut left = bucket.get();
        let allowed = left.take(limit, now);
        bucket.set(left);
        allowed
    }
}

impl Drop for HostFacts<'_> {
    fn drop(&mut self) {
        if let Some(rng) = self.rng.take() {
            vm::return_rng(rng);
        }
    }
}

/// Reads Envoy's `TrafficDirection`: a number of 8 octets, little-endian; a host that has none answers nothing.
fn listener_direction(value: Option<&[u8]>) -> Direction {
    match value {
        Some([1, 0, 0, 0, 0, 0, 0, 0]) => Direction::Inbound,
        Some([2, 0, 0, 0, 0, 0, 0, 0]) => Direction::Outbound,
        Some([0, 0, 0, 0, 0, 0, 0, 0]) | None => Direction::Unspecified,
        Some(_) => {
            vm::report(Failed { call: HostCall::GetProperty, status: host::OK });
            Direction::Unspecified
        }
    }
}

impl Sink for Changes<'_> {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        host::replace_header(self.map, name, value).map_err(refused)
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        host::add_header(self.map, name, value).map_err(refused)
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        host::remove_header(self.map, name).map_err(refused)
    }

    fn count(&mut self, counter: Counter) {
        self.filter.counters.count(counter, 1);
    }

    fn publish(&mut self, key: &'static str, value: &[u8]) {
        if let Err(failed) = host::set_property(key, value) {
            vm::report(failed);
        }
    }

    fn remember(&mut self, key: &str, value: &[u8]) {
        if let Err(failed) = host::set_shared_data(key, value) {
            vm::report(failed);
        }
    }

    fn notice(&mut self, notice: Notice) {
        if let Some(held) = vm::may_log_notice() {
            log::warn!(
                "{}",
                notice.line(&self.filter.config.log_format, peer(notice.direction).as_deref(), held)
            );
        }
    }
}

fn refused(failed: Failed) -> Refused {
    vm::report(failed);
    Refused
}

/// Who sent the request: the URI in the certificate of a peer that has one, else its address. Of an outbound request
/// that is the workload itself, which the scrape names.
fn peer(direction: Direction) -> Option<String> {
    if direction == Direction::Outbound {
        return Some("this workload".to_owned());
    }
    let value = property(PEER_SAN).or_else(|| property(PEER_ADDRESS))?;
    // Addresses and URIs are graphic ASCII; anything else could change what the rest of the line looks like.
    Some(value.into_iter().filter(u8::is_ascii_graphic).take(PEER_LEN).map(char::from).collect())
}

/// How much of a peer's name a line may show.
const PEER_LEN: usize = 200;

const PEER_SAN: &str = "connection\0uri_san_peer_certificate";
const PEER_ADDRESS: &str = "source\0address";

/// A property that the host has, and that is not empty.
pub(super) fn property(path: &str) -> Option<Vec<u8>> {
    asked(host::property(path)).filter(|value| !value.is_empty())
}

/// An answer, or nothing if the host refused.
pub(super) fn asked<T>(answer: Result<Option<T>, Failed>) -> Option<T> {
    answer.unwrap_or_else(|failed| {
        vm::report(failed);
        None
    })
}
