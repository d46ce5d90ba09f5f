//! VMs and their callbacks.

use std::fmt;

use wasmtime::{Instance, Memory, Store, WasmParams, WasmResults};

use crate::context::{Context, Pass};
use crate::{Action, HeaderMap, Host, HttpAnswer, Module};

static NO_HEADERS: HeaderMap = HeaderMap::new();

/// A plugin of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RootId(u32);

/// An HTTP stream of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(u32);

/// The end of a VM: an export trapped. A call for a stream already deleted answers one too, and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The export that was called.
    pub export: String,
    /// What happened there, in wasmtime's words, and below that the way to it through the module.
    pub reason: String,
}

/// A running module, with its host.
///
/// A callback that the module does not export is not called, and counts as one that agreed. After a trap the VM is
/// dead: whatever is called next answers that trap.
#[derive(Debug)]
pub struct Vm {
    store: Store<Host>,
    instance: Instance,
    memory: Option<Memory>,
    next_context: u32,
    fuel_used: u64,
    dead: Option<Trap>,
}

impl Vm {
    /// Starts a VM with a new [`Host`].
    pub fn start(module: &Module) -> Result<Self, Trap> {
        Self::with(module, Host::new())
    }

    /// Starts a VM in a prepared host: instantiates the module and calls `_initialize`, or else `_start`.
    pub fn with(module: &Module, host: Host) -> Result<Self, Trap> {
        let fuel = host.fuel;
        let mut store = Store::new(module.ready.module().engine(), host);
        let instance = store.set_fuel(fuel).and_then(|()| module.ready.instantiate(&mut store));
        let instance = instance.map_err(|error| Trap::new("(start)", &error))?;
        let memory = instance.get_memory(&mut store, "memory");
        let mut vm = Self { store, instance, memory, next_context: 1, fuel_used: 0, dead: None };
        if vm.call::<_, ()>(0, "_initialize", ())?.is_none() {
            vm.call::<_, ()>(0, "_start", ())?;
        }
        Ok(vm)
    }

    /// Adds a plugin with that configuration, or answers `None` if the filter refuses to start with it.
    pub fn root(&mut self, configuration: &[u8]) -> Result<Option<RootId>, Trap> {
        let root = RootId(self.create(Context::root(configuration))?);
        let vm_configuration = size(&self.host().vm_configuration);
        let started = self.call(root.0, "proxy_on_vm_start", (root.0, vm_configuration))?;
        if !agreed(started) {
            return Ok(None);
        }
        let accepted = self.configure(root, configuration)?;
        Ok(accepted.then_some(root))
    }

    /// Gives a plugin a new configuration, and tells whether the filter took it.
    pub fn reconfigure(&mut self, root: RootId, configuration: &[u8]) -> Result<bool, Trap> {
        let context = self.context(root.0, "proxy_on_configure")?;
        let old = std::mem::replace(&mut context.configuration, configuration.to_vec());
        let accepted = self.configure(root, configuration)?;
        if !accepted {
            self.context(root.0, "proxy_on_configure")?.configuration = old;
        }
        Ok(accepted)
    }

    /// Calls `proxy_on_tick`.
    pub fn tick(&mut self, root: RootId) -> Result<(), Trap> {
        self.call::<_, ()>(root.0, "proxy_on_tick", root.0).map(drop)
    }

    /// The tick period the plugin set, in milliseconds; 0 is none.
    pub fn tick_period_ms(&self, root: RootId) -> u32 {
        self.host().contexts.get(&root.0).map_or(0, |context| context.tick_period_ms)
    }

    /// Answers an HTTP call of the plugin.
    pub fn answer_http(&mut self, root: RootId, token: u32, answer: HttpAnswer) -> Result<(), Trap> {
        let HttpAnswer { headers, body, trailers } = answer;
        let lines = |map: &HeaderMap| u32::try_from(map.len()).unwrap_or(u32::MAX);
        let parameters = (root.0, token, lines(&headers), size(&body), lines(&trailers));
        let context = self.context(root.0, "proxy_on_http_call_response")?;
        context.answer = Some(headers);
        context.answer_trailers = Some(trailers);
        context.answer_body = body;
        self.call::<_, ()>(root.0, "proxy_on_http_call_response", parameters)?;
        self.close_answer(root)
    }

