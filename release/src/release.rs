//! What a release consists of.

use std::error::Error;
use std::fs;

use crate::changelog::changes;
use crate::dependencies::Dependencies;
use crate::files::{Files, archive, at, sha256};
use crate::module::Module;
use crate::project::Project;
use crate::toolchain::Toolchain;
use crate::{image, licences, sbom};

/// The file that `sha256sum -c` checks all others by.
pub(crate) const CHECKSUMS: &str = "SHA256SUMS";

/// Every file of the release of a module. None of them depends on when or where it is made.
pub(crate) fn files(module: &Module, project: &Project) -> Result<Files, Box<dyn Error>> {
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
        (format!("tracewarden-{version}.wasm"), module.octets.clone()),
        (format!("tracewarden-{version}.cdx.json"), format!("{bill:#}\n").into_bytes()),
        (format!("CHANGELOG-{version}.md"), changes.into_bytes()),
        ("LICENSE".to_owned(), of_project("LICENSE")?),
        ("LICENSES.txt".to_owned(), licences::texts(dependencies.linked())?.into_bytes()),
        ("LICENSES-rust.html".to_owned(), toolchain.notices),
    ]);
    for image in image::both(module, project)? {
        files.insert(
            format!("tracewarden-{version}-{}.oci.tar", image.variant),
            archive(&image.layout.files)?,
        );
    }
    let checksums: String =
        files.iter().map(|(name, octets)| format!("{}  {name}\n", sha256(octets))).collect();
    files.insert(CHECKSUMS.to_owned(), checksums.into_bytes());
    Ok(files)
}
