//! What Envoy knows of a stream that has ended. One CEL expression gives all of it, for half of what the single properties cost.
//!
//! Envoy's foreign functions `expr_create` and `expr_evaluate` compile an expression over
//! [its attributes](https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes) once, and evaluate it
//! for a stream. A host without them is asked for each property.

use tracewarden::headers::Headers;
use tracewarden::host::{Sides, StreamInfo};
use tracewarden::words::HostCall;

use crate::header_map;
use crate::host::{self, Cause, HostError};
use crate::properties;
use crate::vm::Vm;

/// The expressions of a plugin, which end with it.
#[derive(Debug)]
pub(crate) struct Expressions {
    server: Option<Expression>,
    client: Option<Expression>,
    both: Option<Expression>,
}

/// The host's number of an expression.
type Expression = [u8; 4];

/// An attribute, and where its value belongs.
struct Attribute {
    path: &'static str,
    /// Whether streams may lack it. One attribute that is not there fails the whole expression, unless `has` was asked first,
    /// which costs as much as a third of an attribute.
    is_optional: bool,
    store: fn(&mut StreamInfo, Vec<u8>),
}

impl Attribute {
    const fn of_every(path: &'static str, store: fn(&mut StreamInfo, Vec<u8>)) -> Self {
        Self { path, is_optional: false, store }
    }

    const fn of_some(path: &'static str, store: fn(&mut StreamInfo, Vec<u8>)) -> Self {
        Self { path, is_optional: true, store }
    }

    /// It as an item of a list in CEL.
    fn item(&self) -> String {
        let path = self.path;
        if self.is_optional { format!("has({path})?{path}:''") } else { path.to_owned() }
    }
}

const OF_ALL: &[Attribute] = &[
    Attribute::of_some("xds.route_name", |info, value| info.route_name = Some(value)),
    Attribute::of_some("request.protocol", |info, value| info.protocol = Some(value)),
    Attribute::of_every("request.size", |info, value| info.request_size = properties::number(&value)),
    Attribute::of_every("response.size", |info, value| info.response_size = properties::number(&value)),
    Attribute::of_some("response.code_details", |info, value| info.is_cut_off = is_cut_off(&value)),
];
const OF_SERVER: &[Attribute] =
    &[Attribute::of_every("source.address", |info, value| info.peer_address = Some(value))];
const OF_CLIENT: &[Attribute] = &[
    Attribute::of_some("upstream.address", |info, value| info.upstream_address = Some(value)),
    Attribute::of_some("upstream.request_attempt_count", |info, value| {
        info.upstream_attempts = properties::number(&value);
    }),
];

/// What spans on these sides need.
fn attributes(sides: Sides) -> impl Iterator<Item = &'static Attribute> {
    let of_server = if sides.serves() { OF_SERVER } else { &[] };
    let of_client = if sides.calls() { OF_CLIENT } else { &[] };
    OF_ALL.iter().chain(of_server).chain(of_client)
}

impl Expressions {
    /// Compiles the expressions, for the plugin that is configured now.
    pub(crate) fn new(vm: &Vm) -> Self {
        let compile = |sides| {
            let items: Vec<String> = attributes(sides).map(Attribute::item).collect();
            vm.checked(create(&format!("[{}]", items.join(",")))).flatten()
        };
        let [server, client, both] = [Sides::Server, Sides::Client, Sides::Both].map(compile);
        Self { server, client, both }
    }

    /// What the host knows of the stream that has ended now.
    pub(crate) fn info(&self, sides: Sides, vm: &Vm) -> StreamInfo {
        let expression = match sides {
            Sides::Server => &self.server,
            Sides::Client => &self.client,
            Sides::Both => &self.both,
        };
        let mut info = StreamInfo::default();
        let mut store = |attribute: &Attribute, value: Option<Vec<u8>>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                (attribute.store)(&mut info, value);
            }
        };
        match expression.as_ref().and_then(|expression| vm.checked(evaluate(expression)).flatten()) {
            Some(values) => {
                let values = values.iter().map(|(value, _)| value.to_vec());
                attributes(sides).zip(values).for_each(|(attribute, value)| store(attribute, Some(value)));
            }
            None => attributes(sides).for_each(|attribute| {
                store(attribute, vm.property(&attribute.path.replace('.', "\0")));
            }),
        }
        info
    }
}

/// Compiles an expression, or returns `None` if the host compiles none.
fn create(text: &str) -> Result<Option<Expression>, HostError> {
    match host::call_foreign_function("expr_create", text.as_bytes()) {
        Ok(number) => match number.try_into() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(HostError::malformed(HostCall::CallForeignFunction)),
        },
        Err(HostError { cause: Cause::Status(host::NOT_FOUND | host::UNIMPLEMENTED), .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The values of an expression that is a list, each as a name: Envoy writes a list as it writes a header map. Returns `None` if
/// the stream lacks one that others have.
fn evaluate(expression: &Expression) -> Result<Option<Headers>, HostError> {
    match host::call_foreign_function("expr_evaluate", expression) {
        Ok(list) => match header_map::parse(list) {
            Some(values) => Ok(Some(values)),
            None => Err(HostError::malformed(HostCall::CallForeignFunction)),
        },
        Err(HostError { cause: Cause::Status(host::INTERNAL_FAILURE), .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The beginnings of Envoy's details of an incomplete response.
const CUT_OFF: &[&[u8]] = &[
    b"upstream_reset_after_response_started",
    b"downstream_remote_disconnect",
    b"downstream_local_disconnect",
    b"stream_idle_timeout",
    b"max_duration_timeout",
    b"upstream_per_try_idle_timeout",
    b"response_timeout",
];

/// Whether the details are those of an incomplete response.
fn is_cut_off(details: &[u8]) -> bool {
    CUT_OFF.iter().any(|begin| details.starts_with(begin))
}
