//! Lines about losses and corruption for Envoy's log: seldom, with the reason and the peer, never with a header's value.

use crate::host::{Clock, Log, Properties, Property};
use crate::metrics::Corruption;
use crate::settings::{LogFormat, settings};
use crate::w3c::TraceParent;
use crate::words::{Direction, Format, Verdict};

/// Something that an operator may want to read about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What came in.
    pub verdict: Verdict,
    /// Which way the request went.
    pub direction: Direction,
    /// Why it was invalid.
    pub corruption: Option<Corruption>,
    /// A format whose header came, and that is not read.
    pub unread: Option<Format>,
    /// The context that the upstream receives.
    pub sent: Option<TraceParent>,
}

settings! {
    /// The lines about losses and corruption in Envoy's log, at most one in ten seconds and worker.
    pub struct LogSettings "Log" {
        /// How a line begins, with `%(trace_id)s` and `%(span_id)s` for the ids and `%%` for a percent sign. Such as
        /// `"trace=%(trace_id)s"`.
        pub format: LogFormat = LogFormat::default(),
    }
}

/// Lets one line pass in ten seconds, and counts the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throttle {
    next: u64,
    held: u64,
}

impl Throttle {
    const PERIOD_NS: u64 = 10_000_000_000;

    /// Nothing has passed yet.
    pub const NEW: Self = Self { next: 0, held: 0 };

    /// Whether a line may pass at this time (nanoseconds), and if so how many were held back since the last.
    pub fn pass(&mut self, now: u64) -> Option<u64> {
        // A clock that was set back must not silence us for as long.
        let wait = self.next.saturating_sub(now);
        if (1..=Self::PERIOD_NS).contains(&wait) {
            self.held += 1;
            return None;
        }
        self.next = now.saturating_add(Self::PERIOD_NS);
        Some(core::mem::take(&mut self.held))
    }
}

impl Notice {
    /// Writes the line, unless lines are held back.
    pub(crate) fn log(&self, format: &LogFormat, host: &mut (impl Clock + Log + Properties)) {
        let Some(held) = host.now().and_then(|now| host.held_back(now)) else { return };
        let peer = peer(self.direction, host);
        host.warn(&self.line(format, peer.as_deref(), held));
    }

    /// The line; `held` others were not written since the last one.
    fn line(&self, format: &LogFormat, peer: Option<&str>, held: u64) -> String {
        let reason = match (self.corruption, self.unread) {
            (Some(corruption), _) => corruption.to_string(),
            (None, Some(format)) => {
                let (name, format) = (format.headers().name(), format.label());
                format!("no traceparent came, but {name}: propagation.extract does not name {format}")
            }
            (None, None) => "no traceparent came".to_owned(),
        };
        let held = if held == 0 { String::new() } else { format!(" ({held} more since the last such line)") };
        format!(
            "tracewarden: {} {} {}, from {}: {reason}{held}",
            beginning(format, self.sent),
            self.verdict.label(),
            self.direction.label(),
            peer.unwrap_or("an unknown peer"),
        )
    }
}

fn beginning(format: &LogFormat, sent: Option<TraceParent>) -> String {
    let [trace_id, span_id] = match sent {
        Some(sent) => [sent.trace_id.to_string(), sent.parent_id.to_string()],
        None => ["-", "-"].map(str::to_owned),
    };
    let filled = |text: &str| text.replace("%(trace_id)s", &trace_id).replace("%(span_id)s", &span_id);
    format.split("%%").map(filled).collect::<Vec<_>>().join("%")
}

/// Who sent the request: the URI in the certificate of a peer that has one, otherwise its address. The sender of an
/// outbound request is the workload itself, which the scrape names.
fn peer(direction: Direction, host: &mut impl Properties) -> Option<String> {
    if direction == Direction::Outbound {
        return Some("this workload".to_owned());
    }
    let value = host.property(Property::PeerUri).or_else(|| host.property(Property::PeerAddress))?.text()?;
    // Addresses and URIs are graphic ASCII; anything else could change what the rest of the line looks like.
    Some(value.into_iter().filter(u8::is_ascii_graphic).take(MAX_PEER).map(char::from).collect())
}

/// How much of a peer's name a line may show.
const MAX_PEER: usize = 200;
