//! Everything outside the sandbox.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::expressions::Expression;
use crate::faults::Faults;
use crate::random::Random;
use crate::{Call, Fault, HeaderMap, LogLevel, Metrics, Status};

/// The state of the proxy around one VM: what the filter can read, what it did, and how the host misbehaves.
#[derive(Debug)]
pub struct Host {
    /// The time in nanoseconds, of every clock; only the test moves it.
    pub now_ns: u64,
    /// What `proxy_get_log_level` answers; [`Host::logs`] keeps every line whatever its level.
    pub log_level: LogLevel,
    /// The VM configuration.
    pub vm_configuration: Vec<u8>,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
    /// Properties by path, with the parts joined by NUL; see [`Host::set_property`].
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether it has Envoy's foreign functions for expressions.
    pub has_expressions: bool,
    /// Shared data, with the CAS number of each value.
    pub shared_data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    /// The fuel of one callback: about one unit an instruction, and a trap when it is used up.
    pub fuel: u64,
    /// The lines logged with `proxy_log`.
    pub logs: Vec<(LogLevel, String)>,
    /// The bytes written to standard output.
    pub stdout: Vec<u8>,
    /// The bytes written to standard error.
    pub stderr: Vec<u8>,
    /// The HTTP calls sent.
    pub http_calls: Vec<HttpCall>,
    /// The gRPC calls sent.
    pub grpc_calls: Vec<GrpcCall>,
    pub(crate) metrics: Metrics,
    pub(crate) random: Random,
    pub(crate) contexts: BTreeMap<u32, Context>,
    pub(crate) bytes_from_guest: u64,
    pub(crate) bytes_to_guest: u64,
    /// The expressions of each root, whose numbers are their places.
    expressions: BTreeMap<u32, Vec<Expression>>,
    faults: Faults,
    calls: BTreeMap<Call, u64>,
    current: u32,
    effective: Option<u32>,
    last_cas: u32,
}

/// An HTTP request the filter sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCall {
    /// The number the filter was given for it.
    pub token: u32,
    /// The cluster.
    pub upstream: String,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's body.
    pub body: Vec<u8>,
    /// The request's trailers.
    pub trailers: HeaderMap,
    /// The time allowed, in milliseconds.
    pub timeout_ms: u32,
}

/// What an upstream answers to an [`HttpCall`]. Without headers no answer came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The answer's body.
    pub body: Vec<u8>,
    /// The answer's trailers.
    pub trailers: HeaderMap,
}

impl HttpAnswer {
    /// An answer without trailers.
    pub fn new(headers: impl Into<HeaderMap>, body: &[u8]) -> Self {
        Self { headers: headers.into(), body: body.to_vec(), trailers: HeaderMap::new() }
    }

    /// The same answer with these trailers.
    #[must_use]
    pub fn with_trailers(self, trailers: impl Into<HeaderMap>) -> Self {
        Self { trailers: trailers.into(), ..self }
    }
}

/// A gRPC request the filter sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcCall {
    /// The number the filter was given for it.
    pub token: u32,
    /// The cluster, or a serialised `GrpcService`.
    pub upstream: Vec<u8>,
    /// The service's name.
    pub service: String,
    /// The method's name.
    pub method: String,
    /// The initial metadata.
    pub metadata: HeaderMap,
    /// The message.
    pub message: Vec<u8>,
    /// The time allowed, in milliseconds.
    pub timeout_ms: u32,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            now_ns: 0,
            log_level: LogLevel::default(),
            vm_configuration: Vec::new(),
            environment: BTreeMap::new(),
            properties: BTreeMap::new(),
            has_expressions: true,
            expressions: BTreeMap::new(),
            shared_data: BTreeMap::new(),
            fuel: 1_000_000_000,
            logs: Vec::new(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            http_calls: Vec::new(),
            grpc_calls: Vec::new(),
            metrics: Metrics::default(),
            random: Random::new(0),
            // Context 0 is the VM itself.
            contexts: BTreeMap::from([(0, Context::default())]),
            bytes_from_guest: 0,
            bytes_to_guest: 0,
            faults: Faults::default(),
            calls: BTreeMap::new(),
            current: 0,
            effective: None,
            last_cas: 0,
        }
    }
}

impl Host {
    /// A host without properties, at time 0, whose random bytes are those of seed 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the random bytes over from a seed.
    pub fn seed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    /// Sets the property of that path, such as `["xds", "listener_direction"]`.
    pub fn set_property(&mut self, path: &[&str], value: impl Into<Vec<u8>>) {
        self.properties.insert(path.join("\0").into_bytes(), value.into());
    }

    /// The metrics the filter defined.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The value of the counter or gauge of that name.
    pub fn metric(&self, name: &str) -> Option<u64> {
        self.metrics.get(name)
    }

    /// The text of the lines logged at that level or a graver one.
    pub fn logged(&self, level: LogLevel) -> Vec<&str> {
        self.logs.iter().filter(|(own, _)| *own >= level).map(|(_, text)| text.as_str()).collect()
    }

