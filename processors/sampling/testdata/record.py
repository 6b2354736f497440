"""Records what a real Collector's probabilistic_sampler decides: `python3 record.py OTELCOL > decisions.json`.

The Collector needs receiver otlp, processor probabilistic_sampler, exporter file. Made with version 0.160."""
import hashlib, json, os, socket, subprocess, sys, tempfile, time, urllib.request

CONFIGS = [
    "{ sampling_percentage: 25 }",
    "{ sampling_percentage: 33.3, hash_seed: 22 }",
    "{ sampling_percentage: 50, mode: proportional }",
    "{ sampling_percentage: 10, mode: proportional, sampling_precision: 2 }",
    "{ sampling_percentage: 0.4, mode: proportional, fail_closed: false, sampling_precision: 14 }",
    "{ sampling_percentage: 30, mode: equalizing }",
    "{ sampling_percentage: 60, mode: equalizing, fail_closed: false, sampling_precision: 1 }",
    "{ sampling_percentage: 40, fail_closed: false }",
    "{ sampling_percentage: 0 }",
    "{ sampling_percentage: 100 }",
    "{ sampling_percentage: 35, attribute_source: record, from_attribute: user }",
    "{ sampling_percentage: 20, from_attribute: user, sampling_priority: priority }",
    "{ sampling_percentage: 20, mode: equalizing, sampling_priority: priority }",
]
STATES = ["", "", "", "ot=th:8", "ot=th:c", "ot=th:0;rv:9b8233f7e3a151", "vendor=x,ot=rv:f0000000000001", "ot=th:4;k:v,a=b",
          "ot=th:xyz", "other=1", "ot=rv:12", "ot=th:fffff"]


def hexed(text, length):
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def attribute(key, value):
    kind = {str: "stringValue", int: "intValue", float: "doubleValue"}[type(value)]
    return {"key": key, "value": {kind: str(value) if isinstance(value, int) else value}}


def spans():
    priorities = [None] * 9 + [0, 1, "0", "2.5", 0.0, 3.0, -1, "no"]
    made = []
    for i in range(240):
        span = {"traceId": hexed(f"t{i}", 32), "spanId": f"{i + 1:016x}", "name": "s", "startTimeUnixNano": "1", "endTimeUnixNano": "2",
                "traceState": STATES[i % len(STATES)], "attributes": []}
        priority = priorities[(i // 7) % len(priorities)]
        if priority is not None:
            span["attributes"].append(attribute("sampling.priority", priority))
        made.append(span)
    return {"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}


def logs():
    made = []
    for i in range(240):
        record = {"timeUnixNano": str(i + 1), "attributes": [attribute("user", f"u{i % 40}")]}
        if i % 3:
            record["traceId"] = hexed(f"l{i}", 32)
        if i % 11 == 0:
            record["attributes"] = []
        if i % 5 == 1:
            record["attributes"].append(attribute("priority", [0, 100, 50.0, 7][i % 4]))
        if i % 7 == 2:
            record["attributes"].append(attribute("sampling.threshold", ["8", "c", "zz", "4"][i % 4]))
        if i % 13 == 3:
            record["attributes"].append(attribute("sampling.randomness", ["9b8233f7e3a151", "12"][i % 2]))
        made.append(record)
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": made}]}]}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(binary, config):
    folder, port = tempfile.mkdtemp(), free_port()
    pipelines = "".join(f"    {s}: {{ receivers: [otlp], processors: [probabilistic_sampler], exporters: [file/{s}] }}\n" for s in ["traces", "logs"])
    yaml = f"""yaml:
receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: 127.0.0.1:{port} }} }} }} }}
processors: {{ probabilistic_sampler: {config} }}
exporters: {{ file/traces: {{ path: {folder}/traces, flush_interval: 100ms }}, file/logs: {{ path: {folder}/logs, flush_interval: 100ms }} }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
{pipelines}"""
    process = subprocess.Popen([binary, "--config", yaml], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for signal, body in [("traces", spans()), ("logs", logs())]:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/{signal}", json.dumps(body).encode(), {"Content-Type": "application/json"})
            for _ in range(200):
                try:
                    urllib.request.urlopen(request).read()
                    break
                except urllib.error.URLError:
                    time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()

    def read(signal):
        path = f"{folder}/{signal}"
        return [json.loads(line) for line in open(path)] if os.path.exists(path) else []

    kept_spans = {s["spanId"]: s.get("traceState", "") for d in read("traces") for r in d["resourceSpans"] for x in r["scopeSpans"] for s in x["spans"]}
    kept_logs = {}
    for d in read("logs"):
        for r in d["resourceLogs"]:
            for x in r["scopeLogs"]:
                for record in x["logRecords"]:
                    said = {a["key"]: a["value"].get("stringValue", "") for a in record.get("attributes", []) if a["key"].startswith("sampling.")}
                    kept_logs[record["timeUnixNano"]] = [said.get("sampling.threshold", ""), said.get("sampling.randomness", "")]
    return {"config": config, "spans": kept_spans, "logs": kept_logs}


print(json.dumps({"spans": spans(), "logs": logs(), "decisions": [run(sys.argv[1], config) for config in CONFIGS]}, separators=(",", ":")))
