//! What holds of every request under every configuration.

use tracewarden::egress::Strip;
use tracewarden::formats::CompanionKind;
use tracewarden::metrics::Counter;
use tracewarden::trust::Untrusted;
use tracewarden::words::{Format, Mode, Verdict};

use crate::configuration::{Configuration, FORCE, KEPT, RENAMED, TRUST};
use crate::hop::Passed;
use crate::traffic::{BYSTANDERS, THEIRS};
use crate::wire::{self, Context, Lines};

/// The word in everything that accompanies a context.
const EVIL: &[u8] = b"evil";

pub(crate) fn check(hop: &Configuration, passed: &Passed<'_>) {
    let Passed { came, goes, .. } = passed;
    let verdict = one_verdict(passed);
    answers(hop, passed);
    for (name, _) in [TRUST, FORCE] {
        let is_configured = hop.trust.is_some() && name == TRUST.0 || has_force(hop) && name == FORCE.0;
        assert!(!is_configured || wire::lines(goes, name).is_empty(), "secret: {name} goes on");
    }
    for name in BYSTANDERS {
        assert_eq!(wire::lines(came, name), wire::lines(goes, name), "bystander: {name}");
    }
    if hop.mode == Mode::Observe {
        let secrets = [TRUST.0, FORCE.0];
        let others = |lines: &Lines| -> Lines {
            lines.iter().filter(|(name, _)| !secrets.contains(&name.as_str())).cloned().collect()
        };
        assert_eq!(others(came), others(goes), "observe: a header was changed");
        return;
    }
    for name in &hop.removed {
        assert!(wire::lines(goes, name).is_empty(), "removed: {name} goes on");
    }
    let (trusted, strip) = (hop.trusts(came), hop.strip(came));
    if !trusted {
        untrusted(hop, passed, verdict);
        kept(hop, passed, strip);
    }
    stripped(hop, goes, strip);
    if verdict != Verdict::Excluded && strip != Some(Strip::All) {
        agree(hop, passed);
        if trusted {
            keeps(hop, passed);
        }
    }
}

/// Verdicts add up: each request has one.
fn one_verdict(passed: &Passed<'_>) -> Verdict {
    let verdicts: Vec<Verdict> = passed
        .counted
        .iter()
        .filter_map(
            |counter| if let Counter::Request { context, .. } = counter { Some(*context) } else { None },
        )
        .collect();
    let [verdict] = verdicts[..] else { panic!("verdict: {verdicts:?}") };
    let decisions =
        passed.counted.iter().filter(|counter| matches!(counter, Counter::Sampled { .. })).count();
    assert!(decisions <= 1, "verdict: {decisions} decisions");
    evidence(passed, verdict);
    verdict
}

/// What is weighed is weighed once, by its own verdict; a trace that a pod did not receive always is.
fn evidence(passed: &Passed<'_>, verdict: Verdict) {
    let weighed = passed.counted.iter().filter_map(|counter| match counter {
        Counter::Evidence { context, .. } => Some(*context),
        _ => None,
    });
    let weighed: Vec<Verdict> = weighed.collect();
    let is_right = match verdict {
        Verdict::Unlinked => weighed == [Verdict::Unlinked],
        Verdict::Lost => weighed.is_empty() || weighed == [Verdict::Lost],
        _ => weighed.is_empty(),
    };
    assert!(is_right, "evidence: {weighed:?} of {verdict:?}");
}

/// The caller is told nothing that the upstream says where that is silenced, and nothing at all where nothing is told.
fn answers(hop: &Configuration, passed: &Passed<'_>) {
    assert_eq!(wire::lines(&passed.answered, "x-tenant"), [b"blue"], "answer: a bystander");
    if !hop.silences {
        return;
    }
    for (name, value) in &passed.answered {
        let has = |part: &[u8]| value.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
        // Under another name it is a header of the application's.
        let is_ours = name != RENAMED || hop.header == RENAMED;
        assert!(!is_ours || !has(THEIRS.as_bytes()), "answer: {name}: {}", value.escape_ascii());
        let told = ["traceparent", "traceresponse", hop.header].contains(&name.as_str()) || has(b"00-");
        assert!(!is_ours || hop.tells || !told, "answer: {name} tells a trace");
    }
    let lines = |name: &str| wire::lines(&passed.answered, name).len();
    assert!(lines("traceparent") <= 1 && lines("traceresponse") <= 1, "answer: two lines of one name");
}

fn has_force(hop: &Configuration) -> bool {
    hop.tree.field("sampling").and_then(|sampling| sampling.field("force")).is_some()
}

