//! The pass of a response, held against the rules.

use tracewarden::config::Config;
use tracewarden::filter::{Filter, StreamContext};
use tracewarden::metrics::Counter;
use tracewarden::words::{Mode, ResponseContext, ResponseHeader, When};

use crate::host::{Headers, Host, Known, Verb, Wire};
use crate::reading::{self, Timing};
use crate::spans;
use crate::work;

const TRACERESPONSE: &str = "traceresponse";
const SERVER_TIMING: &str = "server-timing";

/// Makes the pass on the response that the host knows, and checks all that it did.
///
/// # Panics
/// A rule does not hold.
pub fn check(config: &Config, stream: &mut StreamContext, known: &mut Known, wire: &mut Wire) {
    known.asked = 0;
    let before = known.response.clone();
    wire.headers = before.clone();
    let is_left_out = spans::is_left_out(stream);
    let filter = Filter::new(config.clone());
    let host = &mut Host { known, wire };
    work::bounded(16 * before.size(), || filter.response(stream, host));
    let Some(sent) = stream.sent() else {
        assert!(wire.is_untouched() && known.asked == 0, "nothing is known, nothing is said");
        return;
    };
    assert!(known.asked <= 1 + usize::from(is_left_out), "{} questions", known.asked);
    assert!(wire.changes.len() <= 3, "{:?}", wire.changes);
    let reads_all = config.response.inject.iter().any(|header| *header != ResponseHeader::Traceparent);
    if known.is_silent && (reads_all || config.response.validate) {
        assert!(wire.is_untouched(), "what is not known is not said");
        return;
    }
    if is_left_out {
        is_recorded_late(config, &before, sent.flags.is_sampled(), known, wire);
    }
    is_compared(config, &before, reads_all, &sent.to_bytes(), wire);
    let injects = config.response.when == When::Always || sent.flags.is_sampled();
    if config.request.mode == Mode::Enforce && injects {
        is_injected(config, &before, &sent.to_bytes(), wire);
    } else {
        assert!(wire.changes.is_empty(), "nothing is changed");
    }
}

/// A failed request whose trace is not recorded: its own spans are, if the rate allows it, and all is as if they had
/// been from the beginning.
fn is_recorded_late(config: &Config, before: &Headers, sampled: bool, known: &Known, wire: &mut Wire) {
    let records = known.now.is_some() && !known.is_silent && spans::fails(before, &Headers::default());
    assert_eq!(sampled, records && config.request.sampling.errors.is_some());
    let decided = wire.counted.extract_if(.., |one| matches!(one, Counter::Sampled { .. })).count();
    assert_eq!(decided, usize::from(sampled), "it is counted");
    let told = if sampled && config.request.access_log.filter_state {
        vec![("sampled", b"true".to_vec())]
    } else {
        vec![]
    };
    assert_eq!(wire.published, told, "the access log learns of it");
}

/// The comparison of what the upstream tells with what it was sent, and that it alone is counted.
fn is_compared(config: &Config, before: &Headers, reads_all: bool, sent: &[u8], wire: &Wire) {
    if !config.response.validate {
        assert!(wire.counted.is_empty());
        return;
    }
    let [Counter::Response { context: answer }] = wire.counted[..] else { panic!("{:?}", wire.counted) };
    let first = |name: &str| before.lines(name).first().map(|line| line.to_vec());
    let mut told = first(&config.request.header);
    if reads_all && told.is_none() {
        told = first(TRACERESPONSE);
        let timing = reading::server_timing(&before.lines(SERVER_TIMING));
        told = match (told, timing) {
            (Some(told), _) | (None, Timing::Tells(told)) => Some(told),
            (None, Timing::Silent) => None,
            (None, Timing::Unclear) => return,
        };
    }
    let expected = match told.map(|told| reading::traceparent(&told)) {
        None => ResponseContext::Absent,
        Some(None) => ResponseContext::Corrupt,
        Some(Some(told)) if told[3..35] == sent[3..35] => ResponseContext::Match,
        Some(Some(_)) => ResponseContext::Mismatch,
    };
    assert_eq!(answer, expected);
}

/// The headers that tell the request's context, and that nothing else is changed.
fn is_injected(config: &Config, before: &Headers, sent: &[u8], wire: &Wire) {
    let injects = |header: ResponseHeader| config.response.inject.contains(&header);
    let after = &wire.headers;
    let mut ours: Vec<&str> = Vec::new();
    for (header, name) in [
        (ResponseHeader::Traceparent, &*config.request.header),
        (ResponseHeader::Traceresponse, TRACERESPONSE),
    ] {
        if injects(header) {
            ours.push(name);
            let tells = after.lines(name).first() == Some(&sent);
            assert!(tells || wire.refused(Verb::Set, name), "{name} tells the context");
        }
    }
    // An operator who calls the trace's header so gets what he asks for.
    if injects(ResponseHeader::ServerTiming) && !ours.contains(&SERVER_TIMING) {
        is_timed(before, sent, wire);
    }
    if injects(ResponseHeader::ServerTiming) {
        ours.push(SERVER_TIMING);
    }
    assert!(wire.changes.iter().all(|change| ours.contains(&change.name.as_str())));
    assert_eq!(after.others(&ours), before.others(&ours), "other headers are none of our business");
}

/// `Server-Timing` keeps the lines of the upstream, and has one metric of a trace (rules RS-06, RS-08).
fn is_timed(before: &Headers, sent: &[u8], wire: &Wire) {
    let (was, is) = (before.lines(SERVER_TIMING), wire.headers.lines(SERVER_TIMING));
    let (stayed, added) = is.split_at_checked(was.len()).expect("no line goes");
    assert_eq!(stayed, was);
    let line = [b"traceparent;desc=\"", sent, b"\""].concat();
    match reading::server_timing(&was) {
        Timing::Tells(_) => assert!(added.is_empty(), "no second metric"),
        Timing::Silent if wire.refused(Verb::Add, SERVER_TIMING) => assert!(added.is_empty()),
        Timing::Silent => assert_eq!(added, [&line], "one line tells the context"),
        Timing::Unclear => assert!(added.is_empty() || added == [&line]),
    }
}
