//! The scenarios in the built module, in a host of proxy-wasm that another project wrote: `make second-host`.

mod edge;
#[path = "../scenarios/mod.rs"]
mod scenarios;
mod services;
mod stream;
