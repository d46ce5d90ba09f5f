//! The filter in the real Envoy.
#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod after_tracer;
mod alerts;
mod border;
mod budget;
mod callers;
mod calls;
mod correlation;
mod counted_by;
mod crowd;
mod dashboards;
mod demo;
mod destination;
mod discovery;
mod edge;
mod exceptions;
mod export;
mod failures;
mod grpc_web;
mod hop;
mod hostile;
mod http3;
mod ids;
mod mesh;
mod mistakes;
mod mixed;
mod otlp;
mod privacy;
mod protocols;
mod refused;
mod reload;
mod replies;
mod restricted;
mod routing;
mod second_trace;
mod spans;
mod support;
mod tracer;
#[path = "../data/otlp.rs"]
mod uploads;
#[path = "../data/vectors.rs"]
mod vector_data;
mod vectors;
