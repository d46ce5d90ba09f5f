//! The Helm chart, packed as `helm package` packs it, but the same wherever and whenever it is packed: Helm writes the times
//! of the files into the archive.

use anyhow::ensure;
use serde::Deserialize;
use xshell::Shell;

use crate::files::{archive, below, gzip, within};
use crate::module::Module;
use crate::project::{NAME, Project};

/// The chart's directory in the work tree.
const DIRECTORY: &str = "envoy/istio/chart";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chart {
    version: String,
    app_version: String,
}

/// The archive of the chart. Fails unless its version is the module's.
pub(crate) fn packed(sh: &Shell, module: &Module, project: &Project) -> anyhow::Result<Vec<u8>> {
    let directory = project.root.join(DIRECTORY);
    let manifest = sh.read_file(directory.join("Chart.yaml"))?;
    let Chart { version, app_version } = serde_saphyr::from_str(&manifest)?;
    let expected = module.version.to_string();
    ensure!(
        version == expected && app_version == expected,
        "{DIRECTORY}/Chart.yaml: expected version and appVersion {expected}, the module's, found {version} and {app_version}"
    );
    Ok(gzip(&archive(&within(NAME, below(sh, &directory)?))?)?)
}
