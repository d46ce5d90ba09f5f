//! The files of a release.

use std::path::Path;

use xshell::Shell;

use crate::changelog::changes;
use crate::dependencies::Dependencies;
use crate::files::{self, Files, archive, sha256};
use crate::module::Module;
use crate::project::{NAME, Project};
use crate::toolchain::Toolchain;
use crate::{image, licences, sbom};

/// The file with which `sha256sum -c` checks all others.
const CHECKSUMS: &str = "SHA256SUMS";

/// Writes a release of the module, and returns the paths of its files.
pub(crate) fn write(sh: &Shell, module_path: &Path, directory: &Path) -> anyhow::Result<String> {
    let module = Module::read(sh, module_path)?;
    let path = directory.join(format!("{NAME}-{}", module.version));
    let files = contents(sh, &module, &Project::of_work_tree()?)?;
    files::replace(sh, &path, CHECKSUMS, &files)?;
    Ok(files.keys().map(|name| format!("{}\n", path.join(name).display())).collect())
}

/// Every file of a release. None of them depends on when or where it is made.
fn contents(sh: &Shell, module: &Module, project: &Project) -> anyhow::Result<Files> {
    module.require_commit()?;
    let _root = sh.push_dir(&project.root);
    let dependencies = Dependencies::of(sh)?;
    let toolchain = Toolchain::of(sh, module.compiler.as_deref())?;
    let bill = sbom::bill(module, project, &dependencies, &toolchain);
    let changelog = sh.read_file("CHANGELOG.md")?;

    let version = &module.version;
    let mut files = Files::from([
        (format!("{NAME}-{version}.wasm"), module.bytes.clone()),
        (format!("{NAME}-{version}.cdx.json"), format!("{bill:#}\n").into_bytes()),
        (format!("CHANGELOG-{version}.md"), changes(&changelog, &version.to_string())?.into_bytes()),
        ("LICENSE".to_owned(), sh.read_binary_file("LICENSE")?),
        ("LICENSES.txt".to_owned(), licences::texts(sh, &dependencies.all)?.into_bytes()),
        ("LICENSES-rust.html".to_owned(), toolchain.notices),
    ]);
    for image in image::both(module, project)? {
        let name = format!("{NAME}-{version}-{}.oci.tar", image.variant);
        files.insert(name, archive(&image.files)?);
    }
    let checksums: String =
        files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes))).collect();
    files.insert(CHECKSUMS.to_owned(), checksums.into_bytes());
    Ok(files)
}
