//! The pass of a request, held against the rules.

use tracewarden::filter::{Filter, StreamContext};
use tracewarden::metrics::{Corruption, Counter};
use tracewarden::request::Policy;
use tracewarden::sampling::Parent;
use tracewarden::w3c::TraceParent;
use tracewarden::words::{DecidedBy, Mode, ParentId, Repair, Role, Start, Verdict};

use crate::formats;
use crate::host::{Headers, Host, Known, Verb, Wire};
use crate::reading::{self, Pair, least_kept};
use crate::setup::Setup;
use crate::work;

const TRACESTATE: &str = "tracestate";

/// What the rules make of a request, before any pass.
struct Expected<'a> {
    setup: &'a Setup,
    before: Headers,
    /// The valid context that came, as it must be written.
    came: Option<Vec<u8>>,
    /// The members that came with it, or `None` if their list is invalid.
    members: Option<Vec<Pair>>,
    verdict: Verdict,
}

/// Makes the pass on a request, and checks all that it did.
///
/// # Panics
/// A rule does not hold.
pub fn check(setup: &Setup, before: &Headers, known: &mut Known, wire: &mut Wire) -> StreamContext {
    wire.headers = before.clone();
    let (filter, headers) = (Filter::new(setup.config.clone()), before.of_core());
    let host = &mut Host { known, wire };
    let stream = work::bounded(before.size() + setup.work(), || filter.request(&headers, host));
    let begins_span = matches!(stream, StreamContext::Spanned(..));
    assert!(!begins_span || setup.config.export.is_some() && setup.policy().mode == Mode::Enforce);
    if !setup.is_plain() {
        formats::check(setup, before, wire, &stream);
        return stream;
    }
    let expected = Expected::of(setup, before.clone());
    is_bounded(known, wire);
    expected.is_counted(known, wire, &stream);
    expected.is_told(known, wire, &stream);
    let acts = setup.policy().mode == Mode::Enforce && expected.verdict != Verdict::Excluded;
    if acts {
        expected.is_on_the_wire(known, wire, &stream);
    } else {
        assert!(wire.changes.is_empty(), "nothing is changed");
        let came = if expected.verdict == Verdict::Excluded { None } else { expected.came };
        assert_eq!(written(&stream), came);
    }
    stream
}

fn is_bounded(known: &Known, wire: &Wire) {
    assert!(known.asked <= 2, "{} questions", known.asked);
    assert!(wire.changes.len() <= 3, "{:?}", wire.changes);
    assert!(wire.counted.len() <= 4, "{:?}", wire.counted);
    assert!(wire.published.len() <= 5, "{:?}", wire.published);
    assert!(wire.lines.len() <= 1, "{:?}", wire.lines);
}

/// The context that the upstream receives, as it must be written.
fn written(stream: &StreamContext) -> Option<Vec<u8>> {
    stream.sent().map(|context| context.to_bytes().to_vec())
}

impl<'a> Expected<'a> {
    fn of(setup: &'a Setup, before: Headers) -> Self {
        let lines = before.lines(&setup.policy().header);
        let came = match lines[..] {
            [line] => reading::traceparent(line),
            _ => None,
        };
        let verdict = match (&came, lines.is_empty(), setup.policy().role) {
            _ if setup.excludes(&before) => Verdict::Excluded,
            (Some(_), ..) => Verdict::Continued,
            (None, false, _) => Verdict::Corrupt,
            (None, true, Role::Edge) => Verdict::Started,
            (None, true, Role::Internal) => Verdict::Lost,
        };
        let members = reading::tracestate(&before.lines(TRACESTATE));
        Self { setup, before, came, members, verdict }
    }

    /// The counters: one verdict, the reason if there is one, the repair, the decision.
    fn is_counted(&self, known: &Known, wire: &Wire, stream: &StreamContext) {
        let Policy { role, mode, direction, start, .. } = *self.setup.policy();
        let direction = direction.stated().unwrap_or(known.direction);
        let counted = |test: &dyn Fn(&Counter) -> bool| wire.counted.iter().filter(|one| test(one)).count();
        let request = Counter::Request { direction, role, mode, context: self.verdict };
        assert_eq!(counted(&|one| *one == request), 1, "{:?}", wire.counted);
        assert_eq!(counted(&|one| matches!(one, Counter::Request { .. })), 1, "one verdict");
        let bad_parent = self.verdict == Verdict::Corrupt;
        let bad_state = self.verdict == Verdict::Continued && self.members.is_none();
        let of = |parent: bool| {
            counted(&|one| match one {
                Counter::Corrupt { direction: to, corruption } => {
                    *to == direction && parent == matches!(corruption, Corruption::TraceParent(_))
                }
                _ => false,
            })
        };
        assert_eq!(
            (of(true), of(false)),
            (usize::from(bad_parent), usize::from(bad_state)),
            "{:?}",
            wire.counted
        );
        let enforced = mode == Mode::Enforce && *stream != StreamContext::Untraced;
        let was_repaired = enforced && matches!(self.verdict, Verdict::Corrupt | Verdict::Lost);
        assert!(!was_repaired || start == Start::Always);
        let repair = Counter::Repair { direction, by: Repair::New };
        assert_eq!(counted(&|one| *one == repair), usize::from(was_repaired));
        assert_eq!(
            counted(&|one| matches!(one, Counter::Sampled { .. })),
            usize::from(enforced),
            "one decision"
        );
        let sum: usize =
            [true, bad_parent || bad_state, was_repaired, enforced].map(usize::from).iter().sum();
        assert_eq!(wire.counted.len(), sum, "and nothing else: {:?}", wire.counted);
    }

