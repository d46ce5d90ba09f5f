//! A VM to try a case in.

use std::collections::BTreeMap;

use proxy_wasm_test_framework::{Action, Call, HeaderMap, Host, RootId, Trap, Vm};

use super::Phase;
use super::cases::Case;
use super::check::{Shape, shape};
use super::plan::{Strike, USED};
use crate::edge::MODULE;
use crate::scenarios::support::{short, with_bystanders};

/// A VM with a plugin.
pub(super) struct Bench {
    pub(super) vm: Vm,
    pub(super) root: Option<RootId>,
}

/// A request and its response.
pub(super) struct Exchange {
    pub(super) request: HeaderMap,
    pub(super) response: HeaderMap,
    /// The counters that moved, in short words, and how far.
    pub(super) counted: BTreeMap<String, u64>,
    /// How often each call was made in each pass.
    pub(super) calls: BTreeMap<Phase, BTreeMap<Call, u64>>,
    /// The ids in the filter state: of the trace and of the span.
    pub(super) published: [Option<String>; 2],
    pub(super) paused: bool,
}

/// What comes of a case while the host works.
pub(super) struct Outcome {
    /// How often each call is made, by a VM that is new.
    pub(super) calls: BTreeMap<Phase, BTreeMap<Call, u64>>,
    pub(super) shape: Shape,
    /// Whether the response tells the request's context.
    pub(super) tells: bool,
    pub(super) counted: BTreeMap<String, u64>,
}

impl Bench {
    /// A VM without a plugin, in a host that knows a direction, a peer and a variable.
    pub(super) fn empty() -> Self {
        let mut host = Host::new();
        host.set_property(&["xds", "listener_direction"], 1_u64.to_le_bytes());
        host.set_property(&["source", "address"], "10.0.0.7:1234");
        host.environment.insert("UNRELATED".to_owned(), "x".to_owned());
        Self { vm: Vm::with(&MODULE, host).expect("the module starts"), root: None }
    }

    /// A VM with the case's plugin.
    pub(super) fn new(case: &Case) -> Self {
        let mut bench = Self::empty();
        bench.root = bench.vm.root(case.json().as_bytes()).expect("no trap");
        assert!(bench.root.is_some(), "{}", case.json());
        bench
    }

    /// Takes a request and its response through the filter, with a strike in one of the passes.
    pub(super) fn exchange(
        &mut self,
        case: &Case,
        strike: Option<(Phase, &Strike)>,
    ) -> Result<Exchange, Trap> {
        let root = self.root.expect("a plugin");
        let in_pass = |pass| strike.filter(|(phase, _)| *phase == pass).map(|(_, strike)| strike);
        let [request, response] = [case.request, case.response].map(with_bystanders);
        let before = self.counters();
        let stream = self.vm.stream(root)?;
        let mut calls = BTreeMap::new();
        let (asked, made) = self.during(in_pass(Phase::Request), |vm| vm.request(stream, request));
        calls.insert(Phase::Request, made);
        let (answered, made) = self.during(in_pass(Phase::Response), |vm| vm.response(stream, response));
        calls.insert(Phase::Response, made);
        let paused = asked? != Action::Continue || answered? != Action::Continue;
        let published = ["wasm.trace_id", "wasm.span_id"].map(|key| {
            self.vm.filter_state(stream, key).map(|value| String::from_utf8_lossy(value).into_owned())
        });
        let request = self.vm.request_headers(stream).clone();
        let response = self.vm.response_headers(stream).clone();
        self.vm.finish(stream)?;
        let counted = steps(&before, self.counters());
        Ok(Exchange { request, response, counted, calls, published, paused })
    }

    /// Does something while a strike is on, and tells which calls were made meanwhile.
    pub(super) fn during<T>(
        &mut self,
        strike: Option<&Strike>,
        work: impl FnOnce(&mut Vm) -> T,
    ) -> (T, BTreeMap<Call, u64>) {
        self.vm.host_mut().reset_calls();
        if let Some(strike) = strike {
            strike.plan(self.vm.host_mut());
        }
        let done = work(&mut self.vm);
        if strike.is_some() {
            self.vm.host_mut().clear_faults();
        }
        let made = USED.iter().map(|(call, _)| (*call, self.vm.host().calls(*call)));
        (done, made.filter(|(_, made)| *made > 0).collect())
    }

    /// Every counter, by its short name. A gauge is none: a host that says that it added, and did not, makes it run below 0.
    pub(super) fn counters(&self) -> BTreeMap<String, u64> {
        let metrics = self.vm.host().metrics();
        let counters = metrics.iter().filter(|(name, _)| name.ends_with("_total"));
        counters.map(|(name, count)| (short(name, 1), count)).collect()
    }
}

/// How far each counter went.
fn steps(before: &BTreeMap<String, u64>, after: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let step = |(name, count): (String, u64)| {
        let count = count - before.get(&name).copied().unwrap_or(0);
        (count > 0).then_some((name, count))
    };
    after.into_iter().filter_map(step).collect()
}

impl Outcome {
    pub(super) fn healthy(case: &Case) -> Self {
        let mut bench = Bench::empty();
        let (root, made) = bench.during(None, |vm| vm.root(case.json().as_bytes()));
        bench.root = root.expect("no trap");
        let first = bench.exchange(case, None).expect("no trap");
        let mut calls = first.calls;
        calls.insert(Phase::Configure, made);
        let sent = first.request.lines("traceparent");
        Self {
            calls,
            shape: shape(case, &first.request),
            tells: !sent.is_empty() && first.response.lines("traceparent") == sent,
            counted: first.counted,
        }
    }
}
