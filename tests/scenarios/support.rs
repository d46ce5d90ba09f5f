//! A scenario: one request and its response, in a VM of their own.

use std::collections::BTreeMap;

use proxy_wasm_test_framework::{Action, HeaderMap, Host, LogLevel};

use crate::edge::{RootId, StreamId, Vm, start};

/// A header line: a name, and a value of any bytes.
pub(crate) type Line<'a> = (&'a str, &'a [u8]);

pub(crate) const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const PARENT_ID: &str = "b7ad6b7169203331";
/// A `traceparent` of these two ids, sampled or not.
pub(crate) const SAMPLED: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
pub(crate) const UNSAMPLED: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
/// The same in upper case, which is corrupt.
pub(crate) const UPPER: &[u8] = b"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01";
/// A `traceparent` of another trace.
pub(crate) const OTHER: &[u8] = b"00-11111111111111111111111111111111-2222222222222222-01";
/// A context in B3's one header.
pub(crate) const B3: &[u8] = b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1";

pub(crate) const INBOUND: &str = r#"{"direction": "inbound"}"#;
pub(crate) const OUTBOUND: &str = r#"{"direction": "outbound"}"#;
/// A configuration that gives every request a parent-id of this hop.
pub(crate) const NEW: &str = r#"{"direction": "inbound", "parent_id": "new"}"#;
pub(crate) const OBSERVE: &str = r#"{"direction": "inbound", "mode": "observe"}"#;
/// A configuration that is refused.
pub(crate) const BAD_CONFIG: &str = r#"{"mode": "perhaps"}"#;

/// One request and its response.
#[derive(Clone, Copy)]
pub(crate) struct Scenario<'a> {
    /// The plugin's configuration.
    pub(crate) config: &'a str,
    /// What `xds.listener_direction` answers: 1 inbound, 2 outbound.
    pub(crate) listener: Option<u8>,
    /// The URI in the peer's certificate.
    pub(crate) san: Option<&'a str>,
    /// The peer's address.
    pub(crate) address: Option<&'a str>,
    /// The trace headers that come in.
    pub(crate) request: &'a [Line<'a>],
    /// The trace headers that the upstream answers with, or `None` if no response comes.
    pub(crate) response: Option<&'a [Line<'a>]>,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The request's headers as the upstream receives them.
    pub(crate) request: HeaderMap,
    /// The response's headers as the caller receives them.
    pub(crate) response: Option<HeaderMap>,
    /// Every counter above zero, as [`short`] words it.
    pub(crate) counters: Vec<String>,
    /// What went into the filter state.
    pub(crate) published: BTreeMap<String, String>,
    /// How many lines were offered to the log.
    pub(crate) logged: usize,
}

/// The keys that the filter publishes.
const KEYS: [&str; 7] =
    ["trace_context", "trace_id", "span_id", "parent_id", "sampled", "linked_trace_id", "linked_span_id"];

/// Lines that every request and response has, and that nothing may change.
const BYSTANDERS: &[Line<'_>] = &[
    (":path", b"/cart"),
    ("x-bytes", b"\xff\x00\xfe"),
    ("x-traceparent", b"other"),
    ("traceparen", b"other"),
];

impl<'a> Scenario<'a> {
    /// A request to a plugin, and perhaps a response.
    pub(crate) const fn new(
        config: &'a str,
        request: &'a [Line<'a>],
        response: Option<&'a [Line<'a>]>,
    ) -> Self {
        Self { config, listener: None, san: None, address: None, request, response }
    }

    /// Runs it.
    pub(crate) fn run(&self) -> Outcome {
        let mut host = Host::new();
        host.environment = ENVIRONMENT.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        if let Some(direction) = self.listener {
            host.set_property(&["xds", "listener_direction"], u64::from(direction).to_le_bytes());
        }
        for (path, value) in
            [(["connection", "uri_san_peer_certificate"], self.san), (["source", "address"], self.address)]
        {
            if let Some(value) = value {
                host.set_property(&path, value);
            }
        }
        let mut vm = start(host);
        let root = vm.root(self.config.as_bytes()).expect("no trap").expect(self.config);
        let stream = vm.stream(root).expect("no trap");
        vm.request(stream, with_bystanders(self.request)).expect("no trap");
        let request = vm.request_headers(stream).clone();
        let response = self.response.map(|lines| {
            vm.response(stream, with_bystanders(lines)).expect("no trap");
            vm.response_headers(stream).clone()
        });
        let published = KEYS.iter().filter_map(|key| {
            let value = vm.filter_state(stream, &format!("wasm.{key}"))?;
            Some(((*key).to_owned(), text(value)))
        });
        let published = published.collect();
        vm.finish(stream).expect("no trap");
        let logged = vm.host().logged(LogLevel::Warn).len();
        Outcome { request, response, counters: counters(&vm), published, logged }
    }
}

