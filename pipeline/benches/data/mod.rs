//! What the benchmarks of the log feed it, and what they read of the process.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use prost::Message;

/// User and system time of this process.
pub fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = |field: usize| -> u64 {
        let fields = stat.rsplit(')').next().unwrap_or_default();
        fields.split_whitespace().nth(field).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// An export request of so many points, each about 184 bytes.
pub fn request(points: u64) -> Bytes {
    let attribute = |key: &str, value: String| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(Value::StringValue(value)) }),
        ..KeyValue::default()
    };
    let points = (0..points).map(|n| NumberDataPoint {
        attributes: vec![
            attribute("http.request.method", "GET".into()),
            attribute("http.route", format!("/api/v1/customers/{n}/orders")),
            attribute("server.address", format!("shop-{:03}.example.com", n % 100)),
            attribute("http.response.status_code", "200".into()),
        ],
        start_time_unix_nano: 1_700_000_000_000_000_000,
        time_unix_nano: 1_700_000_000_000_000_000 + n,
        value: Some(number_data_point::Value::AsDouble(n as f64 * 1.1)),
        ..NumberDataPoint::default()
    });
    let metric = Metric {
        name: "http.server.active_requests".into(),
        unit: "{request}".into(),
        data: Some(Data::Gauge(Gauge { data_points: points.collect() })),
        ..Metric::default()
    };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into()
}
