//! The host as the core sees it during one callback: each capability is a host call.

use core::cell::RefMut;
use core::time::Duration;

use proxy_wasm::hostcalls::dispatch_http_call;
use proxy_wasm::types::{MapType, MetricType, Status};
use rand::rngs::ChaCha12Rng;
use tracewarden::export::{Upload, UploadError, Uploads};
use tracewarden::headers::{HeaderWriter, Headers, Refused};
use tracewarden::host::{
    AccessLog, Clock, EndedStream, HeaderMap, HeaderReader, Log, Metrics, Properties, Property,
    PropertyValue, Random, SharedMemory, Sides, StreamInfo,
};
use tracewarden::metrics::{Counter, Measure};
use tracewarden::words::{Direction, HostCall};

use crate::counters::Counters;
use crate::host::{self, HostError};
use crate::properties;
use crate::stream_info::Expressions;
use crate::vm::Vm;

/// The host during a callback of the kind `K`, which decides what the core may do there.
pub(crate) struct Callback<K> {
    vm: &'static Vm,
    counters: &'static Counters,
    rng: Option<RefMut<'static, ChaCha12Rng>>,
    kind: K,
}

/// The request's headers are on their way.
pub(crate) struct OnRequest;
/// The response's headers are on their way.
pub(crate) struct OnResponse;
/// The response's trailers are on their way.
pub(crate) struct OnTrailers;
/// A stream has ended.
pub(crate) struct OnEnd<'a>(pub(crate) Option<&'a Expressions>);
/// The plugin is configured, ticks, or gets an answer.
pub(crate) struct OnPlugin;

/// A callback in which a message can be changed.
pub(crate) trait HasMessage {
    /// The message's headers.
    const MAP: MapType;
}

impl HasMessage for OnRequest {
    const MAP: MapType = MapType::HttpRequestHeaders;
}

impl HasMessage for OnResponse {
    const MAP: MapType = MapType::HttpResponseHeaders;
}

impl HasMessage for OnTrailers {
    const MAP: MapType = MapType::HttpResponseTrailers;
}

impl<K> Callback<K> {
    pub(crate) const fn new(vm: &'static Vm, counters: &'static Counters, kind: K) -> Self {
        Self { vm, counters, rng: None, kind }
    }
}

impl Callback<OnPlugin> {
    /// The host during a callback of a plugin, whose counters are no listener's.
    pub(crate) fn of_plugin(vm: &'static Vm) -> Self {
        Self::new(vm, vm.counters(None), OnPlugin)
    }
}

impl<K> Clock for Callback<K> {
    fn now(&mut self) -> Option<u64> {
        self.vm.now()
    }
}

impl<K> Random for Callback<K> {
    type Rng = ChaCha12Rng;

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        if self.rng.is_none() {
            self.rng = self.vm.rng();
        }
        self.rng.as_deref_mut()
    }
}

impl<K> Properties for Callback<K> {
    fn direction(&mut self) -> Direction {
        let direction = host::property(properties::LISTENER_DIRECTION).and_then(|value| {
            properties::direction(value.as_deref()).ok_or(HostError::malformed(HostCall::GetProperty))
        });
        self.vm.checked(direction).unwrap_or(Direction::Unspecified)
    }

    fn property(&mut self, property: Property<'_>) -> Option<PropertyValue> {
        let value = match property {
            Property::Custom(path) => self.vm.property(&path.join("\0")),
            known => self.vm.property(properties::path(known)),
        };
        properties::value(property, value?)
    }
}

impl<K> SharedMemory for Callback<K> {
    fn recall(&mut self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.vm.checked(host::shared_data(key)).flatten()
    }

    fn remember(&mut self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        // What the host refuses is reported, and done with.
        self.vm.checked(host::set_shared_data(key, value, version)).unwrap_or(true)
    }
}

impl<K> Metrics for Callback<K> {
    #[inline]
    fn count(&mut self, counter: Counter, number: u64) {
        self.vm.checked(self.counters.count(counter, number));
    }

    fn adjust(&mut self, gauge: Measure, difference: i64) -> bool {
        let gauge = self.vm.measure(gauge, MetricType::Gauge);
        self.vm.checked(gauge.and_then(|id| host::increment(id, difference))).is_some()
    }

    fn level(&mut self, gauge: Measure) -> u64 {
        let gauge = self.vm.measure(gauge, MetricType::Gauge);
        self.vm.checked(gauge.and_then(host::metric)).unwrap_or_default()
    }

    fn record(&mut self, histogram: Measure, value: u64) {
        self.vm.record(histogram, value);
    }
}

impl<K> AccessLog for Callback<K> {
    fn publish(&mut self, key: &'static str, value: &[u8]) {
        self.vm.checked(host::set_property(key, value));
    }

    fn published(&mut self, key: &'static str) -> Option<Vec<u8>> {
        self.vm.property(key)
    }
}

impl<K> Log for Callback<K> {
    fn held_back(&mut self, now: u64) -> Option<u64> {
        self.vm.held_back(now)
    }

    fn warn(&mut self, line: &str) {
        log::warn!("{line}");
    }
}

impl<K: HasMessage> HeaderWriter for Callback<K> {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.vm.checked(host::replace_header(K::MAP, name, value)).ok_or(Refused)
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.vm.checked(host::add_header(K::MAP, name, value)).ok_or(Refused)
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        self.vm.checked(host::remove_header(K::MAP, name)).ok_or(Refused)
    }
}

impl<K: HasMessage> HeaderReader for Callback<K> {
    fn first(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        self.vm.checked(host::header(K::MAP, name)).ok_or(Refused)
    }

    fn headers(&mut self) -> Result<Headers, Refused> {
        self.vm.checked(host::headers(K::MAP)).ok_or(Refused)
    }
}

impl EndedStream for Callback<OnEnd<'_>> {
    fn headers(&mut self, map: HeaderMap) -> Result<Headers, Refused> {
        let map = match map {
            HeaderMap::Request => MapType::HttpRequestHeaders,
            HeaderMap::Response => MapType::HttpResponseHeaders,
            HeaderMap::ResponseTrailers => MapType::HttpResponseTrailers,
        };
        self.vm.checked(host::headers_if_any(map)).ok_or(Refused)
    }

    fn request_header(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        self.vm.checked(host::header(MapType::HttpRequestHeaders, name)).ok_or(Refused)
    }

    fn info(&mut self, sides: Sides) -> StreamInfo {
        self.kind.0.map(|expressions| expressions.info(sides, self.vm)).unwrap_or_default()
    }
}

impl Uploads for Callback<OnPlugin> {
    fn send(&mut self, upload: &Upload<'_>) -> Result<u32, UploadError> {
        let headers = upload.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let timeout = Duration::from_millis(upload.timeout_ms.into());
        match dispatch_http_call(upload.cluster, headers, Some(upload.body), Vec::new(), timeout) {
            Ok(token) => Ok(token),
            // Envoy answers this if the cluster has no healthy host, which is no host error.
            Err(Status::InternalFailure) => Err(UploadError::NoHost),
            Err(_) => Err(UploadError::NotSent),
        }
    }
}
