//! Envoy's properties ([its attributes](https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes)):
//! where each is, and how its value is written.

use tracewarden::host::{Property, PropertyValue};
use tracewarden::words::Direction;

/// The direction of the listener.
pub(crate) const LISTENER_DIRECTION: &str = "xds\0listener_direction";

/// The path of a property, its parts joined by NUL.
pub(crate) const fn path(property: Property<'_>) -> &'static str {
    match property {
        Property::PeerUri => "connection\0uri_san_peer_certificate",
        Property::PeerAddress => "source\0address",
        Property::LocalAddress => "destination\0address",
        Property::RouteName => "xds\0route_name",
        Property::ClusterName => "xds\0cluster_name",
        Property::VirtualHostName => "xds\0virtual_host_name",
        Property::Workload => "xds\0node\0metadata\0WORKLOAD_NAME",
        Property::Namespace => "xds\0node\0metadata\0NAMESPACE",
        Property::Pod => "xds\0node\0metadata\0NAME",
        Property::MeshCluster => "xds\0node\0metadata\0CLUSTER_ID",
        Property::Node => "xds\0node\0id",
        Property::NodeCluster => "xds\0node\0cluster",
        Property::Custom(_) => "",
    }
}

/// Reads the value of a property, unless it is a malformed number.
pub(crate) fn value(property: Property<'_>, value: Vec<u8>) -> Option<PropertyValue> {
    // Text has no NUL, and a number of eight bytes nearly always has one.
    let is_number = matches!(property, Property::Custom(_)) && value.contains(&0);
    if is_number { number(&value).map(PropertyValue::Number) } else { Some(PropertyValue::Text(value)) }
}

/// A number has 8 bytes, little-endian.
pub(crate) fn number(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_le_bytes)
}

/// Reads Envoy's `TrafficDirection`, a number. A host without one answers nothing.
pub(crate) fn direction(value: Option<&[u8]>) -> Option<Direction> {
    match value.map(number) {
        None | Some(Some(0)) => Some(Direction::Unspecified),
        Some(Some(1)) => Some(Direction::Inbound),
        Some(Some(2)) => Some(Direction::Outbound),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_a_number_of_eight_bytes() {
        let number = |number: u64| number.to_le_bytes();
        assert_eq!(direction(None), Some(Direction::Unspecified));
        assert_eq!(direction(Some(&number(0))), Some(Direction::Unspecified));
        assert_eq!(direction(Some(&number(1))), Some(Direction::Inbound));
        assert_eq!(direction(Some(&number(2))), Some(Direction::Outbound));
        for other in [&number(3)[..], &number(1 << 32), &number(1)[..7], b"", b"INBOUND"] {
            assert_eq!(direction(Some(other)), None, "{other:?}");
        }
    }

    #[test]
    fn a_value_is_text_or_a_number() {
        let five = 5_u64.to_le_bytes().to_vec();
        let custom = Property::Custom(&[]);
        assert_eq!(value(custom, five.clone()), Some(PropertyValue::Number(5)));
        assert_eq!(value(custom, b"a\0b".to_vec()), None);
        assert_eq!(value(custom, b"text".to_vec()), Some(PropertyValue::Text(b"text".to_vec())));
        assert_eq!(value(Property::PeerAddress, five.clone()), Some(PropertyValue::Text(five)));
    }
}
