//! What is written about the command for a machine that has it installed: its version, manual pages, and completions.

use std::path::Path;
use std::sync::LazyLock;

use clap::Command;
use clap_complete::Shell;
use serde_json::json;

use crate::Said;

/// The name of the program.
const NAME: &str = "tracewarden";

/// The commit that it was built from. Cargo gives none to `cargo install` from another directory.
const REVISION: Option<&str> = option_env!("TRACEWARDEN_REVISION");

/// The version, with the revision behind it if that is known.
pub(crate) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| match REVISION {
        None | Some("unknown") => env!("CARGO_PKG_VERSION").to_owned(),
        Some(revision) => format!("{} ({revision})", env!("CARGO_PKG_VERSION")),
    });
    &VERSION
}

/// A script that completes the command in a shell. The library ends with a panic if it cannot write, so it writes to memory.
pub(crate) fn completions(mut command: Command, shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes the manual pages into a directory.
pub(crate) fn pages(command: Command, directory: &Path) -> Result<Said, String> {
    let place = directory.display();
    if !directory.is_dir() {
        return Err(format!("{place}: expected a directory that exists; make it with mkdir -p"));
    }
    clap_mangen::generate_to(command, directory).map_err(|problem| format!("{place}: {problem}"))?;
    Ok(Said {
        status: 0,
        lines: format!("Wrote the manual pages into {place}. Read them with: man -l {place}/{NAME}.1\n"),
        value: json!({ "directory": directory }),
    })
}
