//! What the process says about itself: rates, refusals, losses, queue ages, flush and fsync times per component. In its own
//! lake, on the Prometheus endpoint, and pushed over OTLP, spans too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;
#[path = "common/peers.rs"]
mod peers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use axum::Router;
use axum::http::StatusCode;
use harness::sink::Sink;
use harness::{Catchment, PATIENCE, client, load};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};

const POINTS: usize = 30;

/// A process with one exporter that delivers, one whose destination is away, and one that is told "never"; it has taken
/// points, and refused what is not OTLP and what no pipeline carries.
struct Bench {
    catchment: Catchment,
    sink: Sink,
    _away: TcpSocket,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let sink = Sink::start().await;
        let away = TcpSocket::new_v4().unwrap();
        away.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let refusing = refusing().await;
        let catchment = Catchment::start(&format!(
            "
extensions:
  lake: {{ path: {}, flush_interval: 1s, {} }}
  dashboard: {{ endpoint: localhost:0 }}
receivers:
  otlp: {{ protocols: {{ http: {{ endpoint: localhost:0 }} }} }}
  internal_telemetry: {{ collection_interval: 200ms }}
processors:
  memory_limiter: {{ limit_mib: 16000 }}
exporters:
  parquet: {{}}
  otlp_http/away: {{ endpoint: http://{} }}
  otlp_http/refusing: {{ endpoint: http://{refusing} }}
service:
  extensions: [lake, dashboard]
  admission: {{ request_limit_mib: 32 }}
  telemetry:
    metrics:
      readers:
      - pull: {{ exporter: {{ prometheus: {{ host: localhost, port: 0 }} }} }}
      - periodic: {{ interval: 200, exporter: {{ otlp: {{ protocol: http/protobuf, endpoint: 'http://{sink}', compression: gzip }} }} }}
    traces:
      processors:
      - batch: {{ schedule_delay: 20, exporter: {{ otlp: {{ protocol: http/protobuf, endpoint: 'http://{sink}/v1/traces' }} }} }}
  pipelines:
    metrics: {{ receivers: [otlp], processors: [memory_limiter], exporters: [parquet, otlp_http/away, otlp_http/refusing] }}
    metrics/own: {{ receivers: [internal_telemetry], exporters: [parquet] }}
",
            folder.path().display(),
            harness::ANY_TIME,
            away.local_addr().unwrap(),
            sink = sink.address,
        ));
        let bench = Bench { catchment, sink, _away: away, _folder: folder };
        assert_eq!(bench.post("metrics", load::metrics(1, POINTS)).await, 200);
        assert_eq!(bench.post("metrics", b"not OTLP".to_vec()).await, 400);
        assert_eq!(bench.post("logs", one_log_record()).await, 400, "no pipeline carries logs");
        bench
    }

    async fn post(&self, signal: &str, body: Vec<u8>) -> u16 {
        let url = format!("{}/v1/{signal}", self.catchment.url("otlp/http"));
        let post = client().post(url).header("content-type", "application/x-protobuf").body(body);
        post.send().await.unwrap().status().as_u16()
    }
}

fn one_log_record() -> Vec<u8> {
    let scope = ScopeLogs { log_records: vec![LogRecord::default()], ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec()
}

async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(async || StatusCode::BAD_REQUEST);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Metric, attribute and its value that tell the component, and what is to be seen.
type Expected = (&'static str, &'static str, &'static str, fn(f64) -> bool);

const EXPECTED: &[Expected] = &[
    ("catchment.receiver.accepted", "component.id", "otlp", |v| v == POINTS as f64),
    ("catchment.receiver.refused", "error.type", "rejected", |v| v == 1.0),
    ("catchment.receiver.refused_requests", "error.type", "malformed", |v| v == 1.0),
    ("catchment.processor.incoming", "component.id", "memory_limiter", |v| v == POINTS as f64),
    ("catchment.processor.outgoing", "pipeline.id", "metrics", |v| v == POINTS as f64),
    ("catchment.processor.refused", "component.id", "memory_limiter", |v| v == 0.0),
    ("catchment.exporter.sent", "component.id", "parquet", |v| v >= POINTS as f64),
    ("catchment.exporter.lost", "component.id", "otlp_http/refusing", |v| v == POINTS as f64),
    ("catchment.exporter.retries", "component.id", "otlp_http/away", |v| v >= 1.0),
    ("catchment.exporter.backlog", "component.id", "otlp_http/away", |v| v == POINTS as f64),
    ("catchment.exporter.backlog.age", "component.id", "otlp_http/away", |v| v > 0.0),
    ("catchment.log.appended.items", "", "", |v| v >= POINTS as f64),
    ("catchment.log.lost.items", "", "", |v| v == 0.0),
    ("catchment.lake.flushes", "", "", |v| v >= 1.0),
    ("catchment.lake.flush.time", "", "", |v| v > 0.0),
    ("catchment.lake.flush.failures", "", "", |v| v == 0.0),
    ("catchment.lake.file.rows", "table", "metrics", |v| v >= POINTS as f64),
    ("catchment.admission.limit", "", "", |v| v == f64::from(32 << 20)),
    ("process.memory.usage", "", "", |v| v > f64::from(1 << 20)),
    ("process.cpu.time", "cpu.mode", "user", |v| v > 0.0),
];

#[tokio::test(flavor = "multi_thread")]
async fn own_metrics_are_in_the_own_lake() {
    let bench = Bench::start().await;
    for (name, key, value, expected) in EXPECTED {
        let of = if key.is_empty() { String::new() } else { format!(" AND attributes->>'{key}' = '{value}'") };
        let sql = format!("SELECT value FROM metrics WHERE metric_name = '{name}'{of} ORDER BY ts DESC LIMIT 1");
        let seen = |rows: &[Vec<Value>]| rows.first().and_then(|row| row[0].as_f64()).is_some_and(expected);
        bench.catchment.sql_until(&sql, seen).await;
    }
    let syncs = "SELECT max(count) FROM histograms WHERE metric_name = 'catchment.log.sync.duration'";
    bench.catchment.sql_until(syncs, |rows| rows[0][0].as_i64().is_some_and(|count| count > 0)).await;
    let whose = "SELECT DISTINCT service_name FROM metrics WHERE metric_name = 'catchment.receiver.accepted'";
    assert_eq!(bench.catchment.sql(whose).await, [[Value::from("catchment")]]);
}

/// Name and labels, as the official client reads them.
type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;

fn scrape(python: &Path, url: &str) -> (Samples, BTreeMap<String, String>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/python/scrape.py");
    let output = Command::new(python).arg(script).arg(url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let families: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    let types = families.iter().map(|(name, family)| (name.clone(), family["type"].as_str().unwrap().to_owned()));
    let samples = families.values().flat_map(|family| family["samples"].as_array().unwrap());
    let sample = |sample: &Value| {
        let labels = serde_json::from_value(sample[1].clone()).unwrap();
        ((sample[0].as_str().unwrap().to_owned(), labels), sample[2].as_f64().unwrap())
    };
    (samples.map(sample).collect(), types.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_own_metrics() {
    let Some(python) = peers::python() else { return };
    let bench = Bench::start().await;
    let url = format!("{}/metrics", bench.catchment.url("own metrics"));
    let component = |name: &str, id: &str| {
        let kind = id.split('/').next().unwrap_or_default();
        let labels = [("component_id", id), ("component_kind", kind)];
        (name.to_owned(), labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    };
    let lost = component("catchment_exporter_lost_total", "otlp_http/refusing");
    let deadline = Instant::now() + PATIENCE;
    let (samples, types) = loop {
        let seen = scrape(&python, &url);
        if seen.0.get(&lost) == Some(&(POINTS as f64)) {
            break seen;
        }
        assert!(Instant::now() < deadline, "{:#?}", seen.0);
    };
    assert_eq!(samples[&component("catchment_receiver_accepted_total", "otlp")], POINTS as f64);
    assert!(samples[&component("catchment_exporter_backlog_age_seconds", "otlp_http/away")] > 0.0);
    // The parser takes `_total` off a counter's name.
    for (name, kind) in [
        ("catchment_receiver_accepted", "counter"),
        ("catchment_exporter_backlog", "gauge"),
        ("catchment_log_sync_duration_seconds", "histogram"),
        ("catchment_lake_flush_time_seconds", "counter"),
        ("target_info", "gauge"),
    ] {
        assert_eq!(types.get(name).map(String::as_str), Some(kind), "{name}");
    }
    let count = samples[&("catchment_log_sync_duration_seconds_count".to_owned(), BTreeMap::new())];
    let last: BTreeMap<_, _> = [("le".to_owned(), "+Inf".to_owned())].into();
    assert_eq!(samples[&("catchment_log_sync_duration_seconds_bucket".to_owned(), last)], count);
    assert!(count > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_metrics_and_spans_are_pushed() {
    let mut bench = Bench::start().await;
    let (mut accepted, mut spans) = (None, Vec::<Span>::new());
    let named = |spans: &[Span], name: &str| spans.iter().find(|span| span.name == name).cloned();
    while accepted.is_none()
        || ["receive", "append", "export", "flush"].iter().any(|name| named(&spans, name).is_none())
    {
        match bench.sink.next().await {
            (path, body) if path == "/v1/metrics" => {
                let request = ExportMetricsServiceRequest::decode(&body[..]).unwrap();
                let metrics =
                    request.resource_metrics.iter().flat_map(|of| &of.scope_metrics).flat_map(|of| &of.metrics);
                let mut metrics = metrics.filter(|metric| metric.name == "catchment.receiver.accepted");
                accepted = metrics.next().cloned().or(accepted);
            }
            (path, body) => {
                assert_eq!(path, "/v1/traces");
                let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
                for resource in request.resource_spans {
                    let attributes = resource.resource.unwrap().attributes;
                    assert!(attributes.contains(&load::text("service.name", "catchment")), "{attributes:?}");
                    spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
                }
            }
        }
    }
    let (receive, append) = (named(&spans, "receive").unwrap(), named(&spans, "append").unwrap());
    assert!(spans.iter().any(|span| span.name == "receive" && span.span_id == append.parent_span_id));
    assert!(receive.attributes.iter().any(|attribute| attribute.key == "component.id"), "{receive:?}");
}

/// Nobody's telemetry is lost when ours is not taken: a warning, once in a while, and no error.
#[tokio::test(flavor = "multi_thread")]
async fn own_telemetry_that_is_not_taken_is_a_warning_once() {
    let refusing = refusing().await;
    let mut catchment = Catchment::start(&format!(
        "{{ receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: 'localhost:0' }} }} }} }}, exporters: {{ debug: {{}} }}, \
            extensions: {{ log: {{ memory: true }} }}, \
            service: {{ extensions: [log], telemetry: {{ metrics: {{ level: none }}, traces: {{ processors: [{{ batch: {{ schedule_delay: 1, \
            exporter: {{ otlp: {{ endpoint: 'http://{refusing}' }} }} }} }}] }} }}, \
            pipelines: {{ metrics: {{ receivers: [otlp], exporters: [debug] }} }} }} }}"
    ));
    let url = format!("{}/v1/metrics", catchment.url("otlp/http"));
    let send = async |seq| {
        let post = client().post(&url).header("content-type", "application/x-protobuf").body(load::metrics(seq, 1));
        assert_eq!(post.send().await.unwrap().status(), 200);
    };
    send(1).await;
    let said = catchment.wait_for("own telemetry is not taken");
    assert_eq!((&said["level"], &said["fields"]["signal"]), (&Value::from("WARN"), &Value::from("traces")));
    for seq in 2..20 {
        send(seq).await;
    }
    catchment.signal("TERM");
    let mut rest = Vec::new();
    while rest.last().is_none_or(|entry: &Value| entry["fields"]["message"] != "stopped") {
        rest.push(catchment.next_log());
    }
    let loud = rest.iter().filter(|entry| entry["level"] == "ERROR" || entry["fields"]["endpoint"].is_string());
    assert_eq!(loud.collect::<Vec<_>>(), Vec::<&Value>::new());
}
