//! Rows of times that the lake does not take, on the real binary over HTTP and gRPC with the official messages.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::{Catchment, client, lake_config};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::{Value, json};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Seconds from now: three are taken, two are too old, one is too far ahead. And one has no time.
const TIMES: [Option<i64>; 7] = [
    Some(0),
    Some(-13 * DAY as i64),
    Some(-15 * DAY as i64),
    Some(-400 * DAY as i64),
    Some(5 * 60),
    Some(HOUR as i64),
    None,
];

fn times() -> impl Iterator<Item = u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    TIMES.iter().map(move |ahead| ahead.map_or(0, |ahead| (now + ahead) as u64 * 1_000_000_000))
}

fn metrics() -> ExportMetricsServiceRequest {
    let point = |time_unix_nano| NumberDataPoint { time_unix_nano, ..NumberDataPoint::default() };
    let data = Data::Gauge(Gauge { data_points: times().map(point).collect() });
    let metric = Metric { name: "room.temperature".into(), data: Some(data), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
    }
}

/// The last one has neither time: it was observed when it came.
fn logs() -> ExportLogsServiceRequest {
    let record = |(i, time)| match i % 2 {
        0 => LogRecord { time_unix_nano: time, ..LogRecord::default() },
        _ => LogRecord { observed_time_unix_nano: time, ..LogRecord::default() },
    };
    let log_records = times().enumerate().map(record).collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

fn spans() -> ExportTraceServiceRequest {
    let span =
        |start| Span { trace_id: vec![1; 16], span_id: vec![1; 8], start_time_unix_nano: start, ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: times().map(span).collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

async fn post<A: Message + Default>(catchment: &Catchment, signal: &str, request: &impl Message) -> A {
    let url = format!("{}/v1/{signal}", catchment.url("otlp/http"));
    let post = client().post(url).header("content-type", "application/x-protobuf").body(request.encode_to_vec());
    let answer = post.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{signal}");
    A::decode(answer.bytes().await.unwrap()).unwrap()
}

fn check(rejected: i64, message: &str, expected: i64) {
    assert_eq!(rejected, expected, "{message}");
    assert!(message.contains("2 older than 14d, 1 more than 10m ahead of now"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_times_that_are_not_taken_are_refused_one_by_one_and_the_sender_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = lake_config(dir.path(), "").replace(harness::ANY_TIME, "flush_interval: 60s");
    let catchment = Catchment::start(&config);

    let metrics_told: ExportMetricsServiceResponse = post(&catchment, "metrics", &metrics()).await;
    let told = metrics_told.partial_success.unwrap();
    check(told.rejected_data_points, &told.error_message, 4);
    assert!(told.error_message.contains("1 without a time; the first is of metric `room.temperature` at 20"));
    let logs_told: ExportLogsServiceResponse = post(&catchment, "logs", &logs()).await;
    let told = logs_told.partial_success.unwrap();
    check(told.rejected_log_records, &told.error_message, 3);
    let traces_told: ExportTraceServiceResponse = post(&catchment, "traces", &spans()).await;
    let told = traces_told.partial_success.unwrap();
    check(told.rejected_spans, &told.error_message, 4);

    let grpc = format!("http://{}", catchment.address("otlp/grpc"));
    let told = MetricsServiceClient::connect(grpc.clone()).await.unwrap().export(metrics()).await.unwrap().into_inner();
    let told = told.partial_success.unwrap();
    check(told.rejected_data_points, &told.error_message, 4);
    let told = LogsServiceClient::connect(grpc.clone()).await.unwrap().export(logs()).await.unwrap().into_inner();
    let told = told.partial_success.unwrap();
    check(told.rejected_log_records, &told.error_message, 3);
    let told = TraceServiceClient::connect(grpc).await.unwrap().export(spans()).await.unwrap().into_inner();
    let told = told.partial_success.unwrap();
    check(told.rejected_spans, &told.error_message, 4);

    for (table, rows) in [("metrics", 6), ("logs", 8), ("spans", 6)] {
        let count = format!("SELECT count(*) FROM {table}");
        catchment.sql_until(&count, |found| found == [[Value::from(rows)]]).await;
        let outside = format!(
            "SELECT count(*) FROM {table} WHERE ts < now() - INTERVAL '14 days' OR ts > now() + INTERVAL '10 minutes'"
        );
        assert_eq!(json!(catchment.sql(&outside).await), json!([[0]]), "{table}");
    }
    let receiver = catchment.get("/api/v1/pipeline").await["receivers"][0].clone();
    assert_eq!((receiver["accepted_items"].clone(), receiver["refused_items"].clone()), (json!(20), json!(22)));
    let by_reason = &receiver["refused_by_reason"];
    assert_eq!(
        [&by_reason["too_old"], &by_reason["too_far_in_future"], &by_reason["no_time"]],
        [&json!(12), &json!(6), &json!(4)]
    );
    assert_eq!(catchment.stop(), Some(0));
}

/// A clock that is wrong is not a reason to send the same again.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_which_nothing_is_taken_is_refused_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let config = lake_config(dir.path(), "").replace(harness::ANY_TIME, "accept: { future: 1s }");
    let catchment = Catchment::start(&config);
    let ahead = SystemTime::now() + Duration::from_secs(HOUR);
    let time_unix_nano = ahead.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let scope_logs = vec![ScopeLogs {
        log_records: vec![LogRecord { time_unix_nano, ..LogRecord::default() }],
        ..ScopeLogs::default()
    }];
    let request =
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
    let post = client().post(format!("{}/v1/logs", catchment.url("otlp/http")));
    let answer =
        post.header("content-type", "application/x-protobuf").body(request.encode_to_vec()).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let body = answer.bytes().await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("1 more than 1s ahead of now"));
    let grpc = format!("http://{}", catchment.address("otlp/grpc"));
    let refused = LogsServiceClient::connect(grpc).await.unwrap().export(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert_eq!(catchment.stop(), Some(0));
}
