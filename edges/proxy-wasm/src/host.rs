//! The host's calls: byte slices in, statuses out.

use core::fmt;
use core::num::NonZeroU32;
use core::ptr::{null_mut, slice_from_raw_parts_mut};

use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, Status};
use tracewarden::headers::Headers;
use tracewarden::words::HostCall;

use crate::header_map;

type In = *const u8;
type Out = *mut *mut u8;
type Size = *mut usize;

// Calls made without the SDK's wrapper, each with the reason: what the wrapper does that a filter must not do.
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    // Panics on every status but Ok, and the SDK's logger unwraps its result.
    fn proxy_log(level: LogLevel, message: In, message_len: usize) -> u32;
    // Panics on every status but Ok and NotFound.
    fn proxy_get_buffer_bytes(buffer: BufferType, start: usize, max: usize, data: Out, size: Size) -> u32;
    // Panics on every status but Ok and on a name that is not UTF-8, and copies every line.
    fn proxy_get_header_map_pairs(map: MapType, data: Out, size: Size) -> u32;
    // Panics on every status but Ok and NotFound.
    fn proxy_get_header_map_value(map: MapType, key: In, key_len: usize, data: Out, size: Size) -> u32;
    // Panics on every status but Ok.
    fn proxy_replace_header_map_value(map: MapType, key: In, key_len: usize, value: In, len: usize) -> u32;
    // Panics on every status but Ok.
    fn proxy_add_header_map_value(map: MapType, key: In, key_len: usize, value: In, len: usize) -> u32;
    // Panics on every status but Ok.
    fn proxy_remove_header_map_value(map: MapType, key: In, key_len: usize) -> u32;
    // Panics on every status but Ok, NotFound, SerializationFailure and InternalFailure.
    fn proxy_get_property(path: In, path_len: usize, data: Out, size: Size) -> u32;
    // Panics on every status but Ok.
    fn proxy_set_property(path: In, path_len: usize, value: In, value_len: usize) -> u32;
    // Panics on every status but Ok and NotFound.
    fn proxy_get_shared_data(key: In, key_len: usize, data: Out, size: Size, cas: *mut u32) -> u32;
    // Panics on every status but Ok and CasMismatch.
    fn proxy_set_shared_data(key: In, key_len: usize, value: In, value_len: usize, cas: u32) -> u32;
    // Panics on every status but Ok.
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    // Panics on every status but Ok.
    fn proxy_define_metric(kind: MetricType, name: In, name_len: usize, id: *mut u32) -> u32;
    // Panics on every status but Ok, NotFound and BadArgument.
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    // Panics on every status but Ok, NotFound and BadArgument.
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    // Panics on every status but Ok and NotFound.
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    // Panics on every status but Ok.
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    // Panics on every status but Ok, NotFound, BadArgument, SerializationFailure and InternalFailure.
    fn proxy_call_foreign_function(
        name: In,
        name_len: usize,
        arguments: In,
        arguments_len: usize,
        data: Out,
        size: Size,
    ) -> u32;
}

// The SDK has none of these, and the standard library ends the VM if the host gives no environment.
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(buffer: *mut u8, size: usize) -> u32;
    fn environ_sizes_get(count: Size, size: Size) -> u32;
    fn environ_get(entries: Out, bytes: *mut u8) -> u32;
}

/// A host call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostError {
    pub(crate) call: HostCall,
    pub(crate) cause: Cause,
}

/// What is wrong with a host's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// This status, which is not Ok.
    Status(u32),
    /// The status is Ok, and the data that came with it is malformed.
    Malformed,
}

const OK: u32 = Status::Ok as u32;
pub(crate) const NOT_FOUND: u32 = Status::NotFound as u32;
pub(crate) const INTERNAL_FAILURE: u32 = Status::InternalFailure as u32;
/// The SDK has no name for it.
pub(crate) const UNIMPLEMENTED: u32 = 12;
/// The highest number of variables, and of their bytes, that is accepted. A host that gives more is at fault.
const MAX_ENVIRONMENT: usize = 1 << 24;

impl HostError {
    /// The data that came with Ok is malformed.
    pub(crate) const fn malformed(call: HostCall) -> Self {
        Self { call, cause: Cause::Malformed }
    }

    pub(crate) const fn status(call: HostCall, status: u32) -> Self {
        Self { call, cause: Cause::Status(status) }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.call.label();
        match self.cause {
            Cause::Malformed => write!(f, "the answer to the host call {call} is malformed"),
            Cause::Status(status) => write!(f, "the host call {call} answered status {status}"),
        }
    }
}

/// Writes a line to Envoy's log. A refusal is ignored, because there is no other place to report it.
pub(crate) fn log(level: LogLevel, message: &str) {
    // SAFETY: the pointer and the length are those of a slice that outlives the call.
    unsafe { proxy_log(level, message.as_ptr(), message.len()) };
}

