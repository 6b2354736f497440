//! Rules in the whole binary: OTLP in, events in the table `alerts` and in a file; and kill -9 again and again in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::{Catchment, client, lake_config};
use serde_json::{Value, json};

fn config(dir: &Path, hold: &str) -> String {
    let more = format!(
        "
  file: {{ path: {}/alerts.jsonl }}
connectors:
  alerting:
    evaluation_interval: 1s
    route: {{ receiver: default, group_wait: 0s, group_interval: 1s }}
    groups:
      - name: queues
        rules:
          - alert: QueueDeep
            expr: 'SELECT queue, last_value(value ORDER BY ts) AS value FROM \"queue.depth\" WHERE $range GROUP BY queue HAVING last_value(value ORDER BY ts) > 10'
            window: 1h
            for: {hold}
            labels: {{ severity: page }}
            annotations: {{ summary: '{{{{ $labels.queue }}}} has {{{{ $value }}}}' }}
",
        dir.display()
    );
    let config = lake_config(dir, &more);
    config.replace("    traces: {", "    alerts: { receivers: [alerting], exporters: [parquet, file] }\n    traces: {")
}

async fn depth(catchment: &Catchment, queue: &str, value: f64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string();
    let point = json!({ "timeUnixNano": now, "asDouble": value, "attributes": [{ "key": "queue", "value": { "stringValue": queue } }] });
    let metric = json!({ "name": "queue.depth", "gauge": { "dataPoints": [point] } });
    let body = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] });
    let response =
        client().post(format!("{}/v1/metrics", catchment.url("otlp/http"))).json(&body).send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
}

const CHANGES: &str = "SELECT attributes->>'alert.change', attributes->>'queue', attributes->>'alert.fingerprint' FROM alerts \
     WHERE attributes->>'alert.change' <> 'still_firing' ORDER BY ts, body";
const MESSAGES: &str = "SELECT attributes->>'alert.status', attributes->>'alert.notification.id' FROM alerts \
     WHERE event_name = 'alert.notification' ORDER BY ts";

fn first(rows: &[Vec<Value>]) -> Vec<&str> {
    rows.iter().map(|row| row[0].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_point_to_an_alert_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let catchment = Catchment::start(&config(dir.path(), "1s"));
    depth(&catchment, "mail", 50.0).await;
    depth(&catchment, "jobs", 5.0).await;
    catchment.sql_until(CHANGES, |rows| first(rows) == ["pending", "firing"]).await;
    catchment.sql_until(MESSAGES, |rows| first(rows) == ["firing"]).await;
    depth(&catchment, "mail", 1.0).await;
    let rows = catchment.sql_until(CHANGES, |rows| first(rows) == ["pending", "firing", "resolved"]).await;
    assert!(rows.iter().all(|row| row[1] == "mail" && row[2] == rows[0][2]), "{rows:?}");
    catchment.sql_until(MESSAGES, |rows| first(rows) == ["firing", "resolved"]).await;
    let metrics = catchment.sql("SELECT count(*) FROM metrics WHERE metric_name = 'queue.depth'").await;
    assert_eq!(metrics, [[json!(3)]]);
    assert_eq!(catchment.stop(), Some(0));
    let file = std::fs::read_to_string(dir.path().join("alerts.jsonl")).unwrap();
    for word in ["mail has 50", "\\\"resolved\\\""] {
        assert!(file.contains(word), "{word}: {file}");
    }
}

/// `for` goes on over every kill, nothing is resolved by one, and every message keeps its id.
#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_forgets_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "4s");
    let mut catchment = Catchment::start(&config);
    depth(&catchment, "mail", 50.0).await;
    catchment.sql_until(CHANGES, |rows| first(rows) == ["pending"]).await;
    for round in 0..8u64 {
        // Somewhere between an evaluation, what is sent of it, and what is noted of that.
        tokio::time::sleep(Duration::from_millis(311 * (round + 1) % 1500)).await;
        catchment.kill();
        catchment = Catchment::start(&config);
    }
    let rows = catchment.sql_until(CHANGES, |rows| first(rows).contains(&"firing")).await;
    assert_eq!(first(&rows), ["pending", "firing"]);
    for round in 0..4u64 {
        tokio::time::sleep(Duration::from_millis(173 * (round + 1))).await;
        catchment.kill();
        catchment = Catchment::start(&config);
    }
    assert_eq!(first(&catchment.sql(CHANGES).await), ["pending", "firing"]);
    depth(&catchment, "mail", 1.0).await;
    catchment.sql_until(CHANGES, |rows| first(rows) == ["pending", "firing", "resolved"]).await;
    let messages = catchment.sql_until(MESSAGES, |rows| first(rows) == ["firing", "resolved"]).await;
    let ids: BTreeSet<&str> = messages.iter().map(|row| row[1].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{messages:?}");
    catchment.kill();
}
