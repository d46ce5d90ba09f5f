//! The host's calls, as byte slices in and statuses out.
//!
//! The SDK's own bindings panic on every status that they do not expect, which would end the VM and with it every
//! request on this worker.

use core::fmt;
use core::num::NonZeroU32;
use core::ptr::{null_mut, slice_from_raw_parts_mut};

use super::abi::{BufferType, MapType, MetricType};
use crate::headers::serialize;
use crate::metrics::HostCall;

/// A host call answered an error, or answered what it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) call: HostCall,
    /// The host's status; [`OK`] if the answer that came with it made no sense.
    pub(super) status: u32,
}

pub(super) const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
pub(super) const INTERNAL_FAILURE: u32 = 10;
/// How many variables, and how many octets of them, a host may have; more are a mistake of its.
const MAX_ENVIRONMENT: usize = 1 << 24;

mod imports {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
        pub(super) fn proxy_get_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_replace_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_add_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
        pub(super) fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_get_shared_data(
            key: *const u8,
            key_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
            cas: *mut u32,
        ) -> u32;
        pub(super) fn proxy_set_shared_data(
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
            cas: u32,
        ) -> u32;
        pub(super) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
        pub(super) fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
        pub(super) fn proxy_record_metric(id: u32, value: u64) -> u32;
        pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub(super) fn proxy_http_call(
            cluster: *const u8,
            cluster_size: usize,
            headers: *const u8,
            headers_size: usize,
            body: *const u8,
            body_size: usize,
            trailers: *const u8,
            trailers_size: usize,
            timeout_ms: u32,
            token: *mut u32,
        ) -> u32;
        pub(super) fn proxy_grpc_call(
            service: *const u8,
            service_size: usize,
            service_name: *const u8,
            service_name_size: usize,
            method: *const u8,
            method_size: usize,
            metadata: *const u8,
            metadata_size: usize,
            message: *const u8,
            message_size: usize,
            timeout_ms: u32,
            token: *mut u32,
        ) -> u32;
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn random_get(buffer: *mut u8, size: usize) -> u32;
        pub(super) fn environ_sizes_get(count: *mut usize, size: *mut usize) -> u32;
        pub(super) fn environ_get(entries: *mut *mut u8, octets: *mut u8) -> u32;
    }
}

/// Writes a line to Envoy's log; there is nobody to tell if the host refuses.
pub(super) fn log(level: log::Level, message: &str) {
    let level = match level {
        log::Level::Error => 4,
        log::Level::Warn => 3,
        log::Level::Info => 2,
        log::Level::Debug => 1,
        log::Level::Trace => 0,
    };
    // SAFETY: the pointer and the length are those of a slice that outlives the call.
    unsafe { imports::proxy_log(level, message.as_ptr(), message.len()) };
}

/// The first `size` octets of the plugin's configuration.
pub(super) fn plugin_configuration(size: usize) -> Result<Vec<u8>, Failed> {
    match buffer(BufferType::PluginConfiguration, size)? {
        Some(bytes) if bytes.len() == size => Ok(bytes),
        Some(_) => Err(Failed { call: HostCall::GetBuffer, status: OK }),
        None => Err(Failed { call: HostCall::GetBuffer, status: NOT_FOUND }),
    }
}

/// All headers of a map that there must be, serialized as `crate::headers` reads them.
pub(super) fn headers(map: MapType) -> Result<Vec<u8>, Failed> {
    match pairs(map)? {
        Some(bytes) if !bytes.is_empty() => Ok(bytes),
        Some(_) => Err(Failed { call: HostCall::GetHeaders, status: OK }),
        None => Err(Failed { call: HostCall::GetHeaders, status: NOT_FOUND }),
    }
}

/// The same of a map that there need not be.
pub(super) fn headers_if_any(map: MapType) -> Result<Vec<u8>, Failed> {
    pairs(map).map(Option::unwrap_or_default)
}

fn pairs(map: MapType) -> Result<Option<Vec<u8>>, Failed> {
    returned(HostCall::GetHeaders, |data, size| {
        // SAFETY: both pointers are to live locals of `returned`.
        unsafe { imports::proxy_get_header_map_pairs(map as u32, data, size) }
    })
}

