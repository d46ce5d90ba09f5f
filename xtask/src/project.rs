//! The packages of the filter and of the command in Cargo.toml.

use std::path::PathBuf;

use anyhow::Context;
use cargo_metadata::MetadataCommand;

/// The name of the product, in file names and labels.
pub(crate) const NAME: &str = "tracewarden";
/// The package that the module is built from: `EDGE` in the Makefile.
pub(crate) const EDGE: &str = "tracewarden-proxy-wasm";
/// The target that the module is built for: `WASM_TARGET` in the Makefile.
pub(crate) const EDGE_TARGET: &str = "wasm32-wasip1";
/// The package that the command is built from.
pub(crate) const TOOL: &str = "tracewarden-tool";

/// What the package that the module is built from declares, and its work tree.
pub(crate) struct Project {
    pub(crate) description: String,
    /// The description of the command.
    pub(crate) tool: String,
    pub(crate) licence: String,
    pub(crate) root: PathBuf,
}

impl Project {
    /// Asks Cargo about the work tree of the current directory, without its dependencies: nothing is downloaded.
    pub(crate) fn of_work_tree() -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        let root = metadata.workspace_root.into_std_path_buf();
        let described = |name: &str| {
            let package = metadata.packages.iter().find(|package| package.name.as_str() == name);
            let package = package.with_context(|| format!("{} has no package {name}", root.display()))?;
            let description =
                package.description.clone().with_context(|| format!("{name} has no description"))?;
            let licence = package.license.clone().with_context(|| format!("{name} declares no licence"))?;
            anyhow::Ok((description, licence))
        };
        let ((description, licence), (tool, _)) = (described(EDGE)?, described(TOOL)?);
        Ok(Self { description, tool, licence, root })
    }
}
