//! The span of a hop: begun when its request has got a parent-id of this hop, finished when its stream ends.

mod attributes;
mod data;
mod finding;
mod outcome;
mod redact;

pub use attributes::{Attribute, Source, Spans};
pub use data::{Event, KeyValue, Span, SpanKind, Value};
pub(crate) use outcome::Outcome;

use std::borrow::Cow;

use self::attributes::{Exchange, clip};
use crate::headers::{Headers, TRACESTATE};
use crate::host::{Clock, EndedStream, HeaderMap, HeaderReader, Properties, Random, Sides};
use crate::request::Finding;
use crate::w3c::{SpanId, TraceParent};
use crate::words::{Direction, Role, labels};

labels! {
    /// Which spans a hop has.
    pub enum Kind {
        /// By role and direction: `server` inbound, `client` outbound, `server_and_client` at the edge.
        Auto = "auto",
        /// A span of kind server, for receiving the request.
        Server = "server",
        /// A span of kind client, for sending the request.
        Client = "client",
        /// A span of kind server and below it one of kind client, as service graphs need for a gateway.
        ServerAndClient = "server_and_client",
    }
}

/// What is remembered of a hop, of which there will be a span if its trace is recorded when its stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    own: Own,
    parent: Option<SpanId>,
    /// The context that another took the place of.
    link: Option<TraceParent>,
    finding: Finding,
    began: u64,
    /// When the response named another trace, and which.
    mismatch: Option<(u64, TraceParent)>,
    /// Whether it is recorded only because it failed.
    late: bool,
    /// What the trailers said on their way. Another filter may put them into the body, as Envoy does for gRPC-Web.
    grpc_status: Option<u8>,
}

/// The spans of a hop; the parent-id that goes upstream is the last one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Server,
    Client,
    /// The server's id is not the one that goes upstream.
    Both(SpanId),
}

/// Where a hop's context is from.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    /// The context that it continues.
    pub(crate) parent: Option<TraceParent>,
    /// The context that came, as far as it can be read.
    pub(crate) came: Option<TraceParent>,
    /// What its request's pass found.
    pub(crate) finding: Finding,
}

/// The byte of the trace flags is below these bits of a span's flags.
const PARENT_IS_KNOWN: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;

impl Hop {
    /// Begins a hop that sends this context upstream, unless the context's parent-id is another's.
    pub(crate) fn begin(
        kind: Kind,
        role: Role,
        direction: Direction,
        sent: TraceParent,
        origin: Origin,
        host: &mut (impl Clock + Random),
    ) -> Option<Self> {
        if origin.parent.is_some_and(|parent| parent.parent_id == sent.parent_id) {
            return None;
        }
        let began = host.now()?;
        let own = match (kind, role, direction) {
            (Kind::Server, ..) | (Kind::Auto, Role::Internal, Direction::Inbound) => Own::Server,
            (Kind::Client, ..) | (Kind::Auto, Role::Internal, Direction::Outbound) => Own::Client,
            (Kind::ServerAndClient, ..) | (Kind::Auto, ..) => Own::Both(SpanId::random(host.rng()?)),
        };
        Some(Self {
            own,
            parent: origin.parent.map(|parent| parent.parent_id),
            link: origin.came.filter(|came| came.trace_id != sent.trace_id),
            finding: origin.finding,
            began,
            mismatch: None,
            late: false,
            grpc_status: None,
        })
    }

    /// Notes that the response named another trace.
    #[cold]
    pub(crate) fn note_mismatch(&mut self, named: TraceParent, host: &mut impl Clock) {
        self.mismatch = host.now().map(|now| (now, named));
    }

    /// Notes the status of gRPC in the trailers that are on their way.
    pub(crate) fn note_trailers(&mut self, host: &mut impl HeaderReader) {
        self.grpc_status =
            host.first(outcome::GRPC_STATUS).ok().flatten().and_then(|value| outcome::grpc_status(&value));
    }

