//! `tracewarden explain`: what it understands, what it answers, and that its answers are the filter's.
#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod answers;
mod command;
mod compare;
mod decisions;
mod edge;
#[path = "../command/mod.rs"]
mod end;
mod forms;
#[path = "../../../tests/native/host.rs"]
mod host;
mod hostile;
mod left_out;
#[path = "../../../tests/native/edge.rs"]
mod native;
mod rules;
#[path = "../../../tests/scenarios/mod.rs"]
mod scenarios;
