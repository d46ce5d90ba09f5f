//! The filter in the real Envoy.
#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod correlation;
mod hostile;
mod ids;
mod mesh;
mod mixed;
mod protocols;
mod refused;
mod reload;
mod replies;
mod routing;
mod support;
#[path = "../data/vectors.rs"]
mod vector_data;
mod vectors;