/// The first line of a header, if there is one.
pub(super) fn header(map: MapType, name: &str) -> Result<Option<Vec<u8>>, Failed> {
    returned(HostCall::GetHeader, |data, size| {
        // SAFETY: the name is a slice that outlives the call, the rest are live locals of `returned`.
        unsafe { imports::proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size) }
    })
}

/// Makes `value` the header's only line.
pub(super) fn replace_header(map: MapType, name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: the pointers and lengths are those of slices that outlive the call.
    done(HostCall::ReplaceHeader, unsafe {
        imports::proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Appends a line to a header.
pub(super) fn add_header(map: MapType, name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: the pointers and lengths are those of slices that outlive the call.
    done(HostCall::AddHeader, unsafe {
        imports::proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes all lines of a header.
pub(super) fn remove_header(map: MapType, name: &str) -> Result<(), Failed> {
    // SAFETY: the pointer and the length are those of a slice that outlives the call.
    done(HostCall::RemoveHeader, unsafe {
        imports::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len())
    })
}

/// A property, its path's parts joined by NUL, or `None` if the host does not have it.
pub(super) fn property(path: &str) -> Result<Option<Vec<u8>>, Failed> {
    returned(HostCall::GetProperty, |data, size| {
        // SAFETY: the path is a slice that outlives the call, the rest are live locals of `returned`.
        unsafe { imports::proxy_get_property(path.as_ptr(), path.len(), data, size) }
    })
}

/// Writes a property of the stream; Envoy puts `wasm.` before its name.
pub(super) fn set_property(name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: the pointers and lengths are those of slices that outlive the call.
    done(HostCall::SetProperty, unsafe {
        imports::proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// What any VM of this Envoy with our `vm_id` wrote under the key.
pub(super) fn shared_data(key: &str) -> Result<Option<Vec<u8>>, Failed> {
    let mut cas = 0;
    returned(HostCall::GetSharedData, |data, size| {
        // SAFETY: the key is a slice that outlives the call, the rest are live locals.
        unsafe { imports::proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas) }
    })
}

/// Writes a value for every VM of this Envoy with our `vm_id`, whatever was there.
pub(super) fn set_shared_data(key: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: the pointers and lengths are those of slices that outlive the call.
    done(HostCall::SetSharedData, unsafe {
        imports::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), 0)
    })
}

/// Nanoseconds since 1970.
pub(super) fn now() -> Result<u64, Failed> {
    let mut time = 0;
    // SAFETY: `time` is live.
    done(HostCall::GetTime, unsafe { imports::proxy_get_current_time_nanoseconds(&raw mut time) })
        .map(|()| time)
}

/// The environment variables, each `NAME=value` and a NUL. The standard library ends the VM where the host gives none.
pub(super) fn environment() -> Result<Vec<u8>, Failed> {
    let (mut count, mut size) = (0, 0);
    // SAFETY: both are live.
    done(HostCall::Environment, unsafe { imports::environ_sizes_get(&raw mut count, &raw mut size) })?;
    if count == 0 || size == 0 {
        return Ok(Vec::new());
    }
    if count > MAX_ENVIRONMENT || size > MAX_ENVIRONMENT {
        return Err(Failed { call: HostCall::Environment, status: OK });
    }
    let (mut entries, mut octets) = (vec![null_mut(); count], vec![0; size]);
    // SAFETY: the host was asked how many entries and octets there are, and the two have that room.
    done(HostCall::Environment, unsafe { imports::environ_get(entries.as_mut_ptr(), octets.as_mut_ptr()) })?;
    Ok(octets)
}

/// Defines a metric; every call makes a new id, even for a name that has one.
pub(super) fn define_metric(kind: MetricType, name: &str) -> Result<NonZeroU32, Failed> {
    let mut id = 0;
    // SAFETY: the name is a slice that outlives the call, and `id` is live.
    let status = unsafe { imports::proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) };
    done(HostCall::DefineMetric, status)?;
    NonZeroU32::new(id).ok_or(Failed { call: HostCall::DefineMetric, status })
}

/// Adds to a counter or a gauge.
pub(super) fn increment(metric: NonZeroU32, by: i64) -> Result<(), Failed> {
    // SAFETY: the call takes numbers only.
    done(HostCall::IncrementMetric, unsafe { imports::proxy_increment_metric(metric.get(), by) })
}

/// Adds a value to a histogram.
pub(super) fn record(histogram: NonZeroU32, value: u64) -> Result<(), Failed> {
    // SAFETY: the call takes numbers only.
    done(HostCall::RecordMetric, unsafe { imports::proxy_record_metric(histogram.get(), value) })
}

/// Asks for a tick of the plugin in every period; 0 ends them.
pub(super) fn set_tick_period(milliseconds: u32) -> Result<(), Failed> {
    // SAFETY: the call takes a number only.
    done(HostCall::SetTickPeriod, unsafe { imports::proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Sends a request to a cluster; the answer comes under the token.
pub(super) fn http_call(
    cluster: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout_ms: u32,
) -> Result<u32, Failed> {
    let (headers, trailers, mut token) = (serialize(headers), serialize::<&str, &str>(&[]), 0);
    // SAFETY: the pointers and lengths are those of slices that outlive the call, and `token` is live.
    done(HostCall::HttpCall, unsafe {
        imports::proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_ms,
            &raw mut token,
        )
    })
    .map(|()| token)
}

/// Calls a gRPC method of a service that Envoy's `GrpcService` describes; the answer comes under the token.
pub(super) fn grpc_call(
    service: &[u8],
    (name, method): (&str, &str),
    metadata: &[(&str, &str)],
    message: &[u8],
    timeout_ms: u32,
) -> Result<u32, Failed> {
    let (metadata, mut token) = (serialize(metadata), 0);
    // SAFETY: the pointers and lengths are those of slices that outlive the call, and `token` is live.
    done(HostCall::GrpcCall, unsafe {
        imports::proxy_grpc_call(
            service.as_ptr(),
            service.len(),
            name.as_ptr(),
            name.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            message.as_ptr(),
            message.len(),
            timeout_ms,
            &raw mut token,
        )
    })
    .map(|()| token)
}

/// At most the first `size` octets of a buffer.
pub(super) fn buffer(buffer: BufferType, size: usize) -> Result<Option<Vec<u8>>, Failed> {
    returned(HostCall::GetBuffer, |data, to_size| {
        // SAFETY: both pointers are to live locals of `returned`.
        unsafe { imports::proxy_get_buffer_bytes(buffer as u32, 0, size, data, to_size) }
    })
}

/// Octets from the host's cryptographic generator.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failed> {
    let mut octets = [0; N];
    // SAFETY: the pointer and the length are those of a live array.
    let status = unsafe { imports::random_get(octets.as_mut_ptr(), N) };
    done(HostCall::RandomGet, status)?;
    // A host that says Ok and writes nothing would give every VM the same ids.
    if octets == [0; N] { Err(Failed { call: HostCall::RandomGet, status: OK }) } else { Ok(octets) }
}

#[inline]
const fn done(call: HostCall, status: u32) -> Result<(), Failed> {
    if status == OK { Ok(()) } else { Err(Failed { call, status }) }
}

/// Makes a call that returns a buffer, and takes the buffer into our hands once.
#[inline]
fn returned(
    call: HostCall,
    make: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Option<Vec<u8>>, Failed> {
    let mut data = null_mut();
    let mut size = 0;
    match make(&raw mut data, &raw mut size) {
        OK if data.is_null() && size == 0 => Ok(Some(Vec::new())),
        OK if data.is_null() => Err(Failed { call, status: OK }),
        // SAFETY: on Ok the host returns what it got from our `proxy_on_memory_allocate`, which makes a boxed slice of
        // that many octets and forgets it; nobody else has the pointer.
        OK => Ok(Some(unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec())),
        NOT_FOUND => Ok(None),
        status => Err(Failed { call, status }),
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.call.label();
        match self.status {
            OK => write!(f, "the answer to the host call {call} is malformed"),
            status => write!(f, "the host call {call} answered status {status}"),
        }
    }
}
