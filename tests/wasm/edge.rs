//! The edge that the scenarios run on: the built module in the test host.

use std::path::PathBuf;
use std::sync::LazyLock;

use proxy_wasm_test_framework::{Host, Module};
pub(crate) use proxy_wasm_test_framework::{RootId, StreamId, Vm};

/// The built module, compiled once.
pub(crate) static MODULE: LazyLock<Module> = LazyLock::new(|| {
    let path = module_path();
    Module::load(&path).unwrap_or_else(|e| panic!("{e}\nThe module is missing or bad: run `make build`."))
});

/// Where `make build` leaves the module.
pub(crate) fn module_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tracewarden.wasm")
}

/// A VM in that host.
pub(crate) fn start(host: Host) -> Vm {
    Vm::with(&MODULE, host).expect("the module starts")
}
