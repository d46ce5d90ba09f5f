//! The resource of the spans: the proxy of a workload.

use crate::host::{Properties, Property, PropertyValue};
use crate::settings::{Object, Reader, Rules, Setting, Shape, Step, settings};

/// What records the spans: attributes by their names, of which each stands once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// The attributes.
    pub attributes: Vec<(String, String)>,
}

settings! {
    /// The resource of the spans. It should not have the application's own name: the requests would count twice wherever
    /// metrics are made of spans.
    pub struct Service "Service", checked {
        /// The attribute `service.name`, such as `"checkout-proxy"`. Without it: `OTEL_SERVICE_NAME`, `service.name` in
        /// `OTEL_RESOURCE_ATTRIBUTES`, or the name of the workload in Istio's node metadata, of Envoy's cluster or of its
        /// node, with `-proxy` appended.
        pub name: Option<String> = None,
        /// Further attributes, such as `{"deployment.environment.name": "production"}`. They replace attributes of the same
        /// name in `OTEL_RESOURCE_ATTRIBUTES` and in Istio's node metadata.
        pub attributes: Vec<(String, String)> = Vec::new(),
    }
}

impl Rules for Service {
    fn check(&self, reader: &mut Reader<'_>) {
        for (_, value) in self.attributes.iter().filter(|(name, _)| name == NAME) {
            reader.within(Step::Field("attributes".to_owned()), &mut |reader| {
                reader.conflict(NAME, "the name in the field service.name", &value.value());
            });
        }
    }

    fn describe(object: &mut Object) {
        if let Some(attributes) = object.field("attributes") {
            attributes.shape = Shape::Map(&[NAME]);
        }
    }
}

const NAME: &str = "service.name";

/// The attributes that the node's metadata give.
const OF_NODE: &[(&str, Property<'static>)] = &[
    ("k8s.namespace.name", Property::Namespace),
    ("k8s.pod.name", Property::Pod),
    ("k8s.cluster.name", Property::MeshCluster),
    ("service.instance.id", Property::Node),
];

/// The node's names for the workload, the best first.
const NAMES: &[Property<'static>] = &[Property::Workload, Property::NodeCluster, Property::Node];

impl Service {
    /// The resource: what is stated, and for the rest what the host's node says.
    ///
    /// The name is that of the workload followed by `-proxy`, because under the application's own name its requests
    /// would count twice wherever metrics are made of spans.
    pub fn resource(&self, host: &mut impl Properties) -> Resource {
        let mut text = |property| {
            let value = host.property(property).and_then(PropertyValue::text)?;
            Some(String::from_utf8_lossy(&value).into_owned())
        };
        let name = self.name.clone().unwrap_or_else(|| {
            let workload = NAMES.iter().find_map(|property| text(*property));
            workload
                .map_or_else(|| "unknown_service:envoy".to_owned(), |workload| format!("{workload}-proxy"))
        });
        let own = [
            (NAME, &*name),
            ("telemetry.sdk.name", env!("CARGO_PKG_NAME")),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        let mut attributes = own.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        // Each name once, and what is stated counts.
        for (key, value) in &self.attributes {
            attributes.retain(|(known, _)| known != key);
            attributes.push((key.clone(), value.clone()));
        }
        for (key, property) in OF_NODE {
            if !attributes.iter().any(|(known, _)| known == key)
                && let Some(value) = text(*property)
            {
                attributes.push(((*key).to_owned(), value));
            }
        }
        Resource { attributes }
    }
}

impl Resource {
    /// The name of the service; empty if there is none.
    pub(crate) fn service_name(&self) -> &str {
        self.attributes.iter().find(|(key, _)| key == NAME).map_or("", |(_, value)| value)
    }
}
