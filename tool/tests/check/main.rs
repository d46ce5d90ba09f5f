//! `tracewarden check` on everything that a user has at hand.
#![expect(clippy::expect_used, reason = "a test may fail")]

#[path = "../command/mod.rs"]
mod command;

mod codes;
mod doubts;
mod envoy;
mod inputs;
mod kubernetes;
mod lines;
mod output;
mod repository;
mod support;
