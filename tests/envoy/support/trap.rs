//! The filter as it is built, with one request that makes it trap.

use std::fs;
use std::path::PathBuf;

use walrus::ir::BinaryOp;
use walrus::{FunctionBuilder, Module, ValType};

use super::client::request;
use super::{Scratch, module};

/// A request with as many header lines makes the module of [`trapping`] trap.
const TRAPS_FROM: i32 = 50;

/// Writes a copy of the module under test that traps on [`trap`], and is the filter for every other request. No input makes the
/// filter itself trap, so a test of what Envoy does then needs one that can.
pub(crate) fn trapping(scratch: &Scratch) -> PathBuf {
    const CALLBACK: &str = "proxy_on_request_headers";
    let bytes = fs::read(module()).expect("the module");
    let mut module = Module::from_buffer(&bytes).expect("a module");
    let original = module.exports.get_func(CALLBACK).expect("a callback");
    let parameters = [ValType::I32; 3];
    let locals = parameters.map(|kind| module.locals.add(kind));
    let [stream, headers, is_end] = locals;
    let mut guard = FunctionBuilder::new(&mut module.types, &parameters, &[ValType::I32]);
    guard
        .func_body()
        .local_get(headers)
        .i32_const(TRAPS_FROM)
        .binop(BinaryOp::I32GeS)
        .if_else(
            None,
            |then| {
                then.unreachable();
            },
            |_| {},
        )
        .local_get(stream)
        .local_get(headers)
        .local_get(is_end)
        .call(original);
    let guard = guard.finish(locals.to_vec(), &mut module.funcs);
    module.exports.remove(CALLBACK).expect("a callback");
    module.exports.add(CALLBACK, guard);
    let path = scratch.path("trapping.wasm");
    fs::write(&path, module.emit_wasm()).expect("the copy");
    path
}

/// The request that makes that module trap.
pub(crate) fn trap() -> Vec<u8> {
    let count = usize::try_from(TRAPS_FROM).expect("a number");
    request("/", &vec![("x-many", &b"1"[..]); count])
}
