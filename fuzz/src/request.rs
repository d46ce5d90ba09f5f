//! The pass of a request, held against the rules.

use proxy_wasm_test_framework::HeaderMap;
use tracewarden::filter::{Filter, StreamContext};
use tracewarden::headers::TRACESTATE;
use tracewarden::metrics::{Corruption, Counter};
use tracewarden::request::Policy;
use tracewarden::sampling::Parent;
use tracewarden::w3c::TraceParent;
use tracewarden::words::{DecidedBy, Format, Mode, ParentId, Repair, Role, Start, Verdict};

use crate::formats;
use crate::host::{Host, Lines, Verb, of_core, size};
use crate::reading::{self, Pair, least_kept};
use crate::setup::Setup;
use crate::work;

/// A request that was passed, and what the rules make of it.
struct Pass<'a> {
    setup: &'a Setup,
    host: &'a Host,
    header: &'a str,
    before: &'a HeaderMap,
    /// The context that the upstream receives.
    sent: Option<TraceParent>,
    /// The valid context that came, as it must be written.
    came: Option<Vec<u8>>,
    /// The members that came with it, or `None` if their list is invalid.
    members: Option<Vec<Pair>>,
    verdict: Verdict,
    /// Whether a parent-id of this hop went out; a random one may even be the one that came.
    has_own_parent: bool,
    /// Whether it was this hop's probability that decided.
    decided_here: bool,
}

/// Makes the pass on a request, and checks all that it did.
pub fn check(setup: &Setup, lines: &Lines, host: &mut Host) -> StreamContext {
    host.begin(lines);
    let before = &host.headers.clone();
    let (filter, headers) = (Filter::new(setup.config.clone(), ""), of_core(lines));
    let stream = work::bounded(size(lines) + setup.work(), || filter.audited_request(&headers, host));
    let begins_span = matches!(stream, StreamContext::Spanned(..));
    assert!(!begins_span || setup.config.export.is_some() && setup.policy().mode == Mode::Enforce);
    formats::check(setup, before, host, &stream);
    if setup.is_plain() {
        Pass::new(setup, before, host, stream.sent()).check();
    }
    stream
}

impl<'a> Pass<'a> {
    fn new(setup: &'a Setup, before: &'a HeaderMap, host: &'a Host, sent: Option<TraceParent>) -> Self {
        let header = &*setup.policy().header;
        let lines = before.lines(header);
        let came = match lines[..] {
            [line] => reading::traceparent(line),
            _ => None,
        };
        let verdict = match (&came, lines.is_empty(), setup.policy().role) {
            _ if setup.excludes(before) => Verdict::Excluded,
            (Some(_), ..) => Verdict::Continued,
            (None, false, _) => Verdict::Corrupt,
            (None, true, Role::Edge) => Verdict::Started,
            (None, true, Role::Internal) => Verdict::Lost,
        };
        let members = reading::tracestate(&before.lines(TRACESTATE));
        let has_own_parent = host.calls.wrote(header);
        let by_probability =
            |one: &Counter| matches!(one, Counter::Sampled { by: DecidedBy::Probability, .. });
        let decided_here = host.calls.counted(by_probability) > 0;
        Self { setup, host, header, before, sent, came, members, verdict, has_own_parent, decided_here }
    }

    fn check(&self) {
        assert!(self.host.calls.asked <= 2, "{} questions", self.host.calls.asked);
        assert!(self.host.calls.changes.len() <= 3, "{:?}", self.host.calls.changes);
        self.is_counted();
        self.is_told();
        if self.setup.policy().mode == Mode::Enforce && self.verdict != Verdict::Excluded {
            self.is_on_the_wire();
        } else {
            assert!(self.host.calls.changes.is_empty(), "nothing is changed");
            let came = self.came.as_deref().filter(|_| self.verdict != Verdict::Excluded);
            assert_eq!(self.written().as_deref(), came);
        }
    }

    /// The context that the upstream receives, as it must be written.
    fn written(&self) -> Option<Vec<u8>> {
        self.sent.map(|context| context.to_bytes().to_vec())
    }

    /// Whether the list goes although the context stays.
    fn has_bad_list(&self) -> bool {
        self.verdict == Verdict::Continued && self.members.is_none()
    }