    /// Answers a gRPC call of the plugin with a message.
    pub fn answer_grpc(&mut self, root: RootId, token: u32, message: &[u8]) -> Result<(), Trap> {
        self.context(root.0, "proxy_on_grpc_receive")?.answer_body = message.to_vec();
        self.call::<_, ()>(root.0, "proxy_on_grpc_receive", (root.0, token, size(message)))?;
        self.close_answer(root)
    }

    /// Ends a gRPC call of the plugin with a status and no message.
    pub fn end_grpc(&mut self, root: RootId, token: u32, status: u32) -> Result<(), Trap> {
        self.call::<_, ()>(root.0, "proxy_on_grpc_close", (root.0, token, status)).map(drop)
    }

    /// Calls `proxy_on_delete` for a plugin, whose streams have ended, and forgets it.
    pub fn delete_root(&mut self, root: RootId) -> Result<(), Trap> {
        self.call::<_, ()>(root.0, "proxy_on_delete", root.0)?;
        self.host_mut().contexts.remove(&root.0);
        Ok(())
    }

    /// Opens a stream.
    pub fn stream(&mut self, root: RootId) -> Result<StreamId, Trap> {
        self.create(Context::stream(root.0)).map(StreamId)
    }

    /// Passes the headers of a request without a body.
    pub fn request(&mut self, stream: StreamId, headers: impl Into<HeaderMap>) -> Result<Action, Trap> {
        self.set_request_headers(stream, headers);
        self.pass(stream, Pass::Request, "proxy_on_request_headers")
    }

    /// Passes the headers of a response without a body.
    pub fn response(&mut self, stream: StreamId, headers: impl Into<HeaderMap>) -> Result<Action, Trap> {
        self.set_response_headers(stream, headers);
        self.pass(stream, Pass::Response, "proxy_on_response_headers")
    }

    /// Calls `proxy_on_log`, with the headers as the passes left them.
    pub fn log(&mut self, stream: StreamId) -> Result<(), Trap> {
        self.context(stream.0, "proxy_on_log")?.pass = Pass::Log;
        self.call::<_, ()>(stream.0, "proxy_on_log", stream.0)?;
        self.context(stream.0, "proxy_on_log")?.pass = Pass::None;
        Ok(())
    }

    /// Calls `proxy_on_done`; `false` asks for time until `proxy_done`.
    pub fn done(&mut self, stream: StreamId) -> Result<bool, Trap> {
        let done = agreed(self.call(stream.0, "proxy_on_done", stream.0)?);
        self.context(stream.0, "proxy_on_done")?.lingers = !done;
        Ok(done)
    }

    /// Calls `proxy_on_delete` and forgets the stream, its headers included.
    pub fn delete(&mut self, stream: StreamId) -> Result<(), Trap> {
        self.call::<_, ()>(stream.0, "proxy_on_delete", stream.0)?;
        self.host_mut().contexts.remove(&stream.0);
        Ok(())
    }

    /// Ends a stream as Envoy does: [`Vm::log`], [`Vm::done`] and, unless the filter asks for time, [`Vm::delete`].
    pub fn finish(&mut self, stream: StreamId) -> Result<(), Trap> {
        self.log(stream)?;
        if self.done(stream)? {
            self.delete(stream)?;
        }
        Ok(())
    }

    /// The request's headers as the filter left them.
    pub fn request_headers(&self, stream: StreamId) -> &HeaderMap {
        let context = self.host().contexts.get(&stream.0);
        context.and_then(|context| context.request.as_ref()).unwrap_or(&NO_HEADERS)
    }

    /// The response's headers as the filter left them.
    pub fn response_headers(&self, stream: StreamId) -> &HeaderMap {
        let context = self.host().contexts.get(&stream.0);
        context.and_then(|context| context.response.as_ref()).unwrap_or(&NO_HEADERS)
    }

    /// Changes the request's headers between callbacks, as another filter would; without a pass they are what
    /// `proxy_on_log` sees of a request that never came by.
    pub fn set_request_headers(&mut self, stream: StreamId, headers: impl Into<HeaderMap>) {
        if let Some(context) = self.host_mut().contexts.get_mut(&stream.0) {
            context.request = Some(headers.into());
        }
    }

    /// Changes the response's headers between callbacks, as [`Vm::set_request_headers`] does the request's.
    pub fn set_response_headers(&mut self, stream: StreamId, headers: impl Into<HeaderMap>) {
        if let Some(context) = self.host_mut().contexts.get_mut(&stream.0) {
            context.response = Some(headers.into());
        }
    }

