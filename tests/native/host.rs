//! What the core asks of a host, answered from the framework's [`Host`] without a module between them.

use std::collections::{BTreeMap, BTreeSet};

use proxy_wasm_test_framework::{Call, Fault, HeaderMap, Host, HttpCall, LogLevel, Status};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use tracewarden::export::{Upload, UploadError, Uploads};
use tracewarden::headers::{HeaderWriter, Headers, Refused};
use tracewarden::host::{
    self, AccessLog, Clock, EndedStream, HeaderReader, Log, Metrics, Properties, Property, PropertyValue,
    Random, SharedMemory, Sides, StreamInfo,
};
use tracewarden::metrics::{Counter, Measure};
use tracewarden::notice::Throttle;
use tracewarden::words::{Direction, HostCall};

/// What is of a whole worker.
#[derive(Default)]
pub(crate) struct Worker {
    pub(crate) host: Host,
    rng: Option<ChaCha12Rng>,
    throttle: Throttle,
    said: BTreeSet<Call>,
}

/// What the host holds of a stream.
#[derive(Default)]
pub(crate) struct Messages {
    pub(crate) request: Option<HeaderMap>,
    pub(crate) response: Option<HeaderMap>,
    pub(crate) response_trailers: Option<HeaderMap>,
    pub(crate) filter_state: BTreeMap<String, Vec<u8>>,
}

/// A callback about a plugin, or about a stream that has ended.
pub(crate) struct Callback<'a> {
    pub(crate) worker: &'a mut Worker,
    pub(crate) messages: &'a mut Messages,
}

/// A callback about a stream whose request is on its way, or its response.
pub(crate) struct Pass<'a, const IS_RESPONSE: bool>(pub(crate) Callback<'a>);

impl Worker {
    pub(crate) fn new(host: Host) -> Self {
        Self { host, ..Self::default() }
    }

    /// Makes a host call. Returns the bytes that a fault puts in place of its answer.
    fn call(&mut self, call: Call) -> Result<Option<Vec<u8>>, Refused> {
        match self.host.enter(call) {
            None => Ok(None),
            Some(Fault::Buffer(bytes)) => Ok(Some(bytes)),
            Some(Fault::Status(status)) if status != Status::Ok as u32 => {
                self.report(call, status);
                Err(Refused)
            }
            Some(fault) => panic!("only a module can be answered {fault:?}"),
        }
    }

    /// Counts an error, and logs the first of each call.
    fn report(&mut self, call: Call, status: u32) {
        let known = HostCall::ALL.iter().find(|known| call.name().ends_with(known.label()));
        let known = *known.expect("a call that the core leads to");
        self.host.metrics_mut().count(&Counter::HostError { call: known }.to_string(), 1);
        if self.said.insert(call) {
            let line = format!("tracewarden: the host call {} answered status {status}", known.label());
            self.host.logs.push((LogLevel::Warn, line));
        }
    }
}

impl Callback<'_> {
    /// The bytes of a property that is not empty.
    fn bytes(&mut self, path: &[&str]) -> Option<Vec<u8>> {
        let planned = self.worker.call(Call::GetProperty).ok()?;
        let held = || self.worker.host.properties.get(path.join("\0").as_bytes()).cloned();
        planned.or_else(held).filter(|value| !value.is_empty())
    }
}

impl Clock for Callback<'_> {
    fn now(&mut self) -> Option<u64> {
        self.worker.call(Call::GetCurrentTime).ok()?;
        Some(self.worker.host.now_ns)
    }
}

impl Random for Callback<'_> {
    type Rng = ChaCha12Rng;

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        if self.worker.rng.is_none() {
            self.worker.call(Call::RandomGet).ok()?;
            let seed = self.worker.host.random(32).try_into().expect("as many as were asked for");
            self.worker.rng = Some(ChaCha12Rng::from_seed(seed));
        }
        self.worker.rng.as_mut()
    }
}

/// How Envoy begins its details of a response that does not come to its end, as far as a scenario sets them.
const CUT_OFF: &[&[u8]] = &[b"upstream_reset_after_response_started", b"downstream_remote_disconnect"];