    /// What goes to the access log and to the log.
    fn is_told(&self, known: &Known, wire: &Wire, stream: &StreamContext) {
        let mut published: Vec<(&str, Vec<u8>)> = Vec::new();
        if self.setup.policy().access_log.filter_state && self.verdict != Verdict::Excluded {
            published.push(("trace_context", self.verdict.label().into()));
            published.extend(self.came.iter().map(|came| ("parent_id", came[36..52].to_vec())));
            if let (Some(sent), Some(parsed)) = (written(stream), stream.sent()) {
                published.push(("trace_id", sent[3..35].to_vec()));
                published.push(("span_id", sent[36..52].to_vec()));
                published.push(("sampled", parsed.flags.is_sampled().to_string().into_bytes()));
            }
        }
        assert_eq!(wire.published, published);
        let bad_state = self.verdict == Verdict::Continued && self.members.is_none();
        let noticed = bad_state || matches!(self.verdict, Verdict::Lost | Verdict::Corrupt);
        // A line without a time cannot be held back, so there is none.
        assert_eq!(wire.lines.len(), usize::from(noticed && known.now.is_some()));
        let ids = written(stream).map(|sent| String::from_utf8_lossy(&sent[3..52]).into_owned());
        for line in &wire.lines {
            let has = |format: &str, id: Option<&str>| {
                !self.setup.log_format().contains(format) || line.contains(id.unwrap_or("-"))
            };
            assert!(has("%(trace_id)s", ids.as_deref().map(|ids| &ids[..32])), "{line}");
            assert!(has("%(span_id)s", ids.as_deref().map(|ids| &ids[33..])), "{line}");
        }
    }

    /// What the upstream receives after an enforcing pass.
    fn is_on_the_wire(&self, known: &Known, wire: &Wire, stream: &StreamContext) {
        let header = &*self.setup.policy().header;
        let after = &wire.headers;
        let ours = [header, TRACESTATE];
        assert_eq!(after.others(&ours), self.before.others(&ours), "other headers are none of our business");
        assert!(wire.changes.iter().all(|change| ours.contains(&change.name.as_str())));
        let lines = after.lines(header);
        match stream.sent() {
            Some(context) => {
                assert_eq!(lines.len(), 1, "one line");
                assert_eq!(
                    reading::traceparent(lines[0]),
                    written(stream),
                    "the stream knows what is on the wire"
                );
                self.is_state_on_the_wire(known, wire, context);
                self.is_context(known, wire, context);
            }
            None => {
                assert!(self.came.is_none(), "a valid context goes on");
                let may_start = self.setup.policy().start == Start::Always && known.rng.is_some();
                assert!(!may_start || wire.refused(Verb::Set, header), "a trace starts");
                assert!(!wire.changes.iter().any(|change| change.verb != Verb::Remove && !change.refused));
                let is_left = |name: &str| !after.lines(name).is_empty() && !wire.refused(Verb::Remove, name);
                assert!(!ours.into_iter().any(is_left), "neither header is left");
            }
        }
    }

    /// The `traceparent` that goes out.
    fn is_context(&self, known: &Known, wire: &Wire, context: TraceParent) {
        let config = self.setup.policy();
        let sent = context.to_bytes();
        let (sampled, random) = (context.flags.is_sampled(), context.flags.is_random());
        let decides = |randomness: u64| config.sampling.probability.keeps(randomness);
        let decided = |one: &Counter| matches!(one, Counter::Sampled { decision, .. } if decision.is_record() == sampled);
        assert!(wire.counted.iter().any(decided), "the decision that is counted goes out");
        let own_randomness = reading::trace_randomness(&sent);
        let Some(came) = &self.came else {
            assert!(random, "a new trace-id is random");
            assert_eq!(sampled, decides(own_randomness));
            return;
        };
        assert_eq!(sent[..36], came[..36], "the trace goes on");
        let flags = TraceParent::parse(came).expect("it is valid").flags;
        assert_eq!(random, flags.is_random(), "the random flag stays (rule TP-33)");
        if !self.has_own_parent(wire) {
            assert_eq!(sent[..], came[..], "the flags go with the parent-id (rule TP-32)");
            assert_eq!(wire.headers.lines(&config.header), self.before.lines(&config.header));
        }
        let is_new = config.parent_id == ParentId::New;
        assert!(
            is_new || decided_here(wire) || !self.has_own_parent(wire),
            "nothing asks for a new parent-id"
        );
        if !wire.refused_any() && known.rng.is_some() {
            assert!(!is_new || self.has_own_parent(wire), "each request gets a new parent-id");
            let randomness = self.ot().and_then(|ot| reading::randomness(&ot)).unwrap_or(own_randomness);
            let wanted = match config.sampling.parent {
                Parent::Respect => flags.is_sampled(),
                Parent::Ignore => decides(randomness),
                Parent::Raise => flags.is_sampled() || decides(randomness),
            };
            assert_eq!(sampled, wanted, "the configuration decides");
        }
    }

