//! What the upstream says on its response of the trace that it served.

use crate::config::{Config, ResponseHeader};
use crate::headers::{Malformed, scan};
use crate::metrics::Answer;
use crate::pass::Facts;
use crate::w3c::{TraceParent, server_timing_context};

/// The header of earlier drafts of Trace Context Level 3 (rule RS-01).
pub(crate) const TRACERESPONSE: &str = "traceresponse";
/// The header whose metrics browsers show to scripts.
pub(crate) const SERVER_TIMING: &str = "server-timing";

/// The context on the response, in each of the forms that the configuration names.
#[derive(Default)]
pub(crate) struct Told {
    traceparent: Option<Vec<u8>>,
    traceresponse: Option<Vec<u8>>,
    server_timing: Option<Vec<u8>>,
}

/// Reads the response's headers, as far as the configuration needs them; `None` if the host refused.
pub(crate) fn read(config: &Config, facts: &mut impl Facts) -> Result<Option<Told>, Malformed> {
    let inject = &config.response.inject;
    let only_traceparent = inject.iter().all(|header| *header == ResponseHeader::Traceparent);
    if only_traceparent {
        if !config.response.validate {
            return Ok(Some(Told::default()));
        }
        let read = facts.response_header(&config.propagation.header).ok();
        return Ok(read.map(|traceparent| Told { traceparent, ..Told::default() }));
    }
    let Ok(serialized) = facts.response_headers() else { return Ok(None) };
    let found = scan(&serialized, [&config.propagation.header, TRACERESPONSE, SERVER_TIMING])?;
    let [traceparent, traceresponse, server_timing] = found;
    Ok(Some(Told {
        traceparent: traceparent.first().map(<[u8]>::to_vec),
        traceresponse: traceresponse.first().map(<[u8]>::to_vec),
        server_timing: server_timing.iter().find_map(server_timing_context).map(<[u8]>::to_vec),
    }))
}

impl Told {
    /// Whether the header already says just this.
    pub(crate) fn says(&self, header: ResponseHeader, context: &[u8]) -> bool {
        match header {
            ResponseHeader::Traceparent => self.traceparent.as_deref() == Some(context),
            ResponseHeader::Traceresponse => self.traceresponse.as_deref() == Some(context),
            // A second metric of the same name would confuse (rule RS-08).
            ResponseHeader::ServerTiming => self.server_timing.is_some(),
        }
    }

    /// Compares it with the context that the upstream was sent.
    pub(crate) fn compare(&self, sent: TraceParent) -> Answer {
        let told = [&self.traceparent, &self.traceresponse, &self.server_timing];
        match told.into_iter().flatten().next().map(|value| TraceParent::parse(value)) {
            None => Answer::Absent,
            Some(Err(_)) => Answer::Corrupt,
            Some(Ok(answer)) if answer.trace_id == sent.trace_id => Answer::Match,
            Some(Ok(_)) => Answer::Mismatch,
        }
    }
}
