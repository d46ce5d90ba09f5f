//! The core, without a host: tables whose rows name the rule that they stand for.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod config;
mod documents;
mod environment;
mod formats;
mod headers;
mod hop;
mod imports;
mod metrics;
mod names;
mod rules;
mod sampling;
mod settings;
mod tables;
mod value;
mod w3c;
