//! The pass of a response, held against the rules.

use proxy_wasm_test_framework::HeaderMap;
use tracewarden::config::Config;
use tracewarden::filter::{Filter, StreamContext};
use tracewarden::headers::{SERVER_TIMING, TRACERESPONSE};
use tracewarden::metrics::Counter;
use tracewarden::words::{Mode, ResponseContext, ResponseHeader, When};

use crate::host::{Host, Lines, Verb, others, size};
use crate::reading::{self, Timing};
use crate::spans;
use crate::work;

/// A response that was passed, and the context that its request was sent with.
struct Response<'a> {
    config: &'a Config,
    before: &'a HeaderMap,
    sent: [u8; 55],
    /// Whether every header that can tell a context was read, or the `traceparent` alone.
    reads_all: bool,
}

/// Makes the pass on a response, and checks all that it did.
pub fn check(config: &Config, stream: &mut StreamContext, lines: &Lines, host: &mut Host) {
    host.begin(lines);
    let before = &host.headers.clone();
    let is_left_out = spans::is_left_out(stream);
    let filter = Filter::new(config.clone());
    work::bounded(16 * size(lines), || filter.response(stream, host));
    let Some(sent) = stream.sent() else {
        assert!(host.calls.is_empty() && host.calls.asked == 0, "nothing is known, nothing is said");
        return;
    };
    assert!(host.calls.asked <= 1 + usize::from(is_left_out), "{} questions", host.calls.asked);
    assert!(host.calls.changes.len() <= 3, "{:?}", host.calls.changes);
    let reads_all = config.response.inject.iter().any(|header| *header != ResponseHeader::Traceparent);
    if host.known.is_silent && (reads_all || config.response.validate) {
        assert!(host.calls.is_empty(), "what is not known is not said");
        return;
    }
    let sampled = sent.flags.is_sampled();
    if is_left_out {
        is_recorded_late(config, before, sampled, host);
    }
    let response = Response { config, before, sent: sent.to_bytes(), reads_all };
    response.is_compared(host);
    if config.request.mode == Mode::Enforce && (config.response.when == When::Always || sampled) {
        response.is_injected(host);
    } else {
        assert!(host.calls.changes.is_empty(), "nothing is changed");
    }
}

/// A failed request whose trace is not recorded: its own spans are, if the rate allows it, and all is as if they had
/// been from the beginning.
fn is_recorded_late(config: &Config, before: &HeaderMap, sampled: bool, host: &mut Host) {
    let records =
        host.known.now.is_some() && !host.known.is_silent && spans::fails(before, &HeaderMap::new());
    assert_eq!(sampled, records && config.request.sampling.errors.is_some());
    let decided = host.calls.counted.extract_if(.., |one| matches!(one, Counter::Sampled { .. })).count();
    assert_eq!(decided, usize::from(sampled), "it is counted");
    let is_told = sampled && config.request.access_log.filter_state;
    let told = is_told.then(|| ("sampled", b"true".to_vec()));
    assert!(host.calls.published.iter().eq(&told), "the access log learns of it");
}

impl Response<'_> {
    /// The comparison of what the upstream tells with what it was sent, and that it alone is counted.
    fn is_compared(&self, host: &Host) {
        if !self.config.response.validate {
            assert!(host.calls.counted.is_empty());
            return;
        }
        let [Counter::Response { context: answer }] = host.calls.counted[..] else {
            panic!("{:?}", host.calls.counted)
        };
        let first = |name: &str| self.before.get(name).map(<[u8]>::to_vec);
        let mut told = first(&self.config.request.header);
        if self.reads_all && told.is_none() {
            told = match (first(TRACERESPONSE), reading::server_timing(&self.before.lines(SERVER_TIMING))) {
                (Some(told), _) | (None, Timing::Tells(told)) => Some(told),
                (None, Timing::Silent) => None,
                (None, Timing::Unclear) => return,
            };
        }
        let expected = match told.map(|told| reading::traceparent(&told)) {
            None => ResponseContext::Absent,
            Some(None) => ResponseContext::Corrupt,
            Some(Some(told)) if told[3..35] == self.sent[3..35] => ResponseContext::Match,
            Some(Some(_)) => ResponseContext::Mismatch,
        };
        assert_eq!(answer, expected);
    }

    /// The headers that tell the request's context, and that nothing else is changed.
    fn is_injected(&self, host: &Host) {
        let inject = &self.config.response.inject;
        let mut ours: Vec<&str> = Vec::new();
        for (header, name) in [
            (ResponseHeader::Traceparent, &*self.config.request.header),
            (ResponseHeader::Traceresponse, TRACERESPONSE),
        ] {
            if inject.contains(&header) {
                ours.push(name);
                let tells = host.headers.get(name) == Some(&self.sent[..]);
                assert!(tells || host.calls.refused(Verb::Set, name), "{name} tells the context");
            }
        }
        if inject.contains(&ResponseHeader::ServerTiming) {
            // An operator who calls the trace's header so gets what he asks for.
            if !ours.contains(&SERVER_TIMING) {
                self.is_timed(host);
            }
            ours.push(SERVER_TIMING);
        }
        assert!(host.calls.changes.iter().all(|change| ours.contains(&change.name.as_str())));
        assert_eq!(
            others(&host.headers, &ours),
            others(self.before, &ours),
            "other headers are none of our business"
        );
    }

    /// `Server-Timing` keeps the lines of the upstream, and has one metric of a trace (rules RS-06, RS-08).
    fn is_timed(&self, host: &Host) {
        let (was, is) = (self.before.lines(SERVER_TIMING), host.headers.lines(SERVER_TIMING));
        let (stayed, added) = is.split_at_checked(was.len()).expect("no line goes");
        assert_eq!(stayed, was);
        let line = [b"traceparent;desc=\"", &self.sent[..], b"\""].concat();
        match reading::server_timing(&was) {
            Timing::Tells(_) => assert!(added.is_empty(), "no second metric"),
            Timing::Silent if host.calls.refused(Verb::Add, SERVER_TIMING) => assert!(added.is_empty()),
            Timing::Silent => assert_eq!(added, [&line], "one line tells the context"),
            Timing::Unclear => assert!(added.is_empty() || added == [&line]),
        }
    }
}
