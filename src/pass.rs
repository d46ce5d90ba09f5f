//! The way of a request and of its response: composes the stages and decides nothing itself.

use rand::CryptoRng;

use crate::config::{Config, Mode, ParentId, Role, Start};
use crate::headers::{HeaderName, Headers, Lines, TRACEPARENT, TRACESTATE};
use crate::metrics::{Answer, Corruption, Counter, Direction, Repair, Verdict};
use crate::propagation::{self, Extracted};
use crate::sampling::{self, DecidedBy, SamplingDecision};
use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent, TraceState, TraceStateError};

/// What the host knows; each is asked for only when a stage needs it.
pub trait Facts {
    /// The generator of ids.
    type Rng: CryptoRng;

    /// The direction of Envoy's listener.
    fn direction(&mut self) -> Direction;
    /// The generator of ids, or `None` if the host gave no seed for it.
    fn rng(&mut self) -> Option<&mut Self::Rng>;
    /// The first line of a header of the response.
    fn response_header(&mut self, name: HeaderName) -> Option<Vec<u8>>;
}

/// What a pass may change: the headers of its request or response, and the counters.
pub trait Sink {
    /// Makes `value` the header's only line.
    ///
    /// # Errors
    /// The host refused; the header is as it was.
    fn set(&mut self, name: HeaderName, value: &[u8]) -> Result<(), Refused>;
    /// Removes all lines of the header.
    ///
    /// # Errors
    /// The host refused; the header is as it was.
    fn remove(&mut self, name: HeaderName) -> Result<(), Refused>;
    /// Counts one.
    fn count(&mut self, counter: Counter);
}

/// The host refused a change, and the edge has counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// What is remembered of a request until its stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The upstream receives no context that we know of.
    Untouched,
    /// The upstream receives this context.
    Traced(TraceParent),
}

