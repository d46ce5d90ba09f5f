//! Internal redirects: Envoy takes a request back and has it pass all filters again, on the headers that the first pass has
//! left. The two passes are one request, and the second is judged as the first.
//!
//! Envoy marks the second pass by `x-envoy-original-url`, which anyone can forge. So a worker notes which of its streams
//! ended without a response and with a mark that it did not arrive with. The second pass comes right after that.

use core::cell::RefCell;

use crate::headers::Headers;
use crate::w3c::TraceParent;

/// The header in which Envoy keeps the URL of a request that it redirects by itself.
const MARK: &str = "x-envoy-original-url";

/// What the first pass of a request knew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FirstPass {
    /// Whether its sender was trusted.
    pub(crate) trusted: bool,
    /// The context that it left.
    pub(crate) sent: Option<TraceParent>,
}

/// The request that was taken back last, on one worker.
#[derive(Debug, Default)]
pub(crate) struct Redirects(RefCell<Option<(Vec<u8>, FirstPass)>>);

/// Whether a request arrived with the mark.
#[inline]
pub(crate) fn is_marked(headers: &Headers) -> bool {
    headers.has(MARK)
}

impl Redirects {
    /// Notes a stream that ended without a response. It was not marked when it arrived.
    #[cold]
    pub(crate) fn note(&self, headers: &Headers, first: FirstPass) {
        if let Some(url) = headers.first(MARK) {
            self.0.replace(Some((url.to_vec(), first)));
        }
    }

    /// The first pass of this request, if it is marked as the one that was taken back last.
    #[cold]
    pub(crate) fn first_pass(&self, headers: &Headers) -> Option<FirstPass> {
        let (url, first) = self.0.take()?;
        (headers.first(MARK) == Some(url.as_slice())).then_some(first)
    }
}

impl FirstPass {
    /// Whether the context that came is still that of this request: its ids are random, and nobody was told them.
    pub(crate) fn is_intact(&self, header: &str, headers: &Headers) -> bool {
        self.sent.is_none_or(|sent| headers.first(header) == Some(&sent.to_bytes()))
    }
}