/// Whether some format owns a header of this name; `header` is the name of `traceparent`.
fn is_owned(name: &str, header: &str) -> bool {
    let is_companion = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.to_ascii_lowercase().starts_with(start),
        None => name.eq_ignore_ascii_case(pattern),
    };
    name.eq_ignore_ascii_case(header)
        || Format::ALL.iter().any(|format| {
            let headers = format.headers();
            headers.carriers.iter().any(|carrier| name.eq_ignore_ascii_case(carrier))
                || headers.companions.iter().any(|companion| is_companion(companion.name))
        })
}

fn is_baggage(name: &str) -> bool {
    Format::ALL.iter().flat_map(|format| format.headers().companions).any(|companion| {
        let start = companion.name.trim_end_matches('*');
        companion.kind == CompanionKind::Baggage && name.to_ascii_lowercase().starts_with(start)
    })
}

/// Whether an outsider sent exactly what is kept under this name: one line, or one member of baggage.
fn came_once(came: &Lines, name: &str) -> bool {
    let lines = wire::lines(came, name);
    let wanted = KEPT.iter().find(|(kept, _)| *kept == name).map(|(_, value)| value.as_bytes());
    if name != "baggage" {
        return matches!(lines[..], [only] if Some(only) == wanted);
    }
    let members: Vec<&[u8]> = lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).collect();
    let named: Vec<&&[u8]> = members.iter().filter(|member| member.starts_with(b"tenant=")).collect();
    matches!(named[..], [only] if Some(*only) == wanted)
}

/// What is kept of an outsider's goes on, unless something else says that it does not.
fn kept(hop: &Configuration, passed: &Passed<'_>, strip: Option<Strip>) {
    let trust = hop.trust.expect("somebody is not trusted");
    for (name, value) in trust.kept() {
        if came_once(passed.came, name) && hop.removed.is_empty() && strip.is_none() {
            assert_eq!(wire::lines(&passed.goes, name), [value.as_bytes()], "kept: {name}");
        }
    }
}

/// Nothing of an untrusted sender's ids, hints, tags or companions goes on, but what its mode lets through.
fn untrusted(hop: &Configuration, passed: &Passed<'_>, verdict: Verdict) {
    let trust = hop.trust.expect("somebody is not trusted");
    let ids: Vec<Context> =
        Format::ALL.iter().filter_map(|format| wire::read(*format, passed.came, hop.header)).collect();
    let may_continue = trust.untrusted == Untrusted::IgnoreSampled && verdict == Verdict::Continued;
    for (name, value) in passed.goes.iter().filter(|(name, _)| is_owned(name, hop.header)) {
        let shown = value.escape_ascii();
        if trust.kept().any(|(kept, wanted)| name == kept && value == wanted.as_bytes())
            && came_once(passed.came, name)
        {
            continue;
        }
        if is_baggage(name) {
            assert!(trust.baggage, "untrusted: the baggage {name} goes on");
            continue;
        }
        let has = |part: &[u8]| value.windows(part.len()).any(|window| window == part);
        assert!(!has(EVIL) && !has(b"mark") && !has(b"rv:"), "untrusted: {name}: {shown}");
        for context in &ids {
            let halves = [format!("{:016x}", context.low), context.low.to_string()];
            assert!(
                may_continue || !halves.iter().any(|id| has(id.as_bytes())),
                "untrusted: a trace, {name}: {shown}"
            );
            if let Some(span) = context.span.filter(|span| *span > 7) {
                let spans = [format!("{span:016x}"), span.to_string()];
                assert!(!spans.iter().any(|id| has(id.as_bytes())), "untrusted: a span, {name}: {shown}");
            }
        }
    }
    if trust.untrusted == Untrusted::Strip && !ids.is_empty() {
        let is_there =
            Format::ALL.iter().any(|format| wire::read(*format, &passed.goes, hop.header).is_some());
        assert!(!is_there, "strip: something took its place");
    }
}

/// Nothing of a context leaves where egress says so.
fn stripped(hop: &Configuration, goes: &Lines, strip: Option<Strip>) {
    for (name, _) in goes {
        let leaks = match strip {
            None => false,
            Some(Strip::All) => is_owned(name, hop.header),
            Some(Strip::Baggage) => is_baggage(name),
            Some(Strip::TraceState) => name == "tracestate",
        };
        assert!(!leaks, "egress: {name} leaves");
    }
}

