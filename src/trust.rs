//! Who may hand us a context, and what becomes of the context of anybody else.

mod cidr;

pub(crate) use cidr::Cidr;

use crate::labels::labels;
use crate::pass::Facts;
use crate::propagation::{Extracted, TraceContext};
use crate::sampling::OtState;
use crate::secret::SecretHeader;

/// Whose context counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// `None` trusts everyone, as by default.
    pub(crate) trusted: Option<Vec<Peer>>,
    /// What becomes of the context of those who are not trusted.
    pub(crate) untrusted: Untrusted,
    /// Whether their baggage goes on all the same.
    pub(crate) baggage: bool,
}

/// A sender that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// By the URI in its certificate; a `*` at the end stands for anything.
    San(String),
    /// By its address, which is honest only where Envoy's `use_remote_address` is on.
    Cidr(Cidr),
    /// By a secret that it sends.
    Header(SecretHeader),
}

labels! {
    /// What becomes of a context whose sender is not trusted.
    pub enum Untrusted {
        /// A new trace starts; the one that came in is told as a link.
        Restart = "restart",
        /// Its trace goes on, but this hop decides whether it is sampled.
        IgnoreSampled = "ignore_sampled",
        /// It is removed, and nothing takes its place.
        Strip = "strip",
    }
}

/// What a request's context leads to.
pub(crate) enum Admitted<'a> {
    /// The trace goes on.
    Continue(TraceContext<'a>),
    /// A trace starts, with this decision if one came in.
    Start(Option<bool>),
    /// Nothing goes on.
    Nothing,
}

impl Default for Trust {
    fn default() -> Self {
        Self { trusted: None, untrusted: Untrusted::Restart, baggage: false }
    }
}

impl Trust {
    /// Whether the sender of this request is trusted.
    pub(crate) fn admits(&self, headers: &[u8], facts: &mut impl Facts) -> bool {
        let Some(trusted) = &self.trusted else { return true };
        let (mut san, mut address) = (None, None);
        trusted.iter().any(|peer| match peer {
            Peer::Header(secret) => secret.is_in(headers),
            Peer::San(pattern) => {
                let san = san.get_or_insert_with(|| facts.peer_san().unwrap_or_default());
                is_like(san, pattern.as_bytes())
            }
            Peer::Cidr(cidr) => {
                let address = address.get_or_insert_with(|| facts.peer_address().unwrap_or_default());
                cidr.contains(address)
            }
        })
    }

    /// The headers that hold secrets, none of which may go on.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretHeader> {
        self.trusted.iter().flatten().filter_map(|peer| match peer {
            Peer::Header(secret) => Some(secret),
            Peer::San(_) | Peer::Cidr(_) => None,
        })
    }

    /// What the context leads to, whose sender is trusted or not.
    pub(crate) fn admit<'a>(&self, extracted: Extracted<'a>, trusted: bool) -> Admitted<'a> {
        match (extracted, trusted, self.untrusted) {
            (Extracted::Valid(context), true, _) => Admitted::Continue(context),
            (Extracted::Valid(context), false, Untrusted::IgnoreSampled) => {
                Admitted::Continue(with_ids_alone(context))
            }
            (Extracted::Valid(_), false, Untrusted::Strip) => Admitted::Nothing,
            (Extracted::Absent(decision), true, _) => Admitted::Start(decision),
            (Extracted::Valid(_) | Extracted::Absent(_), false, _) | (Extracted::Corrupt(_), _, _) => {
                Admitted::Start(None)
            }
        }
    }
}

/// The trace, without anything that could tell this hop or a later one how to sample it. With no parent-id that counts
/// as the sender's, one of this hop goes out.
fn with_ids_alone(context: TraceContext<'_>) -> TraceContext<'_> {
    let state = context.state.map(|list| list.without(OtState::KEY));
    TraceContext { parent_id: None, sampled: None, debug: false, state, chosen_by_sender: true, ..context }
}

fn is_like(value: &[u8], pattern: &[u8]) -> bool {
    match pattern.strip_suffix(b"*") {
        Some(prefix) => value.starts_with(prefix),
        None => value == pattern && !value.is_empty(),
    }
}
