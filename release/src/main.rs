//! `tracewarden-release image MODULE DIRECTORY`: packs the built module into OCI image layouts.
//! `tracewarden-release release MODULE DIRECTORY`: puts together what a release consists of.

mod changelog;
mod dependencies;
mod files;
mod image;
mod layout;
mod licences;
mod module;
mod project;
mod release;
mod sbom;
mod toolchain;

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use files::sha256;
use image::Image;
use module::Module;
use project::Project;

const USAGE: &str = "usage: tracewarden-release image MODULE DIRECTORY
       tracewarden-release release MODULE DIRECTORY

image: writes the module into two OCI image layouts, DIRECTORY/artifact and DIRECTORY/compat.
release: writes the module, its images, checksums, bill of materials, licences and changes into
DIRECTORY/tracewarden-VERSION. Both are run within the work tree that the module was built from.";

/// What a command has to say, or why it failed.
type Said = Result<String, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["image", module, directory] => conclude("image", images(module, directory.as_ref())),
        ["release", module, directory] => conclude("release", release(module, directory.as_ref())),
        ["--help" | "-h"] => conclude("--help", Ok(format!("{USAGE}\n"))),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn conclude(command: &str, said: Said) -> ExitCode {
    match said {
        Ok(text) => {
            // A reader that has gone wants no more of it.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("tracewarden-release {command}: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn images(module_path: &str, directory: &Path) -> Said {
    let module = Module::read(module_path.as_ref())?;
    let tag = module.tag();
    let image = format!("REGISTRY/tracewarden:{tag}");
    let mut digests = format!("sha256:{}  {module_path}\n", sha256(&module.octets));
    let mut advice = String::new();
    for Image { variant, purpose, layout } in image::both(&module, &Project::of_work_tree()?)? {
        let path = directory.join(variant);
        layout.write(&path)?;
        let (path, digest) = (path.display(), layout.digest);
        let checksum = digest.trim_start_matches("sha256:");
        writeln!(digests, "{digest}  {path}")?;
        write!(
            advice,
            "\n{variant}: {purpose}\n  \
             skopeo copy --preserve-digests oci:{path}:{tag} docker://{image}\n  \
             WasmPlugin: {{url: 'oci://{image}', sha256: {checksum}}}\n"
        )?;
    }
    Ok(format!("Tracewarden {}, revision {}\n\n{digests}{advice}", module.version, module.revision))
}

fn release(module_path: &str, directory: &Path) -> Said {
    let module = Module::read(module_path.as_ref())?;
    let path = directory.join(format!("tracewarden-{}", module.version));
    let files = release::files(&module, &Project::of_work_tree()?)?;
    files::replace(&path, release::CHECKSUMS, &files)?;
    Ok(files.keys().map(|name| format!("{}\n", path.join(name).display())).collect())
}
