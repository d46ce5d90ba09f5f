//! `tracewarden audit`, as people and programs call it.
#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod backend;
mod bad;
mod causes;
#[path = "../command/mod.rs"]
mod command;
mod counters;
mod formats;
mod odd;
mod random;
mod real;
mod restarts;
#[path = "../server/mod.rs"]
mod server;
mod size;
mod support;
mod text;
