// An app instrumented with the official Node SDK: `node app.mjs grpc|http ENDPOINT N`.
// Sends the same telemetry as ../python/app.py, from service `shop-node`.
import { metrics, trace, SpanStatusCode } from '@opentelemetry/api';
import { logs, SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const [protocol, endpoint, count] = process.argv.slice(2);
const n = Number(count);
const flavour = protocol === 'grpc' ? 'grpc' : 'proto';
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${flavour}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${flavour}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${flavour}`);
const exporter = (Kind, signal) => new Kind({ url: protocol === 'grpc' ? endpoint : `${endpoint}/v1/${signal}` });

const resource = resourceFromAttributes({ 'service.name': 'shop-node', 'service.version': '1.2.3', transport: protocol });
const meters = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: exporter(OTLPMetricExporter, 'metrics'), exportIntervalMillis: 3_600_000 })],
  views: [{ instrumentName: 'shop.payload.size', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});
const tracers = new NodeTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter(OTLPTraceExporter, 'traces'))] });
tracers.register();
const loggers = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: exporter(OTLPLogExporter, 'logs') })] });
metrics.setGlobalMeterProvider(meters);
logs.setGlobalLoggerProvider(loggers);

const meter = metrics.getMeter('shop', '1.0');
const orders = meter.createCounter('shop.orders', { unit: '{order}', description: 'Orders placed' });
const duration = meter.createHistogram('shop.checkout.duration', { unit: 's' });
const size = meter.createHistogram('shop.payload.size', { unit: 'By' });
meter.createObservableGauge('shop.queue.length').addCallback((result) => result.observe(7, { queue: 'mail' }));
const tracer = trace.getTracer('shop', '1.0');
const log = logs.getLogger('shop', '1.0');

const routes = ['/cart', '/pay', '/ship'];
let first;
for (let i = 0; i < n; i++) {
  const route = routes[i % 3];
  const links = first ? [{ context: first }] : [];
  tracer.startActiveSpan('checkout', { attributes: { 'http.route': route, i }, links }, (parent) => {
    first ??= parent.spanContext();
    orders.add(1, { 'http.route': route });
    duration.record(i / 1000, { 'http.route': route });
    size.record(i + 1);
    log.emit({ severityNumber: SeverityNumber.WARN, severityText: 'WARN', body: `order ${i}`, attributes: { 'order.id': i } });
    tracer.startActiveSpan('pay', (child) => {
      child.addEvent('charged', { amount: i * 1.5 });
      if (i % 10 === 0) child.setStatus({ code: SpanStatusCode.ERROR, message: 'declined' });
      child.end();
    });
    parent.end();
  });
}

// Each flushes what it holds; the meters collect once.
for (const provider of [meters, tracers, loggers]) await provider.shutdown();
