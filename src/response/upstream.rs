use crate::headers::{Headers, Refused, SERVER_TIMING, TRACERESPONSE};
use crate::host::HeaderReader;
use crate::w3c::{TraceMetric, TraceParent, TraceParentError};
use crate::words::ResponseContext;

/// What the upstream says of its trace; `None` if it says nothing.
pub(super) struct Answer(Option<Result<TraceParent, TraceParentError>>);

impl Answer {
    /// What the first says that is there: the headers, then the metrics.
    pub(super) fn of(headers: &Headers, header: &str) -> Self {
        let metric = |metric| metric_context(headers, metric);
        Self(
            header_context(headers, header)
                .or_else(|| header_context(headers, TRACERESPONSE))
                .or_else(|| TraceMetric::ALL.into_iter().find_map(metric)),
        )
    }

    /// What the header `traceparent` alone says, and its line if that is the only one.
    #[inline]
    pub(super) fn of_traceparent(
        header: &str,
        host: &mut impl HeaderReader,
    ) -> Result<(Self, Option<Vec<u8>>), Refused> {
        let Some(line) = host.first(header)? else { return Ok((Self(None), None)) };
        let said = TraceParent::parse(&line);
        // The host gives the first line. Whether it is the only one, all headers say; an invalid one is corrupt anyway.
        if said.is_ok() && host.headers()?.lines(header).is_repeated() {
            return Ok((Self(Some(Err(TraceParentError::Repeated))), None));
        }
        Ok((Self(Some(said)), Some(line)))
    }

    /// Compares it with the context that the upstream was sent.
    pub(super) fn compare(&self, sent: TraceParent) -> ResponseContext {
        match &self.0 {
            None => ResponseContext::Absent,
            Some(Err(_)) => ResponseContext::Corrupt,
            Some(Ok(context)) if context.trace_id == sent.trace_id => ResponseContext::Match,
            Some(Ok(_)) => ResponseContext::Mismatch,
        }
    }

    /// The context that it names, if that is of another trace than the one that the upstream was sent.
    pub(super) fn other_than(&self, sent: TraceParent) -> Option<TraceParent> {
        let named = self.0?.ok()?;
        (named.trace_id != sent.trace_id).then_some(named)
    }
}

/// The context in a header, which has one line (rule RS-10).
fn header_context(headers: &Headers, name: &str) -> Option<Result<TraceParent, TraceParentError>> {
    let lines = headers.lines(name);
    let line = lines.first()?;
    Some(if lines.is_repeated() { Err(TraceParentError::Repeated) } else { TraceParent::parse(line) })
}

/// The context in the metrics of a name, of which there is one (rule RS-10).
pub(super) fn metric_context(
    headers: &Headers,
    metric: TraceMetric,
) -> Option<Result<TraceParent, TraceParentError>> {
    let mut contexts = headers.lines(SERVER_TIMING).iter().flat_map(|line| metric.contexts(line));
    let first = contexts.next()?;
    Some(if contexts.next().is_some() { Err(TraceParentError::Repeated) } else { TraceParent::parse(first) })
}
