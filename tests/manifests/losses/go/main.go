// The ways in which an application in Go loses the trace context, and the fixes: docs/broken-trace.md shows these lines.
//
//	losses ADDRESS     calls ADDRESS/NAME for each of them, while it serves the request of the context in TRACEPARENT
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"sync"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("losses ADDRESS")
	}
	url := func(name string) string { return os.Args[1] + "/" + name }
	otel.SetTextMapPropagator(propagation.TraceContext{})
	otel.SetTracerProvider(trace.NewTracerProvider())
	tracer := otel.Tracer("test")

	// What a framework's instrumentation does with an incoming request.
	ctx := otel.GetTextMapPropagator().Extract(context.Background(), propagation.MapCarrier{"traceparent": os.Getenv("TRACEPARENT")})
	ctx, span := tracer.Start(ctx, "request")

	client := &http.Client{}
	get(ctx, client, url("client-broken"))
	client = &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
	get(ctx, client, url("client-fixed"))

	done(client.Get(url("context-broken")))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url("context-fixed"), nil)
	must(err)
	done(client.Do(request))

	// The request ends before its goroutines do.
	var others sync.WaitGroup
	served, end := context.WithCancel(ctx)
	end()
	others.Go(func() { get(context.Background(), client, url("goroutine-broken")) })
	others.Go(func() { get(context.WithoutCancel(served), client, url("goroutine-fixed")) })
	others.Wait()

	// A message queue: what a consumer knows is what the message holds.
	headers := map[string]string{}
	otel.GetTextMapPropagator().Inject(ctx, propagation.MapCarrier(headers))
	span.End()
	get(context.Background(), client, url("queue-broken"))
	job := otel.GetTextMapPropagator().Extract(context.Background(), propagation.MapCarrier(headers))
	get(job, client, url("queue-fixed"))
}

func get(ctx context.Context, client *http.Client, url string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	must(err)
	done(client.Do(request))
}

func done(answer *http.Response, err error) {
	must(err)
	_, err = io.Copy(io.Discard, answer.Body)
	must(err)
	must(answer.Body.Close())
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