impl Properties for Callback<'_> {
    fn direction(&mut self) -> Direction {
        let value = self.bytes(&["xds", "listener_direction"]);
        match value.as_deref() {
            Some([1, 0, 0, 0, 0, 0, 0, 0]) => Direction::Inbound,
            Some([2, 0, 0, 0, 0, 0, 0, 0]) => Direction::Outbound,
            _ => Direction::Unspecified,
        }
    }

    fn property(&mut self, property: Property<'_>) -> Option<PropertyValue> {
        let path: &[&str] = match property {
            Property::RouteName => &["xds", "route_name"],
            Property::VirtualHostName => &["xds", "virtual_host_name"],
            Property::ClusterName => &["xds", "cluster_name"],
            Property::PeerUri => &["connection", "uri_san_peer_certificate"],
            Property::PeerAddress => &["source", "address"],
            Property::LocalAddress => &["destination", "address"],
            Property::Workload => &["xds", "node", "metadata", "WORKLOAD_NAME"],
            Property::Namespace => &["xds", "node", "metadata", "NAMESPACE"],
            Property::Pod => &["xds", "node", "metadata", "NAME"],
            Property::MeshCluster => &["xds", "node", "metadata", "CLUSTER_ID"],
            Property::Node => &["xds", "node", "id"],
            Property::NodeCluster => &["xds", "node", "cluster"],
            Property::Custom(path) => &path.iter().map(String::as_str).collect::<Vec<_>>(),
        };
        let value = self.bytes(path)?;
        match property {
            // Text has no NUL, and a number of the host's nearly always has one.
            Property::Custom(_) if value.contains(&0) => number(&value).map(PropertyValue::Number),
            _ => Some(PropertyValue::Text(value)),
        }
    }
}

impl SharedMemory for Callback<'_> {
    fn recall(&mut self, key: &str) -> Option<(Vec<u8>, u32)> {
        let planned = self.worker.call(Call::GetSharedData).ok()?;
        planned.map(|value| (value, 1)).or_else(|| self.worker.host.shared_data.get(key.as_bytes()).cloned())
    }

    fn remember(&mut self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        if self.worker.call(Call::SetSharedData).is_err() {
            return true;
        }
        let own = self.worker.host.shared_data.get(key.as_bytes()).map(|(_, own)| *own);
        let fits = own.is_none() || version.is_none() || own == version;
        if fits {
            let next = own.unwrap_or_default() + 1;
            self.worker.host.shared_data.insert(key.into(), (value.to_vec(), next));
        }
        fits
    }
}

impl Metrics for Callback<'_> {
    fn count(&mut self, counter: Counter, number: u64) {
        self.worker.host.metrics_mut().count(&counter.to_string(), number);
    }

    fn adjust(&mut self, gauge: Measure, difference: i64) -> bool {
        self.worker.host.metrics_mut().adjust(&gauge.to_string(), difference);
        true
    }

    fn level(&mut self, gauge: Measure) -> u64 {
        match self.worker.call(Call::GetMetric) {
            Ok(_) => self.worker.host.metric(&gauge.to_string()).unwrap_or_default(),
            Err(Refused) => 0,
        }
    }

    fn record(&mut self, histogram: Measure, value: u64) {
        self.worker.host.metrics_mut().observe(&histogram.to_string(), value);
    }
}

impl AccessLog for Callback<'_> {
    fn publish(&mut self, key: &'static str, value: &[u8]) {
        if self.worker.call(Call::SetProperty).is_ok() {
            self.messages.filter_state.insert(format!("wasm.{key}"), value.to_vec());
        }
    }

    fn published(&mut self, key: &'static str) -> Option<Vec<u8>> {
        self.bytes(&[key])
    }
}

impl Log for Callback<'_> {
    fn held_back(&mut self, now: u64) -> Option<u64> {
        self.worker.throttle.pass(now)
    }

    fn warn(&mut self, line: &str) {
        self.worker.host.logs.push((LogLevel::Warn, line.to_owned()));
    }
}

impl EndedStream for Callback<'_> {
    fn headers(&mut self, map: host::HeaderMap) -> Result<Headers, Refused> {
        self.worker.call(Call::GetHeaders)?;
        let lines = match map {
            host::HeaderMap::Request => &self.messages.request,
            host::HeaderMap::Response => &self.messages.response,
            host::HeaderMap::ResponseTrailers => &self.messages.response_trailers,
        };
        Ok(lines.iter().flat_map(HeaderMap::iter).collect())
    }

    fn request_header(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        self.worker.call(Call::GetHeader)?;
        Ok(self.messages.request.as_ref().and_then(|headers| headers.get(name)).map(<[u8]>::to_vec))
    }

    fn info(&mut self, sides: Sides) -> StreamInfo {
        let details = self.bytes(&["response", "code_details"]).unwrap_or_default();
        let mut info = StreamInfo {
            route_name: self.bytes(&["xds", "route_name"]),
            protocol: self.bytes(&["request", "protocol"]),
            request_size: self.bytes(&["request", "size"]).as_deref().and_then(number),
            response_size: self.bytes(&["response", "size"]).as_deref().and_then(number),
            is_cut_off: CUT_OFF.iter().any(|begin| details.starts_with(begin)),
            ..StreamInfo::default()
        };
        if sides.serves() {
            info.peer_address = self.bytes(&["source", "address"]);
        }
        if sides.calls() {
            info.upstream_address = self.bytes(&["upstream", "address"]);
            let attempts = self.bytes(&["upstream", "request_attempt_count"]);
            info.upstream_attempts = attempts.as_deref().and_then(number);
        }
        info
    }
}

