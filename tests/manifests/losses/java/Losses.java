import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.ContextPropagators;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.opentelemetry.instrumentation.javahttpclient.JavaHttpClientTelemetry;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * The ways in which an application in Java loses the trace context, and the fixes: docs/broken-trace.md shows these lines. Calls
 * ADDRESS/NAME for each of them, while it serves the request of the context in TRACEPARENT.
 */
public final class Losses {
    private static String address;
    private static HttpClient client = HttpClient.newHttpClient();

    private Losses() {}

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        var propagator = W3CTraceContextPropagator.getInstance();
        var telemetry = OpenTelemetrySdk.builder()
                .setTracerProvider(SdkTracerProvider.builder().build())
                .setPropagators(ContextPropagators.create(propagator))
                .build();
        ExecutorService pool = Executors.newFixedThreadPool(1);

        // What a framework's instrumentation does with an incoming request.
        var incoming = propagator.extract(Context.root(), Map.of("traceparent", System.getenv("TRACEPARENT")), new Headers());
        var span = telemetry.getTracer("test").spanBuilder("request").setParent(incoming).startSpan();
        try (var scope = incoming.with(span).makeCurrent()) {
            get("client-broken");
            client = JavaHttpClientTelemetry.create(telemetry).newHttpClient(client);
            get("client-fixed");

            pool.submit(() -> get("executor-broken")).get();
            ExecutorService wrapped = Context.taskWrapping(pool);
            wrapped.submit(() -> get("executor-fixed")).get();

            CompletableFuture.runAsync(() -> get("async-broken")).get();
            CompletableFuture.runAsync(Context.current().wrap(() -> get("async-fixed"))).get();
        } finally {
            span.end();
            pool.shutdown();
        }
    }

    private static void get(String name) {
        var request = HttpRequest.newBuilder(URI.create(address + "/" + name)).build();
        try {
            client.send(request, BodyHandlers.discarding());
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private static final class Headers implements TextMapGetter<Map<String, String>> {
        @Override
        public Iterable<String> keys(Map<String, String> carrier) {
            return carrier.keySet();
        }

        @Override
        public String get(Map<String, String> carrier, String key) {
            return carrier.get(key);
        }
    }
}
