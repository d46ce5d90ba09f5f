//! What leaves the mesh: contexts that mean something inside of it need not be known outside.

use crate::baggage::BAGGAGE;
use crate::headers::TRACESTATE;
use crate::labels::labels;
use crate::matching::{Match, Request};
use crate::metrics::Direction;
use crate::pass::{Sink, ignore};

/// What is kept from which hosts; the first entry that matches counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress(pub(crate) Vec<(Match, Strip)>);

labels! {
    /// What a host outside of the mesh does not get.
    pub enum Strip {
        /// What vendors and samplers noted.
        TraceState = "tracestate",
        /// What applications noted.
        Baggage = "baggage",
        /// Any of it: no context of any format, no `tracestate`, no `baggage`.
        All = "all",
    }
}

impl Egress {
    /// What the host of this request does not get.
    pub(crate) fn strip(&self, headers: &[u8], direction: Direction) -> Option<Strip> {
        if self.0.is_empty() || direction != Direction::Outbound {
            return None;
        }
        let request = Request::scan(headers, direction).ok()?;
        self.0.iter().find(|(hosts, _)| hosts.holds(&request)).map(|(_, strip)| *strip)
    }
}

impl Strip {
    /// Removes what stands beside a context.
    pub(crate) fn apply(self, sink: &mut dyn Sink) {
        ignore(sink.remove(match self {
            Self::TraceState => TRACESTATE,
            Self::Baggage | Self::All => BAGGAGE,
        }));
    }
}
