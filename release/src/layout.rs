//! An image as the files of an OCI image layout: every blob by its digest, an index with one manifest.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::files::{self, Files, sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The file that makes a directory an OCI image layout.
const LAYOUT: &str = "oci-layout";

/// What is said about an image or a blob, by the names that the specification gives.
pub(crate) type Annotations = BTreeMap<&'static str, String>;

/// How others refer to a blob.
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

/// The blobs of an image that is being put together.
#[derive(Default)]
pub(crate) struct Blobs(Files);

impl Blobs {
    pub(crate) fn add(&mut self, media_type: &'static str, octets: Vec<u8>) -> Descriptor {
        let (digest, size) = (sha256(&octets), octets.len());
        self.0.insert(format!("blobs/sha256/{digest}"), octets);
        Descriptor { media_type, digest: format!("sha256:{digest}"), size, annotations: Annotations::new() }
    }

    /// Concludes with the manifest, which the index knows by a tag.
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
    /// The digest of its manifest, by which a registry knows it.
    pub(crate) digest: String,
    pub(crate) files: Files,
}

impl Layout {
    pub(crate) fn write(&self, directory: &Path) -> Result<(), String> {
        files::replace(directory, LAYOUT, &self.files)
    }
}
