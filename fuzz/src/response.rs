//! The pass of a response, held against the rules.

use proxy_wasm_test_framework::HeaderMap;
use tracewarden::config::Config;
use tracewarden::filter::{Filter, Sender, StreamContext};
use tracewarden::headers::{SERVER_TIMING, TRACEPARENT, TRACERESPONSE};
use tracewarden::metrics::Counter;
use tracewarden::response::Injection;
use tracewarden::words::{Mode, ResponseContext, ResponseHeader, Role, UpstreamContext, When};

use crate::host::{Change, Host, Lines, Verb, others, size};
use crate::reading::{self, Timing};
use crate::spans;
use crate::work;

/// The metrics of a trace, in the order in which they are asked.
const METRICS: [(&str, ResponseHeader); 2] =
    [("traceparent", ResponseHeader::ServerTiming), ("trace", ResponseHeader::ServerTimingTrace)];

/// A response that was passed, and the context that its request was sent with.
struct Response<'a> {
    config: &'a Config,
    before: &'a HeaderMap,
    sent: Option<[u8; 55]>,
    /// Whether every header that can tell a context was read, or the `traceparent` alone.
    reads_all: bool,
    /// Whether the caller is told nothing that the upstream says.
    removes: bool,
    /// Whether the caller is told the context.
    tells: bool,
}

