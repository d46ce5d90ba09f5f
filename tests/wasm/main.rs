//! The built module in the test host: the scenarios, and what only a host of proxy-wasm can see or do.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod edge;
mod export;
mod faults;
mod header_map;
mod lifetime;
mod module;
mod policy;
mod prices;
mod scan;
#[path = "../scenarios/mod.rs"]
mod scenarios;