    /// How the stream ended, with the headers of the response.
    pub(crate) fn outcome(&self, host: &mut impl EndedStream) -> (Headers, Outcome) {
        Outcome::read(self.grpc_status, host)
    }

    /// Has it recorded because it failed, though its trace is not.
    pub(crate) const fn record_late(&mut self) {
        self.late = true;
    }

    /// Tells its spans, and when they ended, after its stream has ended. Everything in them is read here, from what the host
    /// still knows; the response's headers and outcome are read if nobody has.
    pub(crate) fn finish<H: Clock + Properties + EndedStream>(
        &self,
        spans: &Spans,
        sent: TraceParent,
        response: Option<(Headers, Outcome)>,
        host: &mut H,
        mut tell: impl FnMut(&Span<'_>, &mut H),
    ) {
        let Some(ended) = host.now() else { return };
        let Ok(request) = host.headers(HeaderMap::Request) else { return };
        let (response, mut outcome) = response.unwrap_or_else(|| self.outcome(host));
        let info = host.info(self.own.sides());
        outcome.is_cut_off = info.is_cut_off;
        let exchange = Exchange::new(spans, &request, &response, outcome, &info, host);
        let state = request.first(TRACESTATE).filter(|_| !self.late).map(whole_members).unwrap_or_default();
        let name = exchange.name();
        let events = self.mismatch.map(|(time, named)| (time, ids_of(named)));
        let mut is_first = true;
        for (kind, span_id, parent) in self.own.spans(sent.parent_id, self.parent).into_iter().flatten() {
            let is_remote = is_first && parent.is_some();
            let mut attributes = exchange.attributes(kind);
            if is_first {
                finding::tell(&self.finding, &mut attributes);
            }
            let event =
                events.as_ref().map(|(time, attributes)| Event { time: *time, name: MISMATCH, attributes });
            let span = Span {
                trace_id: sent.trace_id,
                span_id,
                trace_state: &state,
                parent,
                flags: u32::from(sent.flags.byte())
                    | PARENT_IS_KNOWN
                    | if is_remote { PARENT_IS_REMOTE } else { 0 },
                name: &name,
                kind,
                began: self.began,
                ended: ended.max(self.began),
                attributes: &attributes,
                events: event.as_slice(),
                link: self.link.filter(|_| is_first),
                is_error: outcome.is_error(kind),
            };
            tell(&span, host);
            is_first = false;
        }
    }
}

impl Own {
    const fn sides(self) -> Sides {
        match self {
            Self::Server => Sides::Server,
            Self::Client => Sides::Client,
            Self::Both(_) => Sides::Both,
        }
    }

    /// The kind, id and parent of each span, from the id that went upstream and the parent of the hop.
    const fn spans(
        self,
        sent: SpanId,
        parent: Option<SpanId>,
    ) -> [Option<(SpanKind, SpanId, Option<SpanId>)>; 2] {
        match self {
            Self::Server => [Some((SpanKind::Server, sent, parent)), None],
            Self::Client => [Some((SpanKind::Client, sent, parent)), None],
            Self::Both(server) => {
                [Some((SpanKind::Server, server, parent)), Some((SpanKind::Client, sent, Some(server)))]
            }
        }
    }
}

/// The event of a response that named another trace.
const MISMATCH: &str = "tracewarden.response.mismatch";

fn ids_of(named: TraceParent) -> [KeyValue<'static>; 2] {
    let text = |digits: &[u8]| Value::Text(String::from_utf8_lossy(digits).into_owned().into());
    [
        KeyValue { key: "tracewarden.response.trace_id", value: text(&named.trace_id.to_hex()) },
        KeyValue { key: "tracewarden.response.span_id", value: text(&named.parent_id.to_hex()) },
    ]
}

/// As many members of a `tracestate`, from the left, as an attribute has room for.
fn whole_members(state: &[u8]) -> Cow<'_, str> {
    let text = clip(state);
    if text.len() == state.len() {
        return text;
    }
    text.rsplit_once(',').map_or(Cow::Borrowed(""), |(whole, _)| Cow::Owned(whole.to_owned()))
}
