//! Tracewarden keeps W3C trace context whole on its way through Envoy, and counts where it is lost or corrupted.
//!
//! The way of a request:
//!
//! 1. [`headers`] scans the header map once, as bytes, for all lines of the trace headers.
//! 2. `propagation` makes of them a context that is absent, valid, or corrupt for one of the reasons of [`w3c`].
//! 3. [`pass`] judges it (one [`metrics::Verdict`]) and counts that, with the reason.
//! 4. A valid context goes on: as it came, or with a parent-id of this hop. A lost or corrupt one is replaced by a
//!    new trace, which [`sampling`] decides about. `mode: observe` stops before this step.
//! 5. On the response, [`pass`] compares what the upstream says of its trace with what it was sent.
//! 6. At the end of the stream, [`span`] makes a span of a hop that is recorded, and [`export`] takes it to a collector.
//!
//! All of that is plain Rust that knows bytes and decisions: what it needs of the host comes through
//! [`pass::Facts`], what it changes goes out through [`pass::Sink`]. Only `wasm`, which is compiled for the
//! WebAssembly target alone, knows proxy-wasm; it makes the [`config::Config`] when Envoy loads the plugin.
//!
//! ```
//! use tracewarden::w3c::{TraceParent, TraceParentError};
//!
//! let sent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! let context = TraceParent::parse(sent)?;
//! assert!(context.flags.is_sampled());
//! assert_eq!(context.to_bytes(), *sent);
//!
//! let mangled = sent.to_ascii_uppercase();
//! assert_eq!(TraceParent::parse(&mangled), Err(TraceParentError::UpperCase));
//! # Ok::<(), TraceParentError>(())
//! ```

mod answer;
mod baggage;
mod base64;
pub mod config;
pub mod correlation;
pub mod egress;
pub mod exclude;
pub mod export;
pub mod headers;
pub mod labels;
mod matching;
pub mod metrics;
pub mod notice;
pub mod otlp;
pub mod pass;
pub mod propagation;
mod request_id;
pub mod resource;
pub mod sampling;
mod secret;
pub mod span;
pub mod trust;
pub mod w3c;
#[cfg(target_family = "wasm")]
mod wasm;
