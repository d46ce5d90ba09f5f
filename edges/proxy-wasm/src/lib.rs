//! Tracewarden's HTTP filter for proxy-wasm hosts, Envoy above all: the edge between a host and the core, [`tracewarden`].
//!
//! The contexts, the dispatcher, callouts, types and the `log` crate are those of the SDK, [`proxy_wasm`]. The host calls
//! that are made without it are in `host.rs`, each with the reason.
//!
//! A request takes this way: the dispatcher has a `Plugin` make an `Exchange`. On each callback, `Callback` is the host as
//! the core sees it, and turns the core's questions and edits into host calls. When the stream has ended, its spans go to
//! the plugin's exporter, which sends them on one of the next ticks.
//!
//! No header and no status of a host call ends the VM. A host error is counted and logged once for each call, and the
//! request continues.
//!
//! # What only a host that breaks the protocol can do
//! The dispatcher finds contexts and callouts by their numbers. It panics, which ends the VM:
//!
//! - at a callback for a context that was never made, or is deleted;
//! - at a context that is made a second time, or for a plugin that does not exist;
//! - at an answer to a callout that was never made, or is answered;
//! - at a callout that is given the number of another that is not answered.
//!
//! It ignores the answer to a callout whose plugin is deleted.

mod build_info;
mod callback;
mod counters;
mod environment;
mod exchange;
#[cfg(target_family = "wasm")]
mod guards;
pub mod header_map;
mod heartbeat;
mod host;
mod logger;
mod plugin;
mod properties;
mod stream_info;
mod ticks;
mod vm;
mod work;

#[cfg(target_family = "wasm")]
mod entry {
    proxy_wasm::main! {{
        crate::start();
    }}
}

/// Registers the plugin's constructor with the SDK, and sends log lines to the host. The host calls this first.
pub fn start() {
    logger::start();
    proxy_wasm::set_root_context(|id| Box::new(plugin::Plugin::new(vm::Vm::current(), id)));
}
