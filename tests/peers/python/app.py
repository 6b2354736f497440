"""An app instrumented with the official Python SDK: `app.py grpc|http ENDPOINT N`.

Sends, from service `shop-python`: N orders over three routes (counter), N durations (histogram), N sizes
(exponential histogram), one queue length (gauge), N log records, and N parent spans with one child each.
"""
import logging
import sys

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Status, StatusCode

protocol, endpoint, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    def exporter(kind, _signal):
        return kind(endpoint=endpoint, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    def exporter(kind, signal):
        return kind(endpoint=f"{endpoint}/v1/{signal}")


resource = Resource.create({"service.name": "shop-python", "service.version": "1.2.3", "transport": protocol})

reader = PeriodicExportingMetricReader(exporter(OTLPMetricExporter, "metrics"), export_interval_millis=3_600_000)
meters = MeterProvider(
    [reader],
    resource,
    views=[View(instrument_name="shop.payload.size", aggregation=ExponentialBucketHistogramAggregation())],
)
metrics.set_meter_provider(meters)
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(exporter(OTLPSpanExporter, "traces")))
trace.set_tracer_provider(tracers)
loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(exporter(OTLPLogExporter, "logs")))
set_logger_provider(loggers)

meter = metrics.get_meter("shop", "1.0")
orders = meter.create_counter("shop.orders", unit="{order}", description="Orders placed")
duration = meter.create_histogram("shop.checkout.duration", unit="s")
size = meter.create_histogram("shop.payload.size", unit="By")
meter.create_observable_gauge("shop.queue.length", [lambda _: [metrics.Observation(7, {"queue": "mail"})]])
tracer = trace.get_tracer("shop", "1.0")
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(LoggingHandler(logger_provider=loggers))

routes = ["/cart", "/pay", "/ship"]
first = None
for i in range(n):
    route = routes[i % 3]
    links = [Link(first)] if first else []
    with tracer.start_as_current_span("checkout", attributes={"http.route": route, "i": i}, links=links) as parent:
        first = first or parent.get_span_context()
        orders.add(1, {"http.route": route})
        duration.record(i / 1000, {"http.route": route})
        size.record(i + 1)
        log.warning("order %d", i, extra={"order.id": i})
        with tracer.start_as_current_span("pay") as child:
            child.add_event("charged", {"amount": i * 1.5})
            if i % 10 == 0:
                child.set_status(Status(StatusCode.ERROR, "declined"))

# Each flushes what it holds; the meters collect once.
for provider in (meters, tracers, loggers):
    provider.shutdown()
