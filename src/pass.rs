//! The way of a request and of its response: composes the stages and decides nothing itself.

mod host;

use rand::Rng;

pub(crate) use host::ignore;
pub use host::{Facts, Left, Refused, Sink};

use crate::answer::{self, SERVER_TIMING, TRACERESPONSE};
use crate::baggage::{self, BAGGAGE};
use crate::config::{Config, Mode, ParentId, ResponseHeader, Role, Start, TraceIdSource};
use crate::correlation::Correlation;
use crate::egress::Strip;
use crate::headers::{Malformed, has};
use crate::metrics::{Corruption, Counter, Direction, Repair, Verdict};
use crate::notice::Notice;
use crate::otlp::Span;
use crate::propagation::{Carriers, Extracted, Settled, TraceContext};
use crate::request_id;
use crate::sampling::{DecidedBy, Sampled, SamplingDecision};
use crate::span::{self, Ending, Hop, Origin};
use crate::trust::{Admitted, Untrusted};
use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent, server_timing_line};

/// What is remembered of a request until its stream ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stream {
    /// The upstream receives no context that we know of.
    #[default]
    Untouched,
    /// The upstream receives this context.
    Traced(TraceParent),
    /// The upstream receives this context, whose parent-id is a span of this hop.
    Spanned(TraceParent, Box<Hop>),
}

