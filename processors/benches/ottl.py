"""Filter and transform beside a Collector's OTTL, whole processes: `PYTHON processors/benches/ottl.py OTELCOL [CATCHMENT]`.

PYTHON has opentelemetry-proto (the peer "python"); OTELCOL has receiver otlp, processors filter and transform, exporters debug and file. The jobs are those of
`shape.rs`. Both take the same requests over OTLP/HTTP, run the processor, and write what is left to a file (`file`, `format: proto`):
receiving, decoding, encoding and, of Catchment, its log with every request's fsync, are in the figure. It is CPU time (user and system, all threads,
from /proc) of the requests after the first 20. Rounds alternate; medians. `without` is the same without the processor."""

import http.client, os, shutil, socket, statistics, subprocess, sys, tempfile, time
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ITEMS, REQUESTS, ROUNDS = 1000, 300, 3
NOW = 1_790_000_000_000_000_000


def attributes(item, i):
    for key, value in [("http.route", f"/orders/{i % 50}"), ("http.request.method", "GET"), ("server.address", "shop")]:
        item.attributes.add(key=key).value.string_value = value


def logs():
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for i in range(ITEMS):
        record = scope.log_records.add(time_unix_nano=NOW, severity_number=[9, 13, 17][i % 3])
        attributes(record, i)
        record.body.string_value = f"order {i} accepted in {i % 97} ms, shipped from warehouse {i % 13}"
    return request.SerializeToString()


def metrics():
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="orders", unit="ms")
    for i in range(ITEMS):
        attributes(metric.gauge.data_points.add(time_unix_nano=NOW, as_double=i), i)
    return request.SerializeToString()


def spans():
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for i in range(ITEMS):
        span = scope.spans.add(trace_id=bytes([1] * 16), span_id=bytes([1] * 8), name=f"span {i % 20}", start_time_unix_nano=NOW, end_time_unix_nano=1 + i)
        attributes(span, i)
        span.attributes.add(key="order").value.string_value = str(i)
    return request.SerializeToString()


def job(processor, key, text):
    return f"{processor}: {{ error_mode: ignore, {key}: ['{text}'] }}"


def ours(processor, key, text):
    return f'{processor}: {{ error_mode: ignore, {key}: ["{text}"] }}'


# Signal, name, what the Collector runs, and what Catchment runs.
JOBS = [
    ("metrics", "filter by attribute", job("filter", "metric_conditions", 'datapoint.attributes["http.route"] == "/orders/7"'),
     ours("filter", "metric_conditions", "attributes['http.route'] = '/orders/7'")),
    ("logs", "filter by attribute", job("filter", "log_conditions", 'log.attributes["http.route"] == "/orders/7"'),
     ours("filter", "log_conditions", "attributes['http.route'] = '/orders/7'")),
    ("traces", "filter by attribute", job("filter", "trace_conditions", 'span.attributes["http.route"] == "/orders/7"'),
     ours("filter", "trace_conditions", "attributes['http.route'] = '/orders/7'")),
    ("logs", "filter by pattern and number",
     job("filter", "log_conditions", 'IsMatch(log.attributes["http.route"], "^/orders/4[0-9]$$") and log.severity_number < SEVERITY_NUMBER_WARN'),
     ours("filter", "log_conditions", "attributes['http.route'] ~ '^/orders/4[0-9]$' AND severity_number < 13")),
    ("logs", "filter by body", job("filter", "log_conditions", 'IsMatch(log.body, "warehouse 7$$")'),
     ours("filter", "log_conditions", "body ~ 'warehouse 7$'")),
    ("logs", "transform: an attribute",
     job("transform", "log_statements", 'set(log.attributes["env"], "prod") where log.attributes["http.request.method"] == "GET"'),
     ours("transform", "logs", "SET attributes['env'] = 'prod' WHERE attributes['http.request.method'] = 'GET'")),
    ("metrics", "transform: a value",
     job("transform", "metric_statements", 'set(datapoint.value_double, datapoint.value_double / 1000.0) where metric.unit == "ms"'),
     ours("transform", "metrics", "SET value = value / 1000 WHERE unit = 'ms'")),
    ("traces", "transform: an attribute",
     job("transform", "trace_statements", 'set(span.attributes["env"], "prod") where span.attributes["http.request.method"] == "GET"'),
     ours("transform", "traces", "SET attributes['env'] = 'prod' WHERE attributes['http.request.method'] = 'GET'")),
]


def config(binary, is_ours, signal, processor, port, folder):
    names = processor.split(":")[0] if processor else ""
    own = f"extensions: {{ log: {{ path: {folder}/log }} }}\n" if is_ours else ""
    service = "extensions: [log]\n  " if is_ours else ""
    text = f"""yaml:
{own}receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: 127.0.0.1:{port} }} }} }} }}
processors: {{ {processor or ""} }}
exporters: {{ file: {{ path: {folder}/out, format: proto }} }}
service:
  {service}telemetry: {{ metrics: {{ level: none }}, logs: {{ level: error }} }}
  pipelines: {{ {signal}: {{ receivers: [otlp], processors: [{names}], exporters: [file] }} }}
"""
    return [binary, *(["run"] if is_ours else []), "--config", text]


def run(binary, is_ours, signal, body, processor):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    folder = tempfile.mkdtemp()
    quiet = None if os.environ.get("LOUD") else subprocess.DEVNULL
    process = subprocess.Popen(config(binary, is_ours, signal, processor, port, folder), stdout=quiet, stderr=quiet)
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
        time.sleep(1)
        before = cpu()
        send(REQUESTS)
        time.sleep(2)
        return (cpu() - before) / (REQUESTS * ITEMS) * 1e9
    finally:
        process.terminate()
        process.wait()
        assert os.path.getsize(f"{folder}/out") > 0
        shutil.rmtree(folder)


bodies = {"logs": logs(), "metrics": metrics(), "traces": spans()}
binaries = sys.argv[1:3]
for signal, name, *jobs in JOBS:
    figures = {}
    for _ in range(ROUNDS):
        for is_ours, binary in enumerate(binaries):
            for processor in (None, jobs[is_ours]):
                figures.setdefault((is_ours, processor is not None), []).append(run(binary, is_ours, signal, bodies[signal], processor))
    medians = {key: statistics.median(values) for key, values in figures.items()}
    line = f"{signal:8} {name:30} Collector {medians[0, True]:6.0f} ns an item (without {medians[0, False]:.0f})"
    if len(binaries) > 1:
        line += f"; Catchment {medians[1, True]:6.0f} (without {medians[1, False]:.0f}); ratio {medians[0, True] / medians[1, True]:.2f}"
    print(line, flush=True)