    /// The counters: one verdict, the reason if there is one, the repair, the decision, and nothing else.
    fn is_counted(&self) {
        let Policy { role, mode, direction, start, .. } = *self.setup.policy();
        let direction = direction.stated().unwrap_or(self.host.known.direction());
        let enforced = mode == Mode::Enforce && self.sent.is_some();
        let was_repaired = enforced && matches!(self.verdict, Verdict::Corrupt | Verdict::Lost);
        assert!(!was_repaired || start == Start::Always);
        let request = Counter::Request { direction, role, mode, context: self.verdict };
        let repair = Counter::Repair { direction, by: Repair::New };
        let corrupt = |parent: bool| {
            let is_of_header = |corruption| parent == matches!(corruption, Corruption::TraceParent(_));
            self.host.calls.counted(|one| {
                matches!(*one, Counter::Corrupt { direction: to, corruption } if to == direction && is_of_header(corruption))
            })
        };
        let all = [
            ("one verdict", self.host.calls.counted(|one| *one == request), true),
            ("a corrupt context", corrupt(true), self.verdict == Verdict::Corrupt),
            ("a corrupt list", corrupt(false), self.has_bad_list()),
            ("a repair", self.host.calls.counted(|one| *one == repair), was_repaired),
            ("one decision", self.host.calls.counted(|one| matches!(one, Counter::Sampled { .. })), enforced),
        ];
        for (what, times, expected) in all {
            assert_eq!(times, usize::from(expected), "{what}: {:?}", self.host.calls.counted);
        }
        let has_none = matches!(self.verdict, Verdict::Lost | Verdict::Started);
        let unread = Format::ALL.iter().filter(|format| {
            let name = format.headers().carriers.first().expect("a format has a header");
            has_none && **format != Format::TraceContext && !self.before.lines(name).is_empty()
        });
        let unread = unread.count();
        let counted = self.host.calls.counted(|one| matches!(one, Counter::Unread { .. }));
        assert_eq!(counted, unread, "each format that came and is not read: {:?}", self.host.calls.counted);
        let sum = all.iter().filter(|(.., expected)| *expected).count() + unread;
        assert_eq!(self.host.calls.counted.len(), sum, "and nothing else: {:?}", self.host.calls.counted);
    }

    /// What goes to the access log and to the log.
    fn is_told(&self) {
        let sent = self.written().unwrap_or_default();
        let mut published: Vec<(&str, Vec<u8>)> = Vec::new();
        let access_log = self.setup.policy().access_log;
        if access_log.shows(self.verdict) && self.verdict != Verdict::Excluded {
            published.push(("trace_context", self.verdict.label().into()));
        }
        if access_log.filter_state && self.verdict != Verdict::Excluded {
            published.extend(self.came.iter().map(|came| ("parent_id", came[36..52].to_vec())));
            if let Some(context) = self.sent {
                published.push(("trace_id", sent[3..35].to_vec()));
                published.push(("span_id", sent[36..52].to_vec()));
                published.push(("sampled", context.flags.is_sampled().to_string().into_bytes()));
            }
        }
        assert_eq!(self.host.calls.published, published);
        let noticed = self.has_bad_list() || matches!(self.verdict, Verdict::Lost | Verdict::Corrupt);
        // A line without a time cannot be held back, so there is none.
        assert_eq!(self.host.calls.lines.len(), usize::from(noticed && self.host.known.now.is_some()));
        let sent = String::from_utf8_lossy(&sent).into_owned();
        let format = self.setup.text("/log/format").unwrap_or("trace_id=%(trace_id)s span_id=%(span_id)s");
        for line in &self.host.calls.lines {
            for (place, digits) in [("%(trace_id)s", 3..35), ("%(span_id)s", 36..52)] {
                assert!(!format.contains(place) || line.contains(sent.get(digits).unwrap_or("-")), "{line}");
            }
        }
    }

    /// What the upstream receives after an enforcing pass.
    fn is_on_the_wire(&self) {
        let (calls, ours) = (&self.host.calls, [self.header, TRACESTATE]);
        assert!(calls.changes.iter().all(|change| ours.contains(&change.name.as_str())));
        let Some(context) = self.sent else {
            assert!(self.came.is_none(), "a valid context goes on");
            let may_start = self.setup.policy().start == Start::Always && self.host.known.has_seed;
            assert!(!may_start || calls.refused(Verb::Set, self.header), "a trace starts");
            assert!(!calls.changes.iter().any(|change| change.verb != Verb::Remove && !change.refused));
            let is_left =
                |name: &str| !self.host.headers.lines(name).is_empty() && !calls.refused(Verb::Remove, name);
            assert!(!ours.into_iter().any(is_left), "neither header is left");
            return;
        };
        let lines = self.host.headers.lines(self.header);
        assert_eq!(lines.len(), 1, "one line");
        assert_eq!(reading::traceparent(lines[0]), self.written(), "the stream knows what is on the wire");
        self.is_state_on_the_wire(context);
        self.is_context(context);
    }

