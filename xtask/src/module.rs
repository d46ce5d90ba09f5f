//! The module to pack, with its version and revision.

use std::path::Path;
use std::{error::Error, fs};

use cargo_metadata::semver::Version;
use serde::Deserialize;
use wasmparser::{ExportSectionReader, KnownCustom, Parser, Payload, ProducersSectionReader};

use crate::files::at;

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
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let bytes = fs::read(path).map_err(at(path))?;
        Self::parse(bytes).map_err(|problem| format!("{}: {problem}", path.display()).into())
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, Box<dyn Error>> {
        let (mut build, mut abi, mut compiler) = (None, None, None);
        for payload in Parser::new(0).parse_all(&bytes) {
            match payload? {
                Payload::CustomSection(section) if section.name() == BUILD_SECTION => {
                    let read = serde_json::from_slice::<Build>(section.data());
                    build = Some(read.map_err(|error| format!("section {BUILD_SECTION}: {error}"))?);
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Producers(fields) = section.as_known() {
                        compiler = rustc_among(fields)?;
                    }
                }
                Payload::ExportSection(exports) => abi = abi_among(exports)?,
                _ => {}
            }
        }
        let Build { version, revision } =
            build.ok_or_else(|| format!("no section {BUILD_SECTION}: build the module with `make build`"))?;
        let abi = abi.ok_or_else(|| format!("not a proxy-wasm module: it exports no {ABI_EXPORT}…"))?;
        Ok(Self { bytes, version, revision, abi, compiler })
    }

    /// The tag of its images: the version, with `-dirty` after it if there were uncommitted changes.
    pub(crate) fn tag(&self) -> String {
        let dirty = if self.revision.ends_with(DIRTY) { DIRTY } else { "" };
        format!("{}{dirty}", self.version)
    }

    /// Fails unless others can build the module again, from a commit.
    pub(crate) fn require_commit(&self) -> Result<(), String> {
        let Self { revision, .. } = self;
        let is_hash = matches!(revision.len(), 40 | 64) && revision.bytes().all(|b| b.is_ascii_hexdigit());
        if revision.ends_with(DIRTY) {
            Err(format!(
                "the module was built with uncommitted changes, {revision}: commit them and build it again"
            ))
        } else if !is_hash {
            Err(format!(
                "expected a commit as the module's revision, found {revision:?}: build it in a git clone"
            ))
        } else {
            Ok(())
        }
    }
}

fn rustc_among(fields: ProducersSectionReader<'_>) -> wasmparser::Result<Option<String>> {
    for field in fields {
        for producer in field?.values {
            let producer = producer?;
            if producer.name == "rustc" {
                return Ok(Some(producer.version.to_owned()));
            }
        }
    }
    Ok(None)
}

fn abi_among(exports: ExportSectionReader<'_>) -> wasmparser::Result<Option<String>> {
    for export in exports {
        if let Some(version) = export?.name.strip_prefix(ABI_EXPORT) {
            return Ok(Some(format!("v{}", version.replace('_', "."))));
        }
    }
    Ok(None)
}
