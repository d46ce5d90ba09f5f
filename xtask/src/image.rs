//! The two kinds of image that Istio loads a module from, each as an OCI image layout: blobs named by their digests, and an
//! index with one manifest.
//!
//! Both are defined in the Wasm Image Specification (`solo-io/wasm`, `spec/`). Neither has a time in it: the same module
//! gives the same image, whenever and wherever it is packed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use xshell::Shell;

use crate::files::{self, Files, archive, gzip, sha256};
use crate::module::Module;
use crate::project::{NAME, Project};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The name of an image, or the name of the file that a layer becomes.
const TITLE: &str = "org.opencontainers.image.title";
/// The file that makes a directory an OCI image layout.
const LAYOUT: &str = "oci-layout";

/// A descriptor of a blob, or annotations.
type Object = BTreeMap<&'static str, Value>;

/// An image, and when to use it.
pub(crate) struct Image {
    pub(crate) variant: &'static str,
    purpose: &'static str,
    /// The digest of the manifest, by which a registry identifies the image.
    digest: String,
    pub(crate) files: Files,
}

/// Writes both images of the module, and returns their digests and how to push and load them.
pub(crate) fn write(sh: &Shell, module_path: &Path, directory: &Path) -> anyhow::Result<String> {
    let module = Module::read(sh, module_path)?;
    let Module { version, revision, .. } = &module;
    let tag = module.tag();
    let image = format!("REGISTRY/{NAME}:{tag}");
    let mut digests = format!("sha256:{}  {}\n", sha256(&module.bytes), module_path.display());
    let mut advice = String::new();
    for Image { variant, purpose, digest, files } in both(&module, &Project::of_work_tree()?)? {
        let path = directory.join(variant);
        files::replace(sh, &path, LAYOUT, &files)?;
        let (path, checksum) = (path.display(), digest.trim_start_matches("sha256:"));
        writeln!(digests, "{digest}  {path}")?;
        write!(
            advice,
            "\n{variant}: {purpose}\n  \
             skopeo copy --preserve-digests oci:{path}:{tag} docker://{image}\n  \
             WasmPlugin: {{url: 'oci://{image}', sha256: {checksum}}}\n"
        )?;
    }
    Ok(format!("Tracewarden {version}, revision {revision}\n\n{digests}{advice}"))
}

/// The module as an artifact and as an ordinary image.
pub(crate) fn both(module: &Module, project: &Project) -> io::Result<[Image; 2]> {
    let mut annotations = Object::from([
        (TITLE, json!(NAME)),
        ("org.opencontainers.image.description", json!(project.description)),
        ("org.opencontainers.image.version", json!(module.version)),
        ("org.opencontainers.image.revision", json!(module.revision)),
        ("org.opencontainers.image.licenses", json!(project.licence)),
    ]);
    let (digest, files) = artifact(module, &annotations);
    let purpose = "the module under media types of its own";
    let artifact = Image { variant: "artifact", purpose, digest, files };

    annotations.insert("module.wasm.image/variant", json!("compat"));
    let (digest, files) = compat(module, &annotations)?;
    let purpose = "an ordinary image, for registries that take no others";
    Ok([artifact, Image { variant: "compat", purpose, digest, files }])
}

/// The module as a layer. Istio requires exactly two layers; the other one names the runtime.
fn artifact(module: &Module, annotations: &Object) -> (String, Files) {
    let mut blobs = Blobs::default();
    let runtime = json!({ "type": "envoy_proxy", "abiVersions": [module.abi], "config": { "rootIds": [] } });
    let config = blobs.add(WASM_CONFIG, runtime.to_string().into_bytes());
    let titled = |mut layer: Object, title: &str| {
        layer.insert("annotations", json!({ TITLE: title }));
        layer
    };
    let layers = [
        titled(config.clone(), "runtime-config.json"),
        titled(blobs.add(WASM_LAYER, module.bytes.clone()), "plugin.wasm"),
    ];
    blobs.conclude(&config, &layers, annotations, &module.tag())
}

/// The module as `plugin.wasm` in the only layer.
fn compat(module: &Module, annotations: &Object) -> io::Result<(String, Files)> {
    let mut blobs = Blobs::default();
    let layer = archive(&Files::from([("plugin.wasm".to_owned(), module.bytes.clone())]))?;
    let config = json!({
        "architecture": "wasm",
        "os": "wasip1",
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))] },
    });
    let config = blobs.add(IMAGE_CONFIG, config.to_string().into_bytes());
    let layer = blobs.add(IMAGE_LAYER, gzip(&layer)?);
    Ok(blobs.conclude(&config, &[layer], annotations, &module.tag()))
}

/// The blobs of an unfinished image.
#[derive(Default)]
struct Blobs(Files);

impl Blobs {
    /// Adds a blob, and returns its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Object {
        let (digest, size) = (sha256(&bytes), bytes.len());
        self.0.insert(format!("blobs/sha256/{digest}"), bytes);
        let digest = format!("sha256:{digest}");
        Object::from([("mediaType", json!(media_type)), ("digest", json!(digest)), ("size", json!(size))])
    }

    /// Adds the manifest, whose digest it returns, and the index that lists it under the tag.
    fn conclude(
        mut self,
        config: &Object,
        layers: &[Object],
        annotations: &Object,
        tag: &str,
    ) -> (String, Files) {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": layers,
            "annotations": annotations,
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = format!("sha256:{}", sha256(&manifest));
        let mut manifest = self.add(MANIFEST, manifest);
        manifest.insert("annotations", json!({ "org.opencontainers.image.ref.name": tag }));
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest] });
        let mut files = self.0;
        files.insert("index.json".to_owned(), index.to_string().into_bytes());
        files.insert(LAYOUT.to_owned(), json!({ "imageLayoutVersion": "1.0.0" }).to_string().into_bytes());
        (digest, files)
    }
}