/// The plugin's configuration, which has `size` bytes.
pub(crate) fn plugin_configuration(size: usize) -> Result<Vec<u8>, HostError> {
    match buffer(BufferType::PluginConfiguration, size)? {
        Some(bytes) if bytes.len() == size => Ok(bytes),
        Some(_) => Err(HostError::malformed(HostCall::GetBuffer)),
        None => Err(HostError::status(HostCall::GetBuffer, NOT_FOUND)),
    }
}

/// The plugin's configuration, of any size, if the host shows it already: Envoy does while it makes the first plugin of a VM.
pub(crate) fn announced_configuration() -> Result<Option<Vec<u8>>, HostError> {
    buffer(BufferType::PluginConfiguration, usize::MAX)
}

/// All headers of a map that must exist.
pub(crate) fn headers(map: MapType) -> Result<Headers, HostError> {
    match pairs(map)? {
        Some(bytes) if !bytes.is_empty() => parsed(bytes),
        Some(_) => Err(HostError::malformed(HostCall::GetHeaders)),
        None => Err(HostError::status(HostCall::GetHeaders, NOT_FOUND)),
    }
}

/// All headers of a map, which is empty if there is none.
pub(crate) fn headers_if_any(map: MapType) -> Result<Headers, HostError> {
    parsed(pairs(map)?.unwrap_or_default())
}

fn parsed(bytes: Vec<u8>) -> Result<Headers, HostError> {
    header_map::parse(bytes).ok_or(HostError::malformed(HostCall::GetHeaders))
}

fn pairs(map: MapType) -> Result<Option<Vec<u8>>, HostError> {
    returned(HostCall::GetHeaders, |data, size| {
        // SAFETY: both pointers are to live locals of `returned`.
        unsafe { proxy_get_header_map_pairs(map, data, size) }
    })
}

/// The first line of a header, if there is one.
pub(crate) fn header(map: MapType, name: &str) -> Result<Option<Vec<u8>>, HostError> {
    returned(HostCall::GetHeader, |data, size| {
        // SAFETY: the name is a slice that outlives the call, the rest are live locals of `returned`.
        unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size) }
    })
}

/// Makes `value` the header's only line.
pub(crate) fn replace_header(map: MapType, name: &str, value: &[u8]) -> Result<(), HostError> {
    let (value, size) = (value.as_ptr(), value.len());
    // SAFETY: the pointers and lengths are those of slices that outlive the call.
    done(HostCall::ReplaceHeader, unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value, size)
    })
}

/// Appends a line to a header.
pub(crate) fn add_header(map: MapType, name: &str, value: &[u8]) -> Result<(), HostError> {
    let (value, size) = (value.as_ptr(), value.len());
    // SAFETY: the pointers and lengths are those of slices that outlive the call.
    done(HostCall::AddHeader, unsafe {
        proxy_add_header_map_value(map, name.as_ptr(), name.len(), value, size)
    })
}

