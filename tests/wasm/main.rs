//! The built module in the test host.
#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod correlation;
mod egress;
mod export;
mod faults;
mod formats;
mod lifetime;
mod module;
mod notices;
#[path = "../data/otlp.rs"]
mod otlp;
mod policy;
mod prices;
mod scenarios;
mod spans;
mod support;
mod trust;
#[path = "../data/vectors.rs"]
mod vector_data;
mod vectors;
