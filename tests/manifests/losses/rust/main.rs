//! The ways in which an application in Rust loses the trace context, and the fixes: docs/broken-trace.md shows these lines.
//!
//! `losses ADDRESS` calls ADDRESS/NAME for each of them, while it serves the request of the context in TRACEPARENT.

use std::collections::HashMap;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_tracing::TracingMiddleware;
use tracing::{Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).expect("losses ADDRESS");
    let url = |name: &str| format!("{address}/{name}");
    global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer)).init();

    // What a framework's instrumentation does with an incoming request.
    let headers = HashMap::from([("traceparent".to_owned(), std::env::var("TRACEPARENT").expect("TRACEPARENT"))]);
    let request = info_span!("request");
    request.set_parent(context_of(&headers)).expect("a parent");
    serve(url).instrument(request).await;
}

async fn serve(url: impl Fn(&str) -> String) {
    let client = reqwest::Client::new();
    client.get(url("client-broken")).send().await.expect("an answer");

    let client = ClientBuilder::new(reqwest::Client::new()).with(TracingMiddleware::default()).build();
    client.get(url("client-fixed")).send().await.expect("an answer");

    tokio::spawn(call(client.clone(), url("spawn-broken"))).await.expect("a call");
    tokio::spawn(call(client.clone(), url("spawn-fixed")).instrument(Span::current())).await.expect("a call");
}

async fn call(client: ClientWithMiddleware, url: String) {
    client.get(url).send().await.expect("an answer");
}

fn context_of(headers: &HashMap<String, String>) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(headers))
}
