//! The spans that were read. Each takes few bytes, so that a million of them fits.

use std::hash::{BuildHasher, RandomState};

use indexmap::IndexSet;
use serde::Serialize;

use crate::report::clean;

/// The halves of a trace-id. An id of 64 bits has an upper half of zero, as its left-padded spelling has.
pub(super) type TraceId = [u64; 2];

/// What a span says about who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: u64,
    /// Zero if the span names no parent.
    pub(super) parent: u64,
    /// In microseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
    /// The hash of the request's id, or zero.
    pub(super) request: u64,
    pub(super) service: Name,
    /// The other side, if the span names it: the callee of a call, the caller of a request.
    pub(super) peer: Name,
    pub(super) kind: Kind,
    pub(super) marks: Marks,
}

/// A place in the list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(u32);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    #[default]
    Unknown,
    Internal,
    Client,
    Producer,
    Server,
    Consumer,
}

/// Facts about a span, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u8);

/// What is odd about the input. It is counted and ends nothing.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Oddities {
    /// Ids of a wrong length, of other characters than hexadecimal digits, or all zero.
    pub(super) bad_ids: Count,
    /// Entries in a list of spans that are no spans.
    pub(super) not_spans: Count,
    /// Spans whose id another span of the trace has.
    pub(super) duplicates: Count,
    /// Spans that are among their own ancestors.
    pub(super) cycles: Count,
    /// Traces whose id of 64 bits is the lower half of another's: something on the way cut it.
    pub(super) cut_trace_ids: Count,
    /// Spans that name no service.
    pub(super) without_service: Count,
}

/// A number, and an example.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Count {
    pub(super) count: u64,
    pub(super) example: Option<String>,
}

/// Everything that was read.
pub(super) struct Store {
    pub(super) spans: Vec<Span>,
    /// The most spans that it takes.
    pub(super) most: usize,
    names: IndexSet<String>,
    hasher: RandomState,
    pub(super) oddities: Oddities,
    pub(super) notes: IndexSet<String>,
}

// docs/audit.md states how much memory a million spans take.
const _: () = assert!(size_of::<Span>() <= 72);

/// The most names that are kept. Hosts get half of them, so that services always have a place.
const MAX_NAMES: usize = 50_000;

impl Name {
    pub(super) const NONE: Self = Self(u32::MAX);

    pub(super) fn is_some(self) -> bool {
        self != Self::NONE
    }

    pub(super) fn or(self, other: Self) -> Self {
        if self.is_some() { self } else { other }
    }
}

impl Marks {
    /// Zipkin: a server's half of a span that its client began. Envoy says it of a trace's first span as well.
    pub(super) const SHARED: Self = Self(1);
    /// OTLP's flags say that the parent is in the same process.
    pub(super) const LOCAL_PARENT: Self = Self(2);
    /// OTLP's flags say that the parent is in another process.
    pub(super) const REMOTE_PARENT: Self = Self(4);
    /// The flags of the span, or of its link to the parent, say that the trace is not sampled.
    pub(super) const UNSAMPLED: Self = Self(8);
    /// A sampler of this service decided, although the span has a parent.
    pub(super) const DECIDES: Self = Self(16);
    /// The request has headers that an Envoy writes.
    pub(super) const THROUGH_ENVOY: Self = Self(32);
    /// An Envoy recorded the span.
    pub(super) const BY_ENVOY: Self = Self(64);
    /// The id of the parent cannot be read.
    pub(super) const BAD_PARENT: Self = Self(128);

    pub(super) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    pub(super) const fn add(&mut self, mark: Self) {
        self.0 |= mark.0;
    }
}

impl Count {
    pub(super) fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        self.example.get_or_insert_with(example);
    }
}

impl Kind {
    /// The kind by its name in any of the formats, or by its number in OTLP.
    pub(super) fn of(name: &str) -> Self {
        match name.trim_start_matches("SPAN_KIND_").to_ascii_lowercase().as_str() {
            "internal" | "1" => Self::Internal,
            "server" | "2" => Self::Server,
            "client" | "3" => Self::Client,
            "producer" | "4" => Self::Producer,
            "consumer" | "5" => Self::Consumer,
            _ => Self::Unknown,
        }
    }

    pub(super) const fn is_entry(self) -> bool {
        matches!(self, Self::Server | Self::Consumer)
    }

    pub(super) const fn is_call(self) -> bool {
        matches!(self, Self::Client | Self::Producer)
    }
}

impl Span {
    /// Whether the parent is a span of the same process. Envoy's spans for outgoing calls have parents in the application.
    pub(super) const fn has_local_parent(&self) -> bool {
        let marks = self.marks;
        let is_inner = matches!(self.kind, Kind::Internal | Kind::Client | Kind::Producer);
        marks.has(Marks::LOCAL_PARENT)
            || is_inner && !marks.has(Marks::REMOTE_PARENT) && !marks.has(Marks::BY_ENVOY)
    }

