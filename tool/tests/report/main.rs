//! `tracewarden report`, as people and programs call it.
#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod audit;
mod backend;
mod calls;
#[path = "../command/mod.rs"]
mod command;
mod findings;
mod options;
mod prometheus;
mod real;
mod refusals;
mod support;
mod text;
