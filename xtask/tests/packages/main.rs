//! The commands of xtask. The packages are judged by a registry, skopeo, sha256sum and the schema of CycloneDX.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

mod commands;
mod image;
mod istio;
mod modules;
mod prune;
mod registry;
mod release;
mod sbom;
mod support;