/// A number of Envoy's.
fn number(value: &[u8]) -> Option<i64> {
    Some(i64::from_le_bytes(value.try_into().ok()?))
}

impl Uploads for Callback<'_> {
    fn send(&mut self, upload: &Upload<'_>) -> Result<u32, UploadError> {
        match self.worker.host.enter(Call::HttpCall) {
            None => {}
            // What Envoy answers if the cluster has no healthy host.
            Some(Fault::Status(status)) if status == Status::InternalFailure as u32 => {
                return Err(UploadError::NoHost);
            }
            Some(Fault::Status(status)) => {
                self.worker.report(Call::HttpCall, status);
                return Err(UploadError::NotSent);
            }
            Some(fault) => panic!("only a module can be answered {fault:?}"),
        }
        let calls = &mut self.worker.host.http_calls;
        let token = u32::try_from(calls.len() + 1).expect("few calls");
        calls.push(HttpCall {
            token,
            upstream: upload.cluster.to_owned(),
            headers: upload.headers.iter().map(|(name, value)| (name, value)).collect(),
            body: upload.body.to_vec(),
            trailers: HeaderMap::new(),
            timeout_ms: upload.timeout_ms,
        });
        Ok(token)
    }
}

impl<const IS_RESPONSE: bool> Pass<'_, IS_RESPONSE> {
    fn edit(&mut self, call: Call, edit: impl FnOnce(&mut HeaderMap)) -> Result<(), Refused> {
        self.0.worker.call(call)?;
        let Messages { request, response, .. } = self.0.messages;
        edit(if IS_RESPONSE { response } else { request }.as_mut().expect("a message is on its way"));
        Ok(())
    }
}

impl<const IS_RESPONSE: bool> HeaderWriter for Pass<'_, IS_RESPONSE> {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.edit(Call::ReplaceHeader, |headers| headers.replace(name, value))
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.edit(Call::AddHeader, |headers| headers.add(name, value))
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        self.edit(Call::RemoveHeader, |headers| headers.remove(name))
    }
}

impl<const IS_RESPONSE: bool> HeaderReader for Pass<'_, IS_RESPONSE> {
    fn first(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        self.0.worker.call(Call::GetHeader)?;
        let Messages { request, response, .. } = &self.0.messages;
        let message = if IS_RESPONSE { response } else { request };
        Ok(message.as_ref().and_then(|headers| headers.get(name)).map(<[u8]>::to_vec))
    }

    fn headers(&mut self) -> Result<Headers, Refused> {
        let map = if IS_RESPONSE { host::HeaderMap::Response } else { host::HeaderMap::Request };
        EndedStream::headers(&mut self.0, map)
    }
}

/// A pass asks all that a callback does.
macro_rules! as_its_callback {
    ($($capability:ident { $($method:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)?;)* })*) => {
        $(impl<const IS_RESPONSE: bool> $capability for Pass<'_, IS_RESPONSE> {
            $(fn $method(&mut self, $($argument: $type),*) $(-> $answer)? {
                self.0.$method($($argument),*)
            })*
        })*
    };
}

as_its_callback! {
    Clock { now() -> Option<u64>; }
    Properties {
        direction() -> Direction;
        property(property: Property<'_>) -> Option<PropertyValue>;
    }
    SharedMemory {
        recall(key: &str) -> Option<(Vec<u8>, u32)>;
        remember(key: &str, value: &[u8], version: Option<u32>) -> bool;
    }
    Metrics {
        count(counter: Counter, number: u64);
        adjust(gauge: Measure, difference: i64) -> bool;
        level(gauge: Measure) -> u64;
        record(histogram: Measure, value: u64);
    }
    AccessLog {
        publish(key: &'static str, value: &[u8]);
        published(key: &'static str) -> Option<Vec<u8>>;
    }
    Log {
        held_back(now: u64) -> Option<u64>;
        warn(line: &str);
    }
}

impl<const IS_RESPONSE: bool> Random for Pass<'_, IS_RESPONSE> {
    type Rng = ChaCha12Rng;

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        self.0.rng()
    }
}