/// The environment of every scenario: only configurations that name them see the secrets.
const ENVIRONMENT: &[(&str, &str)] = &[("FORCE_SECRET", "open sesame"), ("TRUST_SECRET", "friend")];

fn text(value: &[u8]) -> String {
    String::from_utf8(value.to_vec()).expect("published values are text")
}

/// What the filter says of itself, whatever passes.
const ABOUT_ITSELF: [&str; 2] = ["tracewarden_build_info", "tracewarden_enabled"];

/// Every counter of a VM above zero, as [`short`] words it; not which build it is, nor that it works.
pub(crate) fn counters(vm: &Vm) -> Vec<String> {
    let stats = vm.host().metrics().iter();
    let counted =
        stats.filter(|(name, count)| *count > 0 && !ABOUT_ITSELF.iter().any(|gauge| name.ends_with(gauge)));
    let counted: BTreeMap<&str, u64> = counted.collect();
    counted.into_iter().map(|(name, count)| short(name, count)).collect()
}

/// Words a stat as its metric and the values of its labels: `requests inbound internal enforce lost`; a count other
/// than 1 stands at the end.
pub(crate) fn short(stat: &str, count: u64) -> String {
    let mut parts: Vec<&str> = stat.split(";.;").collect();
    let metric = parts.pop().unwrap_or_default();
    let metric = metric.trim_start_matches("tracewarden_").trim_end_matches("_total");
    let values = parts.into_iter().map(|label| label.split_once("=.=").expect("label=.=value").1);
    let words: Vec<&str> = std::iter::once(metric).chain(values).collect();
    if count == 1 { words.join(" ") } else { format!("{} {count}", words.join(" ")) }
}

/// The bystanders with these lines among them.
pub(crate) fn with_bystanders(lines: &[Line<'_>]) -> HeaderMap {
    let (before, after) = BYSTANDERS.split_at(2);
    [before, lines, after].concat().into_iter().collect()
}

/// The headers that are not about traces.
pub(crate) fn bystanders(headers: &HeaderMap) -> Vec<(Vec<u8>, Vec<u8>)> {
    let is_ours = |name: &[u8]| name == b"traceparent" || name == b"tracestate";
    headers.iter().filter(|(name, _)| !is_ours(name)).map(|(n, v)| (n.to_vec(), v.to_vec())).collect()
}

/// A VM with a plugin of this configuration.
pub(crate) fn started(config: &str) -> (Vm, RootId) {
    let mut vm = start(Host::new());
    let root = vm.root(config.as_bytes()).expect("no trap").expect(config);
    (vm, root)
}

/// Passes a request, and returns it as the upstream receives it.
pub(crate) fn request(vm: &mut Vm, stream: StreamId, lines: &[Line<'_>]) -> HeaderMap {
    assert_eq!(vm.request(stream, with_bystanders(lines)), Ok(Action::Continue));
    vm.request_headers(stream).clone()
}

/// Passes a response, and returns it as the caller receives it.
pub(crate) fn respond(vm: &mut Vm, stream: StreamId, lines: &[Line<'_>]) -> HeaderMap {
    assert_eq!(vm.response(stream, with_bystanders(lines)), Ok(Action::Continue));
    vm.response_headers(stream).clone()
}
