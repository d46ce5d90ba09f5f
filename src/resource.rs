//! What the spans are of: the proxy of a workload.

use crate::otlp::{KeyValue, Resource};

/// What the configuration and the environment say of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: Option<String>,
    /// What else is known of it.
    pub attributes: Vec<(String, String)>,
}

/// The attributes that Istio's node metadata give.
const OF_NODE: &[(&str, &str)] = &[
    ("k8s.namespace.name", "xds\0node\0metadata\0NAMESPACE"),
    ("k8s.pod.name", "xds\0node\0metadata\0NAME"),
    ("k8s.cluster.name", "xds\0node\0metadata\0CLUSTER_ID"),
    ("service.instance.id", "xds\0node\0id"),
];

/// The node's names for the workload, the best first.
const NAMES: &[&str] = &["xds\0node\0metadata\0WORKLOAD_NAME", "xds\0node\0cluster", "xds\0node\0id"];

impl Service {
    /// The resource: what is stated, and for the rest what the host's node says.
    ///
    /// The name is that of the workload with `-proxy` behind it, because under the application's own name its requests
    /// would count twice wherever metrics are made of spans.
    pub fn resource(&self, mut property: impl FnMut(&str) -> Option<String>) -> Resource {
        let name = self.name.clone().unwrap_or_else(|| {
            let workload = NAMES.iter().find_map(|path| property(path).filter(|name| !name.is_empty()));
            workload
                .map_or_else(|| "unknown_service:envoy".to_owned(), |workload| format!("{workload}-proxy"))
        });
        let mut attributes = vec![
            KeyValue::text("service.name", name),
            KeyValue::text("telemetry.sdk.name", env!("CARGO_PKG_NAME")),
            KeyValue::text("telemetry.sdk.language", "rust"),
            KeyValue::text("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        // Each name once, and what is stated counts.
        for (key, value) in &self.attributes {
            attributes.retain(|attribute| attribute.key != *key);
            attributes.push(KeyValue::text(key, value));
        }
        for (key, path) in OF_NODE {
            if !attributes.iter().any(|attribute| attribute.key == *key)
                && let Some(value) = property(path).filter(|value| !value.is_empty())
            {
                attributes.push(KeyValue::text(key, value));
            }
        }
        Resource { attributes }
    }
}
