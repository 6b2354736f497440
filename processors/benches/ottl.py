"""What OTTL costs a Collector an item, for the jobs of `shape.rs`: `PYTHON processors/benches/ottl.py OTELCOL`.

PYTHON has opentelemetry-proto (the peer "python"); OTELCOL has receiver otlp, processors filter and transform, exporter debug. A Collector takes the
same requests over OTLP/HTTP with and without the processor; the difference of its CPU time (user and system, whole life, from /proc) is the
processor's. Rounds alternate; the median is printed."""
import http.client, os, socket, statistics, subprocess, sys, time
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ITEMS, REQUESTS, ROUNDS = 1000, 300, 3


def attributes(item, i):
    for key, value in [("http.route", f"/orders/{i % 50}"), ("http.request.method", "GET"), ("server.address", "shop")]:
        item.attributes.add(key=key).value.string_value = value


def logs():
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for i in range(ITEMS):
        record = scope.log_records.add(time_unix_nano=1, severity_number=[9, 13, 17][i % 3])
        attributes(record, i)
        record.body.string_value = f"order {i} accepted in {i % 97} ms, shipped from warehouse {i % 13}"
    return request.SerializeToString()


def metrics():
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="orders", unit="ms")
    for i in range(ITEMS):
        attributes(metric.gauge.data_points.add(time_unix_nano=1, as_double=i), i)
    return request.SerializeToString()


def spans():
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for i in range(ITEMS):
        span = scope.spans.add(trace_id=bytes([1] * 16), span_id=bytes([1] * 8), name=f"span {i % 20}", start_time_unix_nano=1, end_time_unix_nano=1 + i)
        attributes(span, i)
        span.attributes.add(key="order").value.string_value = str(i)
    return request.SerializeToString()


def job(processor, key, text):
    return f"{processor}: {{ error_mode: ignore, {key}: ['{text}'] }}"


JOBS = [
    ("metrics", "filter by attribute", job("filter", "metric_conditions", 'datapoint.attributes["http.route"] == "/orders/7"')),
    ("logs", "filter by attribute", job("filter", "log_conditions", 'log.attributes["http.route"] == "/orders/7"')),
    ("traces", "filter by attribute", job("filter", "trace_conditions", 'span.attributes["http.route"] == "/orders/7"')),
    ("logs", "filter by pattern and number",
     job("filter", "log_conditions", 'IsMatch(log.attributes["http.route"], "^/orders/4[0-9]$$") and log.severity_number < SEVERITY_NUMBER_WARN')),
    ("logs", "filter by body", job("filter", "log_conditions", 'IsMatch(log.body, "warehouse 7$$")')),
    ("logs", "transform: an attribute",
     job("transform", "log_statements", 'set(log.attributes["env"], "prod") where log.attributes["http.request.method"] == "GET"')),
    ("metrics", "transform: a value",
     job("transform", "metric_statements", 'set(datapoint.value_double, datapoint.value_double / 1000.0) where metric.unit == "ms"')),
    ("traces", "transform: an attribute",
     job("transform", "trace_statements", 'set(span.attributes["env"], "prod") where span.attributes["http.request.method"] == "GET"')),
]


def run(binary, signal, body, processor):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    names = processor.split(":")[0] if processor else ""
    processors = f"processors:\n  {processor}" if processor else ""
    config = f"""yaml:
receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: 127.0.0.1:{port} }} }} }} }}
{processors}
exporters: {{ debug: {{ verbosity: basic, sampling_initial: 1, sampling_thereafter: 100000 }} }}
service:
  telemetry: {{ metrics: {{ level: none }}, logs: {{ level: error }} }}
  pipelines: {{ {signal}: {{ receivers: [otlp], processors: [{names}], exporters: [debug] }} }}
"""
    process = subprocess.Popen([binary, "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def send(times):
            for _ in range(times):
                connection.request("POST", f"/v1/{signal}", body, {"Content-Type": "application/x-protobuf"})
                response = connection.getresponse()
                response.read()
                assert response.status == 200, response.status

        def cpu():
            fields = open(f"/proc/{process.pid}/stat").read().rsplit(") ", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        send(20)
        before = cpu()
        send(REQUESTS)
        return (cpu() - before) / (REQUESTS * ITEMS) * 1e9
    finally:
        process.terminate()
        process.wait()


bodies = {"logs": logs(), "metrics": metrics(), "traces": spans()}
for signal, name, processor in JOBS:
    rounds = [(run(sys.argv[1], signal, bodies[signal], None), run(sys.argv[1], signal, bodies[signal], processor)) for _ in range(ROUNDS)]
    without, with_it = (statistics.median(pair[i] for pair in rounds) for i in (0, 1))
    print(f"{signal:8} {name:30} {with_it - without:8.0f} ns an item (with {with_it:.0f}, without {without:.0f})", flush=True)
