//! The packages of the module, judged by the tools that take them: a registry, skopeo, sha256sum, CycloneDX's schema.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

mod image;
mod istio;
mod modules;
mod registry;
mod release;
mod sbom;
mod support;