/// Removes all lines of a header.
pub(crate) fn remove_header(map: MapType, name: &str) -> Result<(), HostError> {
    // SAFETY: the pointer and the length are those of a slice that outlives the call.
    done(HostCall::RemoveHeader, unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// A property, its path's parts joined by NUL, or `None` if the host does not have it.
pub(crate) fn property(path: &str) -> Result<Option<Vec<u8>>, HostError> {
    returned(HostCall::GetProperty, |data, size| {
        // SAFETY: the path is a slice that outlives the call, the rest are live locals of `returned`.
        unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }
    })
}

/// Writes a property of the stream; Envoy puts `wasm.` before its name.
pub(crate) fn set_property(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the pointers and lengths are those of slices that outlive the call.
    done(HostCall::SetProperty, unsafe {
        proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// The value that a VM of this Envoy with our `vm_id` wrote under the key, and its version.
pub(crate) fn shared_data(key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    let mut version = 0;
    let value = returned(HostCall::GetSharedData, |data, size| {
        // SAFETY: the key is a slice that outlives the call, the rest are live locals.
        unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version) }
    })?;
    Ok(value.map(|value| (value, version)))
}

/// Writes a value for every VM of this Envoy with our `vm_id`, and says whether it did: not if another VM has written since
/// this version. Any version is replaced with `None`.
pub(crate) fn set_shared_data(key: &str, value: &[u8], version: Option<u32>) -> Result<bool, HostError> {
    // SAFETY: the pointers and lengths are those of slices that outlive the call.
    let status = unsafe {
        proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version.unwrap_or(0))
    };
    if status == Status::CasMismatch as u32 {
        return Ok(false);
    }
    done(HostCall::SetSharedData, status).map(|()| true)
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> Result<u64, HostError> {
    let mut time = 0;
    // SAFETY: `time` is live.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    done(HostCall::GetTime, status).map(|()| time)
}

/// The environment variables, each `NAME=value` and a NUL.
pub(crate) fn environment() -> Result<Vec<u8>, HostError> {
    let (mut count, mut size) = (0, 0);
    // SAFETY: both are live.
    done(HostCall::Environment, unsafe { environ_sizes_get(&raw mut count, &raw mut size) })?;
    if count == 0 || size == 0 {
        return Ok(Vec::new());
    }
    if count > MAX_ENVIRONMENT || size > MAX_ENVIRONMENT {
        return Err(HostError::malformed(HostCall::Environment));
    }
    let (mut entries, mut bytes) = (vec![null_mut(); count], vec![0; size]);
    // SAFETY: the host said how many entries and bytes there are, and both buffers have that size.
    done(HostCall::Environment, unsafe { environ_get(entries.as_mut_ptr(), bytes.as_mut_ptr()) })?;
    Ok(bytes)
}

/// Defines a metric. Every call makes a new id, even for a name that has one.
pub(crate) fn define_metric(kind: MetricType, name: &str) -> Result<NonZeroU32, HostError> {
    let mut id = 0;
    // SAFETY: the name is a slice that outlives the call, and `id` is live.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) };
    done(HostCall::DefineMetric, status)?;
    NonZeroU32::new(id).ok_or(HostError::malformed(HostCall::DefineMetric))
}

/// Adds to a counter or a gauge.
pub(crate) fn increment(metric: NonZeroU32, by: i64) -> Result<(), HostError> {
    // SAFETY: the call takes numbers only.
    done(HostCall::IncrementMetric, unsafe { proxy_increment_metric(metric.get(), by) })
}

/// What a gauge says.
pub(crate) fn metric(metric: NonZeroU32) -> Result<u64, HostError> {
    let mut value = 0;
    // SAFETY: the host writes the number, which lives longer than the call.
    done(HostCall::GetMetric, unsafe { proxy_get_metric(metric.get(), &raw mut value) })?;
    Ok(value)
}

/// Sets a gauge, or adds a value to a histogram.
pub(crate) fn record(metric: NonZeroU32, value: u64) -> Result<(), HostError> {
    // SAFETY: the call takes numbers only.
    done(HostCall::RecordMetric, unsafe { proxy_record_metric(metric.get(), value) })
}

/// Calls a function that only some hosts have, which answers with bytes.
pub(crate) fn call_foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
    let call = HostCall::CallForeignFunction;
    let answer = returned(call, |data, size| {
        let (arguments, arguments_size) = (arguments.as_ptr(), arguments.len());
        // SAFETY: the name and the arguments are slices that outlive the call, the rest are live locals of `returned`.
        unsafe {
            proxy_call_foreign_function(name.as_ptr(), name.len(), arguments, arguments_size, data, size)
        }
    })?;
    answer.ok_or(HostError::status(call, NOT_FOUND))
}

/// Asks for a tick of the plugin in every period. 0 ends the ticks.
pub(crate) fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: the call takes a number only.
    done(HostCall::SetTickPeriod, unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// At most the first `size` bytes of a buffer.
pub(crate) fn buffer(buffer: BufferType, size: usize) -> Result<Option<Vec<u8>>, HostError> {
    returned(HostCall::GetBuffer, |data, to_size| {
        // SAFETY: both pointers are to live locals of `returned`.
        unsafe { proxy_get_buffer_bytes(buffer, 0, size, data, to_size) }
    })
}

/// Bytes from the host's cryptographic generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], HostError> {
    let mut bytes = [0; N];
    // SAFETY: the pointer and the length are those of a live array.
    done(HostCall::RandomGet, unsafe { random_get(bytes.as_mut_ptr(), N) })?;
    // A host that says Ok and writes nothing would give every VM the same ids.
    if bytes == [0; N] { Err(HostError::malformed(HostCall::RandomGet)) } else { Ok(bytes) }
}

#[inline]
const fn done(call: HostCall, status: u32) -> Result<(), HostError> {
    if status == OK { Ok(()) } else { Err(HostError::status(call, status)) }
}

/// Makes a call that returns a buffer, and takes the buffer into our hands once.
#[inline]
fn returned(
    call: HostCall,
    make: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Option<Vec<u8>>, HostError> {
    let mut data = null_mut();
    let mut size = 0;
    match make(&raw mut data, &raw mut size) {
        OK if data.is_null() && size == 0 => Ok(Some(Vec::new())),
        OK if data.is_null() => Err(HostError::malformed(call)),
        // SAFETY: on Ok the host returns what it got from the SDK's `proxy_on_memory_allocate`, which makes a boxed slice
        // of that many bytes and forgets it. No one else has the pointer.
        OK => Ok(Some(unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec())),
        NOT_FOUND => Ok(None),
        status => Err(HostError::status(call, status)),
    }
}
