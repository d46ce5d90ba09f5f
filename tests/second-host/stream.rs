//! What the host asks of its embedder for one stream.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use proxy_wasm_host::abi::v0_2_1::types::{MapType, Status};
use proxy_wasm_host::abi::v0_2_1::{Access, Callback, Invocation, StreamState};
use proxy_wasm_host::{HeaderMap, NotAllowed, PairVisitor};
use proxy_wasm_test_framework as framework;
use proxy_wasm_test_framework::Call;

use crate::services::Services;

/// A stream, or a plugin while one of its own callbacks runs.
pub(crate) struct Stream {
    pub(crate) request: Lines,
    pub(crate) response: Lines,
    pub(crate) response_trailers: Lines,
    pub(crate) filter_state: BTreeMap<String, Vec<u8>>,
    services: Arc<Services>,
}

/// Header lines that keep Envoy's rules, and whose edits can be refused.
pub(crate) struct Lines {
    pub(crate) headers: framework::HeaderMap,
    services: Arc<Services>,
}

impl Stream {
    pub(crate) fn new(services: &Arc<Services>) -> Self {
        let none = || Lines { headers: framework::HeaderMap::new(), services: services.clone() };
        Self {
            request: none(),
            response: none(),
            response_trailers: none(),
            filter_state: BTreeMap::new(),
            services: services.clone(),
        }
    }
}

impl StreamState for Stream {
    /// The map of that kind in its own pass, and to be read in `proxy_on_log`, as in Envoy.
    fn header_map(
        &mut self,
        call: Invocation,
        access: Access,
        map: MapType,
    ) -> Result<&mut dyn HeaderMap, Status> {
        match (map, call.callback, access) {
            (MapType::HttpRequestHeaders, Some(Callback::RequestHeaders), _)
            | (MapType::HttpRequestHeaders, Some(Callback::Log), Access::Read) => Ok(&mut self.request),
            (MapType::HttpResponseHeaders, Some(Callback::ResponseHeaders), _)
            | (MapType::HttpResponseHeaders, Some(Callback::Log), Access::Read) => Ok(&mut self.response),
            (MapType::HttpResponseTrailers, Some(Callback::Log), Access::Read) => {
                Ok(&mut self.response_trailers)
            }
            _ => Err(Status::BadArgument),
        }
    }

    fn property(&mut self, _: Invocation, path: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Status> {
        let planned = self.services.enter(Call::GetProperty)?;
        let held = || self.services.host().properties.get(&path.join(&0)).cloned();
        out.extend(planned.or_else(held).ok_or(Status::NotFound)?);
        Ok(())
    }

    fn set_property(&mut self, _: Invocation, path: &[&[u8]], value: &[u8]) -> Result<(), Status> {
        self.services.enter(Call::SetProperty)?;
        let key = format!("wasm.{}", String::from_utf8_lossy(&path.join(&0)));
        self.filter_state.insert(key, value.to_vec());
        Ok(())
    }
}

impl Lines {
    /// Makes an edit, unless a fault is planned for it: an embedder can refuse it, with no status of its choice.
    fn edit(&mut self, call: Call, edit: impl FnOnce(&mut framework::HeaderMap)) -> Result<(), NotAllowed> {
        self.services.enter(call).map_err(|_| NotAllowed)?;
        edit(&mut self.headers);
        Ok(())
    }
}

impl HeaderMap for Lines {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.headers.get(key).map(Cow::Borrowed)
    }

    fn for_each_pair(&self, f: &mut PairVisitor<'_>) -> ControlFlow<()> {
        self.headers.iter().try_for_each(|(name, value)| f(name, value))
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), NotAllowed> {
        self.edit(Call::ReplaceHeader, |headers| headers.replace(key, value))
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), NotAllowed> {
        self.edit(Call::AddHeader, |headers| headers.add(key, value))
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), NotAllowed> {
        self.edit(Call::RemoveHeader, |headers| headers.remove(key))
    }

    fn replace_all(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), NotAllowed> {
        self.edit(Call::SetHeaders, |headers| *headers = pairs.iter().copied().collect())
    }
}
