//! The files of a release.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::changelog::changes;
use crate::dependencies::Dependencies;
use crate::files::{self, Files, archive, at, sha256};
use crate::module::Module;
use crate::project::{NAME, Project};
use crate::toolchain::Toolchain;
use crate::{Outcome, image, licences, sbom};

/// The file with which `sha256sum -c` checks all others.
const CHECKSUMS: &str = "SHA256SUMS";

/// Writes a release of the module, and returns the paths of its files.
pub(crate) fn write(module_path: &Path, directory: &Path) -> Outcome {
    let module = Module::read(module_path)?;
    let path = directory.join(format!("{NAME}-{}", module.version));
    let files = contents(&module, &Project::of_work_tree()?)?;
    files::replace(&path, CHECKSUMS, &files)?;
    Ok(files.keys().map(|name| format!("{}\n", path.join(name).display())).collect())
}

/// Every file of a release. None of them depends on when or where it is made.
fn contents(module: &Module, project: &Project) -> Result<Files, Box<dyn Error>> {
    module.require_commit()?;
    let of_project = |name: &str| {
        let path = project.root.join(name);
        fs::read(&path).map_err(at(&path))
    };
    let dependencies = Dependencies::of(project)?;
    let toolchain = Toolchain::of(module.compiler.as_deref())?;
    let bill = sbom::bill(module, project, &dependencies, &toolchain);
    let changes = changes(&String::from_utf8(of_project("CHANGELOG.md")?)?, &module.version.to_string())?;

    let version = &module.version;
    let mut files = Files::from([
        (format!("{NAME}-{version}.wasm"), module.bytes.clone()),
        (format!("{NAME}-{version}.cdx.json"), format!("{bill:#}\n").into_bytes()),
        (format!("CHANGELOG-{version}.md"), changes.into_bytes()),
        ("LICENSE".to_owned(), of_project("LICENSE")?),
        ("LICENSES.txt".to_owned(), licences::texts(dependencies.linked())?.into_bytes()),
        ("LICENSES-rust.html".to_owned(), toolchain.notices),
    ]);
    for image in image::both(module, project)? {
        let name = format!("{NAME}-{version}-{}.oci.tar", image.variant);
        files.insert(name, archive(&image.layout.files)?);
    }
    let checksums = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes)));
    let checksums: String = checksums.collect();
    files.insert(CHECKSUMS.to_owned(), checksums.into_bytes());
    Ok(files)
}