/// Takes a request through the stages, and tells what the upstream receives.
pub fn request(
    config: &Config,
    headers: &Headers<'_>,
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> Stream {
    let extracted = propagation::extract(headers);
    let direction = config.direction.unwrap_or_else(|| facts.direction());
    let verdict = judge(&extracted, config.role);
    report(config, direction, verdict, &extracted, sink);
    match (config.mode, extracted) {
        (Mode::Observe, Extracted::Valid(parent, _)) => Stream::Traced(parent),
        (Mode::Observe, _) => Stream::Untouched,
        (Mode::Enforce, Extracted::Valid(parent, tracestate)) => {
            Stream::Traced(proceed(config, parent, tracestate, facts, sink))
        }
        (Mode::Enforce, _) => match start(config, facts, sink) {
            Some(root) => {
                if verdict != Verdict::Started {
                    sink.count(Counter::Repair { direction, by: Repair::New });
                }
                remove_lines(TRACESTATE, &headers.tracestate, sink);
                Stream::Traced(root)
            }
            None => {
                remove_lines(TRACEPARENT, &headers.traceparent, sink);
                remove_lines(TRACESTATE, &headers.tracestate, sink);
                Stream::Untouched
            }
        },
    }
}

/// Takes the response to a request through the stages; a stream without a context has none to compare or to tell.
pub fn response(config: &Config, stream: Stream, facts: &mut impl Facts, sink: &mut impl Sink) {
    let Stream::Traced(sent) = stream else { return };
    let mut answered = None;
    if config.response.validate {
        answered = facts.response_header(TRACEPARENT);
        sink.count(Counter::Response { context: compare(answered.as_deref(), sent) });
    }
    let ours = sent.to_bytes();
    if config.response.traceparent && config.mode == Mode::Enforce && answered.as_deref() != Some(&ours) {
        // A refusal is counted at the edge, and nothing after it depends on the header.
        let _ = sink.set(TRACEPARENT, &ours);
    }
}

/// What came in, in one word.
const fn judge(extracted: &Extracted<'_>, role: Role) -> Verdict {
    match (extracted, role) {
        (Extracted::Valid(..), _) => Verdict::Continued,
        (Extracted::Corrupt(_), _) => Verdict::Corrupt,
        (Extracted::Absent, Role::Edge) => Verdict::Started,
        (Extracted::Absent, Role::Internal) => Verdict::Lost,
    }
}

/// Counts the verdict, and each invalid header with its reason.
fn report(
    config: &Config,
    direction: Direction,
    context: Verdict,
    extracted: &Extracted<'_>,
    sink: &mut impl Sink,
) {
    sink.count(Counter::Request { direction, role: config.role, mode: config.mode, context });
    let corruption = match extracted {
        Extracted::Corrupt(reason) => Corruption::TraceParent(*reason),
        Extracted::Valid(_, Err(reason)) => Corruption::TraceState(*reason),
        Extracted::Valid(_, Ok(_)) | Extracted::Absent => return,
    };
    sink.count(Counter::Corrupt { direction, corruption });
}

/// Continues a trace, and tells which context the upstream receives.
fn proceed(
    config: &Config,
    parent: TraceParent,
    tracestate: Result<TraceState<'_>, TraceStateError>,
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> TraceParent {
    count_sampled(sampling::by_parent(parent.flags), DecidedBy::Parent, sink);
    let child = match config.parent_id {
        ParentId::Auto | ParentId::Forward => None,
        ParentId::New => facts.rng().map(|rng| TraceParent { parent_id: SpanId::random(rng), ..parent }),
    };
    let written = child.filter(|child| sink.set(TRACEPARENT, &child.to_bytes()).is_ok());
    match tracestate {
        Err(_) => remove(TRACESTATE, sink),
        // What is forwarded with its parent-id is forwarded as it came (rule TP-34).
        Ok(list) if written.is_some() && !list.is_verbatim() => rewrite(&list, sink),
        Ok(_) => {}
    }
    written.unwrap_or(parent)
}

/// Starts a trace, if the configuration and the host allow it, and tells which context the upstream receives.
fn start(config: &Config, facts: &mut impl Facts, sink: &mut impl Sink) -> Option<TraceParent> {
    if config.start == Start::Never {
        return None;
    }
    let rng = facts.rng()?;
    let trace_id = TraceId::random(rng);
    let parent_id = SpanId::random(rng);
    let decision = sampling::by_probability(config.probability, trace_id);
    let root = TraceParent { trace_id, parent_id, flags: TraceFlags::of_new_trace(decision.is_record()) };
    sink.set(TRACEPARENT, &root.to_bytes()).ok()?;
    count_sampled(decision, DecidedBy::Probability, sink);
    Some(root)
}

fn count_sampled(decision: SamplingDecision, by: DecidedBy, sink: &mut impl Sink) {
    sink.count(Counter::Sampled { decision, by });
}

/// Sends the list in one line, or no header where the list is empty (rules TS-03, TS-04).
fn rewrite(list: &TraceState<'_>, sink: &mut impl Sink) {
    if list.is_empty() {
        return remove(TRACESTATE, sink);
    }
    let mut value = Vec::new();
    list.write_to(&mut value);
    let _ = sink.set(TRACESTATE, &value);
}

fn remove_lines(name: HeaderName, lines: &Lines<'_>, sink: &mut impl Sink) {
    if lines.first().is_some() {
        remove(name, sink);
    }
}

/// Removes a header; a refusal is counted at the edge, and no context that we believe in depends on it.
fn remove(name: HeaderName, sink: &mut impl Sink) {
    let _ = sink.remove(name);
}

fn compare(answered: Option<&[u8]>, sent: TraceParent) -> Answer {
    match answered.map(TraceParent::parse) {
        None => Answer::Absent,
        Some(Err(_)) => Answer::Corrupt,
        Some(Ok(answer)) if answer.trace_id == sent.trace_id => Answer::Match,
        Some(Ok(_)) => Answer::Mismatch,
    }
}
