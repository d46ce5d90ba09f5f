//! `tracewarden check` on everything that a user has at hand.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "../command/mod.rs"]
mod command;

mod codes;
mod doubts;
mod envoy;
mod idle;
mod inputs;
mod kubernetes;
mod lines;
mod live;
mod output;
#[path = "../envoy/mod.rs"]
mod program;
mod proxy;
mod repository;
mod running;
mod support;
