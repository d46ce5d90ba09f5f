//! Requests that went on with two traces: what this hop wrote into one format was written over in another one.
//!
//! Envoy's tracer writes its context in the router, after every filter. Another filter or the route can do the same. So
//! `traceparent` and the headers that this hop wrote are read once more when the stream has ended. Only a hop that writes
//! more than W3C's format does that, and only now and then until it finds one: a read costs the host ten thousand
//! instructions. With `traceparent` alone, the last to write it wins, and the upstream receives one trace.

use crate::formats::{FormatContext, Propagation};
use crate::headers::Headers;
use crate::host::{EndedStream, HeaderMap, Metrics};
use crate::metrics::Counter;
use crate::w3c::{TraceId, TraceParent};
use crate::words::Format;

/// The formats that are read when the stream has ended: one bit for each, at its place in [`Format::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watch(u16);

impl Watch {
    /// The formats that this hop writes, and W3C's, unless that came and goes on as it came.
    #[cold]
    pub(crate) fn of(propagation: &Propagation, header: &str, headers: &Headers) -> Self {
        let is_forwarded = headers.has(header) && !propagation.removes(header);
        let own = propagation.inject.iter().map(|written| Self::bit(written.format()));
        let w3c = if is_forwarded { 0 } else { Self::bit(Format::TraceContext) };
        Self(own.fold(w3c, |bits, bit| bits | bit))
    }

    /// Whether there is nothing to read.
    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Counts each format that names another trace than the one that this hop sent, and says whether there is one.
    #[cold]
    pub(crate) fn count(
        self,
        sent: TraceParent,
        header: &str,
        host: &mut (impl EndedStream + Metrics),
    ) -> bool {
        let trace_id = sent.trace_id;
        let watched = Format::ALL.iter().copied().filter(|format| self.0 & Self::bit(*format) != 0);
        let suspects: Vec<Format> =
            watched.filter(|format| may_name_another(*format, trace_id, header, host)).collect();
        if suspects.is_empty() {
            return false;
        }
        let headers = host.headers(HeaderMap::Request).unwrap_or_default();
        let is_another = |other: TraceId| !other.is_same_trace(trace_id);
        let mut found = false;
        for format in suspects {
            if trace_id_in(format, header, &headers).is_some_and(is_another) {
                host.count(Counter::SecondTrace { format }, 1);
                found = true;
            }
        }
        found
    }

    const fn bit(format: Format) -> u16 {
        1 << format.index()
    }
}

/// Whether the first header of a format is there without the right half of this trace-id, which most formats spell in the
/// same digits. One header is cheaper to read than all.
fn may_name_another(format: Format, trace_id: TraceId, header: &str, host: &mut impl EndedStream) -> bool {
    let name = format.carriers(header).next().unwrap_or_default();
    let value = host.request_header(name).ok().flatten();
    let digits = trace_id.to_hex();
    let (_, right_half) = digits.split_at(16);
    value.is_some_and(|value| !value.windows(right_half.len()).any(|piece| piece == right_half))
}

/// The trace that a format names, if it names one.
fn trace_id_in(format: Format, header: &str, headers: &Headers) -> Option<TraceId> {
    let Some(propagator) = format.propagator() else {
        return TraceId::parse(headers.first(header)?.get(3..)?.first_chunk()?).ok();
    };
    match propagator.extract(headers) {
        FormatContext::Valid(context) => Some(context.trace_id),
        FormatContext::Absent | FormatContext::Decision(_) | FormatContext::Corrupt(_) => None,
    }
}
