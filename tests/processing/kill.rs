//! Every stage that remembers, through kill -9 again and again: what comes out at last is what its definition says of all that was logged. The same
//! requests go into the lake as they are (`raw`) and through each stage, whose outcome is marked.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, NumberDataPoint};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::Value;

use super::harness::{Catchment, client};
use super::{metrics_of, now, point, post, resource, sum};

/// Of each life, in milliseconds: into the middle of windows and of what follows their end; the long ones pass the time at which state is saved.
const LIVES: [u64; 7] = [700, 1600, 12_000, 900, 2000, 11_500, 1300];

/// What it is about, what the definition says of the raw rows, and what came out.
const DEFINITIONS: [(&str, &str, &str); 11] = [
    (
        "aggregate in time",
        "SELECT attributes, sum(value) FROM metrics WHERE RAW AND metric_name = 'orders' GROUP BY 1",
        "SELECT attributes, sum(value) FROM metrics WHERE OF('time') AND metric_name = 'orders' GROUP BY 1",
    ),
    (
        "aggregate by labels",
        "SELECT metric_name, sum(value) FROM metrics WHERE RAW AND metric_name IN ('orders', 'many') GROUP BY 1",
        "SELECT metric_name, sum(value) FROM metrics WHERE OF('labels') AND metric_name IN ('orders', 'many') GROUP BY 1",
    ),
    (
        "cumulative_to_delta",
        "SELECT attributes, max(value), count(*) FROM metrics WHERE RAW AND metric_name = 'bytes' GROUP BY 1",
        "SELECT attributes, sum(value), count(*) FROM metrics WHERE OF('delta') AND metric_name = 'bytes' GROUP BY 1",
    ),
    (
        "delta_to_cumulative",
        "SELECT attributes, sum(value), count(*) FROM metrics WHERE RAW AND metric_name = 'orders' GROUP BY 1",
        "SELECT attributes, max(value), count(*) FROM metrics WHERE OF('cumulative') AND metric_name = 'orders' GROUP BY 1",
    ),
    (
        "cardinality_limiter, deltas",
        "SELECT CASE WHEN place <= 10 THEN attributes ELSE '{\"otel.metric.overflow\":true}' END, sum(value) FROM
           (SELECT attributes, sum(value) AS value, row_number() OVER (ORDER BY min(ts)) AS place
            FROM metrics WHERE RAW AND metric_name = 'many' GROUP BY 1) GROUP BY 1",
        "SELECT attributes, sum(value) FROM metrics WHERE OF('limited') AND metric_name = 'many' GROUP BY 1",
    ),
    (
        "cardinality_limiter, counters",
        "SELECT CASE WHEN place <= 10 THEN attributes ELSE '{\"otel.metric.overflow\":true}' END,
           sum(CASE WHEN place <= 10 THEN last ELSE last - first END) FROM
           (SELECT attributes, max(value) AS last, min(value) AS first, row_number() OVER (ORDER BY min(ts)) AS place
            FROM metrics WHERE RAW AND metric_name = 'many.total' GROUP BY 1) GROUP BY 1",
        "SELECT attributes, max(value) FROM metrics WHERE OF('limited') AND metric_name = 'many.total' GROUP BY 1",
    ),
    (
        "dedup of points",
        "SELECT attributes, count(DISTINCT ts) FROM metrics WHERE RAW AND metric_name = 'twice' GROUP BY 1",
        "SELECT attributes, count(*) FROM metrics WHERE OF('dedup') AND metric_name = 'twice' GROUP BY 1",
    ),
    (
        "dedup of records",
        "SELECT body, count(*) FROM logs WHERE RAW GROUP BY 1",
        "SELECT body, sum((attributes->>'log_count')::BIGINT) FROM logs WHERE OF('dedup') GROUP BY 1",
    ),
    (
        "dedup of spans",
        "SELECT name, count(DISTINCT trace_id || span_id) FROM spans WHERE RAW GROUP BY 1",
        "SELECT name, count(*) FROM spans WHERE OF('dedup') GROUP BY 1",
    ),
    (
        "tail_sampling",
        "SELECT trace_id, count(*) FROM spans
         WHERE RAW AND trace_id IN (SELECT trace_id FROM spans WHERE RAW AND status_code = 2) GROUP BY 1",
        "SELECT trace_id, count(*) FROM spans WHERE OF('tail') GROUP BY 1",
    ),
    (
        "span_metrics",
        "SELECT name || status_code, count(*) AS calls, count(*) AS durations, 0 AS fell FROM spans WHERE RAW GROUP BY 1",
        "SELECT name, max(calls), max(durations), sum(fell) FROM
           (SELECT (attributes->>'span.name') || CASE attributes->>'status.code' WHEN 'STATUS_CODE_ERROR' THEN 2 ELSE 0 END AS name,
              value AS calls, 0 AS durations,
              CASE WHEN value < lag(value) OVER (PARTITION BY attributes ORDER BY ts) THEN 1 ELSE 0 END AS fell
            FROM metrics WHERE metric_name = 'traces.span.metrics.calls'
            UNION ALL
            SELECT (attributes->>'span.name') || CASE attributes->>'status.code' WHEN 'STATUS_CODE_ERROR' THEN 2 ELSE 0 END,
              0, count, 0
            FROM histograms WHERE metric_name = 'traces.span.metrics.duration') GROUP BY 1",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_survives_kill_nine() {
    let dir = tempfile::tempdir().unwrap();
    let config = include_str!("kill.yaml").replace("LAKE", &dir.path().display().to_string());
    let began = now() / 1_000_000 * 1_000_000;
    let (mut seq, mut acknowledged) = (0, 0);
    for life in LIVES {
        let mut catchment = Catchment::start(&config);
        let url = catchment.url("otlp/http");
        let sender = tokio::spawn(async move {
            let (client, mut taken) = (client(), 0);
            loop {
                for (signal, body) in [metrics(seq, began), logs(seq), traces(seq)] {
                    match post(&client, &url, signal, body).await {
                        Some(ok) => taken += u64::from(ok),
                        None => return (seq + 1, taken),
                    }
                }
                seq += 1;
            }
        });
        tokio::time::sleep(Duration::from_millis(life)).await;
        catchment.kill();
        let taken;
        (seq, taken) = sender.await.unwrap();
        acknowledged += taken;
    }
    let catchment = Catchment::start(&config);
    for once_more in [false, true] {
        for (stage, definition, outcome) in DEFINITIONS {
            let expected = rows(catchment.sql(&written(definition)).await);
            assert!(expected.len() > 1, "{stage}: {expected:?}");
            let sql = written(outcome);
            if once_more {
                assert_eq!(rows(catchment.sql(&sql).await), expected, "{stage}, after it was right");
            } else {
                catchment.sql_until(&sql, |found| rows(found.to_vec()) == expected).await;
            }
        }
    }
    let mut requests = 0.0;
    for (items, each) in
        [("metrics WHERE RAW AND metric_name = 'bytes'", 3.0), ("logs WHERE RAW", 3.0), ("spans WHERE RAW", 2.0)]
    {
        let found = catchment.sql(&written(&format!("SELECT count(*) FROM {items}"))).await;
        requests += found[0][0].as_f64().unwrap() / each;
    }
    assert!(requests >= acknowledged as f64, "{requests} of {acknowledged} acknowledged");
    assert_eq!(catchment.stop(), Some(0));
}

fn written(sql: &str) -> String {
    let sql = sql.replace("RAW", "resource_attributes->>'stage' IS NULL AND scope_name <> 'spanmetricsconnector'");
    sql.replace("OF(", "resource_attributes->>'stage' = (")
}

/// By their first column: numbers as doubles.
fn rows(rows: Vec<Vec<Value>>) -> BTreeMap<String, Vec<f64>> {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    rows.iter().map(|row| (row[0].as_str().unwrap().to_owned(), row[1..].iter().map(number).collect())).collect()
}

fn at(attribute: u64, value: u64, start: u64, time: u64) -> NumberDataPoint {
    NumberDataPoint { start_time_unix_nano: start, ..point(value as i64, &format!("/{attribute}"), time) }
}

fn metrics(seq: u64, began: u64) -> (&'static str, Vec<u8>) {
    use AggregationTemporality::{Cumulative, Delta};
    let time = now() / 1000 * 1000;
    let orders = (0..7).map(|n| point(1, &format!("/{n}"), time)).collect();
    let bytes = (0..3).map(|n| at(n, (seq + 1) * 10 + n, 1, time)).collect();
    // Those of the request before come again.
    let moment = |seq: u64| began + seq * 1_000_000;
    let twice =
        [seq.saturating_sub(1), seq].iter().map(|seq| at(0, 1, moment(*seq) - 1, moment(*seq))).collect::<Vec<_>>();
    let more = twice.iter().map(|twice| at(1, 1, twice.start_time_unix_nano, twice.time_unix_nano)).collect::<Vec<_>>();
    let series = seq * 7 % 50;
    let body = metrics_of(vec![
        sum("orders", Delta, orders),
        sum("bytes", Cumulative, bytes),
        sum("twice", Delta, [twice, more].concat()),
        sum("many", Delta, vec![at(series, 1 + seq % 3, time - 1, time)]),
        sum("many.total", Cumulative, vec![at(series, seq + 1, 1, time)]),
    ]);
    ("metrics", body)
}

fn logs(seq: u64) -> (&'static str, Vec<u8>) {
    let record = |text: String| LogRecord {
        time_unix_nano: now(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(text)) }),
        ..LogRecord::default()
    };
    let log_records = ["started".to_owned(), "started".to_owned(), format!("order {}", seq % 5)].map(record).into();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    ("logs", ExportLogsServiceRequest { resource_logs }.encode_to_vec())
}

/// Of a trace: its first span in one request, and in the next its second, which failed in one of three.
fn traces(seq: u64) -> (&'static str, Vec<u8>) {
    let time = now();
    let span = |trace: u64, id: u8, name: &str, code: i32| Span {
        trace_id: (u128::from(trace) + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes()
            .to_vec(),
        span_id: vec![id; 8],
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: time - 5_000_000,
        end_time_unix_nano: time,
        status: Some(Status { code, ..Status::default() }),
        ..Span::default()
    };
    let before = seq.saturating_sub(1);
    let failed = if before.is_multiple_of(3) { 2 } else { 0 };
    let spans = vec![span(seq, 1, "GET /order", 0), span(before, 2, "SELECT", failed)];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
    ("traces", ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}
