//! The package of the filter in Cargo.toml.

use std::path::PathBuf;

use anyhow::Context;
use cargo_metadata::MetadataCommand;

/// The name of the product, in file names and labels.
pub(crate) const NAME: &str = "tracewarden";
/// The package that the module is built from: `EDGE` in the Makefile.
pub(crate) const EDGE: &str = "tracewarden-proxy-wasm";

/// What the package that the module is built from declares, and its work tree.
pub(crate) struct Project {
    pub(crate) description: String,
    pub(crate) licence: String,
    pub(crate) root: PathBuf,
}

impl Project {
    /// Asks Cargo about the work tree of the current directory, without its dependencies: nothing is downloaded.
    pub(crate) fn of_work_tree() -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        let root = metadata.workspace_root.into_std_path_buf();
        let package = metadata.packages.into_iter().find(|package| package.name.as_str() == EDGE);
        let package = package.with_context(|| format!("{} has no package {EDGE}", root.display()))?;
        let description = package.description.with_context(|| format!("{EDGE} has no description"))?;
        let licence = package.license.with_context(|| format!("{EDGE} declares no licence"))?;
        Ok(Self { description, licence, root })
    }
}
