//! What Cargo.toml says of the filter.

use std::error::Error;
use std::path::PathBuf;

use cargo_metadata::{MetadataCommand, Package};

/// The package that the module is built from.
const PACKAGE: &str = "tracewarden";

/// The filter's package, and where its work tree is.
pub(crate) struct Project {
    pub(crate) package: Package,
    pub(crate) licence: String,
    pub(crate) root: PathBuf,
}

impl Project {
    /// Asks Cargo for the work tree that we are in, without what it depends on: nothing is downloaded.
    pub(crate) fn of_work_tree() -> Result<Self, Box<dyn Error>> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let package = metadata
            .packages
            .into_iter()
            .find(|package| package.name.as_str() == PACKAGE)
            .ok_or_else(|| format!("{} has no package {PACKAGE}", root.display()))?;
        let licence = package.license.clone().ok_or_else(|| format!("{PACKAGE} declares no licence"))?;
        Ok(Self { package, licence, root })
    }
}
