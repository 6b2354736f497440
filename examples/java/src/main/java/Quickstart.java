// Maven: io.opentelemetry:opentelemetry-sdk-extension-autoconfigure and opentelemetry-exporter-otlp
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.util.Map;

public class Quickstart {
    public static void main(String[] args) {
        var otel = AutoConfiguredOpenTelemetrySdk.builder()
            .addPropertiesSupplier(() -> Map.of(
                "otel.service.name", "quickstart-java",
                "otel.exporter.otlp.protocol", "http/protobuf"))
            .build().getOpenTelemetrySdk();

        var orders = otel.getMeter("shop").counterBuilder("orders").setUnit("{order}").build();
        var span = otel.getTracer("shop").spanBuilder("checkout").startSpan();
        orders.add(3, Attributes.of(AttributeKey.stringKey("http.route"), "/cart"));
        span.end();

        otel.close();
    }
}
