//! The edge that the scenarios run on: the native one, and for each message `explain` too, whose answer must be what the
//! filter did.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::{Deref, DerefMut};

use proxy_wasm_test_framework::{Action, HeaderMap, Host};

pub(crate) use crate::native::{RootId, StreamId};

use crate::compare::{Asked, Did, Message, counted};
use crate::left_out::{Kind, leave_out};
use crate::native;

/// A worker whose filter is asked twice.
pub(crate) struct Vm {
    native: native::Vm,
    configurations: BTreeMap<RootId, Vec<u8>>,
    streams: BTreeMap<StreamId, Stream>,
    /// Whether a request of this worker may come back redirected.
    may_redirect: bool,
}

struct Stream {
    configuration: Vec<u8>,
    /// What `explain` is asked of its request.
    asked: Asked,
    /// Why it cannot be asked.
    left_out: Option<Kind>,
}

type Called<T> = Result<T, Infallible>;

/// A VM in that host.
pub(crate) fn start(host: Host) -> Vm {
    let (configurations, streams) = (BTreeMap::new(), BTreeMap::new());
    Vm { native: native::start(host), configurations, streams, may_redirect: false }
}

impl Deref for Vm {
    type Target = native::Vm;

    fn deref(&self) -> &native::Vm {
        &self.native
    }
}

impl DerefMut for Vm {
    fn deref_mut(&mut self) -> &mut native::Vm {
        &mut self.native
    }
}

impl Vm {
    /// Adds a plugin with that configuration, or answers `None` if it is refused.
    pub(crate) fn root(&mut self, configuration: &[u8]) -> Called<Option<RootId>> {
        let root = self.native.root(configuration)?;
        match root {
            Some(root) => {
                self.configurations.insert(root, configuration.to_vec());
            }
            None => self.asked(configuration).is_refused(),
        }
        Ok(root)
    }

    /// Gives a plugin a new configuration, unless that is refused.
    pub(crate) fn reconfigure(&mut self, root: RootId, configuration: &[u8]) -> Called<bool> {
        let is_taken = self.native.reconfigure(root, configuration)?;
        if is_taken {
            self.configurations.insert(root, configuration.to_vec());
        } else {
            self.asked(configuration).is_refused();
        }
        Ok(is_taken)
    }

    /// Opens a stream.
    pub(crate) fn stream(&mut self, root: RootId) -> Called<StreamId> {
        let id = self.native.stream(root)?;
        let configuration = self.configurations.get(&root).cloned().unwrap_or_default();
        let asked = self.asked(&configuration);
        self.streams.insert(id, Stream { configuration, asked, left_out: None });
        Ok(id)
    }

    /// Passes the headers of a request.
    pub(crate) fn request(&mut self, id: StreamId, headers: impl Into<HeaderMap>) -> Called<Action> {
        let headers = headers.into();
        let configuration = self.streams[&id].configuration.clone();
        let left_out = self.cannot(&configuration, &headers);
        let asked = Asked { request: Some(message(&headers)), ..self.asked(&configuration) };
        let before = counted(self.native.host());
        let action = self.native.request(id, headers)?;
        let did = Did::since(&before, &self.native, id, self.native.request_headers(id));
        match left_out {
            Some(kind) => leave_out(kind),
            None => asked.answers("request", &did),
        }
        self.streams.insert(id, Stream { configuration, asked, left_out });
        Ok(action)
    }

    /// Passes the headers of a response.
    pub(crate) fn response(&mut self, id: StreamId, headers: impl Into<HeaderMap>) -> Called<Action> {
        let headers = headers.into();
        let host = self.native.host();
        let failures = host.metric("decision=.=record;.;by=.=error;.;tracewarden_sampled_total");
        let stream = &self.streams[&id];
        let asked = Asked { response: Some(message(&headers)), ..stream.asked.clone() };
        let left_out = match stream.left_out {
            Some(kind) => Some(kind),
            None if host.has_faults() => Some(Kind::Fault),
            None if failures.is_some_and(|count| count > 0) => Some(Kind::Rate),
            None => (!is_dump(&headers)).then_some(Kind::Bytes),
        };
        let before = counted(self.native.host());
        let action = self.native.response(id, headers)?;
        let did = Did::since(&before, &self.native, id, self.native.response_headers(id));
        match left_out {
            Some(kind) => leave_out(kind),
            None => asked.answers("response", &did),
        }
        Ok(action)
    }

    /// Has the plugin look at a stream as it ended.
    pub(crate) fn log(&mut self, id: StreamId) -> Called<()> {
        self.note(id);
        self.native.log(id)
    }

    fn note(&mut self, id: StreamId) {
        self.may_redirect |= self.native.request_headers(id).get(REDIRECTED).is_some();
    }

    /// Ends a stream.
    pub(crate) fn finish(&mut self, id: StreamId) -> Called<()> {
        self.note(id);
        self.native.finish(id)
    }

    /// What `explain` is asked in this host, without a message.
    fn asked(&self, configuration: &[u8]) -> Asked {
        let host = self.native.host();
        let property = |path: &str| host.properties.get(path.as_bytes()).cloned();
        Asked {
            configuration: configuration.to_vec(),
            environment: host.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            direction: property("xds\0listener_direction"),
            peer_uri: property("connection\0uri_san_peer_certificate"),
            peer_address: host.properties.get(PEER).cloned(),
            route: property("xds\0route_name"),
            cluster: property("xds\0cluster_name"),
            request: None,
            response: None,
        }
    }

    /// Why `explain` cannot know what the filter does with a request.
    fn cannot(&self, configuration: &[u8], headers: &HeaderMap) -> Option<Kind> {
        let host = self.native.host();
        let has = |text: &str| String::from_utf8_lossy(configuration).contains(text);
        let in_flight = host.metric("tracewarden_traced_requests_in_flight").unwrap_or_default();
        if host.has_faults() {
            Some(Kind::Fault)
        } else if has("\"correlation\"") && (!host.shared_data.is_empty() || in_flight > 0) {
            Some(Kind::Memory)
        } else if self.may_redirect && headers.get(REDIRECTED).is_some() {
            Some(Kind::Redirect)
        } else if host.properties.contains_key(tracewarden::hop::KEY.as_bytes()) {
            Some(Kind::Hop)
        } else if !is_dump(headers) || host.properties.get(PEER).is_some_and(|peer| peer.contains(&0)) {
            Some(Kind::Bytes)
        } else {
            None
        }
    }
}

const REDIRECTED: &str = "x-envoy-original-url";
const PEER: &[u8] = b"source\0address";

fn message(headers: &HeaderMap) -> Message {
    headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Whether these lines can stand in a dump.
fn is_dump(headers: &HeaderMap) -> bool {
    headers.iter().all(|(name, value)| {
        let is_sign = |byte: &u8| byte.is_ascii_graphic() && !b" \"(),/;<=>?@[\\]{}".contains(byte);
        !name.is_empty()
            && name.iter().all(is_sign)
            && !value.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
    })
}
