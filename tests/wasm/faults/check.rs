//! What must hold while the host fails, and after it.

use std::collections::BTreeMap;

use proxy_wasm_test_framework::{Call, HeaderMap, LogLevel, Vm};
use tracewarden::w3c::{TraceParent, TraceState};

use super::Phase;
use super::bench::{Bench, Exchange, Outcome};
use super::cases::Case;
use super::plan::{Counts, Strike, USED, label};
use crate::scenarios::support::{TRACE_ID, bystanders, with_bystanders};

/// What became of the trace headers of a request: in a word the context, and every line of the `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    context: String,
    state: Vec<String>,
}

const AS_IT_CAME: &str = "as it came";
const NONE: &str = "none";

/// What was found wrong, each with the strikes that show it.
#[derive(Default)]
pub(super) struct Problems(BTreeMap<String, Vec<String>>);

impl Problems {
    pub(super) fn note(&mut self, case: &str, strike: &Strike, found: Vec<String>) {
        for problem in found {
            self.0.entry(problem).or_default().push(format!("{case}: {strike}"));
        }
    }

    /// Fails if there are any, with an example or two of each.
    pub(super) fn none(&self) {
        let worded = self.0.iter().map(|(problem, shown)| {
            let examples: Vec<&str> = shown.iter().take(4).map(String::as_str).collect();
            format!("{problem}\n    {} times, such as\n    {}\n", shown.len(), examples.join("\n    "))
        });
        let worded: String = worded.collect();
        assert!(worded.is_empty(), "\n{worded}");
    }
}

/// A strike during the request pass of a VM's first two streams.
pub(super) fn request_struck(case: &Case, healthy: &Outcome, strike: &Strike) -> Vec<String> {
    struck(case, healthy, strike, Phase::Request, |exchange, found| {
        check_request(case, healthy, strike, exchange, found);
        check_belief(case, healthy, strike, exchange, found);
    })
}

/// A strike during the response pass of a VM's first two streams.
pub(super) fn response_struck(case: &Case, healthy: &Outcome, strike: &Strike) -> Vec<String> {
    struck(case, healthy, strike, Phase::Response, |exchange, found| {
        if shape(case, &exchange.request) != healthy.shape {
            found.push(format!("the request is {:?}", shape(case, &exchange.request)));
        }
        check_response(case, healthy, strike, exchange, found);
    })
}

/// A strike while a plugin is configured, for the first time and again.
pub(super) fn configured(case: &Case, healthy: &Outcome, strike: &Strike) -> Vec<String> {
    let mut found = Vec::new();
    let mut bench = Bench::empty();
    let json = case.json();
    let (root, mut made) = bench.during(Some(strike), |vm| vm.root(json.as_bytes()));
    // Which build it is may be said by each VM, where there is no memory to say it in once: that is no error.
    made.retain(|call, _| ![Call::GetSharedData, Call::SetSharedData].contains(call));
    // A host need not show a configuration before it gives it to the plugin.
    if strike.shows_nothing() {
        made.entry(Call::GetBuffer).and_modify(|reads| *reads -= 1);
    }
    let root = match root {
        Ok(root) => root,
        Err(trap) => return vec![format!("configuring traps: {trap}")],
    };
    // A new VM reads it when it makes the plugin, too.
    let refused = strike.spoils_configuration(2);
    if root.is_none() != refused {
        found.push(format!("the configuration is {}", if refused { "taken" } else { "refused" }));
    }
    let errors = bench.vm.host().logged(LogLevel::Error).len();
    if errors != usize::from(root.is_none()) && !strike.is_of(Call::Log) {
        found.push(format!("{errors} lines at level error"));
    }
    check_counts(case, strike, &made, &bench.counters(), &mut found);
    bench.root = match root {
        Some(root) => Some(root),
        None => bench.vm.root(json.as_bytes()).expect("no trap"),
    };
    check_later(&mut bench, case, healthy, &mut found);
    let root = bench.root.expect("a plugin");
    match bench.during(Some(strike), |vm| vm.reconfigure(root, json.as_bytes())).0 {
        Err(trap) => return vec![format!("configuring again traps: {trap}")],
        Ok(taken) if taken == strike.spoils_configuration(1) => {
            found.push("configuring again ends otherwise".to_owned())
        }
        Ok(_) => {}
    }
    check_later(&mut bench, case, healthy, &mut found);
    found
}

