//! The way of spans to their collector: what ticks and answers lead to.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;

use prost::Message;
use rand::Rng;

use super::abi::{BufferType, MapType};
use super::host::{self, Failed};
use super::seam::asked;
use super::{Filter, vm};
use crate::export::{Answer, DropCause, Export, Exporter, Protocol};
use crate::headers::scan;
use crate::metrics::{Counter, Measure};
use crate::otlp::Span;
use crate::w3c::{SpanId, TraceFlags, TraceId, TraceParent};

/// The spans of a plugin on this worker, whatever its configuration becomes.
#[derive(Default)]
pub(super) struct Uploads {
    exporter: Cell<Exporter>,
    /// The number of spans that the gauge was told of.
    told: Cell<u64>,
    is_closed: Cell<bool>,
}

/// How often a plugin that exports looks whether a batch is due, in milliseconds.
pub(super) const TICK_MS: u32 = 200;

const TRACE_SERVICE: (&str, &str) = ("opentelemetry.proto.collector.trace.v1.TraceService", "Export");

/// A request that was sent and not answered yet.
struct Sent {
    token: u32,
    filter: Rc<Filter>,
}

thread_local! {
    // Nothing in it is dropped, so there is no moment at which it is gone.
    static SENT: ManuallyDrop<RefCell<Vec<Sent>>> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

impl Uploads {
    /// Takes the spans of a stream.
    pub(super) fn take(&self, spans: Vec<Span>, export: &Export) {
        let Ok(now) = host::now().map_err(vm::report) else { return };
        for span in spans {
            vm::count(Counter::SpanRecorded, 1);
            let taken = if self.is_closed.get() {
                Err(DropCause::Shutdown)
            } else {
                self.with_exporter(|exporter| exporter.take(span, export, now))
            };
            if let Err(cause) = taken {
                vm::count(Counter::SpanDropped { cause }, 1);
            }
        }
    }

    /// Does something with the exporter, which is out of its place meanwhile.
    fn with_exporter<T>(&self, work: impl FnOnce(&mut Exporter) -> T) -> T {
        let mut exporter = self.exporter.take();
        let done = work(&mut exporter);
        self.exporter.set(exporter);
        done
    }

    /// Gives up on all that waits, and forgets what was sent.
    pub(super) fn abandon(&self) {
        SENT.with(|all| {
            if let Ok(mut all) = all.try_borrow_mut() {
                all.retain(|sent| !std::ptr::eq(&raw const *sent.filter.uploads, self));
            }
        });
        let dropped = self.with_exporter(Exporter::abandon);
        if dropped > 0 {
            vm::count(Counter::SpanDropped { cause: DropCause::Shutdown }, dropped);
        }
        self.tell_queued();
    }

    /// The same for good: what streams that are still open bring is dropped.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.abandon();
    }

    fn tell_queued(&self) {
        let queued = self.with_exporter(|exporter| exporter.len());
        let before = self.told.replace(queued);
        if queued != before {
            vm::add_queued(queued.cast_signed() - before.cast_signed());
        }
    }
}

/// Sends the batch that is due, if there is one.
pub(super) fn turn(filter: &Rc<Filter>) {
    let Some(export) = &filter.config.export else { return };
    let Ok(now) = host::now().map_err(vm::report) else { return };
    let uploads = &filter.uploads;
    let sent = uploads.with_exporter(|exporter| {
        exporter.next(export, &filter.resource, now).map(|body| send(export, body))
    });
    match sent {
        None => {}
        Some(Ok(token)) => SENT.with(|all| {
            if let Ok(mut all) = all.try_borrow_mut() {
                all.push(Sent { token, filter: filter.clone() });
            }
        }),
        // What Envoy answers where the cluster has no healthy host, which may change.
        Some(Err(Failed { status: host::INTERNAL_FAILURE, .. })) => conclude(filter, &Answer::Nothing),
        Some(Err(failed)) => {
            vm::report(failed);
            conclude(filter, &Answer::NotSent);
        }
    }
    uploads.tell_queued();
}