/// All formats that this hop wrote or read say the same, and the filter knows what that is.
fn agree(hop: &Configuration, passed: &Passed<'_>) {
    let of = |format: &Format| Some((*format, wire::read(*format, &passed.goes, hop.header)?));
    let written: Vec<(Format, Context)> = hop.inject.iter().filter_map(of).collect();
    let others = hop.extract.iter().filter(|format| !hop.inject.contains(format));
    let read: Vec<(Format, Context)> = others.filter_map(of).collect();
    let Some(sent) = passed.stream.sent() else {
        assert!(written.is_empty() || hop.trusts(passed.came), "stream: {written:?} went out");
        return;
    };
    let (high, low) = wire::trace(&sent.trace_id.to_string()).expect("a trace-id");
    let span = wire::span(&sent.parent_id.to_string());
    let known = Context { high, low, span, sampled: Some(sent.flags.is_sampled()), debug: false };
    assert!(!written.is_empty() || !read.is_empty(), "stream: nothing says what was sent");
    let w3c = written.iter().chain(&read).find(|(format, _)| *format == Format::TraceContext);
    // What is only read may be a shorter spelling of the trace.
    if w3c.is_some_and(|(_, context)| context.high == known.high) {
        let text = String::from_utf8_lossy(&sent.to_bytes()).into_owned();
        assert_eq!(wire::one(&passed.goes, hop.header), Some(text.as_str()), "stream: another was sent");
    }
    for (format, context) in written.iter().chain(&read) {
        assert!(context.is_same_trace(&known), "agree: {format:?} has another trace");
        assert!(context.span.is_none() || context.span == known.span, "agree: {format:?} has another parent");
        assert!(
            context.sampled.is_none() || context.sampled == known.sampled,
            "agree: {format:?} decides otherwise"
        );
        assert!(!context.debug || known.sampled == Some(true), "agree: {format:?} debugs what is dropped");
    }
    extras(passed, &known);
    flips(hop, passed, &known);
}

/// Extras go on only from a header that names the same trace.
fn extras(passed: &Passed<'_>, known: &Context) {
    let (came, mark) = (passed.came, known.mark());
    for name in ["x-datadog-tags", "x-datadog-origin", "x-amzn-trace-id"] {
        // What was not written is as it came.
        for line in
            wire::lines(&passed.goes, name).iter().filter(|line| !wire::lines(came, name).contains(line))
        {
            let text = String::from_utf8_lossy(line);
            let foreign = text
                .match_indices("mark")
                .any(|(place, _)| text.get(place..place + mark.len()) != Some(&mark));
            assert!(!foreign, "extras: {name}: {text}");
        }
    }
}

/// A decision does not change under its parent-id, in whatever this hop wrote.
fn flips(hop: &Configuration, passed: &Passed<'_>, known: &Context) {
    let was_written = |format: &&Format| {
        let carriers = format
            .headers()
            .carriers
            .iter()
            .map(|name| if *name == "traceparent" { hop.header } else { name });
        let mut changed =
            carriers.map(|name| wire::lines(passed.came, name) != wire::lines(&passed.goes, name));
        changed.any(|changed| changed) && wire::read(**format, &passed.goes, hop.header).is_some()
    };
    if !hop.inject.iter().any(|format| was_written(&format)) {
        return;
    }
    for format in &hop.extract {
        if let Some(came) = wire::read(*format, passed.came, hop.header) {
            let is_same = came.is_same_trace(known) && came.span == known.span;
            assert!(!is_same || came.sampled.is_none() || came.sampled == known.sampled, "flip: {format:?}");
        }
    }
}

/// What accompanies a trusted context goes on with it, unless its format is retired or stale.
fn keeps(hop: &Configuration, passed: &Passed<'_>) {
    let name = "baggage";
    if hop.strip(passed.came).is_none() {
        assert_eq!(wire::lines(passed.came, name), wire::lines(&passed.goes, name), "keeps: {name}");
    }
}

/// The second hop finds what the first one sent, if it reads nothing else.
pub(crate) fn check_both(
    first: &Configuration,
    passed: &Passed<'_>,
    second: &Configuration,
    again: &Passed<'_>,
) {
    let written = |format: &Format| {
        wire::read(*format, &passed.goes, first.header).is_some() && first.inject.contains(format)
    };
    let knows = |format: &Format| first.extract.contains(format) || first.inject.contains(format);
    let is_heard = second.header == first.header
        && second.extract.iter().any(written)
        && second.extract.iter().all(knows);
    let Some(sent) = passed.stream.sent().filter(|_| is_heard) else { return };
    let is_excluded = |passed: &Passed<'_>| one_verdict(passed) == Verdict::Excluded;
    if first.mode == Mode::Observe || is_excluded(passed) || is_excluded(again) || !second.trusts(again.came)
    {
        return;
    }
    let is_conflict =
        |counter: &Counter| matches!(counter, Counter::Conflict { .. } | Counter::Corrupt { .. });
    let conflicts: Vec<&Counter> = again.counted.iter().filter(|counter| is_conflict(counter)).collect();
    assert!(conflicts.is_empty(), "two hops: {conflicts:?}");
    // The second hop need not have received the trace that it sends out.
    let verdict = one_verdict(again);
    assert!(matches!(verdict, Verdict::Continued | Verdict::Unlinked), "two hops: {verdict:?}");
    if let Some(on) = again.stream.sent() {
        let [on, sent] =
            [on, sent].map(|context| wire::trace(&context.trace_id.to_string()).expect("a trace-id").1);
        assert_eq!(on, sent, "two hops: another trace goes on");
    }
}
