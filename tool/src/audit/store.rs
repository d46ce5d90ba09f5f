//! The spans that were read, each in few bytes: a million of them have to fit.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use indexmap::IndexSet;
use serde::Serialize;

use crate::report::clean;

/// A span, as far as it says who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The halves of the trace-id; the high one is 0 if the id was written with 64 bits.
    pub(super) high: u64,
    pub(super) low: u64,
    pub(super) id: u64,
    /// 0 if it names none.
    pub(super) parent: u64,
    /// In microseconds.
    pub(super) start: u64,
    pub(super) end: u64,
    /// The hash of the request's id; 0 if there is none.
    pub(super) request: u64,
    pub(super) service: Name,
    /// Whom it calls, if it says so; otherwise [`Name::NONE`].
    pub(super) peer: Name,
    pub(super) kind: Kind,
    /// Whether the service sampled the trace by itself, though the span has a parent.
    pub(super) decides: bool,
    /// Whether a Zipkin server shares the id of its client's span.
    pub(super) is_shared: bool,
}

/// A name in the list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(u32);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// What is strange, and ends nothing.
#[derive(Debug, Default, Serialize)]
pub(super) struct Oddities {
    /// Spans left out for an id of another length, or of no hexadecimal digits.
    pub(super) bad_ids: Count,
    /// Spans that came twice.
    pub(super) duplicates: Count,
    /// Spans that are among their own ancestors.
    pub(super) cycles: Count,
    /// Spans that name no service.
    pub(super) nameless: Count,
}

/// How many, and where the first was.
#[derive(Debug, Default, Serialize)]
pub(super) struct Count {
    pub(super) count: u64,
    pub(super) first: Option<String>,
}

/// Everything that was read.
#[derive(Default)]
pub(super) struct Store {
    pub(super) spans: Vec<Span>,
    names: IndexSet<String>,
    hasher: RandomState,
    pub(super) oddities: Oddities,
    pub(super) notes: IndexSet<String>,
}

/// As many names are kept; who sends more has no services of that many.
const MAX_NAMES: usize = 50_000;

impl Name {
    pub(super) const NONE: Self = Self(u32::MAX);
}

impl Count {
    pub(super) fn add(&mut self, place: impl FnOnce() -> String) {
        self.count += 1;
        self.first.get_or_insert_with(place);
    }
}

impl Kind {
    /// By its name in whichever format: `SPAN_KIND_SERVER`, `server` or `SERVER`.
    pub(super) fn of(name: &str) -> Self {
        match name.trim_start_matches("SPAN_KIND_").to_ascii_lowercase().as_str() {
            "server" => Self::Server,
            "client" => Self::Client,
            "producer" => Self::Producer,
            "consumer" => Self::Consumer,
            _ => Self::Internal,
        }
    }

    /// By its number in OTLP.
    pub(super) const fn of_number(number: u64) -> Self {
        match number {
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Internal,
        }
    }

    /// Whether its parent is in another process.
    pub(super) const fn is_entry(self) -> bool {
        matches!(self, Self::Server | Self::Consumer)
    }
}

impl Span {
    /// Whether both are of one trace. An id of 64 bits is the lower half of a longer one.
    pub(super) const fn is_of_trace(&self, other: &Self) -> bool {
        self.low == other.low && (self.high == other.high || self.high == 0 || other.high == 0)
    }
}

impl Store {
    pub(super) fn name(&mut self, name: &str) -> Name {
        if name.is_empty() {
            return Name::NONE;
        }
        if let Some(place) = self.names.get_index_of(name) {
            return Name(place as u32);
        }
        if self.names.len() >= MAX_NAMES {
            self.notes.insert(format!("More than {MAX_NAMES} names: the others are not told apart."));
            return Name::NONE;
        }
        Name(self.names.insert_full(name.to_owned()).0 as u32)
    }

    /// The service that calls itself so, as a host's name begins with it.
    pub(super) fn peer(&mut self, host: &str) -> Name {
        let host = host.split_once("://").map_or(host, |(_, rest)| rest);
        let host = host.split(['/', ':', '?']).next().unwrap_or_default();
        let is_address = host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[');
        let first = host.split('.').next().unwrap_or_default();
        if is_address { Name::NONE } else { self.name(first) }
    }

    pub(super) fn hash(&self, text: &str) -> u64 {
        if text.is_empty() { 0 } else { self.hasher.hash_one(text).max(1) }
    }

    /// The name as it can go to a terminal.
    pub(super) fn text(&self, name: Name) -> String {
        self.names.get_index(name.0 as usize).map_or_else(|| "(unknown)".to_owned(), |name| clean(name))
    }

    pub(super) fn push(&mut self, span: Span) {
        if span.service == Name::NONE {
            self.oddities.nameless.add(|| format!("span {:016x}", span.id));
        }
        self.spans.push(span);
    }

    /// Puts the spans of a trace together, and leaves out those that came twice.
    pub(super) fn sort(&mut self) {
        self.spans.sort_unstable_by_key(|span| {
            (span.low, span.id, span.high, span.is_shared, span.kind as u8, span.service, span.start)
        });
        let mut twice: HashMap<Name, u64> = HashMap::new();
        self.spans.dedup_by(|later, earlier| {
            let is_same = later.is_of_trace(earlier)
                && (later.id, later.service, later.kind, later.is_shared)
                    == (earlier.id, earlier.service, earlier.kind, earlier.is_shared);
            if is_same {
                *twice.entry(later.service).or_default() += 1;
            }
            is_same
        });
        let mut named: Vec<_> = twice.into_iter().map(|(name, count)| (self.text(name), count)).collect();
        named.sort();
        for (name, count) in named {
            self.oddities.duplicates.count += count;
            self.oddities.duplicates.first.get_or_insert(format!("service {name}"));
        }
    }

    /// The spans of each trace.
    pub(super) fn traces(&self) -> impl Iterator<Item = &[Span]> {
        self.spans.chunk_by(|before, after| before.low == after.low)
    }
}
