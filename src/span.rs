//! The span of a hop: begun when its request has got a parent-id of this hop, finished when its stream ends.

mod attributes;
mod outcome;
mod redact;

pub use attributes::{Attribute, Source, Spans};
pub(crate) use outcome::Outcome;

use self::attributes::{Exchange, clip};
use crate::headers::TRACESTATE;
use crate::host::{Clock, EndedStream, HeaderMap, Properties, Random};
use crate::otlp::{Link, Span, SpanKind, Status, StatusCode};
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
    sides: Sides,
    parent: Option<SpanId>,
    /// The context that another took the place of.
    link: Option<TraceParent>,
    began: u64,
    /// Whether it is recorded only because it failed.
    late: bool,
}

/// The spans of a hop; the parent-id that goes upstream is the last one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sides {
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
        let sides = match (kind, role, direction) {
            (Kind::Server, ..) | (Kind::Auto, Role::Internal, Direction::Inbound) => Sides::Server,
            (Kind::Client, ..) | (Kind::Auto, Role::Internal, Direction::Outbound) => Sides::Client,
            (Kind::ServerAndClient, ..) | (Kind::Auto, ..) => Sides::Both(SpanId::random(host.rng()?)),
        };
        Some(Self {
            sides,
            parent: origin.parent.map(|parent| parent.parent_id),
            link: origin.came.filter(|came| came.trace_id != sent.trace_id),
            began,
            late: false,
        })
    }

    /// Has it recorded because it failed, though its trace is not.
    pub(crate) const fn record_late(&mut self) {
        self.late = true;
    }

    /// Makes its spans, when its stream has ended. Everything in them is read here, from what the host still knows.
    pub(crate) fn finish(
        &self,
        spans: &Spans,
        sent: TraceParent,
        host: &mut (impl Clock + Properties + EndedStream),
    ) -> Vec<Span> {
        let Some(ended) = host.now() else { return Vec::new() };
        let Ok(request) = host.headers(HeaderMap::Request) else { return Vec::new() };
        let (serves, calls) = (self.sides != Sides::Client, self.sides != Sides::Server);
        let exchange = Exchange::read(spans, &request, serves, calls, host);
        let state = request.first(TRACESTATE).filter(|_| !self.late).map(whole_members).unwrap_or_default();
        let name = exchange.name();
        let span = |kind: SpanKind, id: SpanId, parent: Option<SpanId>, remote: bool| Span {
            trace_id: sent.trace_id.to_bytes().to_vec(),
            span_id: id.to_bytes().to_vec(),
            trace_state: state.clone(),
            parent_span_id: parent.map(|id| id.to_bytes().to_vec()).unwrap_or_default(),
            flags: u32::from(sent.flags.byte()) | PARENT_IS_KNOWN | if remote { PARENT_IS_REMOTE } else { 0 },
            name: name.clone(),
            kind: kind.into(),
            start_time_unix_nano: self.began,
            end_time_unix_nano: ended.max(self.began),
            attributes: exchange.attributes(kind),
            links: self.links(remote || parent.is_none()),
            status: exchange.outcome.is_error(kind).then_some(Status { code: StatusCode::Error.into() }),
        };
        let remote = self.parent.is_some();
        match self.sides {
            Sides::Server => vec![span(SpanKind::Server, sent.parent_id, self.parent, remote)],
            Sides::Client => vec![span(SpanKind::Client, sent.parent_id, self.parent, remote)],
            Sides::Both(server) => vec![
                span(SpanKind::Server, server, self.parent, remote),
                span(SpanKind::Client, sent.parent_id, Some(server), false),
            ],
        }
    }

    /// The link of the hop's first span.
    fn links(&self, is_first: bool) -> Vec<Link> {
        let link = self.link.filter(|_| is_first).map(|context| Link {
            trace_id: context.trace_id.to_bytes().to_vec(),
            span_id: context.parent_id.to_bytes().to_vec(),
        });
        link.into_iter().collect()
    }
}

/// As many members of a `tracestate`, from the left, as an attribute has room for.
fn whole_members(state: &[u8]) -> String {
    let text = clip(state);
    if text.len() == state.len() {
        return text;
    }
    text.rsplit_once(',').map_or_else(String::new, |(whole, _)| whole.to_owned())
}
