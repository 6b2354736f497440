# pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

resource = Resource.create({"service.name": "quickstart-python"})
meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource)
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
metrics.set_meter_provider(meters)
trace.set_tracer_provider(tracers)

orders = metrics.get_meter("shop").create_counter("orders", unit="{order}")
with trace.get_tracer("shop").start_as_current_span("checkout"):
    orders.add(3, {"http.route": "/cart"})

meters.shutdown()
tracers.shutdown()
