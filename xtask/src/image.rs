//! The two kinds of image that Istio loads a module from.
//!
//! Both are defined in the Wasm Image Specification (`solo-io/wasm`, `spec/`). Neither has a time in it: the same module
//! gives the same image, whenever and wherever it is packed.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use serde_json::json;

use crate::Outcome;
use crate::files::{Files, archive, sha256};
use crate::layout::{Annotations, Blobs, Layout};
use crate::module::Module;
use crate::project::{NAME, Project};

const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The name of an image, or the name of the file that a layer becomes.
const TITLE: &str = "org.opencontainers.image.title";

/// An image, and when to use it.
pub(crate) struct Image {
    pub(crate) variant: &'static str,
    pub(crate) purpose: &'static str,
    pub(crate) layout: Layout,
}

/// Writes both images of the module, and returns their digests and how to push and load them.
pub(crate) fn write(module_path: &str, directory: &Path) -> Outcome {
    let module = Module::read(module_path.as_ref())?;
    let tag = module.tag();
    let image = format!("REGISTRY/{NAME}:{tag}");
    let mut digests = format!("sha256:{}  {module_path}\n", sha256(&module.bytes));
    let mut advice = String::new();
    for Image { variant, purpose, layout } in both(&module, &Project::of_work_tree()?)? {
        let path = directory.join(variant);
        layout.write(&path)?;
        let (path, digest) = (path.display(), layout.digest);
        let checksum = digest.trim_start_matches("sha256:");
        writeln!(digests, "{digest}  {path}")?;
        write!(
            advice,
            "\n{variant}: {purpose}\n  \
             skopeo copy --preserve-digests oci:{path}:{tag} docker://{image}\n  \
             WasmPlugin: {{url: 'oci://{image}', sha256: {checksum}}}\n"
        )?;
    }
    Ok(format!("Tracewarden {}, revision {}\n\n{digests}{advice}", module.version, module.revision))
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

/// The module as a layer. Istio requires exactly two layers; the other one names the runtime.
fn artifact(module: &Module, project: &Project) -> Layout {
    let mut blobs = Blobs::default();
    let runtime = json!({ "type": "envoy_proxy", "abiVersions": [module.abi], "config": { "rootIds": [] } });
    let config = blobs.add(WASM_CONFIG, runtime.to_string().into_bytes());
    let layers = [
        config.clone().annotated(TITLE, "runtime-config.json"),
        blobs.add(WASM_LAYER, module.bytes.clone()).annotated(TITLE, "plugin.wasm"),
    ];
    blobs.conclude(&config, &layers, &annotations(module, project), &module.tag())
}

/// The module as `plugin.wasm` in the only layer.
fn compat(module: &Module, project: &Project) -> io::Result<Layout> {
    let mut blobs = Blobs::default();
    let layer = archive(&Files::from([("plugin.wasm".to_owned(), module.bytes.clone())]))?;
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

/// Compresses the bytes, with neither a name nor a time in the header.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    gzip.finish()
}

fn annotations(module: &Module, Project { package, licence, .. }: &Project) -> Annotations {
    Annotations::from([
        (TITLE, NAME.to_owned()),
        ("org.opencontainers.image.description", package.description.clone().unwrap_or_default()),
        ("org.opencontainers.image.version", module.version.to_string()),
        ("org.opencontainers.image.revision", module.revision.clone()),
        ("org.opencontainers.image.licenses", licence.clone()),
    ])
}
