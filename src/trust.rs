//! Whose context counts, and what happens to the context of every other sender.

mod cidr;
mod keep;

pub(crate) use cidr::Cidr;
pub(crate) use keep::Keep;

use crate::headers::Headers;
use crate::host::{Properties, Property, PropertyValue};
use crate::matching::is_like;
use crate::secret::SecretHeader;
use crate::settings::{NonEmpty, Reader, Rules, Setting, settings};
use crate::words::labels;

settings! {
    /// Whose context counts, if outsiders can send requests.
    pub struct Trust "Trust", checked {
        /// Whether a context counts if `trusted` does not list its sender.
        pub(crate) default: TrustDefault = TrustDefault::Trusted,
        /// The senders whose context counts. A list needs `"default": "untrusted"`. A certificate or an address costs a call
        /// to Envoy.
        pub(crate) trusted: Vec<Peer> = Vec::new(),
        /// What happens to the context of other senders, in any format.
        pub(crate) untrusted: Untrusted = Untrusted::Restart,
        /// Whether the `baggage` of other senders is passed on.
        pub(crate) baggage: bool = false,
        /// What passes from other senders all the same, such as `[{"header": "x-datadog-origin", "values": ["rum"]}]`: companions of
        /// a context and members of `baggage`, with the values that they may have.
        pub(crate) keep: Keep = Keep::default(),
    }
}

impl Rules for Trust {
    fn check(&self, reader: &mut Reader<'_>) {
        if self.trusts_everyone() && !self.trusted.is_empty() {
            let expected = "\"untrusted\" with a list of trusted senders";
            reader.conflict("default", expected, &self.default.value());
        }
        if self.trusts_everyone() && !self.keep.is_empty() {
            let expected = "\"untrusted\" with what is kept from untrusted senders";
            reader.conflict("default", expected, &self.default.value());
        }
    }
}

settings! {
    /// A trusted sender: by `san`, by `cidr`, or by `header` and `value_env`. Such as `{"cidr": "10.0.0.0/8"}`.
    pub(crate) enum Peer "Trusted sender" {
        /// The URI in its certificate. A `*` at the end stands for anything. Such as `"spiffe://mesh/ns/shop/*"`.
        San(NonEmpty) = "san",
        /// Its address, which is only honest if Envoy's `use_remote_address` is on.
        Cidr(Cidr) = "cidr",
        /// A header whose value must be a secret, treated like that of `sampling.force`.
        Header(..SecretHeader),
    }
}

labels! {
    /// Whether the context of senders counts that no list names.
    pub enum TrustDefault {
        /// The context of every sender counts.
        Trusted = "trusted",
        /// Only the context of the senders in `trusted` counts.
        Untrusted = "untrusted",
    }

    /// What happens to a context whose sender is not trusted.
    pub enum Untrusted {
        /// A new trace starts. The received one becomes a link.
        Restart = "restart",
        /// The trace continues under a parent-id of this hop, which decides whether it is sampled.
        IgnoreSampled = "ignore_sampled",
        /// It is removed, and no trace starts.
        Strip = "strip",
    }
}

impl Trust {
    /// Whether the context of every sender counts.
    #[inline]
    pub(crate) fn trusts_everyone(&self) -> bool {
        self.default == TrustDefault::Trusted
    }

    /// Whether the context of no sender counts.
    pub(crate) fn trusts_nobody(&self) -> bool {
        !self.trusts_everyone() && self.trusted.is_empty()
    }

    /// Whether the sender of this request is trusted.
    #[inline]
    pub(crate) fn admits(&self, headers: &Headers, host: &mut impl Properties) -> bool {
        if self.trusts_everyone() {
            return true;
        }
        let mut text = |property| host.property(property).and_then(PropertyValue::text).unwrap_or_default();
        let (mut san, mut address) = (None, None);
        self.trusted.iter().any(|peer| match peer {
            Peer::Header(secret) => secret.is_in(headers),
            Peer::San(pattern) => {
                let san = san.get_or_insert_with(|| text(Property::PeerUri));
                is_like(san, pattern.as_bytes())
            }
            Peer::Cidr(cidr) => {
                let address = address.get_or_insert_with(|| text(Property::PeerAddress));
                cidr.contains(address)
            }
        })
    }

    /// The headers that hold secrets, none of which may go on.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretHeader> {
        self.trusted.iter().filter_map(|peer| match peer {
            Peer::Header(secret) => Some(secret),
            Peer::San(_) | Peer::Cidr(_) => None,
        })
    }
}
