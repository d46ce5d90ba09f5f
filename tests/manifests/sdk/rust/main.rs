//! An application with OpenTelemetry's SDK for Rust and its default exporters: each signal is uploaded once.
//!
//! `exporters http|grpc ENDPOINT`

use std::error::Error;

use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [how, endpoint] = &arguments[..] else { return Err("exporters http|grpc ENDPOINT".into()) };
    // The exporter over gRPC needs a runtime around it.
    let runtime = tokio::runtime::Runtime::new()?;
    let _entered = (how == "grpc").then(|| runtime.enter());
    let (spans, metrics, logs) = match how.as_str() {
        "http" => (
            SpanExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/traces")).build()?,
            MetricExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/metrics")).build()?,
            LogExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/logs")).build()?,
        ),
        _ => (
            SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?,
            MetricExporter::builder().with_tonic().with_endpoint(endpoint).build()?,
            LogExporter::builder().with_tonic().with_endpoint(endpoint).build()?,
        ),
    };
    let tracers = SdkTracerProvider::builder().with_batch_exporter(spans).build();
    tracers.tracer("test").start("work").end();
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics).build();
    meters.meter("test").u64_counter("work").build().add(1, &[]);
    let loggers = SdkLoggerProvider::builder().with_batch_exporter(logs).build();
    let logger = loggers.logger("test");
    let mut record = logger.create_log_record();
    record.set_body("work".into());
    logger.emit(record);
    // Whether a collector took them is not the question.
    let _ = (tracers.shutdown(), meters.shutdown(), loggers.shutdown());
    Ok(())
}
