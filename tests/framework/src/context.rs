//! A root or stream context, as the host sees it.

use std::collections::BTreeMap;

use crate::{HeaderMap, Status};

/// The numbers of the header maps this host has.
const REQUEST: u32 = 0;
const RESPONSE: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;
const ANSWER: u32 = 6;
const ANSWER_TRAILERS: u32 = 7;

/// Which callback of the stream is under way, and so which headers are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pass {
    #[default]
    None,
    Request,
    Response,
    Log,
}

/// A plugin (root context) or one of its streams.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// The root of a stream; a root has none.
    pub(crate) root: Option<u32>,
    /// The plugin configuration, of a root.
    pub(crate) configuration: Vec<u8>,
    pub(crate) tick_period_ms: u32,
    pub(crate) pass: Pass,
    pub(crate) request: Option<HeaderMap>,
    pub(crate) response: Option<HeaderMap>,
    pub(crate) response_trailers: Option<HeaderMap>,
    /// The answer to a call of a root, while its callback is under way: headers and trailers, if it is of HTTP, and the
    /// body.
    pub(crate) answer: Option<HeaderMap>,
    pub(crate) answer_trailers: Option<HeaderMap>,
    pub(crate) answer_body: Vec<u8>,
    pub(crate) filter_state: BTreeMap<String, Vec<u8>>,
    /// `proxy_on_done` asked for time.
    pub(crate) lingers: bool,
}

impl Context {
    pub(crate) fn root(configuration: &[u8]) -> Self {
        Self { configuration: configuration.to_vec(), ..Self::default() }
    }

    pub(crate) fn stream(root: u32) -> Self {
        Self { root: Some(root), ..Self::default() }
    }

    /// The map of that number, `None` if it is closed.
    pub(crate) fn headers(&self, map: u32) -> Result<Option<&HeaderMap>, Status> {
        match (map, self.pass) {
            (REQUEST, Pass::Request | Pass::Log) => Ok(self.request.as_ref()),
            (RESPONSE, Pass::Response | Pass::Log) => Ok(self.response.as_ref()),
            (RESPONSE_TRAILERS, Pass::Log) => Ok(self.response_trailers.as_ref()),
            (ANSWER, _) => Ok(self.answer.as_ref()),
            (ANSWER_TRAILERS, _) => Ok(self.answer_trailers.as_ref()),
            (0..=ANSWER_TRAILERS, _) => Ok(None),
            _ => Err(Status::BadArgument),
        }
    }

    /// The map of that number for editing, which the log phase does not allow.
    pub(crate) fn headers_mut(&mut self, map: u32) -> Result<&mut HeaderMap, Status> {
        match (map, self.pass) {
            (REQUEST, Pass::Request) => self.request.as_mut(),
            (RESPONSE, Pass::Response) => self.response.as_mut(),
            _ => None,
        }
        .ok_or(Status::BadArgument)
    }

    /// The first line of a name: in the log phase a map that is not there has no lines, else it is an error.
    pub(crate) fn header(&self, map: u32, name: &[u8]) -> Result<Vec<u8>, Status> {
        let value = match self.headers(map)? {
            Some(headers) => headers.get(name),
            None if self.pass == Pass::Log => None,
            None => return Err(Status::BadArgument),
        };
        value.map(<[u8]>::to_vec).ok_or(Status::NotFound)
    }

    /// `request.headers.NAME` and `response.headers.NAME`: all lines, joined by commas.
    pub(crate) fn header_property(&self, path: &[u8]) -> Option<Vec<u8>> {
        let (headers, name) = match path.strip_prefix(b"request\0headers\0") {
            Some(name) => (self.request.as_ref()?, name),
            None => (self.response.as_ref()?, path.strip_prefix(b"response\0headers\0")?),
        };
        let lines = headers.lines(name);
        (!lines.is_empty()).then(|| lines.join(&b','))
    }
}