    /// The metrics, for a filter that runs without a module.
    pub fn metrics_mut(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    /// The next random bytes.
    pub fn random(&mut self, count: usize) -> Vec<u8> {
        self.random.bytes(count)
    }

    /// Makes every call of that kind misbehave, in place of an earlier fault for it.
    ///
    /// # Panics
    ///
    /// If the fault has no effect on that call, such as [`Fault::Null`] on one that answers no bytes.
    pub fn fault(&mut self, call: Call, fault: impl Into<Fault>) {
        self.faults.always(call, fault.into());
    }

    /// Makes the `nth` call of that kind from now misbehave, counted from 1.
    ///
    /// # Panics
    ///
    /// As [`Host::fault`], and if `nth` is 0.
    pub fn fault_nth(&mut self, call: Call, nth: u64, fault: impl Into<Fault>) {
        self.faults.nth(call, nth, fault.into());
    }

    /// Makes the host behave again.
    pub fn clear_faults(&mut self) {
        self.faults = Faults::default();
    }

    /// Whether a fault may strike a later call.
    pub fn has_faults(&self) -> bool {
        self.faults.are_planned()
    }

    /// How often that call was made, faulty answers included.
    pub fn calls(&self, call: Call) -> u64 {
        self.calls.get(&call).copied().unwrap_or_default()
    }

    /// How many calls were made.
    pub fn total_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// How often each call was made, by import name, without those never made.
    pub fn calls_by_name(&self) -> BTreeMap<&'static str, u64> {
        self.calls.iter().map(|(call, count)| (call.name(), *count)).collect()
    }

    /// The bytes the host read from the guest's memory.
    pub fn bytes_from_guest(&self) -> u64 {
        self.bytes_from_guest
    }

    /// The bytes the host wrote to the guest's memory, pointers and sizes included.
    pub fn bytes_to_guest(&self) -> u64 {
        self.bytes_to_guest
    }

    /// Starts the counts of calls and bytes over.
    pub fn reset_calls(&mut self) {
        self.calls.clear();
        self.bytes_from_guest = 0;
        self.bytes_to_guest = 0;
    }

    /// Counts a call, and tells how it is to misbehave.
    pub fn enter(&mut self, call: Call) -> Option<Fault> {
        *self.calls.entry(call).or_default() += 1;
        self.faults.strike(call)
    }

    /// Makes a context the current one, for a callback.
    pub(crate) fn switch(&mut self, context: u32) {
        self.current = context;
        self.effective = None;
    }

    pub(crate) fn set_effective(&mut self, context: u32) -> Result<(), Status> {
        if !self.contexts.contains_key(&context) {
            return Err(Status::BadArgument);
        }
        self.effective = Some(context);
        Ok(())
    }

    /// The context that host calls act for.
    pub(crate) fn context(&mut self) -> &mut Context {
        self.contexts.entry(self.effective.unwrap_or(self.current)).or_default()
    }

    /// The root of the context that host calls act for.
    pub(crate) fn root(&mut self) -> &mut Context {
        match self.context().root {
            Some(root) => self.contexts.entry(root).or_default(),
            None => self.context(),
        }
    }

    /// A property: one the test set, else one of the filter's own, else a header's.
    pub(crate) fn property(&mut self, path: &[u8]) -> Result<Vec<u8>, Status> {
        if let Some(value) = self.properties.get(path) {
            return Ok(value.clone());
        }
        let context = self.context();
        let own = context.filter_state.get(&filter_state_key(path)).cloned();
        own.or_else(|| context.header_property(path)).ok_or(Status::NotFound)
    }

    /// Calls a foreign function: Envoy's for expressions, which belong to a root.
    pub(crate) fn call_foreign(&mut self, name: &str, arguments: &[u8]) -> Result<Vec<u8>, Status> {
        if !self.has_expressions {
            return Err(Status::NotFound);
        }
        let current = self.effective.unwrap_or(self.current);
        let root = self.context().root.unwrap_or(current);
        match name {
            "expr_create" => {
                let text = std::str::from_utf8(arguments).map_err(|_| Status::BadArgument)?;
                let expression = Expression::compile(text).ok_or(Status::BadArgument)?;
                let all = self.expressions.entry(root).or_default();
                all.push(expression);
                Ok(u32::try_from(all.len() - 1).unwrap_or(u32::MAX).to_le_bytes().to_vec())
            }
            "expr_evaluate" => {
                let number = u32::from_le_bytes(arguments.try_into().map_err(|_| Status::BadArgument)?);
                let all = self.expressions.get(&root).ok_or(Status::NotFound)?;
                all.get(number as usize).cloned().ok_or(Status::NotFound)?.evaluate(self)
            }
            _ => Err(Status::NotFound),
        }
    }

    /// Writes filter state, which only streams have.
    pub(crate) fn store_property(&mut self, path: &[u8], value: Vec<u8>) -> Result<(), Status> {
        let context = self.context();
        context.root.ok_or(Status::NotFound)?;
        context.filter_state.insert(filter_state_key(path), value);
        Ok(())
    }

    /// Writes shared data; a CAS number of 0 fits any value, and any fits a new key.
    pub(crate) fn share(&mut self, key: Vec<u8>, value: Vec<u8>, cas: u32) -> Result<(), Status> {
        match self.shared_data.get(&key) {
            Some((_, own)) if cas != 0 && cas != *own => return Err(Status::CasMismatch),
            _ => self.last_cas += 1,
        }
        self.shared_data.insert(key, (value, self.last_cas));
        Ok(())
    }

    /// A token no earlier HTTP or gRPC call has.
    pub(crate) fn next_token(&self) -> u32 {
        u32::try_from(self.http_calls.len() + self.grpc_calls.len() + 1).unwrap_or(u32::MAX)
    }
}

fn filter_state_key(path: &[u8]) -> String {
    format!("wasm.{}", String::from_utf8_lossy(path))
}
