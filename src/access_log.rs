//! What Envoy's access log can show.

use crate::settings::settings;
use crate::words::{Verdict, labels};

settings! {
    /// What Envoy's access log can show, as the filter state of a request.
    #[derive(Copy)]
    pub struct AccessLogSettings "Access log" {
        /// Publish `trace_context` (the verdict), `trace_id`, `span_id`, `parent_id` and `sampled` for
        /// `%FILTER_STATE(wasm.trace_id:PLAIN)%` and so on. An `untrusted` request has `linked_trace_id` and `linked_span_id` in
        /// place of `parent_id`. Each costs a call to Envoy.
        pub filter_state: bool = false,
        /// Publish `trace_context` alone, so that an access log can show only the calls that are broken.
        pub verdict: VerdictOf = VerdictOf::Nobody,
    }
}

labels! {
    /// Whose verdict the access log can show.
    pub enum VerdictOf {
        /// That of no request, unless `filter_state` is on.
        Nobody = "none",
        /// That of requests that are `lost`, `corrupt`, `untrusted` or `unlinked`, and of no others.
        Broken = "broken",
        /// That of every request that is not excluded.
        Every = "every",
    }
}

impl AccessLogSettings {
    /// Whether the verdict is published.
    #[must_use]
    pub const fn shows(self, verdict: Verdict) -> bool {
        self.filter_state
            || match self.verdict {
                VerdictOf::Nobody => false,
                VerdictOf::Broken => verdict.is_broken(),
                VerdictOf::Every => true,
            }
    }
}
