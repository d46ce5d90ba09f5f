//! The files of a release.

use std::path::PathBuf;

use clap::Args;
use xshell::Shell;

use crate::changelog::changes;
use crate::command::{Command, Zig};
use crate::dependencies::{Built, Dependencies};
use crate::files::{self, Files, archive, sha256};
use crate::module::Module;
use crate::project::{EDGE, EDGE_TARGET, NAME, Project};
use crate::sbom::{self, Library, Part};
use crate::toolchain::{Toolchain, WASI_LIBC};
use crate::{chart, image, licences};

/// The file with which `sha256sum -c` checks all others.
const CHECKSUMS: &str = "SHA256SUMS";
/// The notices of Rust's standard library.
const RUST_NOTICES: &str = "LICENSES-rust.html";

/// What a release is put together from, in addition to the work tree.
#[derive(Args)]
pub(crate) struct Parts {
    module: PathBuf,
    directory: PathBuf,
    /// A static program for Linux. Give one for each machine.
    #[arg(long = "command", required = true)]
    commands: Vec<PathBuf>,
    /// The directory with the command's manual pages and completions.
    #[arg(long)]
    share: PathBuf,
    /// The directory of the Zig that linked the commands.
    #[arg(long)]
    zig: PathBuf,
}

/// Writes a release, and returns the paths of its files.
pub(crate) fn write(sh: &Shell, parts: &Parts) -> anyhow::Result<String> {
    let module = Module::read(sh, &parts.module)?;
    module.require_commit()?;
    let project = Project::of_work_tree()?;
    let toolchain = {
        let _root = sh.push_dir(&project.root);
        Toolchain::of(sh, module.compiler.as_deref())?
    };
    let release = Release { module, project, toolchain };
    let mut files = release.of_module(sh)?;
    files.extend(release.of_commands(sh, parts)?);
    let checksums: String =
        files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes))).collect();
    files.insert(CHECKSUMS.to_owned(), checksums.into_bytes());

    let path = parts.directory.join(format!("{NAME}-{}", release.module.version));
    files::replace(sh, &path, CHECKSUMS, &files)?;
    Ok(files.keys().map(|name| format!("{}\n", path.join(name).display())).collect())
}

/// What all files of a release follow from. None of them depends on when or where it is made.
struct Release {
    module: Module,
    project: Project,
    toolchain: Toolchain,
}

impl Release {
    /// The module, its images and its chart, and what is said about them.
    fn of_module(&self, sh: &Shell) -> anyhow::Result<Files> {
        let Self { module, project, toolchain } = self;
        let _root = sh.push_dir(&project.root);
        let dependencies = Dependencies::of(sh, Built { package: EDGE, target: EDGE_TARGET })?;
        let part = Part {
            name: NAME,
            module,
            description: &project.description,
            licence: &project.licence,
            bytes: &module.bytes,
            libraries: vec![wasi_libc(&toolchain.version)],
        };
        let changelog = sh.read_file("CHANGELOG.md")?;
        let version = &module.version;
        let mut files = Files::from([
            (format!("{NAME}-{version}.wasm"), module.bytes.clone()),
            (format!("{NAME}-{version}.cdx.json"), json(&sbom::bill(&part, &dependencies, toolchain))),
            (format!("CHANGELOG-{version}.md"), changes(&changelog, &version.to_string())?.into_bytes()),
            (format!("{NAME}-chart-{version}.tgz"), chart::packed(sh, module, project)?),
            ("LICENSE".to_owned(), sh.read_binary_file("LICENSE")?),
            ("LICENSES.txt".to_owned(), licences_of_module(sh, &dependencies)?.into_bytes()),
            (RUST_NOTICES.to_owned(), toolchain.notices.clone()),
        ]);
        for image in image::both(module, project)? {
            let name = format!("{NAME}-{version}-{}.oci.tar", image.variant);
            files.insert(name, archive(&image.files)?);
        }
        Ok(files)
    }

    /// For each machine the command with all that belongs to it in one archive, and its bill of materials.
    fn of_commands(&self, sh: &Shell, parts: &Parts) -> anyhow::Result<Files> {
        let Self { module, project, toolchain } = self;
        let (share, zig) = (files::below(sh, &parts.share)?, Zig::read(sh, &parts.zig)?);
        let mut files = Files::new();
        for path in &parts.commands {
            let command = Command::read(sh, path, module)?;
            let _root = sh.push_dir(&project.root);
            let dependencies = command.dependencies(sh)?;
            let name = format!("{NAME}-{}-{}-linux", module.version, command.machine);
            let part = Part {
                name: "tracewarden-command",
                module,
                description: &project.tool,
                licence: &project.licence,
                bytes: &command.bytes,
                libraries: of_zig(&zig),
            };
            let licences = licences::texts(sh, OF_COMMAND, &dependencies.all, &zig.licences)?;
            let documents = Files::from([
                ("LICENSE".to_owned(), sh.read_binary_file("LICENSE")?),
                ("LICENSES.txt".to_owned(), licences.into_bytes()),
                (RUST_NOTICES.to_owned(), toolchain.notices.clone()),
            ]);
            files.insert(format!("{name}.cdx.json"), json(&sbom::bill(&part, &dependencies, toolchain)));
            files.insert(format!("{name}.tar.gz"), command.packed(&name, &share, documents)?);
        }
        Ok(files)
    }
}

fn json(bill: &serde_json::Value) -> Vec<u8> {
    format!("{bill:#}\n").into_bytes()
}

const OF_COMMAND: &str = "Tracewarden is under the licence in LICENSE. Its command contains Rust's standard library, \
    whose notices are in\nLICENSES-rust.html, and the C library musl and the compiler's libraries from Zig.";

fn licences_of_module(sh: &Shell, dependencies: &Dependencies) -> anyhow::Result<String> {
    let introduction = format!(
        "Tracewarden is under the licence in LICENSE. Its module contains Rust's standard library, whose notices are in\n\
         LICENSES-rust.html, and the C library below that: wasi-libc, {WASI_LIBC},\n\
         of which the toolchain brings no text."
    );
    licences::texts(sh, &introduction, &dependencies.all, &[])
}

/// It has no version of its own: Rust's version identifies it.
fn wasi_libc(rust: &str) -> Library {
    Library {
        name: "wasi-libc",
        reference: format!("wasi-libc@rust-{rust}"),
        version: None,
        description: format!("The C library that Rust {rust} links for {EDGE_TARGET}"),
        licence: WASI_LIBC,
    }
}

fn of_zig(zig: &Zig) -> Vec<Library> {
    let Zig { musl, version, .. } = zig;
    let of_version = |name: &'static str, description: &str, licence| Library {
        name,
        reference: format!("{name}@zig-{version}"),
        version: None,
        description: format!("{description}, as Zig {version} has it"),
        licence,
    };
    vec![
        Library {
            name: "musl",
            reference: format!("musl@{musl}"),
            version: Some(musl.clone()),
            description: format!("The C library that Zig {version} links"),
            licence: "MIT",
        },
        of_version("compiler_rt", "What the compiler calls", "MIT"),
        of_version("libunwind", "LLVM's library that unwinds the stack", "Apache-2.0 WITH LLVM-exception"),
    ]
}
