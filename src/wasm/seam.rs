//! The core's [`Facts`] and [`Sink`], answered by the host.

use rand::rngs::ChaCha12Rng;

use super::host::{self, Failed, HeaderMap};
use super::vm;
use crate::headers::HeaderName;
use crate::metrics::{Counter, Direction, HostCall};
use crate::pass::{Facts, Refused, Sink};

/// What the host knows of the stream whose callback runs.
#[derive(Default)]
pub(super) struct HostFacts {
    rng: Option<ChaCha12Rng>,
}

/// Changes to one header map of the stream whose callback runs.
pub(super) struct Changes(pub(super) HeaderMap);

impl Facts for HostFacts {
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
        self.rng.as_mut()
    }

    fn response_header(&mut self, name: HeaderName) -> Option<Vec<u8>> {
        host::header(HeaderMap::Response, name).unwrap_or_else(|failed| {
            vm::report(failed);
            None
        })
    }
}

impl Drop for HostFacts {
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

impl Sink for Changes {
    fn set(&mut self, name: HeaderName, value: &[u8]) -> Result<(), Refused> {
        host::replace_header(self.0, name, value).map_err(refused)
    }

    fn remove(&mut self, name: HeaderName) -> Result<(), Refused> {
        host::remove_header(self.0, name).map_err(refused)
    }

    fn count(&mut self, counter: Counter) {
        vm::count(counter);
    }
}

fn refused(failed: Failed) -> Refused {
    vm::report(failed);
    Refused
}
