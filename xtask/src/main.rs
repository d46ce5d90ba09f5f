//! The build steps that cargo has no command for. `xtask --help` lists them.

mod blame;
mod changelog;
mod chart;
mod command;
mod dependencies;
mod files;
mod image;
mod licences;
mod module;
mod project;
mod prune;
mod release;
mod sbom;
mod toolchain;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use xshell::Shell;

/// The build steps that cargo has no command for.
///
/// Run image and release in the work tree that MODULE was built from.
#[derive(Parser)]
enum Step {
    /// Write MODULE to OUT with only the exports and imports in LIST, and without the code that these do not reach.
    ///
    /// LIST has one per line, and # starts a comment. An import has its module before its name: env.proxy_log. Calls of
    /// env.NAME = FUNCTION go to that exported function. An import that is not in LIST traps.
    Prune { module: PathBuf, list: PathBuf, out: PathBuf },
    /// Assemble the module in the text format TEXT.
    Wat { text: PathBuf, out: PathBuf },
    /// Write a test of promtool's to OUT from the situations in ROWS, and print them as a table in Markdown.
    Blame { rows: PathBuf, out: PathBuf },
    /// Pack MODULE into two OCI image layouts, DIRECTORY/artifact and DIRECTORY/compat.
    Image { module: PathBuf, directory: PathBuf },
    /// Write MODULE, its images and chart, the commands, checksums, bills of materials, licences and changes into
    /// DIRECTORY/tracewarden-VERSION.
    Release(release::Parts),
}

fn main() -> ExitCode {
    match run(Step::parse()) {
        Ok(text) => {
            // A reader that closed its end wants no more.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("xtask {}: {problem:#}", env::args().nth(1).unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

/// The text for standard output, or why the step failed.
fn run(step: Step) -> anyhow::Result<String> {
    let sh = &Shell::new()?;
    match step {
        Step::Prune { module, list, out } => prune::prune(sh, &module, &list, &out),
        Step::Wat { text, out } => Ok(sh.write_file(out, wat::parse_file(text)?).map(|()| String::new())?),
        Step::Blame { rows, out } => blame::write(sh, &rows, &out),
        Step::Image { module, directory } => image::write(sh, &module, &directory),
        Step::Release(parts) => release::write(sh, &parts),
    }
}
