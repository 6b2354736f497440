//! A configuration written for the real Collector runs unchanged in both, and the same requests come out the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;
#[path = "common/peers.rs"]
mod peers;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::sink::Sink;
use harness::{PATIENCE, client};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/collector/shared.yaml");

#[tokio::test]
async fn the_same_configuration_gives_the_same_in_the_collector_and_here() {
    let Some(collector) = peers::collector() else { return };
    // All at once, so that none is given out twice.
    let [a, b, c, d] = free_ports();
    let catchment = Path::new(env!("CARGO_BIN_EXE_catchment"));
    let (theirs, ours) = tokio::join!(drive(&collector, [a, b]), drive(catchment, [c, d]));
    assert_eq!(ours.app, theirs.app);
    assert_eq!(ours.host_metrics, theirs.host_metrics);
}

/// What came out, in an order of its own.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// What our requests became.
    app: (Vec<ResourceMetrics>, Vec<ResourceLogs>, Vec<ResourceSpans>),
    /// Names of the host's metrics that had the attribute which `resource` adds.
    host_metrics: Vec<String>,
}

struct Running(Child, PathBuf);

impl Running {
    fn log(&self) -> String {
        std::fs::read_to_string(&self.1).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn drive(program: &Path, [grpc, http]: [u16; 2]) -> Outcome {
    let mut sink = Sink::start().await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let running = Command::new(program)
        .args(["--config", CONFIG])
        .current_dir(folder.path())
        .env("GRPC_PORT", grpc.to_string())
        .env("HTTP_PORT", http.to_string())
        .env("SINK", format!("http://{}", sink.address))
        .env_remove("ENVIRONMENT")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut running = Running(running, log);
    let (metrics, logs, traces) = requests();
    send(&mut running, http, "metrics", &metrics).await;
    send(&mut running, http, "logs", &logs).await;
    send(&mut running, http, "traces", &traces).await;

    let (mut metrics, mut logs, mut traces, mut host) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Three arrivals of the host's metrics: shares of time need a scrape before.
    let mut scrapes = 0;
    while metrics.is_empty() || logs.is_empty() || traces.is_empty() || scrapes < 3 {
        let (path, body) = sink.next().await;
        match path.as_str() {
            "/v1/logs" => logs.extend(ExportLogsServiceRequest::decode(&body[..]).unwrap().resource_logs),
            "/v1/traces" => traces.extend(ExportTraceServiceRequest::decode(&body[..]).unwrap().resource_spans),
            _ => {
                let request = ExportMetricsServiceRequest::decode(&body[..]).unwrap();
                let (app, of_host): (Vec<_>, Vec<_>) =
                    request.resource_metrics.into_iter().partition(|resource| is_app(&resource.resource));
                metrics.extend(app);
                scrapes += usize::from(!of_host.is_empty());
                for resource in of_host {
                    let added = resource.resource.unwrap_or_default().attributes;
                    assert!(added.contains(&text("deployment.environment.name", "test")), "{added:?}");
                    let scopes = resource.scope_metrics.into_iter();
                    host.extend(scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name));
                }
            }
        }
    }
    host.sort();
    host.dedup();
    metrics.iter_mut().for_each(|resource| sort(&mut resource.resource));
    logs.iter_mut().for_each(|resource| sort(&mut resource.resource));
    traces.iter_mut().for_each(|resource| sort(&mut resource.resource));
    Outcome { app: (metrics, logs, traces), host_metrics: host }
}

fn is_app(resource: &Option<Resource>) -> bool {
    resource.as_ref().is_some_and(|resource| resource.attributes.contains(&text("service.name", "shop")))
}

/// The order of attributes means nothing.
fn sort(resource: &mut Option<Resource>) {
    if let Some(resource) = resource {
        resource.attributes.sort_by(|a, b| a.key.cmp(&b.key));
    }
}

/// Posts a request, from when the receiver is there.
async fn send(running: &mut Running, port: u16, signal: &str, request: &impl Message) {
    let deadline = Instant::now() + PATIENCE;
    let url = format!("http://localhost:{port}/v1/{signal}");
    loop {
        let request =
            client().post(&url).header("content-type", "application/x-protobuf").body(request.encode_to_vec());
        match request.send().await {
            Ok(response) => {
                assert_eq!(response.status(), 200, "{signal}: {}", running.log());
                return;
            }
            Err(error) => {
                let ended = running.0.try_wait().unwrap();
                assert!(ended.is_none() && Instant::now() < deadline, "{ended:?} {error}\n{}", running.log());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn requests() -> (ExportMetricsServiceRequest, ExportLogsServiceRequest, ExportTraceServiceRequest) {
    let resource = || {
        let attributes = vec![text("service.name", "shop"), text("secret", "hush"), text("host.name", "till-1")];
        Some(Resource { attributes, ..Resource::default() })
    };
    let scope =
        || Some(InstrumentationScope { name: "shop".into(), version: "1.2".into(), ..InstrumentationScope::default() });
    let time_unix_nano = 1_700_000_000_000_000_000;
    let point = NumberDataPoint {
        time_unix_nano,
        attributes: vec![text("queue", "front")],
        value: Some(number_data_point::Value::AsInt(7)),
        ..NumberDataPoint::default()
    };
    let metric = Metric {
        name: "shop.queue.length".into(),
        unit: "{customer}".into(),
        data: Some(metric::Data::Gauge(Gauge { data_points: vec![point] })),
        ..Metric::default()
    };
    let record = LogRecord {
        time_unix_nano,
        observed_time_unix_nano: time_unix_nano + 1,
        severity_number: 9,
        severity_text: "INFO".into(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue("sold".into())) }),
        ..LogRecord::default()
    };
    let span = Span {
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        name: "sell".into(),
        kind: 2,
        start_time_unix_nano: time_unix_nano,
        end_time_unix_nano: time_unix_nano + 5_000_000,
        attributes: vec![text("item", "bread")],
        // The Collector writes an empty status where there was none.
        status: Some(Status { code: 1, ..Status::default() }),
        ..Span::default()
    };
    (
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: resource(),
                scope_metrics: vec![ScopeMetrics { scope: scope(), metrics: vec![metric], ..ScopeMetrics::default() }],
                ..ResourceMetrics::default()
            }],
        },
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: resource(),
                scope_logs: vec![ScopeLogs { scope: scope(), log_records: vec![record], ..ScopeLogs::default() }],
                ..ResourceLogs::default()
            }],
        },
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: resource(),
                scope_spans: vec![ScopeSpans { scope: scope(), spans: vec![span], ..ScopeSpans::default() }],
                ..ResourceSpans::default()
            }],
        },
    )
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.into())) };
    KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
}
