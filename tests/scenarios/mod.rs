//! The scenario tables. Both edges run them: the core in a native host, and the built module in a host of proxy-wasm.
//! `crate::edge` is the one that runs them here.

mod access_log;
mod attributes;
mod audit;
mod border;
mod budget;
mod collector;
mod correlation;
mod egress;
pub(crate) mod export;
mod formats;
pub(crate) mod hop;
mod keep;
mod lifetime;
mod notices;
#[path = "../data/otlp.rs"]
mod otlp;
mod policy;
mod propagation;
mod redirects;
mod requests;
mod response_border;
mod responses;
mod routes;
mod second_trace;
mod spans;
pub(crate) mod support;
mod trust;
#[path = "../data/vectors.rs"]
mod vector_data;
mod vectors;
