//! The module to pack, with its version and revision.

use std::path::Path;

use anyhow::{Context, ensure};
use cargo_metadata::semver::Version;
use serde::Deserialize;
use wasm_metadata::Producers;
use wasmparser::{Parser, Payload};
use xshell::Shell;

/// The custom section that holds the version and the revision.
const BUILD_SECTION: &str = "tracewarden.build";
/// The end of a revision whose work tree had uncommitted changes.
const DIRTY: &str = "-dirty";
/// The start of the function name by which a proxy-wasm module gives the version of its interface.
const ABI_EXPORT: &str = "proxy_abi_version_";

/// A built module. Its labels are read from its bytes, so that they cannot belong to another module.
pub(crate) struct Module {
    pub(crate) bytes: Vec<u8>,
    pub(crate) version: Version,
    /// The commit that it was built from, as `git describe` prints it.
    pub(crate) revision: String,
    /// The version of proxy-wasm that it implements, such as `v0.2.1`.
    pub(crate) abi: String,
    /// The compiler that it names, such as `1.95.0 (59807616e 2026-04-14)`.
    pub(crate) compiler: Option<String>,
}

#[derive(Deserialize)]
struct Build {
    version: Version,
    revision: String,
}

impl Module {
    pub(crate) fn read(sh: &Shell, path: &Path) -> anyhow::Result<Self> {
        Self::parse(sh.read_binary_file(path)?).with_context(|| path.display().to_string())
    }

    fn parse(bytes: Vec<u8>) -> anyhow::Result<Self> {
        let (mut build, mut abi, mut compiler) = (None, None, None);
        for payload in Parser::new(0).parse_all(&bytes) {
            match payload? {
                Payload::CustomSection(section) if section.name() == BUILD_SECTION => {
                    let read = serde_json::from_slice::<Build>(section.data());
                    build = Some(read.with_context(|| format!("section {BUILD_SECTION}"))?);
                }
                Payload::CustomSection(section) if section.name() == "producers" => {
                    let producers = Producers::from_bytes(section.data(), section.data_offset())?;
                    compiler = producers.get("processed-by").and_then(|tools| tools.get("rustc").cloned());
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let version = export?.name.strip_prefix(ABI_EXPORT);
                        abi = abi.or(version.map(|version| format!("v{}", version.replace('_', "."))));
                    }
                }
                _ => {}
            }
        }
        let Build { version, revision } = build
            .with_context(|| format!("no section {BUILD_SECTION}: build the module with `make build`"))?;
        let abi = abi.with_context(|| format!("not a proxy-wasm module: it exports no {ABI_EXPORT}…"))?;
        Ok(Self { bytes, version, revision, abi, compiler })
    }

    /// The tag of its images: the version, with `-dirty` after it if there were uncommitted changes.
    pub(crate) fn tag(&self) -> String {
        let dirty = if self.revision.ends_with(DIRTY) { DIRTY } else { "" };
        format!("{}{dirty}", self.version)
    }

    /// Fails unless others can build the module again, from a commit.
    pub(crate) fn require_commit(&self) -> anyhow::Result<()> {
        let Self { revision, .. } = self;
        ensure!(
            !revision.ends_with(DIRTY),
            "the module was built with uncommitted changes, {revision}: commit them and build it again"
        );
        ensure!(
            matches!(revision.len(), 40 | 64) && revision.bytes().all(|b| b.is_ascii_hexdigit()),
            "expected a commit as the module's revision, found {revision:?}: build it in a git clone"
        );
        Ok(())
    }
}
