//! Tracewarden keeps W3C trace context intact on its way through a proxy, and counts where it is lost or corrupted.
//!
//! This crate is the core: it knows bytes and decisions, no proxy and no clock. What it needs of a host are the small
//! traits of [`host`]; an edge, such as `edges/proxy-wasm`, implements them.
//!
//! The way of a request through a [`filter::Filter`]:
//!
//! 1. The edge builds its [`headers::Headers`] once; every stage asks them by name.
//! 2. [`request`] takes it through four stages: *extract* reads the context in the configured [`formats`]; *assess* gives
//!    the verdict, one of [`words::Verdict`], and the next step; *sample* asks the [`sampling`] rules and plans what is to
//!    be written; *apply* writes it. Each verdict, reason and repair is counted in [`metrics`]. With `mode: observe`
//!    nothing is sampled or written.
//! 3. On the response, [`response`] compares what the upstream says of its trace with what it was sent.
//! 4. When the stream has ended, [`span`] makes the spans of a hop that is recorded, and [`export`] takes them to a
//!    collector.
//!
//! With the option `hop`, two filters of one stream tell what the proxy itself did to its context between them: [`hop`].
//!
//! [`config`] reads the configuration of all of these. Modules import in one direction: [`words`] and [`headers`] are at
//! the bottom, then [`w3c`], [`formats`], [`sampling`] and [`trust`], then the passes, then [`config`], then [`filter`].
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

pub mod access_log;
mod baggage;
mod base64;
pub mod config;
pub mod correlation;
pub mod egress;
pub mod exclude;
pub mod export;
pub mod filter;
pub mod formats;
pub mod headers;
pub mod hop;
pub mod host;
mod matching;
pub mod metrics;
pub mod names;
pub mod notice;
pub mod otlp;
mod redirect;
pub mod request;
mod request_id;
pub mod resource;
pub mod response;
pub mod sampling;
mod second_trace;
mod secret;
pub mod settings;
pub mod span;
pub mod trust;
pub mod w3c;
pub mod words;