    /// The `traceparent` that goes out.
    fn is_context(&self, context: TraceParent) {
        let policy = self.setup.policy();
        let sent = context.to_bytes();
        let (sampled, random) = (context.flags.is_sampled(), context.flags.is_random());
        let decides = |randomness: u64| policy.sampling.probability.keeps(randomness);
        let decided = |one: &Counter| matches!(one, Counter::Sampled { decision, .. } if decision.is_record() == sampled);
        assert!(self.host.calls.counted(decided) > 0, "the decision that is counted goes out");
        let own_randomness = reading::trace_randomness(&sent);
        let Some(came) = &self.came else {
            assert!(random, "a new trace-id is random");
            assert_eq!(sampled, decides(own_randomness));
            return;
        };
        assert_eq!(sent[..36], came[..36], "the trace goes on");
        let flags = TraceParent::parse(came).expect("it is valid").flags;
        assert_eq!(random, flags.is_random(), "the random flag stays (rule TP-33)");
        if !self.has_own_parent {
            assert_eq!(sent[..], came[..], "the flags go with the parent-id (rule TP-32)");
            assert_eq!(self.host.headers.lines(self.header), self.before.lines(self.header));
        }
        let is_new = policy.parent_id == ParentId::New;
        assert!(is_new || self.decided_here || !self.has_own_parent, "nothing asks for a new parent-id");
        if !self.host.calls.refused_any() && self.host.known.has_seed {
            assert!(!is_new || self.has_own_parent, "each request gets a new parent-id");
            let ot = self.members.as_deref().and_then(reading::ot_of);
            let randomness = ot.and_then(|ot| reading::randomness(&ot)).unwrap_or(own_randomness);
            let expected = match policy.sampling.parent {
                Parent::Respect => flags.is_sampled(),
                Parent::Ignore => decides(randomness),
                Parent::Raise => flags.is_sampled() || decides(randomness),
            };
            assert_eq!(sampled, expected, "the configuration decides");
        }
    }

    /// The `tracestate` next to it.
    fn is_state_on_the_wire(&self, context: TraceParent) {
        let (before, after) = (self.before.lines(TRACESTATE), self.host.headers.lines(TRACESTATE));
        if self.came.is_some() && self.members.is_some() && !self.has_own_parent {
            assert_eq!(after, before, "forwarded as it came (rule TP-34)");
        }
        if self.host.calls.refused_any() {
            return;
        }
        let members = reading::tracestate(&after).expect("what goes out is valid");
        let is_ours_alone = members.iter().all(|(key, _)| key == b"ot");
        let decides = self.host.known.has_seed && self.decided_here;
        let answers_for_threshold = match (&self.came, &self.members) {
            (None, _) => {
                assert!(is_ours_alone && members.len() == after.len());
                true
            }
            (Some(_), None) => {
                // An invalid list goes, and what this hop decided stands alone in its place.
                let own = self.has_own_parent && decides;
                let is_replaced = own && is_ours_alone && members.len() == 1;
                assert!(after.is_empty() || is_replaced, "an invalid list goes");
                own
            }
            (Some(_), Some(came)) => {
                if self.has_own_parent {
                    assert!(self.host.known.has_seed, "ids are random");
                    let line = (!members.is_empty()).then(|| reading::print(&members, b'=', b','));
                    assert_eq!(after, Vec::from_iter(line), "one line, as it must be written");
                    goes_on(came, &members);
                }
                self.has_own_parent || decides
            }
        };
        let is_same = self.came.is_some() && after == before;
        let is_asked = self.host.calls.changes_of(TRACESTATE).next().is_some();
        assert!(!is_same || !is_asked, "no call is made for nothing");
        if answers_for_threshold {
            self.tells_threshold(&reading::ot_of(&members).unwrap_or_default(), context);
        }
    }

    /// A threshold that this hop answers for agrees with the flag next to it, and is there if it was this hop that decided
    /// (rules OT-08 to OT-11).
    fn tells_threshold(&self, ot: &[Pair], context: TraceParent) {
        let threshold = reading::threshold(ot);
        if let Some(threshold) = threshold {
            let trace = reading::trace_randomness(&context.to_bytes());
            assert!(context.flags.is_sampled() && reading::randomness(ot).unwrap_or(trace) >= threshold);
        } else {
            assert_eq!(reading::value_of(ot, b"th"), None, "a bad threshold is not sent");
        }
        // A full member has no place for it (rule OT-01).
        let is_full = reading::print(ot, b':', b';').len() > 256 - "th:00000000000000;".len();
        if self.decided_here && context.flags.is_sampled() && !is_full {
            let expected = least_kept(self.setup.policy().sampling.probability);
            assert_eq!(threshold, Some(expected), "what was decided is told");
        }
    }
}

/// The members of others stay in order; only the right-most may have made room for ours (rules TS-10, TS-41).
fn goes_on(came: &[Pair], sent: &[Pair]) {
    let without = |key: &[u8], list: &[Pair]| -> Vec<Pair> {
        list.iter().filter(|(other, _)| other != key).cloned().collect()
    };
    let (came_others, sent_others) = (without(b"ot", came), without(b"ot", sent));
    let lost = came_others.len() - sent_others.len();
    assert_eq!(came_others[..sent_others.len()], sent_others);
    assert!(lost == 0 || lost == 1 && came.len() == 32 && sent.len() == 32, "{lost} members are lost");
    let stays = without(b"th", &reading::ot_of(came).unwrap_or_default());
    if !stays.is_empty() {
        let sent = without(b"th", &reading::ot_of(sent).unwrap_or_default());
        assert_eq!(sent, stays, "what else is in ot stays (rule OT-09)");
    }
}
