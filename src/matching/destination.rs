//! Where the host sends a request: asked only if a condition needs it.

use super::Match;
use crate::host::{Properties, Property, PropertyValue};

/// Where the host sends a request, as far as conditions ask for it. A text is empty if the host does not know.
#[derive(Debug, Default)]
pub(crate) struct Destination {
    pub(super) route: Vec<u8>,
    pub(super) cluster: Vec<u8>,
}

/// Which parts of a destination conditions ask for: each costs a call to the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    route: bool,
    cluster: bool,
}

impl Asked {
    /// What these conditions ask for.
    pub(crate) fn by<'m>(conditions: impl Iterator<Item = &'m Match>) -> Self {
        conditions.fold(Self::default(), |asked, one| Self {
            route: asked.route || one.route.is_some(),
            cluster: asked.cluster || one.cluster.is_some(),
        })
    }

    /// Asks the host, if there is anything to ask.
    #[inline]
    pub(crate) fn of(self, host: &mut impl Properties) -> Option<Box<Destination>> {
        if self == Self::default() { None } else { Some(self.read(host)) }
    }

    #[inline(never)]
    fn read(self, host: &mut impl Properties) -> Box<Destination> {
        let mut text = |is_asked, property| {
            let value = if is_asked { host.property(property) } else { None };
            value.and_then(PropertyValue::text).unwrap_or_default()
        };
        Box::new(Destination {
            route: text(self.route, Property::RouteName),
            cluster: text(self.cluster, Property::ClusterName),
        })
    }
}
