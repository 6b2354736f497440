// npm install @opentelemetry/api @opentelemetry/sdk-node @opentelemetry/exporter-metrics-otlp-proto
import { metrics, trace } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { NodeSDK, metrics as sdk } from '@opentelemetry/sdk-node';

const otel = new NodeSDK({
  serviceName: 'quickstart-node',
  metricReaders: [new sdk.PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })],
}); // traces go to http://localhost:4318 by default
otel.start();

const orders = metrics.getMeter('shop').createCounter('orders', { unit: '{order}' });
trace.getTracer('shop').startActiveSpan('checkout', (span) => {
  orders.add(3, { 'http.route': '/cart' });
  span.end();
});

await otel.shutdown();
