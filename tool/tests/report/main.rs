//! `tracewarden report`, as people and programs call it.
#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod baseline;
mod calls;
#[path = "../command/mod.rs"]
mod command;
#[path = "../demo/mod.rs"]
mod demo;
mod findings;
mod options;
mod prometheus;
mod real;
mod refusals;
#[path = "../server/mod.rs"]
mod server;
mod sources;
mod support;
mod terminal;
mod text;
mod watch;
mod workloads;