    /// Sets the trailers of the response, which `proxy_on_log` sees.
    pub fn set_response_trailers(&mut self, stream: StreamId, trailers: impl Into<HeaderMap>) {
        if let Some(context) = self.host_mut().contexts.get_mut(&stream.0) {
            context.response_trailers = Some(trailers.into());
        }
    }

    /// What `proxy_set_property` wrote to the stream's filter state under that key, such as `wasm.trace_id`.
    pub fn filter_state(&self, stream: StreamId, key: &str) -> Option<&[u8]> {
        self.host().contexts.get(&stream.0)?.filter_state.get(key).map(Vec::as_slice)
    }

    /// The host.
    pub fn host(&self) -> &Host {
        self.store.data()
    }

    /// The host, for changing it between callbacks.
    pub fn host_mut(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// The fuel the last callback burnt, the allocations for its host calls included; 0 if it is not exported.
    pub fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    /// The size of the guest's linear memory.
    pub fn memory_bytes(&self) -> usize {
        self.memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    fn close_answer(&mut self, root: RootId) -> Result<(), Trap> {
        let context = self.context(root.0, "(answer)")?;
        context.answer = None;
        context.answer_trailers = None;
        context.answer_body = Vec::new();
        Ok(())
    }

    fn create(&mut self, context: Context) -> Result<u32, Trap> {
        let id = self.next_context;
        let root = context.root.unwrap_or(0);
        self.next_context += 1;
        self.host_mut().contexts.insert(id, context);
        self.call::<_, ()>(id, "proxy_on_context_create", (id, root))?;
        Ok(id)
    }

    fn configure(&mut self, root: RootId, configuration: &[u8]) -> Result<bool, Trap> {
        let parameters = (root.0, size(configuration));
        self.call(root.0, "proxy_on_configure", parameters).map(agreed)
    }

    fn pass(&mut self, stream: StreamId, pass: Pass, export: &str) -> Result<Action, Trap> {
        let context = self.context(stream.0, export)?;
        context.pass = pass;
        let headers = if pass == Pass::Request { &context.request } else { &context.response };
        let lines = headers.as_ref().map_or(0, HeaderMap::len);
        let parameters = (stream.0, u32::try_from(lines).unwrap_or(u32::MAX), 1);
        match self.call::<_, u32>(stream.0, export, parameters)? {
            None | Some(0) => {
                self.context(stream.0, export)?.pass = Pass::None;
                Ok(Action::Continue)
            }
            Some(_) => Ok(Action::Pause),
        }
    }

    /// The host's side of a context, for a call of that export.
    fn context(&mut self, id: u32, export: &str) -> Result<&mut Context, Trap> {
        let context = self.store.data_mut().contexts.get_mut(&id);
        context
            .ok_or_else(|| Trap { export: export.to_owned(), reason: format!("context {id} does not exist") })
    }

    /// Calls an export for a context, if there is one of that name.
    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        export: &str,
        parameters: P,
    ) -> Result<Option<R>, Trap> {
        if let Some(trap) = &self.dead {
            return Err(trap.clone());
        }
        self.context(context, export)?;
        self.fuel_used = 0;
        let Some(function) = self.instance.get_func(&mut self.store, export) else {
            return Ok(None);
        };
        self.host_mut().switch(context);
        let fuel = self.host().fuel;
        let result = self.store.set_fuel(fuel).and_then(|()| {
            let function = function.typed::<P, R>(&self.store)?;
            function.call(&mut self.store, parameters)
        });
        self.fuel_used = fuel.saturating_sub(self.store.get_fuel().unwrap_or(0));
        result.map(Some).map_err(|error| {
            let trap = Trap::new(export, &error);
            self.dead = Some(trap.clone());
            trap
        })
    }
}

impl Trap {
    fn new(export: &str, error: &wasmtime::Error) -> Self {
        let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
        // wasmtime puts the backtrace first.
        Self { export: export.to_owned(), reason: causes.into_iter().rev().collect::<Vec<_>>().join("\n") }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} trapped: {}", self.export, self.reason)
    }
}

impl std::error::Error for Trap {}

/// Whether a callback did not answer `false`.
fn agreed(answer: Option<u32>) -> bool {
    answer != Some(0)
}

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
