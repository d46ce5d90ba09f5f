//! Lines about losses and corruption for Envoy's log: seldom, with the reason, the listener and the peer, never with the
//! value of a trace header.

use crate::headers::{Headers, without_credentials};
use crate::host::{Clock, Log, Properties, Property, PropertyValue};
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
    pub(crate) fn log(
        &self,
        format: &LogFormat,
        place: Place<'_>,
        host: &mut (impl Clock + Log + Properties),
    ) {
        let Some(held) = host.now().and_then(|now| host.held_back(now)) else { return };
        let place = place.words(self.direction, host);
        host.warn(&self.line(format, &place, held));
    }

    /// The line; `held` others were not written since the last one.
    fn line(&self, format: &LogFormat, place: &str, held: u64) -> String {
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
            "tracewarden: {} {} {}{place}: {reason}{held}",
            beginning(format, self.sent),
            self.verdict.label(),
            self.direction.label(),
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

/// Where a request was seen, for the one who looks for it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The listener's name, if the configuration has one.
    pub(crate) listener: Option<&'a str>,
    pub(crate) headers: &'a Headers,
}

impl Place<'_> {
    /// The listener, by its name or its address; the sender; and of an outbound request what the application called.
    fn words(self, direction: Direction, host: &mut impl Properties) -> String {
        let mut text =
            |property| host.property(property).and_then(PropertyValue::text).as_deref().map(printable);
        let listener = self.listener.map(str::to_owned).or_else(|| text(Property::LocalAddress));
        let on = listener.map_or_else(String::new, |listener| format!(" on {listener}"));
        if direction == Direction::Outbound {
            return format!("{on}, from this workload{}", self.call());
        }
        // The URI in the certificate of a peer that has one.
        let peer = text(Property::PeerUri).or_else(|| text(Property::PeerAddress));
        format!("{on}, from {}", peer.as_deref().unwrap_or("an unknown peer"))
    }

    /// The method and the authority of a request, without user information and without the path.
    fn call(self) -> String {
        let header = |name| self.headers.first(name).unwrap_or_default();
        let (method, authority) = (header(":method"), without_credentials(header(":authority")));
        if authority.is_empty() {
            return String::new();
        }
        format!(", {} {}", printable(method), printable(authority))
    }
}

/// Addresses, URIs, methods and authorities are graphic ASCII; anything else could change what the rest of the line looks
/// like.
fn printable(value: &[u8]) -> String {
    value.iter().filter(|byte| byte.is_ascii_graphic()).take(MAX_NAME).map(|byte| char::from(*byte)).collect()
}

/// How much of a name a line may show, in bytes.
const MAX_NAME: usize = 200;
