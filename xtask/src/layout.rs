//! An image as the files of an OCI image layout: blobs named by their digests, and an index with one manifest.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::files::{self, Files, sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The file that makes a directory an OCI image layout.
const LAYOUT: &str = "oci-layout";

/// The annotations of an image or a blob, by the names of the OCI image specification.
pub(crate) type Annotations = BTreeMap<&'static str, String>;

/// A reference to a blob.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "Annotations::is_empty")]
    annotations: Annotations,
}

impl Descriptor {
    pub(crate) fn annotated(mut self, name: &'static str, value: &str) -> Self {
        self.annotations.insert(name, value.to_owned());
        self
    }
}

/// The blobs of an unfinished image.
#[derive(Default)]
pub(crate) struct Blobs(Files);

impl Blobs {
    pub(crate) fn add(&mut self, media_type: &'static str, bytes: Vec<u8>) -> Descriptor {
        let (digest, size) = (sha256(&bytes), bytes.len());
        self.0.insert(format!("blobs/sha256/{digest}"), bytes);
        Descriptor { media_type, digest: format!("sha256:{digest}"), size, annotations: Annotations::new() }
    }

    /// Adds the manifest, and the index that lists it under the tag.
    pub(crate) fn conclude(
        mut self,
        config: &Descriptor,
        layers: &[Descriptor],
        annotations: &Annotations,
        tag: &str,
    ) -> Layout {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": layers,
            "annotations": annotations,
        });
        let manifest = self.add(MANIFEST, manifest.to_string().into_bytes());
        let digest = manifest.digest.clone();
        let manifests = [manifest.annotated("org.opencontainers.image.ref.name", tag)];
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        let mut files = self.0;
        files.insert("index.json".to_owned(), index.to_string().into_bytes());
        files.insert(LAYOUT.to_owned(), json!({ "imageLayoutVersion": "1.0.0" }).to_string().into_bytes());
        Layout { digest, files }
    }
}

/// A finished image.
pub(crate) struct Layout {
    /// The digest of the manifest, by which a registry identifies the image.
    pub(crate) digest: String,
    pub(crate) files: Files,
}

impl Layout {
    pub(crate) fn write(&self, directory: &Path) -> Result<(), String> {
        files::replace(directory, LAYOUT, &self.files)
    }
}
