//! Replacements of two host calls that the SDK makes itself, without the answers at which it panics.
//!
//! Callouts have to go through the SDK, because its dispatcher only delivers answers to calls that it made. It panics
//! at most statuses of `proxy_http_call`. It calls `proxy_set_effective_context` before it delivers an answer, and
//! panics if that fails. `xtask prune` redirects the SDK's calls of the two to the functions here, as `exports.txt` says.

use proxy_wasm::types::Status;
use tracewarden::words::HostCall;

use crate::host::HostError;
use crate::vm::Vm;

type In = *const u8;

#[link(wasm_import_module = "env")]
#[rustfmt::skip]
unsafe extern "C" {
    fn proxy_http_call(
        cluster: In, cluster_len: usize, headers: In, headers_len: usize, body: In, body_len: usize,
        trailers: In, trailers_len: usize, timeout_ms: u32, token: *mut u32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
}

const OK: u32 = Status::Ok as u32;
const INTERNAL_FAILURE: u32 = Status::InternalFailure as u32;
/// The token before the host writes one. No host gives it out before all others are in use.
const UNWRITTEN: u32 = u32::MAX;

/// Makes a callout. A host error is reported here with its status, and the SDK gets `BadArgument`.
///
/// # Safety
/// Each pointer and length must belong to readable memory, and the token must be writable.
#[unsafe(no_mangle)]
#[rustfmt::skip]
unsafe extern "C" fn guarded_http_call(
    cluster: In, cluster_len: usize, headers: In, headers_len: usize, body: In, body_len: usize,
    trailers: In, trailers_len: usize, timeout_ms: u32, token: *mut u32,
) -> Status {
    // SAFETY: the caller promises the same.
    let (status, token) = unsafe {
        token.write(UNWRITTEN);
        let status = proxy_http_call(
            cluster, cluster_len, headers, headers_len, body, body_len, trailers, trailers_len, timeout_ms, token,
        );
        (status, token.read())
    };
    match status {
        OK if token != UNWRITTEN => return Status::Ok,
        OK => Vm::current().report(HostError::malformed(HostCall::HttpCall)),
        // Envoy's status for a cluster without a healthy host, which is no host error.
        INTERNAL_FAILURE => return Status::InternalFailure,
        _ => Vm::current().report(HostError::status(HostCall::HttpCall, status)),
    }
    Status::BadArgument
}

/// Changes to another context. A failure loses nothing: Envoy delivers an answer in the context that made the callout.
#[unsafe(no_mangle)]
extern "C" fn guarded_set_effective_context(context: u32) -> Status {
    // SAFETY: the call takes a number only.
    let status = unsafe { proxy_set_effective_context(context) };
    if status != OK {
        Vm::current().report(HostError::status(HostCall::SetEffectiveContext, status));
    }
    Status::Ok
}
