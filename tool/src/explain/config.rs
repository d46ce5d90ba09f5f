//! The configuration that a filter is run with.

use std::path::Path;

use tracewarden::config::{Config, Loaded};
use tracewarden::settings::Value;

use super::escape::printable;
use super::input::MAX_INPUT;
use crate::lines::bounded;

/// A configuration, and the tree that it was read from.
pub(super) struct Configuration {
    pub(super) tree: Value,
    pub(super) config: Config,
    /// What of the environment is ignored.
    pub(super) notices: Vec<String>,
}

/// Reads the configuration of one filter, in JSON or YAML, with the environment variables of this process.
///
/// # Errors
/// The file cannot be read, or the filter refuses what is in it.
pub(super) fn load(file: &Path) -> Result<Configuration, String> {
    let place = printable(file.as_os_str().as_encoded_bytes());
    let refused = |problem: &dyn std::fmt::Display| {
        format!(
            "{place}: the filter refuses it: {problem}\nTo see every fault, run `tracewarden check {place}`."
        )
    };
    let bytes = bounded(file, MAX_INPUT).map_err(|error| format!("{place}: {error}"))?;
    let tree = tree(&bytes).map_err(|problem| refused(&problem))?;
    let Loaded { config, notices } = Config::read(&tree, &environment).map_err(|faults| refused(&faults))?;
    Ok(Configuration { tree, config, notices: notices.iter().map(ToString::to_string).collect() })
}

/// What a text holds: JSON if it begins as an object of JSON does, because the filter reads nothing else; otherwise YAML.
fn tree(bytes: &[u8]) -> Result<Value, String> {
    match bytes.trim_ascii() {
        [] => Ok(Value::Object(Vec::new())),
        [b'{', ..] => serde_json::from_slice(bytes)
            .map_err(|error| format!("configuration: expected valid JSON: {error}")),
        _ => {
            let text =
                std::str::from_utf8(bytes).map_err(|error| format!("expected text in UTF-8: {error}"))?;
            serde_saphyr::from_str(text).map_err(|error| format!("expected valid YAML: {error}"))
        }
    }
}

/// The environment of this process.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
