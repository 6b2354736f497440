//! OTLP requests, ready encoded.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// One request of `points` sum points of about 195 bytes each. Every point carries `seq`, so that whole
/// requests can be told apart by SQL.
pub fn metrics(seq: i64, points: usize) -> Vec<u8> {
    metrics_at(seq, points, START + seq as u64 * 1_000_000_000)
}

const START: u64 = 1_790_000_000_000_000_000;

/// The same at `time`, in nanoseconds.
pub fn metrics_at(seq: i64, points: usize, time: u64) -> Vec<u8> {
    let point = |i: usize| NumberDataPoint {
        attributes: vec![
            text("http.request.method", ["GET", "POST", "PUT"][i % 3]),
            text("http.route", &format!("/api/v1/shops/{{shop}}/orders/{}", i % 40)),
            int("http.response.status_code", [200, 201, 404, 500][i % 4]),
            text("server.address", &format!("front-{}.example.internal", i % 25)),
            int("seq", seq),
        ],
        start_time_unix_nano: START.min(time),
        time_unix_nano: time + i as u64,
        value: Some(number_data_point::Value::AsDouble(seq as f64 + i as f64 / 1024.0)),
        ..Default::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![text("service.name", "load"), text("host.name", "load-1")],
                ..Default::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope { name: "load".into(), version: "1".into(), ..Default::default() }),
                metrics: vec![Metric {
                    name: "ledger".into(),
                    unit: "1".into(),
                    data: Some(metric::Data::Sum(Sum {
                        data_points: (0..points).map(point).collect(),
                        aggregation_temporality: AggregationTemporality::Cumulative as i32,
                        is_monotonic: true,
                    })),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
    .encode_to_vec()
}

/// The `seq` of every request joined in `body`, in order.
pub fn seqs(body: &[u8]) -> Vec<i64> {
    let mut seqs: Vec<i64> = Vec::new();
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    for metric in request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics) {
        let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("not a sum: {metric:?}") };
        for point in &sum.data_points {
            let seq = point.attributes.iter().find(|a| a.key == "seq").and_then(|a| a.value.as_ref());
            let Some(AnyValue { value: Some(any_value::Value::IntValue(seq)) }) = seq else { panic!("no seq") };
            if seqs.last() != Some(seq) {
                seqs.push(*seq);
            }
        }
    }
    seqs
}
