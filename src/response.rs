//! The response pass: what the upstream says of the trace that it served, and what the caller is given.

use crate::headers::{HeaderWriter, Headers, Refused, SERVER_TIMING, TRACERESPONSE, ignore};
use crate::host::{HeaderReader, Metrics};
use crate::metrics::Counter;
use crate::settings::settings;
use crate::w3c::{TraceParent, server_timing_context, server_timing_line};
use crate::words::{Mode, ResponseContext, ResponseHeader, When};

settings! {
    /// The context that the upstream answers with, and the one that the caller is given.
    pub struct Response "Response" {
        /// Whether the context on the upstream's response is compared with the request's, and counted. It costs one look at the
        /// response's headers.
        pub validate: bool = true,
        /// The headers that give the caller the context of its request, such as `["server-timing"]`. `[]` is none. Each costs one
        /// write.
        pub inject: Vec<ResponseHeader> = vec![ResponseHeader::Traceparent],
        /// Which responses carry the context.
        pub when: When = When::Always,
    }
}

/// The contexts on a response, one in each header that the configuration names.
#[derive(Default)]
struct ResponseContexts {
    traceparent: Option<Vec<u8>>,
    traceresponse: Option<Vec<u8>>,
    server_timing: Option<Vec<u8>>,
}

impl Response {
    /// Compares what the response says with the context that the upstream was sent, and puts that on the response.
    /// `header` is the name of the `traceparent` header.
    pub(crate) fn pass(
        &self,
        mode: Mode,
        header: &str,
        sent: TraceParent,
        host: &mut (impl HeaderReader + HeaderWriter + Metrics),
    ) {
        let Ok(found) = self.contexts(header, host) else { return };
        if self.validate {
            host.count(Counter::Response { context: found.compare(sent) }, 1);
        }
        if mode == Mode::Observe || !(sent.flags.is_sampled() || self.when == When::Always) {
            return;
        }
        let context = sent.to_bytes();
        for place in self.inject.iter().copied().filter(|place| !found.has(*place, &context)) {
            ignore(match place {
                ResponseHeader::Traceparent => host.set(header, &context),
                ResponseHeader::Traceresponse => host.set(TRACERESPONSE, &context),
                ResponseHeader::ServerTiming => host.add(SERVER_TIMING, &server_timing_line(&context)),
            });
        }
    }

    /// Reads the response's headers, as far as the configuration needs them.
    fn contexts(&self, header: &str, host: &mut impl HeaderReader) -> Result<ResponseContexts, Refused> {
        if self.inject.iter().any(|place| *place != ResponseHeader::Traceparent) {
            return Ok(ResponseContexts::of(&host.headers()?, header));
        }
        let traceparent = if self.validate { host.first(header)? } else { None };
        Ok(ResponseContexts { traceparent, ..ResponseContexts::default() })
    }
}

impl ResponseContexts {
    fn of(headers: &Headers, header: &str) -> Self {
        let first = |name| headers.first(name).map(<[u8]>::to_vec);
        let server_timing = headers.lines(SERVER_TIMING).iter().find_map(server_timing_context);
        Self {
            traceparent: first(header),
            traceresponse: first(TRACERESPONSE),
            server_timing: server_timing.map(<[u8]>::to_vec),
        }
    }

    /// Whether the header already holds this context.
    fn has(&self, header: ResponseHeader, context: &[u8; TraceParent::LEN]) -> bool {
        let is_context = |value: &[u8]| value.as_array() == Some(context);
        match header {
            ResponseHeader::Traceparent => self.traceparent.as_deref().is_some_and(is_context),
            ResponseHeader::Traceresponse => self.traceresponse.as_deref().is_some_and(is_context),
            // A second metric of the same name would confuse (rule RS-08).
            ResponseHeader::ServerTiming => self.server_timing.is_some(),
        }
    }

    /// Compares the first of them with the context that the upstream was sent.
    fn compare(&self, sent: TraceParent) -> ResponseContext {
        let contexts = [&self.traceparent, &self.traceresponse, &self.server_timing];
        match contexts.into_iter().flatten().next().map(|value| TraceParent::parse(value)) {
            None => ResponseContext::Absent,
            Some(Err(_)) => ResponseContext::Corrupt,
            Some(Ok(context)) if context.trace_id == sent.trace_id => ResponseContext::Match,
            Some(Ok(_)) => ResponseContext::Mismatch,
        }
    }
}
