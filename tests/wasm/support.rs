//! A scenario, and two ways to run it: through the core, and through the built module in the test host.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use proxy_wasm_test_framework::{HeaderMap, Host, LogLevel, Module, Vm};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use tracewarden::config::Config;
use tracewarden::metrics::{Counter, Direction};
use tracewarden::notice::Notice;
use tracewarden::pass::{self, Facts, Left, Refused, Sink, Stream};
use tracewarden::sampling::{RateLimit, TokenBucket};

/// A header line: a name, and a value of any octets.
pub(crate) type Line<'a> = (&'a str, &'a [u8]);

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
    ("x-octets", b"\xff\x00\xfe"),
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

    /// Runs it both ways.
    pub(crate) fn run_both(&self) -> [(&'static str, Outcome); 2] {
        [("native", self.run_natively()), ("wasm", self.run_in_wasm())]
    }

    /// Runs it through the core.
    pub(crate) fn run_natively(&self) -> Outcome {
        let config = load(self.config);
        let direction = match self.listener {
            Some(1) => Direction::Inbound,
            Some(2) => Direction::Outbound,
            _ => Direction::Unspecified,
        };
        let mut facts = Native {
            bucket: TokenBucket::FULL,
            san: owned(self.san),
            address: owned(self.address),
            direction,
            rng: ChaCha12Rng::from_seed([3; 32]),
            response: HeaderMap::new(),
        };
        let mut sink = Recorder { headers: with_bystanders(self.request), ..Recorder::default() };
        let serialized = sink.headers.to_bytes();
        let mut stream = match config.enabled {
            true => pass::request(&config, &serialized, &mut facts, &mut sink).expect("the map is whole"),
            false => Stream::Untouched,
        };
        let request = sink.headers.clone();
        let response = self.response.map(|lines| {
            facts.response = with_bystanders(lines);
            sink.headers = facts.response.clone();
            pass::response(&config, &mut stream, &mut facts, &mut sink).expect("the map is whole");
            sink.headers.clone()
        });
        let counters = sink.counters.iter().map(|(name, count)| short(name, *count)).collect();
        Outcome { request, response, counters, published: sink.published, logged: sink.notices.len() }
    }

    /// Runs it through the built module.
    pub(crate) fn run_in_wasm(&self) -> Outcome {
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
        let mut vm = Vm::with(&MODULE, host).expect("the module starts");
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

/// A configuration that is valid in that environment.
fn load(json: &str) -> Config {
    Config::load(json.as_bytes(), |name| {
        ENVIRONMENT.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned())
    })
    .expect(json)
    .config
}

fn owned(text: Option<&str>) -> Option<Vec<u8>> {
    text.map(|text| text.as_bytes().to_vec())
}

fn text(value: &[u8]) -> String {
    String::from_utf8(value.to_vec()).expect("published values are text")
}

/// The built module, compiled once.
pub(crate) static MODULE: LazyLock<Module> = LazyLock::new(|| {
    let path = module_path();
    Module::load(&path).unwrap_or_else(|e| panic!("{e}\nThe module is missing or bad: run `make build`."))
});

/// Where `make build` leaves the module.
pub(crate) fn module_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tracewarden.wasm")
}

/// Every counter of a VM above zero, as [`short`] words it; not which build it is.
pub(crate) fn counters(vm: &Vm) -> Vec<String> {
    let stats = vm.host().metrics().iter();
    let counted = stats.filter(|(name, count)| *count > 0 && !name.ends_with("tracewarden_build_info"));
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

struct Native {
    bucket: TokenBucket,
    san: Option<Vec<u8>>,
    address: Option<Vec<u8>>,
    direction: Direction,
    rng: ChaCha12Rng,
    response: HeaderMap,
}

impl Facts for Native {
    type Rng = ChaCha12Rng;

    fn direction(&mut self) -> Direction {
        self.direction
    }

    fn rng(&mut self) -> Option<&mut ChaCha12Rng> {
        Some(&mut self.rng)
    }

    fn peer_san(&mut self) -> Option<Vec<u8>> {
        self.san.clone()
    }

    fn peer_address(&mut self) -> Option<Vec<u8>> {
        self.address.clone()
    }

    fn now(&mut self) -> Option<u64> {
        Some(0)
    }

    fn recall(&mut self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn within_rate(&mut self, limit: RateLimit) -> bool {
        self.bucket.take(limit, 0)
    }

    fn within_error_rate(&mut self, limit: RateLimit) -> bool {
        self.bucket.take(limit, 0)
    }

    fn property(&mut self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn left(&mut self, _: Left) -> Result<Vec<u8>, Refused> {
        Ok(Vec::new())
    }

    fn response_header(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refused> {
        Ok(self.response.get(name).map(<[u8]>::to_vec))
    }

    fn response_headers(&mut self) -> Result<Vec<u8>, Refused> {
        Ok(self.response.to_bytes())
    }
}

#[derive(Default)]
struct Recorder {
    headers: HeaderMap,
    counters: BTreeMap<String, u64>,
    published: BTreeMap<String, String>,
    notices: Vec<Notice>,
    remembered: BTreeMap<String, Vec<u8>>,
}

impl Sink for Recorder {
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.headers.replace(name, value);
        Ok(())
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        self.headers.add(name, value);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        self.headers.remove(name);
        Ok(())
    }

    fn count(&mut self, counter: Counter) {
        *self.counters.entry(counter.to_string()).or_default() += 1;
    }

    fn publish(&mut self, key: &'static str, value: &[u8]) {
        self.published.insert(key.to_owned(), text(value));
    }

    fn remember(&mut self, key: &str, value: &[u8]) {
        assert!(self.remembered.insert(key.to_owned(), value.to_vec()).is_none(), "{key} is written twice");
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}