fn send(export: &Export, body: &[u8]) -> Result<u32, Failed> {
    let content_type = match export.protocol {
        Protocol::OtlpHttp => "application/x-protobuf",
        Protocol::OtlpGrpc => "",
        Protocol::Zipkin => "application/json",
    };
    let traceparent = not_sampled();
    let mut headers = vec![("user-agent", USER_AGENT)];
    headers.extend(traceparent.as_deref().map(|context| ("traceparent", context)));
    headers.extend(export.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let timeout_ms = export.timeout_ms.get();
    if export.protocol == Protocol::OtlpGrpc {
        let service = grpc_service(export);
        return host::grpc_call(&service, TRACE_SERVICE, &headers, body, timeout_ms);
    }
    headers.extend([
        (":method", "POST"),
        (":path", &export.path),
        (":authority", &export.authority),
        ("content-type", content_type),
    ]);
    host::http_call(&export.cluster, &headers, body, timeout_ms)
}

const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// A context that no proxy on the way to the collector records.
fn not_sampled() -> Option<String> {
    let (trace_id, parent_id) = vm::draw(|rng| (TraceId::random(rng), SpanId::random(rng)))?;
    Some(TraceParent { trace_id, parent_id, flags: TraceFlags::of(false, true) }.to_string())
}

/// Envoy's [GrpcService](https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/grpc_service.proto): a name
/// alone could be read as one.
#[derive(Clone, PartialEq, Message)]
struct GrpcService {
    #[prost(message, optional, tag = "1")]
    envoy_grpc: Option<EnvoyGrpc>,
}

#[derive(Clone, PartialEq, Message)]
struct EnvoyGrpc {
    #[prost(string, tag = "1")]
    cluster_name: String,
    #[prost(string, tag = "2")]
    authority: String,
}

fn grpc_service(export: &Export) -> Vec<u8> {
    let envoy_grpc = EnvoyGrpc { cluster_name: export.cluster.clone(), authority: export.authority.clone() };
    GrpcService { envoy_grpc: Some(envoy_grpc) }.encode_to_vec()
}

/// Notes an answer, counts what it means, and sends the next batch if that is due already.
fn answered(token: u32, answer: &Answer<'_>) {
    let sent = SENT.with(|all| {
        let mut all = all.try_borrow_mut().ok()?;
        let place = all.iter().position(|sent| sent.token == token)?;
        Some(all.swap_remove(place))
    });
    if let Some(Sent { filter, .. }) = sent {
        conclude(&filter, answer);
        turn(&filter);
    }
}

fn conclude(filter: &Filter, answer: &Answer<'_>) {
    // Without a clock the batch counts as sent and answered at once.
    let now = host::now().map_err(vm::report).unwrap_or_default();
    let jitter = vm::draw(Rng::next_u64).unwrap_or_default();
    let outcome = filter.uploads.with_exporter(|exporter| exporter.answered(answer, now, jitter));
    let Some(outcome) = outcome else { return };
    vm::count(Counter::Batch { result: outcome.result }, 1);
    if outcome.exported > 0 {
        vm::count(Counter::SpanExported, outcome.exported);
    }
    if let Some((cause, number)) = outcome.dropped {
        vm::count(Counter::SpanDropped { cause }, number);
    }
    vm::record(Measure::ExportDuration, outcome.took_ms);
}

/// Takes the answer to an upload over HTTP; without headers there was none.
pub(super) fn http_answered(token: u32, headers: u32, size: usize) {
    if headers == 0 {
        return answered(token, &Answer::Nothing);
    }
    let headers = asked(host::headers(MapType::AnswerHeaders).map(Some)).unwrap_or_default();
    let found = scan(&headers, [":status", "retry-after", "content-type"]);
    let Ok([status, retry_after, content_type]) = found.map(|found| found.map(|lines| lines.first())) else {
        return answered(token, &Answer::Http { status: None, retry_after: None, body: &[] });
    };
    let is_protobuf = content_type.is_some_and(|value| value.starts_with(b"application/x-protobuf"));
    let body = if is_protobuf && size > 0 { body(BufferType::AnswerBody, size) } else { Vec::new() };
    let status = status.and_then(|status| core::str::from_utf8(status).ok()?.parse().ok());
    answered(token, &Answer::Http { status, retry_after, body: &body });
}

/// Takes the answer of a gRPC call that succeeded.
pub(super) fn grpc_answered(token: u32, size: usize) {
    answered(token, &Answer::GrpcMessage(&body(BufferType::GrpcAnswer, size)));
}

/// Takes the status of a gRPC call that ended without an answer.
pub(super) fn grpc_ended(token: u32, status: u32) {
    answered(token, &Answer::GrpcStatus(status));
}

fn body(body: BufferType, size: usize) -> Vec<u8> {
    asked(host::buffer(body, size.min(MAX_ANSWER))).unwrap_or_default()
}

/// How much of an answer is read; a collector has no more to say than how many spans it refused, and why.
const MAX_ANSWER: usize = 64 << 10;
