//! What leaves the mesh: hosts outside of it need not know contexts that mean something inside.

use crate::matching::{Match, Target};
use crate::settings::settings;
use crate::words::labels;

settings! {
    /// What is removed from requests to some hosts. The first entry that matches counts.
    #[derive(Default)]
    pub struct Egress(Vec<EgressEntry>);
}

settings! {
    /// What is removed from some requests, such as `{"match": {"host": "*.example.org"}, "strip": "all"}`.
    pub(crate) struct EgressEntry "Egress entry" {
        /// Which requests. If neither the configuration nor the listener states a direction, a condition on it holds.
        when as "match": Match,
        /// What is removed from them.
        strip: Strip,
    }
}

labels! {
    /// What a host outside of the mesh does not get.
    pub enum Strip {
        /// The header `tracestate`.
        TraceState = "tracestate",
        /// The header `baggage`, and that of every other format.
        Baggage = "baggage",
        /// Everything: the context of every format, and all that accompanies it.
        All = "all",
    }
}

impl Egress {
    /// Whether it says nothing of any request.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The conditions of its entries.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Match> {
        self.0.iter().map(|entry| &entry.when)
    }

    /// What the host of this request does not get.
    #[inline]
    pub(crate) fn strip(&self, target: &Target<'_>) -> Option<Strip> {
        self.0.iter().find(|entry| entry.when.may_hold(target)).map(|entry| entry.strip)
    }
}