fn struck(
    case: &Case,
    healthy: &Outcome,
    strike: &Strike,
    phase: Phase,
    check: impl Fn(&Exchange, &mut Vec<String>),
) -> Vec<String> {
    let mut found = Vec::new();
    let mut bench = Bench::new(case);
    let mut made = BTreeMap::new();
    for _ in 0..2 {
        match bench.exchange(case, Some((phase, strike))) {
            Err(trap) => return vec![format!("the VM is dead: {trap}")],
            Ok(exchange) => {
                if exchange.paused {
                    found.push("the stream is held".to_owned());
                }
                let now = exchange.calls.get(&phase).cloned().unwrap_or_default();
                check_counts(case, strike, &now, &exchange.counted, &mut found);
                now.into_iter().for_each(|(call, count)| *made.entry(call).or_default() += count);
                check(&exchange, &mut found);
            }
        }
    }
    check_log(case, strike, &made, &bench.vm, &mut found);
    check_later(&mut bench, case, healthy, &mut found);
    found.sort();
    found.dedup();
    found
}

/// The error is counted as often as it was made.
fn check_counts(
    case: &Case,
    strike: &Strike,
    made: &BTreeMap<Call, u64>,
    counted: &BTreeMap<String, u64>,
    found: &mut Vec<String>,
) {
    for (call, label) in USED {
        let Some(label) = label else { continue };
        // Two calls share the label of the environment.
        if *call == Call::EnvironSizesGet && strike.is_of(Call::EnvironGet)
            || *call == Call::EnvironGet && strike.is_of(Call::EnvironSizesGet)
        {
            continue;
        }
        let made = made.get(call).copied().unwrap_or(0);
        let Counts::Times(times) = strike.counts(*call, made, case.asks_direction()) else { continue };
        let told = counted.get(&format!("host_errors {label}")).copied().unwrap_or(0);
        if told != times {
            found.push(format!("{told} errors of {label} are counted, not {times}"));
        }
    }
}

/// One line for the call, if anything could be seen to be wrong with it.
fn check_log(case: &Case, strike: &Strike, made: &BTreeMap<Call, u64>, vm: &Vm, found: &mut Vec<String>) {
    let Some(call) = strike.call() else { return };
    let Some(label) = label(call) else { return };
    let lines = vm.host().logged(LogLevel::Warn);
    let about = lines.iter().filter(|line| line.contains(&format!("host call {label} "))).count();
    let made = made.get(&call).copied().unwrap_or(0);
    let wanted = usize::from(strike.is_seen(call, made, case.asks_direction()));
    if about != wanted {
        found.push(format!("{about} lines about {label}, not {wanted}"));
    }
}

fn check_request(
    case: &Case,
    healthy: &Outcome,
    strike: &Strike,
    exchange: &Exchange,
    found: &mut Vec<String>,
) {
    let unread = strike.hides(Call::GetHeaders);
    let verdicts = sum(&exchange.counted, "requests ");
    let cannot_count = strike.is_of(Call::IncrementMetric) || strike.is_of(Call::DefineMetric);
    if verdicts != u64::from(!unread) && !(cannot_count && verdicts == 0) {
        found.push(format!("{verdicts} verdicts"));
    }
    if !same_bystanders(&exchange.request, &with_bystanders(case.request)) {
        found.push("another header of the request is touched".to_owned());
    }
    let shape = shape(case, &exchange.request);
    let allowed = if unread { vec![as_it_came(case)] } else { allowed(case, healthy, strike) };
    if !strike.pretends() && !allowed.contains(&shape) {
        found.push(format!("the request is {shape:?}"));
    }
}

/// The shapes that a request may have if some of its edits were refused.
fn allowed(case: &Case, healthy: &Outcome, strike: &Strike) -> Vec<Shape> {
    let (came, meant) = (as_it_came(case), &healthy.shape);
    let mix = |context: &str, state: &[String]| Shape { context: context.to_owned(), state: state.to_vec() };
    let mut allowed = vec![came.clone(), meant.clone()];
    if meant.context.starts_with("new parent") {
        // The trace is the same, so what it carries stays true.
        allowed.push(mix(&meant.context, &came.state));
        if TraceState::parse(with_bystanders(case.request).lines("tracestate")).is_err() {
            allowed.push(mix(AS_IT_CAME, &[]));
        }
    } else if meant.context != AS_IT_CAME {
        // A trace that starts, or nothing: what came is gone, as far as the host lets it go.
        let nothing =
            if with_bystanders(case.request).get("traceparent").is_some() { NONE } else { AS_IT_CAME };
        allowed.extend([mix(&meant.context, &[]), mix(nothing, &[])]);
        if strike.is_of(Call::RemoveHeader) {
            allowed.extend([mix(&meant.context, &came.state), mix(NONE, &came.state), mix(AS_IT_CAME, &[])]);
        }
    }
    allowed
}

