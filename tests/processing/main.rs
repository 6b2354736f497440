//! Stages that remember, in the whole binary: nothing is lost or counted twice, by kill -9 or under load.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../harness/mod.rs"]
mod harness;
mod kill;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::load::text;
use harness::{Catchment, client};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::Value;

/// Of the load; requests each puts into one.
const SENDERS: usize = 2;
const TOGETHER: u64 = 20;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", "shop"), text("host.name", "web-1")], ..Resource::default() })
}

fn metrics_of(metrics: Vec<Metric>) -> Vec<u8> {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn sum(name: &str, temporality: AggregationTemporality, points: Vec<NumberDataPoint>) -> Metric {
    let sum = Sum { data_points: points, aggregation_temporality: temporality as i32, is_monotonic: true };
    Metric { name: name.to_owned(), data: Some(metric::Data::Sum(sum)), ..Metric::default() }
}

fn point(value: i64, route: &str, time: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![text("http.route", route)],
        start_time_unix_nano: time - 1_000_000_000,
        time_unix_nano: time,
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    }
}

async fn post(client: &reqwest::Client, url: &str, signal: &str, body: Vec<u8>) -> Option<bool> {
    let request = client.post(format!("{url}/v1/{signal}")).header("content-type", "application/x-protobuf");
    match request.body(body).send().await {
        Ok(response) if response.status().is_success() => Some(true),
        Ok(response) => {
            assert!(matches!(response.status().as_u16(), 429 | 503), "{}", response.status());
            Some(false)
        }
        Err(_) => None,
    }
}

/// `docs/processors.md` and the files it names, all at once.
const EVERY: &str = include_str!("every.yaml");