/// Makes the pass on a response, and checks all that it did.
pub fn check(config: &Config, stream: &mut StreamContext, lines: &Lines, host: &mut Host) {
    host.begin(lines);
    let before = &host.headers.clone();
    let is_left_out = spans::is_left_out(stream);
    let filter = Filter::new(config.clone(), "");
    work::bounded(16 * size(lines), || filter.response(stream, host));
    let enforces = config.request.mode == Mode::Enforce;
    let removes = enforces
        && match config.response.upstream {
            UpstreamContext::Auto => config.request.role == Role::Edge,
            word => word == UpstreamContext::Remove,
        };
    let sent = stream.sent();
    if sent.is_none() && !removes {
        assert!(host.calls.is_empty() && host.calls.asked == 0, "nothing is known, nothing is said");
        return;
    }
    assert!(host.calls.asked <= 2 + usize::from(is_left_out), "{} questions", host.calls.asked);
    let most = config.response.inject.len() + 8 + 2 * before.lines(SERVER_TIMING).len();
    assert!(host.calls.changes.len() <= most, "{:?}", host.calls.changes);
    let is_small = |one: &Injection| {
        matches!(one, Injection::Context(ResponseHeader::Traceparent) | Injection::TraceId(_))
    };
    let reads_all = removes || !config.response.inject.iter().all(is_small);
    if host.known.is_silent && (reads_all || config.response.validate) {
        let is_removal = |change: &Change| removes && change.verb == Verb::Remove;
        assert!(host.calls.counted.is_empty(), "what is not known is not said");
        assert!(host.calls.changes.iter().all(is_removal), "but it may go unseen");
        return;
    }
    let sampled = sent.is_some_and(|sent| sent.flags.is_sampled());
    if is_left_out {
        is_recorded_late(config, before, sampled, host);
    }
    let participates = matches!(
        stream,
        StreamContext::Traced(_, Sender { participates: true, .. })
            | StreamContext::Spanned(_, Sender { participates: true, .. }, _)
    );
    let is_meant = match config.response.when {
        When::Always => true,
        When::Sampled => sampled,
        When::Participating => participates,
    };
    let (sent, tells) = (sent.map(|sent| sent.to_bytes()), enforces && is_meant && sent.is_some());
    let response = Response { config, before, sent, reads_all, removes, tells };
    response.is_compared(host);
    if enforces {
        response.is_told(host);
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
        let Some(sent) = self.sent.filter(|_| self.config.response.validate) else {
            assert!(host.calls.counted.is_empty());
            return;
        };
        let [Counter::Response { context: answer }] = host.calls.counted[..] else {
            panic!("{:?}", host.calls.counted)
        };
        let told = match self.answer() {
            Timing::Unclear => return,
            told => told,
        };
        let told = match told {
            Timing::Tells(told) => Some(reading::traceparent(&told)),
            Timing::Repeated => Some(None),
            Timing::Silent | Timing::Unclear => None,
        };
        let expected = match told {
            None => ResponseContext::Absent,
            Some(None) => ResponseContext::Corrupt,
            Some(Some(told)) if told[3..35] == sent[3..35] => ResponseContext::Match,
            Some(Some(_)) => ResponseContext::Mismatch,
        };
        assert_eq!(answer, expected);
    }

    /// What the upstream tells first: in its headers, then in `Server-Timing`.
    fn answer(&self) -> Timing {
        let of_header = |name: &str| match self.before.lines(name)[..] {
            [] => Timing::Silent,
            [line] => Timing::Tells(line.to_vec()),
            _ => Timing::Repeated,
        };
        let mut told = vec![of_header(&self.config.request.header)];
        if self.reads_all {
            told.push(of_header(TRACERESPONSE));
            let lines = self.before.lines(SERVER_TIMING);
            told.extend(METRICS.iter().map(|(name, _)| reading::server_timing(&lines, name)));
        }
        told.into_iter().find(|told| *told != Timing::Silent).unwrap_or(Timing::Silent)
    }

    /// The headers that tell the request's context, those that tell none, and that nothing else is changed.
    fn is_told(&self, host: &Host) {
        let header = &*self.config.request.header;
        let (mut ours, mut told) = (vec![SERVER_TIMING], Vec::new());
        if self.removes {
            ours.extend([TRACEPARENT, TRACERESPONSE, header]);
        }
        for injection in &self.config.response.inject {
            let (name, from, to) = match injection {
                Injection::Context(ResponseHeader::Traceparent) => (header, 0, 55),
                Injection::Context(ResponseHeader::Traceresponse) => (TRACERESPONSE, 0, 55),
                Injection::TraceId(name) => (&**name, 3, 35),
                Injection::Context(ResponseHeader::ServerTiming | ResponseHeader::ServerTimingTrace) => {
                    continue;
                }
            };
            ours.push(name);
            if let Some(sent) = self.sent.filter(|_| self.tells) {
                told.push(name);
                let tells = host.headers.lines(name) == [&sent[from..to]];
                assert!(tells || host.calls.refused(Verb::Set, name), "{name} tells the context");
            }
        }
        for name in ours.iter().filter(|name| **name != SERVER_TIMING && !told.contains(name)) {
            let (is, was) = (host.headers.lines(name), self.before.lines(name));
            let may_stay = if self.removes { host.calls.refused(Verb::Remove, name) } else { is == was };
            assert!(is.is_empty() || may_stay, "{name} goes, or stays as it was");
        }
        self.is_timed(host);
        assert!(host.calls.changes.iter().all(|change| ours.contains(&change.name.as_str())));
        assert_eq!(
            others(&host.headers, &ours),
            others(self.before, &ours),
            "other headers are none of our business"
        );
    }

    /// `Server-Timing` keeps the metrics of the upstream, and has at most one of a trace of each name (rules RS-06,
    /// RS-08, RS-10, RS-12).
    fn is_timed(&self, host: &Host) {
        let (was, is) = (self.before.lines(SERVER_TIMING), host.headers.lines(SERVER_TIMING));
        if host.calls.refused_any() {
            return;
        }
        let writes = |metric| {
            let inject = &self.config.response.inject;
            self.tells && inject.contains(&Injection::Context(metric))
        };
        let tells = |name| reading::server_timing(&was, name);
        let is_bad = |told: &Timing| match told {
            Timing::Tells(told) => reading::traceparent(told).is_none(),
            told => *told == Timing::Repeated,
        };
        let mut gone = Vec::new();
        let mut added = Vec::new();
        for (name, metric) in METRICS {
            let goes = self.removes || writes(metric) && is_bad(&tells(name));
            gone.extend(goes.then_some(name));
            if let Some(sent) =
                self.sent.filter(|_| writes(metric) && (goes || tells(name) == Timing::Silent))
            {
                added.push(match metric {
                    ResponseHeader::ServerTiming => [b"traceparent;desc=\"", &sent[..], b"\""].concat(),
                    _ => [b"trace;desc=", &sent[..]].concat(),
                });
            }
        }
        if METRICS.iter().all(|(name, _)| tells(name) != Timing::Unclear) {
            let left = was.iter().filter_map(|line| reading::without_metrics(line, &gone));
            let expected: Vec<Vec<u8>> = left.chain(added).collect();
            assert_eq!(is, expected, "without {gone:?}");
        } else if self.removes {
            let ours = is.iter().filter(|line| reading::may_tell_trace(line)).count();
            assert_eq!(ours, added.len(), "nothing of the upstream's trace is left: {is:?}");
        }
    }
}
