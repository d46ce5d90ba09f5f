//! The edge that the scenarios run on: the built module in a host that is not ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::types;
use proxy_wasm_host::abi::v0_2_1::{
    CallScope, CalloutId, ContextId, Guest, GuestError, Host as Linker, HttpCallResponse, PluginConfig,
    VmServices,
};
use proxy_wasm_host::{Engine, Limits, Module};
use proxy_wasm_test_framework::{Action, HeaderMap, Host, HttpAnswer};

use crate::services::{Services, pairs};
use crate::stream::{Lines, Stream};

/// A plugin of a VM.
pub(crate) type RootId = ContextId;

/// A stream of a plugin.
pub(crate) type StreamId = ContextId;

/// What comes of a call: the host's words for why there is no answer, or the answer.
type Called<T> = Result<T, String>;

/// A running module.
pub(crate) struct Vm {
    guest: Guest,
    /// The host between callbacks; while one runs, the services have it.
    host: Host,
    services: Arc<Services>,
    streams: BTreeMap<StreamId, Stream>,
    is_started: bool,
}

/// The built module, compiled once.
static MODULE: LazyLock<(Linker, Module)> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tracewarden.wasm");
    let bytes = std::fs::read(path).expect("the module is there: run `make build`");
    let engine = Engine::new().expect("an engine");
    (Linker::new(&engine).expect("the host functions"), Module::new(&engine, &bytes).expect("a module"))
});

/// A time that no callback needs, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);

/// A VM in that host.
pub(crate) fn start(host: Host) -> Vm {
    let services = Arc::new(Services::default());
    let bytes = |text: &String| text.clone().into_bytes();
    let environment = host.environment.iter().map(|(name, value)| (bytes(name), bytes(value)));
    let vm = VmServices::new(services.clone())
        .with_clock(services.clone())
        .with_environment(environment.collect())
        .with_shared(services.clone())
        .with_callouts(services.clone());
    let (linker, module) = &*MODULE;
    let guest = Guest::new(linker, module, vm, &Limits::default().with_cpu_time(LONG));
    let guest = guest.expect("the module starts");
    Vm { guest, host, services, streams: BTreeMap::new(), is_started: false }
}

impl Vm {
    /// Adds a plugin with that configuration, or answers `None` if it is refused.
    pub(crate) fn root(&mut self, configuration: &[u8]) -> Called<Option<RootId>> {
        let is_first = !std::mem::replace(&mut self.is_started, true);
        self.on_root(|scope| {
            let root = scope.on_context_create(None)?;
            let is_taken = !is_first || scope.on_vm_start(root)?;
            Ok((is_taken && configure(scope, root, configuration)?).then_some(root))
        })
    }

    /// Gives a plugin a new configuration. This host ends a plugin that refuses one.
    pub(crate) fn reconfigure(&mut self, root: RootId, configuration: &[u8]) -> Called<bool> {
        self.on_root(|scope| configure(scope, root, configuration))
    }

    /// Calls `proxy_on_tick`.
    pub(crate) fn tick(&mut self, root: RootId) -> Called<()> {
        self.on_root(|scope| scope.on_tick(root))
    }

    /// The tick period that a plugin set, in milliseconds; 0 is none.
    pub(crate) fn tick_period_ms(&self, root: RootId) -> u32 {
        self.guest.tick_period(root).map_or(0, |period| period.as_millis().try_into().expect("a short time"))
    }

    /// Answers an HTTP call of the plugin.
    pub(crate) fn answer_http(&mut self, root: RootId, token: u32, answer: HttpAnswer) -> Called<()> {
        let HttpAnswer { headers, body, trailers } = &answer;
        let response = match headers.is_empty() {
            true => HttpCallResponse::failed(),
            false => {
                HttpCallResponse::received(pairs(headers)).with_body(body).with_trailers(pairs(trailers))
            }
        };
        let callout = CalloutId::try_from(token).map_err(|e| e.to_string())?;
        self.on_root(|scope| scope.on_http_call_response(root, callout, response))
    }

    /// Ends a plugin.
    pub(crate) fn delete_root(&mut self, root: RootId) -> Called<()> {
        self.on_root(|scope| {
            scope.on_done(root)?;
            scope.on_delete(root).map(drop)
        })
    }

    /// Opens a stream.
    pub(crate) fn stream(&mut self, root: RootId) -> Called<StreamId> {
        let state = Stream::new(&self.services);
        let (id, state) = self.run(state, |scope| scope.on_context_create(Some(root)));
        let id = id?;
        self.streams.insert(id, state);
        Ok(id)
    }

