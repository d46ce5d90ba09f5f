// An application with OpenTelemetry's SDK for Go and its default exporters: each signal is uploaded once.
//
//	exporters http|grpc ENDPOINT
package main

import (
	"context"
	"log"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	api "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("exporters http|grpc ENDPOINT")
	}
	os.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", os.Args[2])
	spans, metrics, logs := exporters(context.Background(), os.Args[1] == "grpc")
	ctx := context.Background()

	tracers := trace.NewTracerProvider(trace.WithBatcher(spans))
	_, span := tracers.Tracer("test").Start(ctx, "work")
	span.End()
	meters := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(metrics)))
	counter, err := meters.Meter("test").Int64Counter("work")
	must(err)
	counter.Add(ctx, 1)
	loggers := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logs)))
	var record api.Record
	record.SetBody(attribute.StringValue("work"))
	loggers.Logger("test").Emit(ctx, record)

	// Whether a collector took them is not the question.
	_ = tracers.Shutdown(ctx)
	_ = meters.Shutdown(ctx)
	_ = loggers.Shutdown(ctx)
}

func exporters(ctx context.Context, overGRPC bool) (trace.SpanExporter, metric.Exporter, sdklog.Exporter) {
	if overGRPC {
		spans, err := otlptracegrpc.New(ctx)
		must(err)
		metrics, err := otlpmetricgrpc.New(ctx)
		must(err)
		logs, err := otlploggrpc.New(ctx)
		must(err)
		return spans, metrics, logs
	}
	spans, err := otlptracehttp.New(ctx)
	must(err)
	metrics, err := otlpmetrichttp.New(ctx)
	must(err)
	logs, err := otlploghttp.New(ctx)
	must(err)
	return spans, metrics, logs
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
