"""An application with OpenTelemetry's SDK for Python, or with Datadog's tracer: each signal is uploaded once.

    python.py otlp ENDPOINT | grpc ENDPOINT | zipkin ENDPOINT | datadog ENDPOINT
"""

import os
import sys
import time

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

how, endpoint = sys.argv[1:]


def spans(exporter):
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    provider.get_tracer("test").start_span("work").end()
    provider.shutdown()


def all_signals(span_exporter, metric_exporter, log_exporter):
    spans(span_exporter)
    meters = MeterProvider([PeriodicExportingMetricReader(metric_exporter)])
    meters.get_meter("test").create_counter("work").add(1)
    meters.shutdown()
    logs = LoggerProvider()
    logs.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
    logs.get_logger("test").emit(body="work")
    logs.shutdown()


if how == "otlp":
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    all_signals(
        OTLPSpanExporter(f"{endpoint}/v1/traces"),
        OTLPMetricExporter(f"{endpoint}/v1/metrics"),
        OTLPLogExporter(f"{endpoint}/v1/logs"),
    )
elif how == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    all_signals(
        OTLPSpanExporter(endpoint, insecure=True),
        OTLPMetricExporter(endpoint, insecure=True),
        OTLPLogExporter(endpoint, insecure=True),
    )
elif how == "zipkin":
    from opentelemetry.exporter.zipkin.json import ZipkinExporter

    spans(ZipkinExporter(endpoint=f"{endpoint}/api/v2/spans"))
elif how == "datadog":
    os.environ["DD_TRACE_AGENT_URL"] = endpoint
    from ddtrace.trace import tracer

    tracer.trace("work").finish()
    tracer.flush()
    # It asks the agent what it knows, and tells of itself, in threads of its own.
    time.sleep(2)
else:
    sys.exit(__doc__)