/// What the response tells is what the upstream received, if that is a context, and else nothing. So do the ids in
/// the filter state.
fn check_belief(
    case: &Case,
    healthy: &Outcome,
    strike: &Strike,
    exchange: &Exchange,
    found: &mut Vec<String>,
) {
    if strike.pretends() {
        return;
    }
    let sent = exchange.request.lines("traceparent");
    let context = match sent.as_slice() {
        [line] if healthy.tells && !strike.hides(Call::GetHeaders) => TraceParent::parse(line).ok(),
        _ => None,
    };
    let answered = with_bystanders(case.response);
    let expected = if context.is_some() { sent } else { answered.lines("traceparent") };
    if exchange.response.lines("traceparent") != expected {
        found.push("the response does not tell what the upstream received".to_owned());
    }
    let ids = context.map(|context| [context.trace_id.to_string(), context.parent_id.to_string()]);
    for (id, published) in exchange.published.iter().enumerate() {
        let published = published.as_ref();
        if published.is_some() && published != ids.as_ref().and_then(|ids| ids.get(id)) {
            found.push("the filter state does not tell what the upstream received".to_owned());
        }
    }
}

fn check_response(
    case: &Case,
    healthy: &Outcome,
    strike: &Strike,
    exchange: &Exchange,
    found: &mut Vec<String>,
) {
    let answers = sum(&exchange.counted, "responses ");
    let unread = strike.hides(Call::GetHeaders) || strike.hides(Call::GetHeader);
    let cannot_count = strike.is_of(Call::IncrementMetric) || strike.is_of(Call::DefineMetric);
    let expected = if unread { 0 } else { sum(&healthy.counted, "responses ") };
    if answers != expected && !(cannot_count && answers == 0) {
        found.push(format!("{answers} answers are counted, not {expected}"));
    }
    let answered = with_bystanders(case.response);
    if !same_bystanders(&exchange.response, &answered) {
        found.push("another header of the response is touched".to_owned());
    }
    let sent = exchange.request.lines("traceparent");
    for name in ["traceparent", "traceresponse"] {
        let lines = exchange.response.lines(name);
        if lines != answered.lines(name) && lines != sent {
            found.push(format!("{name} of the response is neither what came nor what was sent"));
        }
    }
    let timing = exchange.response.lines("server-timing");
    let came = answered.lines("server-timing");
    let added = timing.strip_prefix(came.as_slice()).map(<[&[u8]]>::len);
    if !matches!(added, Some(0 | 1)) {
        found.push("server-timing is not what came, and a line".to_owned());
    }
}

/// A stream after the host has recovered is like one that never saw it fail.
fn check_later(bench: &mut Bench, case: &Case, healthy: &Outcome, found: &mut Vec<String>) {
    match bench.exchange(case, None) {
        Err(trap) => found.push(format!("the VM is dead: {trap}")),
        Ok(later) => {
            let shape = shape(case, &later.request);
            if shape != healthy.shape {
                found.push(format!("later a request is {shape:?}, not {:?}", healthy.shape));
            }
            if later.counted != healthy.counted {
                found.push(format!("later {:?} is counted, not {:?}", later.counted, healthy.counted));
            }
            let tells = later.response.lines("traceparent") == later.request.lines("traceparent");
            if healthy.tells && !tells {
                found.push("later a response tells another context".to_owned());
            }
        }
    }
}

/// What became of the trace headers that the case sends.
pub(super) fn shape(case: &Case, request: &HeaderMap) -> Shape {
    let came = with_bystanders(case.request);
    let lines = request.lines("traceparent");
    let context = match lines.as_slice() {
        lines if *lines == came.lines("traceparent") => AS_IT_CAME.to_owned(),
        [] => NONE.to_owned(),
        [line] => match TraceParent::parse(line) {
            Ok(context) if context.to_bytes() != *line => "broken".to_owned(),
            Ok(context) if context.trace_id.to_string() == TRACE_ID => {
                format!("new parent, {:?}", context.flags)
            }
            Ok(context) => format!("new trace, {:?}", context.flags),
            Err(_) => "broken".to_owned(),
        },
        _ => "broken".to_owned(),
    };
    Shape { context, state: state(request) }
}

fn as_it_came(case: &Case) -> Shape {
    Shape { context: AS_IT_CAME.to_owned(), state: state(&with_bystanders(case.request)) }
}

fn state(headers: &HeaderMap) -> Vec<String> {
    headers.lines("tracestate").iter().map(|line| line.escape_ascii().to_string()).collect()
}

fn sum(counted: &BTreeMap<String, u64>, metric: &str) -> u64 {
    counted.iter().filter(|(name, _)| name.starts_with(metric)).map(|(_, count)| count).sum()
}

fn same_bystanders(left: &HeaderMap, right: &HeaderMap) -> bool {
    let ours = |name: &[u8]| name == b"traceresponse" || name == b"server-timing";
    let [left, right] = [left, right].map(|headers| {
        let mut others = bystanders(headers);
        others.retain(|(name, _)| !ours(name));
        others
    });
    left == right
}
