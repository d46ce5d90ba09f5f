//! How Istio finds the module in an image, after `pkg/wasm/imagefetcher.go` and `cache.go` of istio/istio.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::support::{sha256, tree};

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// An image layout in which blobs are what their digests say.
pub(crate) struct Layout {
    pub(crate) digest: String,
    pub(crate) manifest: Value,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    pub(crate) fn read(directory: &Path) -> Self {
        Self::of(&tree(directory))
    }

    /// Checks every digest, and that there is no blob which nothing refers to.
    pub(crate) fn of(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let read = |name: &str| serde_json::from_slice::<Value>(&files[name]).expect(name);
        assert_eq!(read("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }));
        let blobs: BTreeMap<_, _> = files
            .iter()
            .filter_map(|(name, bytes)| Some((name.strip_prefix("blobs/sha256/")?, bytes)))
            .map(|(name, bytes)| {
                assert_eq!(sha256(bytes), name);
                (format!("sha256:{name}"), bytes.clone())
            })
            .collect();
        let index = read("index.json");
        let [descriptor] = index["manifests"].as_array().expect("manifests").as_slice() else {
            panic!("{index}: not one manifest")
        };
        let digest = descriptor["digest"].as_str().expect("a digest").to_owned();
        let manifest: Value = serde_json::from_slice(&blobs[&digest]).expect("a manifest");
        let layout = Self { digest, manifest, blobs };
        let layers = layout.manifest["layers"].as_array().expect("layers");
        let referred: BTreeMap<_, _> = layers
            .iter()
            .chain([descriptor, &layout.manifest["config"]])
            .map(|descriptor| {
                assert_eq!(descriptor["size"], layout.blob(descriptor).len(), "{descriptor}");
                (descriptor["digest"].as_str().expect("a digest"), ())
            })
            .collect();
        assert!(referred.keys().copied().eq(layout.blobs.keys()), "{referred:?}");
        layout
    }

    pub(crate) fn tag(files: &BTreeMap<String, Vec<u8>>) -> String {
        let index: Value = serde_json::from_slice(&files["index.json"]).expect("an index");
        let name = &index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"];
        name.as_str().expect("a tag").to_owned()
    }

    pub(crate) fn blob(&self, descriptor: &Value) -> &[u8] {
        &self.blobs[descriptor["digest"].as_str().expect("a digest")]
    }

    /// The module that Istio takes out of the image, if its manifest has the checksum of the WasmPlugin.
    pub(crate) fn pull(&self, checksum: &str) -> Result<Vec<u8>, String> {
        if self.digest != format!("sha256:{checksum}") {
            return Err(format!("checksum {} does not match {checksum}", self.digest));
        }
        let module = self.compat().or_else(|compat| {
            self.artifact().map_err(|artifact| format!("as compat: {compat}; as oci: {artifact}"))
        })?;
        if module.len() >= 8 && module.starts_with(b"\0asm") {
            Ok(module)
        } else {
            Err("no module".to_owned())
        }
    }

    /// The last layer is a compressed archive that has a `plugin.wasm` in any directory.
    fn compat(&self) -> Result<Vec<u8>, String> {
        let layer = self.layers().last().ok_or("no layer")?;
        if layer["mediaType"] != OCI_LAYER {
            return Err(format!("invalid media type {}", layer["mediaType"]));
        }
        let mut archive = tar::Archive::new(GzDecoder::new(self.blob(layer)));
        for entry in archive.entries().map_err(|error| error.to_string())? {
            let mut entry = entry.map_err(|error| error.to_string())?;
            if entry.path().is_ok_and(|path| path.file_name() == Some("plugin.wasm".as_ref())) {
                let mut module = Vec::new();
                entry.read_to_end(&mut module).map_err(|error| error.to_string())?;
                return Ok(module);
            }
        }
        Err("plugin.wasm not found".to_owned())
    }

    /// One of exactly two layers is the module itself.
    fn artifact(&self) -> Result<Vec<u8>, String> {
        let layers = self.layers();
        if layers.len() != 2 {
            return Err(format!("number of layers must be 2 but got {}", layers.len()));
        }
        let layer = layers.iter().find(|layer| layer["mediaType"] == WASM_LAYER).ok_or("no Wasm layer")?;
        Ok(self.blob(layer).to_vec())
    }

    fn layers(&self) -> &[Value] {
        self.manifest["layers"].as_array().expect("layers")
    }
}