/// Under load, with every processor and connector at work: rows in are rows out and rows that were counted. `CATCHMENT_SECONDS` says how
/// long; ten minutes are `CATCHMENT_SECONDS=600 cargo test --release --test processing every_item`.
#[tokio::test(flavor = "multi_thread")]
async fn every_item_is_accounted_for() {
    let seconds = std::env::var("CATCHMENT_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let dir = tempfile::tempdir().unwrap();
    let config = EVERY.replace("LAKE", &dir.path().display().to_string());
    let catchment = Catchment::start(&config);
    let url = catchment.url("otlp/http");
    let until = Instant::now() + Duration::from_secs(seconds);
    let next = Arc::new(AtomicU64::new(0));
    let senders = (0..SENDERS).map(|_| {
        let (url, next, client) = (url.clone(), next.clone(), client());
        tokio::spawn(async move {
            let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
            while Instant::now() < until {
                let seqs = next.fetch_add(TOGETHER, Ordering::Relaxed);
                for make in [metrics, logs, traces] {
                    // Requests one after the other are a request.
                    let parts: Vec<_> = (seqs..seqs + TOGETHER).map(make).collect();
                    let signal = parts[0].0;
                    let body = parts.iter().flat_map(|(.., body)| body.clone()).collect();
                    let taken = post(&client, &url, signal, body).await == Some(true);
                    *sent.entry(if taken { signal } else { "refused" }).or_default() +=
                        parts.iter().map(|part| part.1).sum::<u64>();
                }
            }
            sent
        })
    });
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    for sender in senders.collect::<Vec<_>>() {
        for (signal, items) in sender.await.unwrap() {
            *sent.entry(signal).or_default() += items;
        }
    }
    let status = settled(&catchment).await;
    let refused = |one: &Value| one["refused_items"].as_u64().unwrap();
    let stages = status["processors"].as_array().unwrap().iter().chain(status["connectors"].as_array().unwrap());
    for stage in stages {
        let reasons = |key: &str| stage[key].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
        let item = |key: &str| stage[key].as_u64().unwrap();
        let (came, went) = (item("incoming_items"), item("outgoing_items"));
        assert!(came > 0, "{stage}");
        let (put_in, taken_out) = (&stage["put_in_items"], &stage["taken_out_items"]);
        println!(
            "{} {}: {came} in, {put_in} put in, {went} out, {taken_out} taken out",
            stage["pipeline"], stage["id"]
        );
        assert_eq!(came + reasons("put_in_items"), went + reasons("taken_out_items") + item("held_items"), "{stage}");
        assert_eq!(refused(stage), 0, "{stage}");
    }
    // From place to place nothing goes astray.
    let received: u64 =
        status["receivers"].as_array().unwrap().iter().map(|one| one["accepted_items"].as_u64().unwrap()).sum();
    assert_eq!(received, sent.iter().filter(|(signal, _)| **signal != "refused").map(|(_, items)| items).sum::<u64>());
    for pipeline in status["pipelines"].as_array().unwrap() {
        let ids = pipeline["processors"].as_array().unwrap();
        let stage = |id: &Value| {
            let all = status["processors"].as_array().unwrap();
            all.iter().find(|one| one["id"] == *id && one["pipeline"] == pipeline["id"])
        };
        // `batch` holds nothing and is not counted.
        let counted: Vec<&Value> = ids.iter().filter_map(stage).collect();
        for pair in counted.windows(2) {
            assert_eq!(pair[0]["outgoing_items"], pair[1]["incoming_items"], "{} and {}", pair[0], pair[1]);
        }
    }
    println!("received {received} ({sent:?}) in {seconds} s");
    let exporters = status["exporters"].as_array().unwrap();
    assert!(exporters.iter().all(|one| one["lost_items"] == 0), "{exporters:?}");
    let exported: u64 = exporters.iter().map(|one| one["exported_items"].as_u64().unwrap()).sum();
    let rows = catchment
        .sql("SELECT (SELECT count(*) FROM metrics) + (SELECT count(*) FROM histograms) + (SELECT count(*) FROM exp_histograms)
              + (SELECT count(*) FROM logs) + (SELECT count(*) FROM spans)")
        .await;
    assert_eq!(rows[0][0].as_u64(), Some(exported), "what was exported is in the lake");
    println!("exported {exported}, and as many rows in the lake");
    assert_eq!(catchment.stop(), Some(0));
}

/// Once what was sent is through: two looks in a row at which all counters are the same, every stage has read what there is for it, and every exporter
/// has done what it was given.
async fn settled(catchment: &Catchment) -> Value {
    let mut until = Instant::now() + harness::PATIENCE;
    let mut before = Value::Null;
    loop {
        let status = catchment.get("/api/v1/pipeline").await;
        let parts = |status: &Value| ["processors", "connectors", "exporters"].map(|key| status[key].clone());
        let counters = |value: Value| value.to_string().replace(|c: char| c.is_whitespace(), "");
        let quiet = |value: &Value| {
            let stages = value["processors"].as_array().unwrap().iter().chain(value["connectors"].as_array().unwrap());
            let held: u64 = stages.map(|stage| stage["held_items"].as_u64().unwrap()).sum();
            let open = value["exporters"].as_array().unwrap().iter().all(|one| one["in_flight_items"] == 0);
            held == 0 && open
        };
        let now = parts(&status).map(|mut part| {
            part.as_array_mut().unwrap().iter_mut().for_each(|one| {
                for moving in ["backlog", "exported_per_second"] {
                    one.as_object_mut().unwrap().remove(moving);
                }
            });
            counters(part)
        });
        let now = Value::from(now.to_vec());
        if now == before && quiet(&status) {
            return status;
        }
        if now != before {
            until = Instant::now() + harness::PATIENCE;
        }
        assert!(Instant::now() < until, "it does not settle: {status}");
        before = now;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

fn metrics(seq: u64) -> (&'static str, u64, Vec<u8>) {
    let time = now();
    let routes = ["/cart", "/health", "/order", "/order/{id}"];
    let points = |value: i64| routes.iter().map(|route| point(value, route, time)).collect::<Vec<_>>();
    let gauge = Gauge { data_points: points(seq as i64 % 17) };
    let gauge = Metric { name: "queue.length".into(), data: Some(metric::Data::Gauge(gauge)), ..Metric::default() };
    let many = (0..4).map(|n| point(1, &format!("/{}", (seq + n) % 300), time)).collect();
    let body = metrics_of(vec![
        gauge,
        sum("requests", AggregationTemporality::Delta, points(1)),
        sum("bytes", AggregationTemporality::Cumulative, points(seq as i64 * 100)),
        sum("many", AggregationTemporality::Delta, many),
    ]);
    ("metrics", 16, body)
}

fn logs(seq: u64) -> (&'static str, u64, Vec<u8>) {
    let record = |text: String, severity_number| LogRecord {
        time_unix_nano: now(),
        severity_number,
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(text)) }),
        attributes: vec![harness::load::text("user.card", "4111111111111111")],
        ..LogRecord::default()
    };
    let log_records = vec![
        record("started".to_owned(), 5),
        record("started".to_owned(), 9),
        record("started".to_owned(), 9),
        record(format!("order {seq} placed"), 9),
    ];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    ("logs", 4, ExportLogsServiceRequest { resource_logs }.encode_to_vec())
}

fn traces(seq: u64) -> (&'static str, u64, Vec<u8>) {
    let time = now();
    let span = |id: u8, parent: Option<u8>, name: &str, code: i32| Span {
        trace_id: u128::from(seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
            .to_be_bytes()
            .map(|byte| byte ^ 0xa5)
            .to_vec(),
        span_id: vec![id; 8],
        parent_span_id: parent.map(|parent| vec![parent; 8]).unwrap_or_default(),
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: time - 5_000_000,
        end_time_unix_nano: time,
        status: Some(Status { code, ..Status::default() }),
        ..Span::default()
    };
    let failed = if seq.is_multiple_of(10) { 2 } else { 0 };
    let spans = vec![span(1, None, "GET /order", failed), span(2, Some(1), "SELECT", 0), span(2, Some(1), "SELECT", 0)];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
    ("traces", 3, ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}
