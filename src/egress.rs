//! What leaves the mesh: hosts outside of it need not know contexts that mean something inside.

use crate::headers::{BAGGAGE, HeaderWriter, TRACESTATE, ignore};
use crate::matching::{Match, Target};
use crate::settings::settings;
use crate::words::{Direction, labels};

settings! {
    /// What is removed from outbound requests. The first entry that matches counts.
    #[derive(Default)]
    pub struct Egress(Vec<EgressEntry>);
}

settings! {
    /// What is removed from some outbound requests, such as `{"match": {"host": "*.example.org"}, "strip": "all"}`.
    pub(crate) struct EgressEntry "Egress entry" {
        /// Which requests.
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
        /// The header `baggage`.
        Baggage = "baggage",
        /// Everything: the context of every format, `tracestate` and `baggage`.
        All = "all",
    }
}

impl Egress {
    /// What the host of this request does not get.
    #[inline]
    pub(crate) fn strip(&self, target: &Target<'_>) -> Option<Strip> {
        if target.direction != Direction::Outbound {
            return None;
        }
        self.0.iter().find(|entry| entry.when.holds(target)).map(|entry| entry.strip)
    }
}

impl Strip {
    /// Removes what accompanies a context.
    pub(crate) fn apply(self, writer: &mut dyn HeaderWriter) {
        ignore(writer.remove(match self {
            Self::TraceState => TRACESTATE,
            Self::Baggage | Self::All => BAGGAGE,
        }));
    }
}
