//! Apps instrumented with the official Python and Node SDKs arrive whole, over gRPC and over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;
#[path = "common/peers.rs"]
mod peers;

use std::path::Path;
use std::process::Command;

use harness::{Catchment, lake_config};
use serde_json::{Value, json};

const N: i64 = 300;

/// Runs `app PROTOCOL ENDPOINT N` twice, over each protocol, and checks every signal by SQL.
async fn check(service: &str, app: impl Fn() -> Command) {
    let dir = tempfile::tempdir().unwrap();
    let catchment = Catchment::start(&lake_config(dir.path(), ""));
    for protocol in ["grpc", "http"] {
        let mut app = app();
        app.args([protocol, &catchment.url(&format!("otlp/{protocol}")), &N.to_string()]);
        let output = app.output().unwrap();
        assert!(output.status.success(), "{app:?}: {}", String::from_utf8_lossy(&output.stderr));
        check_signals(&catchment, service, protocol).await;
    }
    assert_eq!(catchment.stop(), Some(0));
}

async fn check_signals(catchment: &Catchment, service: &str, protocol: &str) {
    let of = format!("service_name = '{service}' AND resource_attributes->>'transport' = '{protocol}'");
    let expect = async |what: &str, sql: String, expected: Value| {
        assert_eq!(json!(catchment.sql(&sql).await), expected, "{service} over {protocol}, {what}: {sql}");
    };

    expect(
        "counter",
        format!(
            "SELECT attributes->>'http.route', CAST(value AS BIGINT), unit, is_monotonic, aggregation_temporality FROM metrics
                 WHERE metric_name = 'shop.orders' AND {of} ORDER BY 1"
        ),
        json!([
            ["/cart", N / 3, "{order}", true, 2],
            ["/pay", N / 3, "{order}", true, 2],
            ["/ship", N / 3, "{order}", true, 2]
        ]),
    )
    .await;
    expect("gauge", format!("SELECT queue, value FROM \"shop.queue.length\" WHERE {of}"), json!([["mail", 7.0]])).await;
    // 0 + 1 + ... + (N-1) thousandths of a second, over three routes.
    expect(
        "histogram",
        format!(
            "SELECT sum(count), round(sum(sum), 6), min(min), max(max) FROM histograms
                 WHERE metric_name = 'shop.checkout.duration' AND {of}"
        ),
        json!([[N, (N * (N - 1) / 2) as f64 / 1000.0, 0.0, (N - 1) as f64 / 1000.0]]),
    )
    .await;
    expect(
        "exponential histogram",
        format!("SELECT count, sum, min, max, zero_count FROM exp_histograms WHERE metric_name = 'shop.payload.size' AND {of}"),
        json!([[N, (N * (N + 1) / 2) as f64, 1.0, N as f64, 0]]),
    )
    .await;
    expect(
        "logs",
        format!(
            "SELECT count(*), count(DISTINCT body), min(severity_number), max(severity_number),
                 sum(CAST(attributes->>'order.id' AS BIGINT)), count(DISTINCT trace_id) FROM logs WHERE {of}"
        ),
        json!([[N, N, 13, 13, N * (N - 1) / 2, N]]),
    )
    .await;
    expect(
        "spans",
        format!("SELECT name, count(*), count(DISTINCT trace_id), count(DISTINCT span_id), sum(cardinality(events)),
                 sum(cardinality(links)), sum(CASE WHEN status_code = 2 THEN 1 ELSE 0 END) FROM spans WHERE {of} GROUP BY name ORDER BY name"),
        json!([["checkout", N, N, N, 0, N - 1, 0], ["pay", N, N, N, N, 0, N / 10]]),
    )
    .await;
    expect(
        "each child has its parent, each log its span",
        format!("SELECT (SELECT count(*) FROM spans c JOIN spans p ON c.parent_span_id = p.span_id AND c.trace_id = p.trace_id
                         WHERE c.name = 'pay' AND c.{of_c}) AS children,
                        (SELECT count(*) FROM logs l JOIN spans p ON l.span_id = p.span_id WHERE p.name = 'checkout' AND l.{of_c}) AS logs",
            of_c = format!("service_name = '{service}' AND p.resource_attributes->>'transport' = '{protocol}'")),
        json!([[N, N]]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_sdk() {
    let Some(python) = peers::python() else { return };
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/python/app.py");
    check("shop-python", || {
        let mut command = Command::new(&python);
        command.arg(&app);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_sdk() {
    let Some(node) = peers::find("node") else { return };
    // Node looks for modules beside the script, so the script goes beside them.
    let app = node.join("app.mjs");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/node/app.mjs"), &app).unwrap();
    check("shop-node", || {
        let mut command = Command::new("node");
        command.arg(&app);
        command
    })
    .await;
}
