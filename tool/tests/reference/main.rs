//! The references against the filter: neither may know what the other does not.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

mod agreement;
mod committed;
mod corpus;
mod document;
mod environment;
#[path = "../fences/mod.rs"]
mod fences;
mod fields;
mod generator;
mod metrics;
mod repository;
mod schema;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tracewarden::config::Config;
use tracewarden::settings::Faults;

/// What the command prints.
fn printed(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tracewarden")).args(arguments).output().expect("the command starts");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// A file of the repository.
fn file(path: &str) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Loads a configuration as the filter does, where the secrets that examples name are set.
fn load(document: &Value) -> Result<Config, Faults> {
    let secret = |name: &str| SECRETS.contains(&name).then(|| format!("the value of {name}"));
    Config::load(document.to_string().as_bytes(), secret).map(|loaded| loaded.config)
}

const SECRETS: &[&str] = &["TRACE_FORCE_SECRET", "TRUST_SECRET"];
