//! The build steps that cargo has no command for. `xtask --help` lists them.

mod changelog;
mod dependencies;
mod files;
mod image;
mod imports;
mod layout;
mod licences;
mod module;
mod project;
mod prune;
mod release;
mod sbom;
mod toolchain;

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

const USAGE: &str = "usage: xtask prune MODULE LIST OUT
       xtask wat TEXT OUT
       xtask image MODULE DIRECTORY
       xtask release MODULE DIRECTORY

prune: writes MODULE to OUT with only the exports and imports in LIST (one per line, # starts a comment) and without the
code that these do not reach. An import has its module before its name: env.proxy_log. Calls of env.NAME = FUNCTION go
to that exported function. An import that is not in LIST traps.
wat: assembles the module in the text format TEXT.
image: packs MODULE into two OCI image layouts, DIRECTORY/artifact and DIRECTORY/compat.
release: writes MODULE, its images, checksums, bill of materials, licences and changes into
DIRECTORY/tracewarden-VERSION.

Run image and release in the work tree that MODULE was built from.
";

/// The text for standard output, or why the command failed.
type Outcome = Result<String, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["prune", module, exports, out] => prune::prune(module.as_ref(), exports.as_ref(), out.as_ref()),
        ["wat", text, out] => prune::assemble(text.as_ref(), out.as_ref()),
        ["image", module, directory] => image::write(module, directory.as_ref()),
        ["release", module, directory] => release::write(module.as_ref(), directory.as_ref()),
        ["--help" | "-h"] => Ok(USAGE.to_owned()),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(text) => {
            // A reader that closed its end wants no more.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("xtask {}: {problem}", words.first().unwrap_or(&""));
            ExitCode::FAILURE
        }
    }
}
