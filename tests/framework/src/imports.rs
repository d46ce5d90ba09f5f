//! The functions a module can import.

/// Defines one import: its arguments, and a body that answers `Ok(())` or, after `->`, bytes for the two pointers
/// named there.
macro_rules! import {
    ($linker:ident, $call:ident($($arg:ident: $type:ty),*), |$guest:ident| $body:expr) => {
        $linker.func_wrap(
            Call::$call.module(),
            Call::$call.name(),
            |caller: Caller<'_, Host>, $($arg: $type),*| Guest::run(caller, Call::$call, |$guest| $body),
        )?
    };
    (
        $linker:ident, $call:ident($($arg:ident),*) -> ($data:ident, $size:ident $(, $more:ident)*),
        |$guest:ident| $body:expr
    ) => {
        $linker.func_wrap(
            Call::$call.module(),
            Call::$call.name(),
            |caller: Caller<'_, Host>, $($arg: u32,)* $data: u32, $size: u32 $(, $more: u32)*| {
                Guest::give(caller, Call::$call, Slot { data: $data, size: $size }, |$guest| $body)
            },
        )?
    };
}

mod headers;
mod proxy;
mod stats;
mod wasi;

use wasmtime::Linker;

use crate::Host;

/// Defines every import this host implements.
pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    headers::link(linker)?;
    proxy::link(linker)?;
    proxy::link_calls(linker)?;
    stats::link(linker)?;
    wasi::link(linker)
}
