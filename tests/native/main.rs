//! The scenarios on the core alone, in a host that is a plain struct.
#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod edge;
mod export;
mod host;
#[path = "../scenarios/mod.rs"]
mod scenarios;
