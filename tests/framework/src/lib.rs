//! A proxy-wasm host (ABI 0.2.1) for the tests of an HTTP filter.
//!
//! It runs the compiled module as Envoy does and keeps what the module did: the edited headers, the metrics, the
//! logs, the calls it made and the fuel they burnt. What Envoy rarely does can be asked of it too: every host call
//! can be made to answer any status, or to hand out a missing or malformed buffer (see [`Fault`]).
//!
//! - [`Module`] is a compiled filter; one is shared by many VMs.
//! - [`Vm`] is an instance of it: plugins ([`Vm::root`]), streams ([`Vm::stream`]) and their passes.
//! - [`Host`] is everything outside the sandbox: prepared before the VM starts or changed between passes.
//!
//! ```
//! use proxy_wasm_test_framework::{Action, Call, Module, Status, Vm};
//!
//! # let filter = wat::parse_str(r#"(module
//! #   (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
//! #   (memory (export "memory") 1) (data (i32.const 0) "viaus") (func (export "_initialize"))
//! #   (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
//! #     (drop (call $replace (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 2)))
//! #     (i32.const 0)))"#)?;
//! let module = Module::from_bytes(filter)?;
//! let mut vm = Vm::start(&module)?;
//! let root = vm.root(b"{}")?.ok_or("the configuration was refused")?;
//!
//! let stream = vm.stream(root)?;
//! assert_eq!(vm.request(stream, [("via", "them"), ("VIA", "others")])?, Action::Continue);
//! assert_eq!(vm.request_headers(stream).lines("via"), [b"us"]);
//!
//! vm.host_mut().fault(Call::ReplaceHeader, Status::BadArgument);
//! let stream = vm.stream(root)?;
//! vm.request(stream, [("via", "them")])?;
//! assert_eq!(vm.request_headers(stream).get("via"), Some(&b"them"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which headers are readable when
//!
//! As in Envoy, a header map is open during its own pass only, and both are readable again in `proxy_on_log`:
//!
//! | Call | map open | map closed | in `proxy_on_log`, never seen |
//! |---|---|---|---|
//! | get one value | value or `NotFound` | `BadArgument` | `NotFound` |
//! | get all pairs | the pairs | `Ok`, null and 0 | `Ok`, null and 0 |
//! | get the size | bytes | `BadArgument` | `BadArgument` |
//! | add, replace, remove, set all | done | `BadArgument` | `BadArgument`, as for every map in the log phase |
//!
//! A pass that ends in [`Action::Pause`] leaves its map open, until the next pass of the stream.

#![cfg_attr(not(feature = "module"), expect(dead_code, reason = "much of a host serves modules alone"))]

mod abi;
mod calls;
mod context;
mod expressions;
mod faults;
#[cfg(feature = "module")]
mod guest;
mod headers;
mod host;
#[cfg(feature = "module")]
mod imports;
mod metrics;
#[cfg(feature = "module")]
mod module;
mod random;
#[cfg(feature = "module")]
mod vm;

pub use abi::{Action, LogLevel, Status};
pub use calls::Call;
pub use faults::Fault;
pub use headers::HeaderMap;
pub use host::{GrpcCall, Host, HttpAnswer, HttpCall};
pub use metrics::Metrics;
#[cfg(feature = "module")]
pub use module::{Error, Module};
#[cfg(feature = "module")]
pub use vm::{RootId, StreamId, Trap, Vm};
