//! The two kinds of image that Istio takes a module from.
//!
//! Both are of the Wasm Image Specification (`solo-io/wasm`, `spec/`). Neither says when it was made: the same module is
//! the same image whenever and wherever it is packed.

use std::io::{self, Write};

use flate2::{Compression, GzBuilder};
use serde_json::json;

use crate::files::{Files, archive, sha256};
use crate::layout::{Annotations, Blobs, Layout};
use crate::module::Module;
use crate::project::Project;

const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Of an image its name, of a layer that of the file which it becomes.
const TITLE: &str = "org.opencontainers.image.title";

/// An image, and what it is for.
pub(crate) struct Image {
    pub(crate) variant: &'static str,
    pub(crate) purpose: &'static str,
    pub(crate) layout: Layout,
}

/// The module as an artifact and as an ordinary image.
pub(crate) fn both(module: &Module, project: &Project) -> io::Result<[Image; 2]> {
    Ok([
        Image {
            variant: "artifact",
            purpose: "the module under media types of its own",
            layout: artifact(module, project),
        },
        Image {
            variant: "compat",
            purpose: "an ordinary image, for registries that take no others",
            layout: compat(module, project)?,
        },
    ])
}

/// The module as it is. Istio wants exactly two layers, of which the other tells the runtime.
fn artifact(module: &Module, project: &Project) -> Layout {
    let mut blobs = Blobs::default();
    let runtime = json!({ "type": "envoy_proxy", "abiVersions": [module.abi], "config": { "rootIds": [] } });
    let config = blobs.add(WASM_CONFIG, runtime.to_string().into_bytes());
    let layers = [
        config.clone().annotated(TITLE, "runtime-config.json"),
        blobs.add(WASM_LAYER, module.octets.clone()).annotated(TITLE, "plugin.wasm"),
    ];
    blobs.conclude(&config, &layers, &annotations(module, project), &module.tag())
}

/// The module as `plugin.wasm` in the only layer.
fn compat(module: &Module, project: &Project) -> io::Result<Layout> {
    let mut blobs = Blobs::default();
    let layer = archive(&Files::from([("plugin.wasm".to_owned(), module.octets.clone())]))?;
    let config = json!({
        "architecture": "wasm",
        "os": "wasip1",
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))] },
    });
    let config = blobs.add(IMAGE_CONFIG, config.to_string().into_bytes());
    let layers = [blobs.add(IMAGE_LAYER, gzip(&layer)?)];
    let mut annotations = annotations(module, project);
    annotations.insert("module.wasm.image/variant", "compat".to_owned());
    Ok(blobs.conclude(&config, &layers, &annotations, &module.tag()))
}

/// No name and no time goes into the header.
fn gzip(octets: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(octets)?;
    gzip.finish()
}

fn annotations(module: &Module, Project { package, licence, .. }: &Project) -> Annotations {
    Annotations::from([
        (TITLE, package.name.to_string()),
        ("org.opencontainers.image.description", package.description.clone().unwrap_or_default()),
        ("org.opencontainers.image.version", module.version.to_string()),
        ("org.opencontainers.image.revision", module.revision.clone()),
        ("org.opencontainers.image.licenses", licence.clone()),
    ])
}
