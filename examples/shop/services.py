"""A service of the shop: its resource, its three SDK providers, and the instruments every service has."""

import random

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, set_span_in_context

# The boundaries that the semantic conventions advise for http.server.request.duration, in seconds.
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
# Of spans or records waiting for their export: the SDK drops what exceeds it, and `--requests` comes all at once.
QUEUE = 100_000
SEVERITIES = {
    "DEBUG": SeverityNumber.DEBUG,
    "INFO": SeverityNumber.INFO,
    "WARN": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
    "FATAL": SeverityNumber.FATAL,
}


class Ids(IdGenerator):
    """Ids from a seed, so that a run can be repeated."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def generate_span_id(self):
        return self.random.getrandbits(64) or 1

    def generate_trace_id(self):
        return self.random.getrandbits(128) or 1


class Service:
    """`signals`: what it sends, of metrics, logs and traces; its exporters are the SDK's own."""

    def __init__(
        self, name, endpoint, interval, ids=None, exponential=False, signals="metrics logs traces", **attributes
    ):
        self.name = name
        self.spans = 0
        self.records = 0
        resource = Resource.create(
            {"service.name": name, **{key.replace("_", "."): value for key, value in attributes.items()}}
        )
        milliseconds = int(interval * 1000)
        readers, views = [], []
        if "metrics" in signals:
            exporter = OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics")
            readers.append(PeriodicExportingMetricReader(exporter, export_interval_millis=milliseconds))
        if exponential:
            views.append(View(instrument_name="*.duration", aggregation=ExponentialBucketHistogramAggregation()))
        self.meters = MeterProvider(readers, resource, views=views)
        self.tracers = TracerProvider(resource=resource, id_generator=ids)
        if "traces" in signals:
            exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
            self.tracers.add_span_processor(BatchSpanProcessor(exporter, QUEUE, milliseconds))
        self.loggers = LoggerProvider(resource=resource)
        if "logs" in signals:
            exporter = OTLPLogExporter(endpoint=f"{endpoint}/v1/logs")
            self.loggers.add_log_record_processor(BatchLogRecordProcessor(exporter, milliseconds, max_queue_size=QUEUE))
        self.meter = self.meters.get_meter("shop", "1.0")
        self.tracer = self.tracers.get_tracer("shop", "1.0")
        self.logger = self.loggers.get_logger("shop", "1.0")

    def histogram(self, name, unit="s", bounds=BOUNDS):
        return self.meter.create_histogram(name, unit=unit, explicit_bucket_boundaries_advisory=bounds)

    def span(self, name, kind, start, parent=None, attributes=None, links=()):
        """A span that started at `start` (seconds since the epoch); end it with [`Service.end`]."""
        context = Context() if parent is None else set_span_in_context(remote(parent))
        self.spans += 1
        return self.tracer.start_span(
            name, context, kind, attributes=attributes, links=links, start_time=nanoseconds(start)
        )

    @staticmethod
    def end(span, at):
        span.end(end_time=nanoseconds(at))

    def log(self, severity, body, at, span=None, event=None, **attributes):
        self.records += 1
        self.logger.emit(
            timestamp=nanoseconds(at),
            context=Context() if span is None else set_span_in_context(span),
            severity_number=SEVERITIES[severity],
            severity_text=severity,
            body=body,
            event_name=event,
            attributes={key.replace("_", "."): value for key, value in attributes.items()},
        )

    def shutdown(self):
        """Sends what is held."""
        for provider in (self.meters, self.tracers, self.loggers):
            provider.shutdown()


def remote(span):
    """The span as another process sees it: an id that came with the request."""
    context = span.get_span_context()
    return NonRecordingSpan(SpanContext(context.trace_id, context.span_id, True, context.trace_flags))


def nanoseconds(seconds):
    return int(seconds * 1e9)