    /// Passes the headers of a request.
    pub(crate) fn request(&mut self, id: StreamId, headers: impl Into<HeaderMap>) -> Called<Action> {
        self.set_request_headers(id, headers);
        self.on_stream(id, |scope| {
            let lines = count(&scope.stream().request);
            scope.on_request_headers(id, lines, true).map(action)
        })
    }

    /// Passes the headers of a response.
    pub(crate) fn response(&mut self, id: StreamId, headers: impl Into<HeaderMap>) -> Called<Action> {
        self.set_response_headers(id, headers);
        self.on_stream(id, |scope| {
            let lines = count(&scope.stream().response);
            scope.on_response_headers(id, lines, true).map(action)
        })
    }

    /// Has the plugin look at a stream as it ended, which in this host is done by then.
    pub(crate) fn log(&mut self, id: StreamId) -> Called<()> {
        self.on_stream(id, |scope| {
            scope.on_done(id)?;
            scope.on_log(id)
        })
    }

    /// Whether the filter lets go of the stream.
    pub(crate) fn done(&mut self, id: StreamId) -> Called<bool> {
        self.on_stream(id, |scope| scope.on_done(id))
    }

    /// Forgets the stream.
    pub(crate) fn delete(&mut self, id: StreamId) -> Called<()> {
        self.on_stream(id, |scope| scope.on_delete(id))?;
        self.streams.remove(&id);
        Ok(())
    }

    /// Ends a stream.
    pub(crate) fn finish(&mut self, id: StreamId) -> Called<()> {
        self.log(id)?;
        self.delete(id)
    }

    /// The request's headers as the filter left them.
    pub(crate) fn request_headers(&self, id: StreamId) -> &HeaderMap {
        &self.streams[&id].request.headers
    }

    /// The response's headers as the filter left them.
    pub(crate) fn response_headers(&self, id: StreamId) -> &HeaderMap {
        &self.streams[&id].response.headers
    }

    /// Changes the request's headers between callbacks.
    pub(crate) fn set_request_headers(&mut self, id: StreamId, headers: impl Into<HeaderMap>) {
        self.stream_mut(id).request.headers = headers.into();
    }

    /// Changes the response's headers between callbacks.
    pub(crate) fn set_response_headers(&mut self, id: StreamId, headers: impl Into<HeaderMap>) {
        self.stream_mut(id).response.headers = headers.into();
    }

    /// Sets the trailers of the response.
    pub(crate) fn set_response_trailers(&mut self, id: StreamId, trailers: impl Into<HeaderMap>) {
        self.stream_mut(id).response_trailers.headers = trailers.into();
    }

    /// What the filter put into the stream's filter state under that key, such as `wasm.trace_id`.
    pub(crate) fn filter_state(&self, id: StreamId, key: &str) -> Option<&[u8]> {
        self.streams.get(&id)?.filter_state.get(key).map(Vec::as_slice)
    }

    /// The host.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// The host, for changing it between callbacks.
    pub(crate) fn host_mut(&mut self) -> &mut Host {
        &mut self.host
    }

    fn stream_mut(&mut self, id: StreamId) -> &mut Stream {
        self.streams.get_mut(&id).expect("a stream")
    }

    /// Runs callbacks of a stream.
    fn on_stream<T>(
        &mut self,
        id: StreamId,
        callbacks: impl FnOnce(&mut CallScope<'_, Stream>) -> Result<T, GuestError>,
    ) -> Called<T> {
        let state = self.streams.remove(&id).expect("a stream");
        let (answer, state) = self.run(state, callbacks);
        self.streams.insert(id, state);
        answer
    }

    /// Runs callbacks of a plugin, which can read properties as a stream can.
    fn on_root<T>(
        &mut self,
        callbacks: impl FnOnce(&mut CallScope<'_, Stream>) -> Result<T, GuestError>,
    ) -> Called<T> {
        let state = Stream::new(&self.services);
        self.run(state, callbacks).0
    }

    fn run<T>(
        &mut self,
        state: Stream,
        callbacks: impl FnOnce(&mut CallScope<'_, Stream>) -> Result<T, GuestError>,
    ) -> (Called<T>, Stream) {
        std::mem::swap(&mut self.host, &mut self.services.host());
        let (answer, state) = self.guest.with(state, callbacks);
        std::mem::swap(&mut self.host, &mut self.services.host());
        (answer.map_err(|error| error.to_string()), state)
    }
}

fn configure(
    scope: &mut CallScope<'_, Stream>,
    root: RootId,
    configuration: &[u8],
) -> Result<bool, GuestError> {
    scope.on_configure(root, PluginConfig::new().with_configuration(configuration))
}

fn count(lines: &Lines) -> u32 {
    u32::try_from(lines.headers.len()).expect("few lines")
}

fn action(action: types::Action) -> Action {
    match action {
        types::Action::Continue => Action::Continue,
        types::Action::Pause => Action::Pause,
    }
}