    /// The `tracestate` beside it.
    fn is_state_on_the_wire(&self, known: &Known, wire: &Wire, context: TraceParent) {
        let (before, after) = (self.before.lines(TRACESTATE), wire.headers.lines(TRACESTATE));
        if self.came.is_some() && self.members.is_some() && !self.has_own_parent(wire) {
            assert_eq!(after, before, "forwarded as it came (rule TP-34)");
        }
        if wire.refused_any() {
            return;
        }
        let members = reading::tracestate(&after).expect("what goes out is valid");
        let ot = reading::value_of(&members, b"ot").and_then(reading::ot);
        if self.came.is_none() {
            assert!(members.iter().all(|(key, _)| key == b"ot") && members.len() == after.len());
            return self.tells_threshold(wire, ot, context);
        }
        assert!(after != before || wire.changes_of(TRACESTATE).count() == 0, "no call is made for nothing");
        let Some(came) = &self.members else {
            // An invalid list goes, and what this hop decided stands alone in its place.
            let own = self.has_own_parent(wire) && known.rng.is_some() && decided_here(wire);
            assert!(
                after.is_empty() || own && members.len() == 1 && members[0].0 == b"ot",
                "an invalid list goes"
            );
            if own {
                self.tells_threshold(wire, ot, context);
            }
            return;
        };
        if self.has_own_parent(wire) {
            assert!(known.rng.is_some(), "ids are random");
            assert_eq!(after, if members.is_empty() { vec![] } else { vec![reading::print(&members)] });
            goes_on(came, &members);
        }
        if self.has_own_parent(wire) || known.rng.is_some() && decided_here(wire) {
            self.tells_threshold(wire, ot, context);
        }
    }

    /// A threshold that this hop answers for agrees with the flag beside it, and stands there if it was this hop that
    /// decided (rules OT-08 to OT-11).
    fn tells_threshold(&self, wire: &Wire, ot: Option<Vec<Pair>>, context: TraceParent) {
        let ot = ot.unwrap_or_default();
        let threshold = reading::threshold(&ot);
        if let Some(threshold) = threshold {
            let trace = reading::trace_randomness(&context.to_bytes());
            assert!(context.flags.is_sampled() && reading::randomness(&ot).unwrap_or(trace) >= threshold);
        } else {
            assert_eq!(reading::value_of(&ot, b"th"), None, "a bad threshold is not sent");
        }
        // A full member has no place for it (rule OT-01).
        let is_full = reading::print_ot(&ot).len() > 256 - "th:00000000000000;".len();
        if decided_here(wire) && context.flags.is_sampled() && !is_full {
            assert_eq!(
                threshold,
                Some(least_kept(self.setup.policy().sampling.probability)),
                "what was decided is told"
            );
        }
    }

    /// Whether a parent-id of this hop went out; a random one may even be the one that came.
    fn has_own_parent(&self, wire: &Wire) -> bool {
        wire.changes_of(&self.setup.policy().header).any(|change| change.verb == Verb::Set && !change.refused)
    }

    fn ot(&self) -> Option<Vec<Pair>> {
        reading::value_of(self.members.as_ref()?, b"ot").and_then(reading::ot)
    }
}

/// Whether it was this hop's probability that decided.
fn decided_here(wire: &Wire) -> bool {
    wire.counted.iter().any(|one| matches!(one, Counter::Sampled { by: DecidedBy::Probability, .. }))
}

/// The members of others stay in order; only the right-most may have made room for ours (rules TS-10, TS-41).
fn goes_on(came: &[Pair], sent: &[Pair]) {
    let others =
        |list: &[Pair]| -> Vec<Pair> { list.iter().filter(|(key, _)| key != b"ot").cloned().collect() };
    let (came_others, sent_others) = (others(came), others(sent));
    let lost = came_others.len() - sent_others.len();
    assert_eq!(came_others[..sent_others.len()], sent_others);
    assert!(lost == 0 || lost == 1 && came.len() == 32 && sent.len() == 32, "{lost} members are lost");
    let pairs = |list: &[Pair]| -> Option<Vec<Pair>> {
        let mut pairs = reading::value_of(list, b"ot").and_then(reading::ot)?;
        pairs.retain(|(key, _)| key != b"th");
        Some(pairs).filter(|pairs| !pairs.is_empty())
    };
    if let Some(stay) = pairs(came) {
        assert_eq!(pairs(sent), Some(stay), "what else is in ot stays (rule OT-09)");
    }
}
