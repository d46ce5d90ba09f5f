//! The packages of the filter in Cargo.toml.

use std::error::Error;
use std::path::PathBuf;

use cargo_metadata::{MetadataCommand, Package};

/// The name of the product, in file names and labels.
pub(crate) const NAME: &str = "tracewarden";
/// The package that the module is built from: `EDGE` in the Makefile.
pub(crate) const EDGE: &str = "tracewarden-proxy-wasm";

/// The package that the module is built from, and its work tree.
pub(crate) struct Project {
    pub(crate) package: Package,
    pub(crate) licence: String,
    pub(crate) root: PathBuf,
}

impl Project {
    /// Asks Cargo about the work tree of the current directory, without its dependencies: nothing is downloaded.
    pub(crate) fn of_work_tree() -> Result<Self, Box<dyn Error>> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let mut packages = metadata.packages.into_iter();
        let package = packages
            .find(|package| package.name.as_str() == EDGE)
            .ok_or_else(|| format!("{} has no package {EDGE}", root.display()))?;
        let licence = package.license.clone().ok_or_else(|| format!("{EDGE} declares no licence"))?;
        Ok(Self { package, licence, root })
    }
}
