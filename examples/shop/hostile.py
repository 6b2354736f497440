"""Telemetry whose every name means harm to whoever shows it: markup, paths, SQL, templates, text that runs backwards or
cannot be seen, names of 10 KB, and the names of JavaScript's own properties. A page must show each as the text it is.

The SDK refuses such names for metrics, so those are built as OTLP by hand.
"""

import time
import urllib.request

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.trace import SpanKind, Status, StatusCode

from services import Service, nanoseconds

NAMES = [
    "<img src=x onerror=alert(1)>",
    '"><script>alert(document.domain)</script>',
    "</style></textarea><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "../../etc/passwd",
    "..\\..\\windows\\system32%00",
    "A" * 10_000,
    "long words " * 100,
    "'; DROP TABLE spans; --",
    '" OR "1"="1',
    "$range $step $service ${env:HOME} {{7*7}} {state}",
    "\u202egnp.exe\u202c ends here",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 123",
    "zero\u200b\u200d\ufeffwidth",
    "z\u0351\u0363a\u0348\u034el\u0329\u0301g\u0362o\u0327",
    "line\nbreak\ttab\x1b[31mred\x07",
    "a/b?c=d&e=f#g;h,i",
    "__proto__",
    "constructor",
    "toString",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    " ",
]
SERVICES = [NAMES[0], NAMES[4], NAMES[6], NAMES[8], NAMES[11], NAMES[16], NAMES[17]]


def send(endpoint, interval=2):
    """Sends each name once in every place that has one, from services that are called so."""
    services = [Service(name, endpoint, interval) for name in SERVICES]
    now = time.time()
    for service in services:
        duration = service.histogram("http.server.request.duration")
        for number, name in enumerate(NAMES):
            attributes = {
                "http.request.method": "GET",
                "http.route": name,
                name: name,
                "http.response.status_code": 200,
            }
            span = service.span(name, SpanKind.SERVER, now - 1, attributes=attributes)
            span.add_event(name, {name: name}, timestamp=nanoseconds(now - 0.5))
            child = service.span(name, SpanKind.INTERNAL, now - 0.9, span, {name: name})
            child.set_status(Status(StatusCode.ERROR, name))
            service.end(child, now - 0.3)
            if number % 5 == 0:
                span.set_status(Status(StatusCode.ERROR, name))
            service.end(span, now)
            service.log("WARN", name, now, span, name or "empty", **{name: name})
            service.log("ERROR", {name: [name, {name: None}]}, now, span)
            duration.record(0.1, attributes)
    for service in services:
        service.shutdown()
    metrics(endpoint, now)


def metrics(endpoint, now):
    """Each name as a metric's name, unit, description, attribute key and value; then numbers that are none."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    text(resource.resource.attributes, "service.name", SERVICES[0])
    text(resource.resource.attributes, "host.name", NAMES[0])
    scope = resource.scope_metrics.add()
    scope.scope.name = NAMES[1]
    for number, name in enumerate(NAMES):
        metric = scope.metrics.add(name=name, unit=name[:40], description=name)
        for value in (float(number), float("nan"), float("inf"), -1e308):
            point = metric.gauge.data_points.add(time_unix_nano=nanoseconds(now), as_double=value)
            text(point.attributes, name, name)
            text(point.attributes, "case", str(value))
    load = scope.metrics.add(name="system.cpu.load_average.1m", unit="{thread}")
    load.gauge.data_points.add(time_unix_nano=nanoseconds(now), as_double=1.0)  # a host for the Host board
    kind = {"content-type": "application/x-protobuf"}
    post = urllib.request.Request(f"{endpoint}/v1/metrics", request.SerializeToString(), kind)
    with urllib.request.urlopen(post, timeout=30) as answer:
        answer.read()


def text(attributes, key, value):
    attributes.add(key=key).value.string_value = value
