//! Two host calls as the SDK's own code makes them, without the answers at which it panics.
//!
//! Callouts have to go through the SDK, because its dispatcher hands an answer only to calls that it has made. It ends
//! the VM at most statuses of `proxy_http_call`, and at any failure of `proxy_set_effective_context`, which it calls
//! before it hands an answer over. `xtask prune` lets its calls of the two come here.

use proxy_wasm::types::Status;
use tracewarden::words::HostCall;

use crate::host::HostError;
use crate::vm::Vm;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_http_call(
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
    fn proxy_set_effective_context(context: u32) -> u32;
}

const OK: u32 = Status::Ok as u32;
const INTERNAL_FAILURE: u32 = Status::InternalFailure as u32;

/// Makes a callout. What is an error of the host is reported here, with the status that it gave, and is a bad argument to
/// the SDK.
///
/// # Safety
/// As the host call demands: pointers and sizes of memory that is readable, and a token that is writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn guarded_http_call(
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
) -> Status {
    // SAFETY: the caller answers for all of them.
    let (status, token) = unsafe {
        let status = proxy_http_call(
            cluster,
            cluster_size,
            headers,
            headers_size,
            body,
            body_size,
            trailers,
            trailers_size,
            timeout_ms,
            token,
        );
        (status, *token)
    };
    match status {
        // The SDK writes 0 there beforehand, and no host gives it out: it would be the same token at the second time.
        OK if token == 0 => Vm::current().report(HostError::malformed(HostCall::HttpCall)),
        OK => return Status::Ok,
        // What Envoy answers where the cluster has no healthy host, which is no error of its.
        INTERNAL_FAILURE => return Status::InternalFailure,
        _ => Vm::current().report(HostError::status(HostCall::HttpCall, status)),
    }
    Status::BadArgument
}

/// Goes on in another context. The answer to a callout comes in the context that made it, so nothing is lost where the
/// host refuses.
#[unsafe(no_mangle)]
extern "C" fn guarded_set_effective_context(context: u32) -> Status {
    // SAFETY: the call takes a number only.
    let status = unsafe { proxy_set_effective_context(context) };
    if status != OK {
        Vm::current().report(HostError::status(HostCall::SetEffectiveContext, status));
    }
    Status::Ok
}
