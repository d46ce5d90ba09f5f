//! What Envoy knows of a stream that has ended: one CEL expression gives all of it, for little more than one property costs.
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
#[derive(Debug, Default)]
pub(crate) struct Expressions {
    server: Option<Expression>,
    client: Option<Expression>,
    both: Option<Expression>,
}

/// The host's number of an expression.
type Expression = [u8; 4];

/// What every expression begins with, and what the spans of each side add. One attribute that a stream lacks fails the whole
/// expression, unless `has` was asked first, which costs as much as a third of an attribute.
const OF_ALL: &str = "has(xds.route_name)?xds.route_name:'',has(request.protocol)?request.protocol:'',request.size,response.size,has(response.code_details)?response.code_details:''";
const OF_SERVER: &str = "source.address";
const OF_CLIENT: &str = "has(upstream.address)?upstream.address:'',has(upstream.request_attempt_count)?upstream.request_attempt_count:''";

const ROUTE_NAME: &str = "xds\0route_name";
const PROTOCOL: &str = "request\0protocol";
const REQUEST_SIZE: &str = "request\0size";
const RESPONSE_SIZE: &str = "response\0size";
const CODE_DETAILS: &str = "response\0code_details";
const PEER_ADDRESS: &str = "source\0address";
const UPSTREAM_ADDRESS: &str = "upstream\0address";
const UPSTREAM_ATTEMPTS: &str = "upstream\0request_attempt_count";

impl Expressions {
    /// Compiles the expressions, for the plugin that is configured now.
    pub(crate) fn new(vm: &Vm) -> Self {
        let compile = |text: String| vm.checked(create(&text)).flatten();
        Self {
            server: compile(format!("[{OF_ALL},{OF_SERVER}]")),
            client: compile(format!("[{OF_ALL},{OF_CLIENT}]")),
            both: compile(format!("[{OF_ALL},{OF_SERVER},{OF_CLIENT}]")),
        }
    }

    /// What the host knows of the stream that has ended now.
    pub(crate) fn info(&self, sides: Sides, vm: &Vm) -> StreamInfo {
        let expression = match sides {
            Sides::Server => &self.server,
            Sides::Client => &self.client,
            Sides::Both => &self.both,
        };
        let values = expression.as_ref().and_then(|expression| vm.checked(evaluate(expression)).flatten());
        match values {
            Some(values) => {
                let mut values = values.iter().map(|(value, _)| value);
                gather(sides, &mut |_| values.next().map(<[u8]>::to_vec))
            }
            None => gather(sides, &mut |path| vm.property(path)),
        }
    }
}

/// Puts together what is asked for, in the order in which the expressions have it.
fn gather(sides: Sides, value: &mut dyn FnMut(&str) -> Option<Vec<u8>>) -> StreamInfo {
    let mut value = |path| value(path).filter(|value| !value.is_empty());
    let mut info = StreamInfo {
        route_name: value(ROUTE_NAME),
        protocol: value(PROTOCOL),
        request_size: value(REQUEST_SIZE).and_then(|size| properties::number(&size)),
        response_size: value(RESPONSE_SIZE).and_then(|size| properties::number(&size)),
        is_cut_off: value(CODE_DETAILS).is_some_and(|details| is_cut_off(&details)),
        ..StreamInfo::default()
    };
    if sides.serves() {
        info.peer_address = value(PEER_ADDRESS);
    }
    if sides.calls() {
        info.upstream_address = value(UPSTREAM_ADDRESS);
        info.upstream_attempts = value(UPSTREAM_ATTEMPTS).and_then(|attempts| properties::number(&attempts));
    }
    info
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
