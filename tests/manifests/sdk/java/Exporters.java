import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;

/** An application with OpenTelemetry's SDK for Java and its default exporters: each signal is uploaded once. */
public final class Exporters {
    private Exporters() {}

    public static void main(String[] arguments) {
        try (var sdk = AutoConfiguredOpenTelemetrySdk.initialize().getOpenTelemetrySdk()) {
            sdk.getTracer("test").spanBuilder("work").startSpan().end();
            sdk.getMeter("test").counterBuilder("work").build().add(1);
            sdk.getSdkLoggerProvider().get("test").logRecordBuilder().setBody("work").emit();
        }
    }
}