    /// Whether this is the other half of a call whose caller gave it its own id, as Zipkin and Envoy do. Not every backend
    /// keeps the word for it.
    fn answers(&self, caller: &Self) -> bool {
        let is_other = self.service != caller.service && caller.encloses(self);
        self.marks.has(Marks::SHARED)
            || self.kind == Kind::Server
                && (caller.kind == Kind::Client || caller.kind == Kind::Server && is_other)
    }

    /// Whether both have the id of one request.
    pub(super) const fn is_of_request(&self, other: &Self) -> bool {
        self.request != 0 && self.request == other.request
    }

    pub(super) const fn encloses(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

impl Store {
    pub(super) fn new(most: usize) -> Self {
        Self {
            spans: Vec::new(),
            most,
            names: IndexSet::new(),
            hasher: RandomState::new(),
            oddities: Oddities::default(),
            notes: IndexSet::new(),
        }
    }

    pub(super) fn name(&mut self, name: &str) -> Name {
        self.keep(name, MAX_NAMES)
    }

    /// The host in an address or a URL; an IP address names nobody.
    pub(super) fn host(&mut self, address: &str) -> Name {
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
        if is_address || host == "localhost" { Name::NONE } else { self.keep(host, MAX_NAMES / 2) }
    }

    fn keep(&mut self, name: &str, most: usize) -> Name {
        if name.is_empty() {
            return Name::NONE;
        }
        let name = clean(name);
        if let Some(place) = self.names.get_index_of(&name) {
            return Name(place as u32);
        }
        if self.names.len() >= most {
            self.notes
                .insert(format!("More than {most} names of services and hosts: the rest count as unknown."));
            return Name::NONE;
        }
        Name(self.names.insert_full(name).0 as u32)
    }

    /// The name, if there is one. It can go to a terminal as it is.
    pub(super) fn text(&self, name: Name) -> Option<&str> {
        self.names.get_index(name.0 as usize).map(String::as_str)
    }

    /// A number for the text: never zero, and in practice no two texts have the same one.
    pub(super) fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text).max(1)
    }

    /// The trace of the span at a place.
    pub(super) fn trace(&self, place: u32) -> TraceId {
        self.spans.get(place as usize).map_or([u64::MAX; 2], |span| span.trace)
    }

    /// Puts the spans of each trace together, by id, and drops those that came twice.
    pub(super) fn sort(&mut self) {
        for span in self.spans.iter().filter(|span| !span.service.is_some()) {
            self.oddities.without_service.add(|| spot(span));
        }
        self.spans.sort_unstable_by_key(|span| {
            let is_answer = (span.marks.has(Marks::SHARED), span.kind != Kind::Client);
            (span.trace, span.id, is_answer, span.start, span.service, span.kind)
        });
        let duplicates = &mut self.oddities.duplicates;
        self.spans.dedup_by(|later, earlier| {
            if (later.trace, later.id) != (earlier.trace, earlier.id) {
                return false;
            }
            let is_same = (later.service, later.kind) == (earlier.service, earlier.kind);
            if !is_same && later.answers(earlier) {
                later.marks.add(Marks::SHARED);
            } else {
                duplicates.add(|| spot(later));
            }
            is_same
        });
        self.count_cut_ids();
    }

    /// Counts the traces that have the lower half of another's id. Those of 64 bits are the first.
    fn count_cut_ids(&mut self) {
        let short = self.spans.partition_point(|span| matches!(span.trace, [0, _]));
        let (short, long) = self.spans.split_at(short);
        for trace in long.chunk_by(|one, next| one.trace == next.trace) {
            let Some(&Span { trace: id @ [_, low], .. }) = trace.first() else { continue };
            if short.binary_search_by_key(&[0, low], |span| span.trace).is_ok() {
                self.oddities
                    .cut_trace_ids
                    .add(|| format!("{} and {}", trace_text([0, low]), trace_text(id)));
            }
        }
    }
}

/// Where a span is, for people.
pub(super) fn spot(span: &Span) -> String {
    format!("span {:016x} of trace {}", span.id, trace_text(span.trace))
}

pub(super) fn trace_text([high, low]: TraceId) -> String {
    if high == 0 { format!("{low:016x}") } else { format!("{high:016x}{low:016x}") }
}

/// Whether a host or a name means a service: both are the same, or one is the other's first labels.
pub(super) fn is_same_service(one: &str, other: &str) -> bool {
    let begins = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    begins(one, other) || begins(other, one)
}