/// Takes a request, its headers serialized as the host hands them over, through the stages.
///
/// # Errors
/// The headers are no header map; nothing was done.
pub fn request(
    config: &Config,
    headers: &[u8],
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> Result<Stream, Malformed> {
    let trusted = config.trust.admits(headers, facts);
    if config.mode == Mode::Enforce {
        remove_untold(config, headers, trusted, sink);
    }
    let direction = config.direction.unwrap_or_else(|| facts.direction());
    if config.exclude.matches(headers, direction)? {
        leave_alone(config, headers, trusted, direction, sink);
        return Ok(Stream::Untouched);
    }
    let settled = config.propagation.extract(headers, direction, trusted, sink)?;
    let (came, corruption) = (settled.extracted.parent(), settled.extracted.corruption());
    let verdict = judge(config, &settled, facts);
    count_request(config, direction, verdict, sink);
    if let Some(corruption) = corruption {
        sink.count(Counter::Corrupt { direction, corruption });
    }
    let readable = if config.export.is_some() { came.or_else(|| settled.carriers.salvage()) } else { None };
    let Done { sent, parent, mended } = match config.mode {
        Mode::Observe => Done { sent: came, ..Done::NOTHING },
        Mode::Enforce => act(config, settled, facts, sink),
    };
    report(config, &Notice { verdict, direction, corruption, sent }, came, mended, sink);
    if let (Some(memory), Some(sent), Direction::Inbound, true) =
        (config.correlation, sent, direction, trusted)
    {
        memory.remember(sent, headers, facts, sink);
    }
    let Some(sent) = sent else { return Ok(Stream::Untouched) };
    let hop = match config.mode {
        Mode::Observe => None,
        Mode::Enforce => span::begin(config, direction, sent, Origin { parent, came: readable }, facts),
    };
    Ok(hop.map_or(Stream::Traced(sent), |hop| Stream::Spanned(sent, Box::new(hop))))
}

/// Counts a request that is none of our business; what an outsider put there does not go on all the same.
fn leave_alone(config: &Config, headers: &[u8], trusted: bool, direction: Direction, sink: &mut impl Sink) {
    count_request(config, direction, Verdict::Excluded, sink);
    if config.mode == Mode::Enforce {
        if !trusted {
            config.propagation.strip(headers, sink);
        }
        config.propagation.remove_retired(headers, sink);
    }
}

/// Removes what the upstream must not learn, and baggage beyond its bounds: secrets and guesses at them, and the baggage
/// of those who are not trusted.
fn remove_untold(config: &Config, headers: &[u8], trusted: bool, sink: &mut impl Sink) {
    for secret in config.sampling.force.iter().chain(config.trust.secrets()) {
        if secret.is_tried_in(headers) {
            ignore(sink.remove(&secret.name));
        }
    }
    if !trusted && !config.trust.baggage && has(headers, BAGGAGE) {
        ignore(sink.remove(BAGGAGE));
    } else if config.limit_baggage {
        baggage::limit(headers, sink);
    }
}

/// Counts what was mended, and tells the logs.
fn report(
    config: &Config,
    notice: &Notice,
    came: Option<TraceParent>,
    mended: Option<Repair>,
    sink: &mut impl Sink,
) {
    let Notice { verdict, direction, corruption, sent } = *notice;
    let broken = matches!(verdict, Verdict::Lost | Verdict::Corrupt);
    match mended {
        Some(by) if broken || by == Repair::Format => sink.count(Counter::Repair { direction, by }),
        _ => {}
    }
    if broken || corruption.is_some() {
        sink.notice(*notice);
    }
    if config.filter_state {
        publish(verdict, came, sent, sink);
    }
}

/// Takes the response to a request through the stages; a stream without a context has none to compare or to tell.
///
/// # Errors
/// The headers are no header map; nothing was done.
pub fn response(
    config: &Config,
    stream: &mut Stream,
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> Result<(), Malformed> {
    if stream.is_left_out()
        && let Ok(headers) = facts.response_headers()
        && record_failure(config, stream, Ending::of_headers(&headers)?, facts, sink)
        && config.filter_state
    {
        sink.publish(SAMPLED, b"true");
    }
    let Some(sent) = stream.sent() else { return Ok(()) };
    let Some(told) = answer::read(config, facts)? else { return Ok(()) };
    if config.response.validate {
        sink.count(Counter::Response { context: told.compare(sent) });
    }
    if config.mode == Mode::Observe || !config.response.injects(sent.flags.is_sampled()) {
        return Ok(());
    }
    let ours = sent.to_bytes();
    for header in config.response.inject.iter().copied() {
        if !told.says(header, &ours) {
            ignore(match header {
                ResponseHeader::Traceparent => sink.set(&config.propagation.header, &ours),
                ResponseHeader::Traceresponse => sink.set(TRACERESPONSE, &ours),
                ResponseHeader::ServerTiming => sink.add(SERVER_TIMING, &server_timing_line(&ours)),
            });
        }
    }
    Ok(())
}

/// Makes the spans of a stream that has ended.
///
/// # Errors
/// The headers are no header map; there are no spans.
pub fn finish(
    config: &Config,
    mut stream: Stream,
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> Result<Vec<Span>, Malformed> {
    if stream.is_left_out() {
        let headers = facts.left(Left::Response).unwrap_or_default();
        // What the headers showed was decided when they came, and told to the caller.
        if !Ending::of_headers(&headers)?.is_failure() {
            let ending = Ending::read(&headers, facts)?;
            record_failure(config, &mut stream, ending, facts, sink);
        }
    }
    match stream {
        Stream::Spanned(sent, hop) if sent.flags.is_sampled() => hop.finish(config, sent, facts),
        _ => Ok(Vec::new()),
    }
}

impl Stream {
    /// The context that the upstream receives.
    #[must_use]
    pub fn sent(&self) -> Option<TraceParent> {
        match self {
            Self::Untouched => None,
            Self::Traced(sent) | Self::Spanned(sent, _) => Some(*sent),
        }
    }

    /// Whether it has a span that will not be recorded, unless it fails.
    const fn is_left_out(&self) -> bool {
        matches!(self, Self::Spanned(sent, _) if !sent.flags.is_sampled())
    }
}

/// Has the span of a failed request recorded, though its trace is not, as long as the rate of those allows it.
fn record_failure(
    config: &Config,
    stream: &mut Stream,
    ending: Ending,
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> bool {
    if let (Stream::Spanned(sent, hop), Some(rate), true) =
        (stream, config.sampling.errors, ending.is_failure())
        && facts.within_error_rate(rate)
    {
        sent.flags = TraceFlags::of(true, sent.flags.is_random());
        hop.record_late();
        sink.count(Counter::Sampled { decision: SamplingDecision::Record, by: DecidedBy::Error });
        return true;
    }
    false
}

/// What came in, in one word.
fn judge(config: &Config, settled: &Settled<'_>, facts: &mut impl Facts) -> Verdict {
    let honoured = settled.carriers.trusted || config.trust.untrusted == Untrusted::IgnoreSampled;
    match (&settled.extracted, config.role) {
        (Extracted::Valid(_), _) if !honoured => Verdict::Restarted,
        (Extracted::Valid(context), _) => match memory(config, &settled.carriers) {
            Some(memory) if !memory.received(context.trace_id, facts) => Verdict::Unlinked,
            _ => Verdict::Continued,
        },
        (Extracted::Corrupt(_), _) => Verdict::Corrupt,
        (Extracted::Absent(_), Role::Edge) => Verdict::Started,
        (Extracted::Absent(_), Role::Internal) => Verdict::Lost,
    }
}

/// What this pod remembers of its inbound side, for a request on its way out.
fn memory(config: &Config, carriers: &Carriers<'_>) -> Option<Correlation> {
    config.correlation.filter(|_| carriers.trusted && carriers.direction == Direction::Outbound)
}

/// What became of a request's context.
struct Done {
    /// The context that the upstream receives.
    sent: Option<TraceParent>,
    /// The one that it continues.
    parent: Option<TraceParent>,
    mended: Option<Repair>,
}

impl Done {
    const NOTHING: Self = Self { sent: None, parent: None, mended: None };
}

/// Sends on what the context leads to.
fn act(config: &Config, settled: Settled<'_>, facts: &mut impl Facts, sink: &mut impl Sink) -> Done {
    let Settled { extracted, repaired, carriers } = settled;
    let kept_back = config.egress.strip(carriers.headers, carriers.direction);
    let done = match kept_back {
        Some(Strip::All) => {
            config.propagation.strip(carriers.headers, sink);
            Done::NOTHING
        }
        _ => send(config, extracted, repaired, &carriers, facts, sink),
    };
    if let Some(strip) = kept_back {
        strip.apply(sink);
    }
    config.propagation.remove_retired(carriers.headers, sink);
    done
}

fn send(
    config: &Config,
    extracted: Extracted<'_>,
    repaired: bool,
    carriers: &Carriers<'_>,
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> Done {
    let parent = extracted.parent();
    match config.trust.admit(extracted, carriers.trusted) {
        Admitted::Continue(context) => {
            let sent = proceed(config, carriers, context, facts, sink);
            Done { sent, parent, mended: repaired.then_some(Repair::Format) }
        }
        Admitted::Nothing => {
            Done { sent: config.propagation.send_root(carriers, None, sink), ..Done::NOTHING }
        }
        Admitted::Start(decision) => {
            match memory(config, carriers).and_then(|memory| memory.of_request(carriers.headers, facts)) {
                Some(received) => {
                    let sent = proceed(config, carriers, TraceContext::remembered(received), facts, sink);
                    Done { sent, parent: Some(received), mended: sent.map(|_| Repair::Correlation) }
                }
                None => {
                    let (sent, mended) = start(config, carriers, decision, facts, sink).unzip();
                    Done { sent, parent: None, mended }
                }
            }
        }
    }
}

/// Continues a trace, and tells which context the upstream receives.
fn proceed(
    config: &Config,
    carriers: &Carriers<'_>,
    context: TraceContext<'_>,
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> Option<TraceParent> {
    let randomness = if context.chosen_by_sender { facts.rng().map(|rng| rng.next_u64() >> 8) } else { None };
    let question = carriers.question(context.trace_id, context.sampled, context.ot(), randomness);
    let sampled = config.sampling.decide(&question, |limit| facts.within_rate(limit));
    let flag = context.sampled;
    let of_this_hop = config.parent_id == ParentId::New
        || config.records(sampled.decision.is_record())
        || context.is_outdated_by(sampled);
    let child = if of_this_hop || context.parent_id.is_none() {
        facts.rng().map(|rng| TraceParent {
            trace_id: context.trace_id,
            parent_id: SpanId::random(rng),
            flags: TraceFlags::of(sampled.decision.is_record(), context.random),
        })
    } else {
        None
    };
    let sent = config.propagation.send_on(carriers, context, child, sampled, sink);
    let told = sent.is_some_and(|sent| sent.flags.is_sampled() == sampled.decision.is_record());
    // Where the decision could not be written, what came in goes on.
    count_sampled(if told { sampled } else { Sampled::by_parent(flag.unwrap_or(false)) }, sink);
    sent
}

/// Starts a trace where no valid context came in, and tells which context the upstream receives and where its trace-id
/// is from: none, where the configuration or the host does not allow one. What came in is removed all the same.
fn start(
    config: &Config,
    carriers: &Carriers<'_>,
    decision: Option<bool>,
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> Option<(TraceParent, Repair)> {
    let root = root(config, carriers, decision, facts, sink);
    let written = root.map(|(root, sampled, _)| (root, sampled));
    let sent = config.propagation.send_root(carriers, written, sink)?;
    let (_, sampled, by) = root?;
    count_sampled(sampled, sink);
    Some((sent, by))
}

fn root(
    config: &Config,
    carriers: &Carriers<'_>,
    decision: Option<bool>,
    facts: &mut impl Facts,
    sink: &mut impl Sink,
) -> Option<(TraceParent, Sampled, Repair)> {
    if config.start == Start::Never {
        return None;
    }
    let rng = facts.rng()?;
    let (drawn, parent_id) = (TraceId::random(rng), SpanId::random(rng));
    let of_request = trace_id_of_request(config, carriers, sink);
    let by = if of_request.is_some() { Repair::RequestId } else { Repair::New };
    let (trace_id, random) = of_request.unwrap_or((drawn, true));
    let question = carriers.question(trace_id, decision, None, None);
    let sampled = config.sampling.decide(&question, |limit| facts.within_rate(limit));
    let flags = TraceFlags::of(sampled.decision.is_record(), random);
    Some((TraceParent { trace_id, parent_id, flags }, sampled, by))
}

/// The trace-id that the request's id stands for, where that is asked for and its sender is trusted.
fn trace_id_of_request(
    config: &Config,
    carriers: &Carriers<'_>,
    sink: &mut impl Sink,
) -> Option<(TraceId, bool)> {
    if config.trace_id_source == TraceIdSource::Random || !carriers.trusted {
        return None;
    }
    let found = request_id::trace_id(carriers.headers);
    if found.is_none() {
        let corruption = Corruption::RequestId;
        sink.count(Counter::Corrupt { direction: carriers.direction, corruption });
    }
    found
}

fn count_request(config: &Config, direction: Direction, context: Verdict, sink: &mut impl Sink) {
    sink.count(Counter::Request { direction, role: config.role, mode: config.mode, context });
}

fn count_sampled(sampled: Sampled, sink: &mut impl Sink) {
    sink.count(Counter::Sampled { decision: sampled.decision, by: sampled.by });
}

const SAMPLED: &str = "sampled";

/// Puts what came in and what goes on where an access log can read it.
fn publish(verdict: Verdict, came: Option<TraceParent>, sent: Option<TraceParent>, sink: &mut impl Sink) {
    sink.publish("trace_context", verdict.label().as_bytes());
    match came {
        Some(came) if verdict == Verdict::Restarted => {
            sink.publish("linked_trace_id", &came.trace_id.to_hex());
            sink.publish("linked_span_id", &came.parent_id.to_hex());
        }
        Some(came) => sink.publish("parent_id", &came.parent_id.to_hex()),
        None => {}
    }
    if let Some(sent) = sent {
        sink.publish("trace_id", &sent.trace_id.to_hex());
        sink.publish("span_id", &sent.parent_id.to_hex());
        sink.publish(SAMPLED, if sent.flags.is_sampled() { b"true" } else { b"false" });
    }
}
