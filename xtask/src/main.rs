//! `xtask prune MODULE EXPORTS OUT`: keeps the listed exports of a module, and removes what nothing else needs.
//! `xtask wat TEXT OUT`: assembles a module written by hand.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

const USAGE: &str = "usage: xtask prune MODULE EXPORTS OUT
       xtask wat TEXT OUT

prune: writes to OUT the WebAssembly module MODULE with only the exports listed in EXPORTS (one a line; # begins a
comment), without the code that then nothing reaches.
wat: writes to OUT the module whose text is in TEXT; only if built with `--features wat`.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["prune", module, exports, out] => {
            conclude("prune", prune(module.as_ref(), exports.as_ref(), out.as_ref()))
        }
        #[cfg(feature = "wat")]
        ["wat", text, out] => conclude("wat", assemble(text.as_ref(), out.as_ref())),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn conclude(command: &str, done: Result<(), Box<dyn Error>>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask {command}: {problem}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "wat")]
fn assemble(text: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    fs::write(out, wat::parse_file(text)?).map_err(at(out))?;
    Ok(())
}

fn prune(module_path: &Path, exports_path: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let list = fs::read_to_string(exports_path).map_err(at(exports_path))?;
    let wanted: BTreeSet<&str> = list
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
        .collect();
    let octets = fs::read(module_path).map_err(at(module_path))?;
    // The names of functions are a fifth of the module, and only a trap would show them.
    let mut module = walrus::ModuleConfig::new().generate_name_section(false).parse(&octets)?;

    let unwanted: Vec<_> =
        module.exports.iter().filter(|e| !wanted.contains(e.name.as_str())).map(|e| e.id()).collect();
    for export in unwanted {
        module.exports.delete(export);
    }
    let kept: BTreeSet<&str> = module.exports.iter().map(|export| export.name.as_str()).collect();
    // Envoy takes a callback that is not there for one that is not wanted, and says nothing.
    if let Some(missing) = wanted.difference(&kept).next() {
        return Err(format!(
            "{} does not export {missing}, which {} lists",
            show(module_path),
            show(exports_path)
        )
        .into());
    }
    walrus::passes::gc::run(&mut module);
    let pruned = module.emit_wasm();
    if fs::read(out).is_ok_and(|present| present == pruned) {
        return Ok(());
    }
    // Whoever loads the module while it is written gets the old one or the new one.
    let draft = out.with_extension("wasm.draft");
    fs::write(&draft, pruned).map_err(at(&draft))?;
    fs::rename(&draft, out).map_err(at(out))?;
    Ok(())
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = show(path);
    move |error| format!("{path}: {error}")
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
