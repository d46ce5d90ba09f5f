//! Which span is whose parent.

use super::store::{Marks, Span, Store, spot};

/// The parent of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// The span names none.
    None,
    /// The span names one that was not read.
    Missing,
    /// The parent's id cannot be read.
    Unread,
    /// The parent, by its place in the store.
    Found(usize),
}

/// The parents of all spans, and which spans have been answered by another service.
pub(super) struct Links {
    parents: Vec<u32>,
    is_answered: Vec<bool>,
    /// Where each trace begins in the store; the last number is the end.
    pub(super) begins: Vec<u32>,
}

const NONE: u32 = u32::MAX;
const MISSING: u32 = u32::MAX - 1;
const UNREAD: u32 = u32::MAX - 2;

impl Links {
    /// Links the spans of a sorted store, and counts cycles.
    pub(super) fn of(store: &mut Store) -> Self {
        let count = store.spans.len();
        let mut links =
            Self { parents: Vec::with_capacity(count), is_answered: vec![false; count], begins: vec![0] };
        for trace in store.spans.chunk_by(|one, next| one.trace == next.trace) {
            let begin = links.parents.len();
            for (place, span) in trace.iter().enumerate() {
                let parent = find(trace, place, span);
                links.parents.push(if parent < UNREAD { parent + begin as u32 } else { parent });
                let caller = trace.get(parent as usize);
                let is_other =
                    caller.is_some_and(|caller| caller.service != span.service || span.kind.is_entry());
                if let Some(answered) =
                    links.is_answered.get_mut(begin + parent as usize).filter(|_| is_other)
                {
                    *answered = true;
                }
            }
            links.begins.push(links.parents.len() as u32);
        }
        links.count_cycles(store);
        links
    }

    pub(super) fn parent(&self, place: usize) -> Parent {
        match self.parents.get(place).copied().unwrap_or(NONE) {
            NONE => Parent::None,
            MISSING => Parent::Missing,
            UNREAD => Parent::Unread,
            parent => Parent::Found(parent as usize),
        }
    }

    /// Whether a span of another service, or of a server, has this span as its parent.
    pub(super) fn is_answered(&self, place: usize) -> bool {
        self.is_answered.get(place).copied().unwrap_or(false)
    }

    /// Counts the spans that are among their own ancestors.
    fn count_cycles(&self, store: &mut Store) {
        const NEW: u8 = 0;
        const ON_PATH: u8 = 1;
        const DONE: u8 = 2;
        let mut states = vec![NEW; self.parents.len()];
        let mut path = Vec::new();
        for begin in 0..self.parents.len() {
            path.clear();
            let mut place = begin;
            while let Some(state) = states.get_mut(place).filter(|state| **state == NEW) {
                *state = ON_PATH;
                path.push(place);
                let Parent::Found(parent) = self.parent(place) else { break };
                place = parent;
            }
            let is_closed =
                states.get(place) == Some(&ON_PATH) && matches!(self.parent(place), Parent::Found(_));
            let loop_begin = path.iter().position(|at| *at == place).filter(|_| is_closed);
            for at in loop_begin.and_then(|first| path.get(first..)).unwrap_or_default() {
                let span = store.spans.get(*at);
                store.oddities.cycles.add(|| span.map(spot).unwrap_or_default());
            }
            for at in &path {
                states.get_mut(*at).into_iter().for_each(|state| *state = DONE);
            }
        }
    }
}

/// The place of a span's parent in its trace.
fn find(trace: &[Span], place: usize, span: &Span) -> u32 {
    if span.marks.has(Marks::SHARED) {
        // Its parent is the caller's half; the parent that it names is the caller's.
        let (caller, _) = with_id(trace, span.id);
        return match span.parent {
            _ if caller != place => caller as u32,
            // The caller was the first and is not here; or nobody called, and an Envoy began the trace.
            0 => NONE,
            _ => MISSING,
        };
    }
    match span.parent {
        0 if span.marks.has(Marks::BAD_PARENT) => return UNREAD,
        0 => return NONE,
        _ => {}
    }
    let (begin, found) = with_id(trace, span.parent);
    let rest = || found.iter().enumerate().filter(|(at, _)| begin + at != place || found.len() == 1);
    let is_shared = |half: &Span| half.marks.has(Marks::SHARED);
    let is_own = |half: &Span| half.service == span.service;
    // Of two halves, the server's has the children, unless they are of the client's service.
    let best = rest().max_by_key(|(at, half)| (is_own(half), is_shared(half), std::cmp::Reverse(*at)));
    best.map_or(MISSING, |(at, _)| (begin + at) as u32)
}

/// The spans of that id, and where they begin.
fn with_id(trace: &[Span], id: u64) -> (usize, &[Span]) {
    let begin = trace.partition_point(|other| other.id < id);
    let end = trace.partition_point(|other| other.id <= id);
    (begin, trace.get(begin..end).unwrap_or_default())
}
