//! Telemetry to send.

use catchment_pipeline::alerts::{Alert, AlertEvent, Change, Event, Labels, Notification, NotifiedAlert};
use catchment_pipeline::batch::{Batch, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

const NOW: u64 = 1_790_000_000_000_000_000;

/// `n` points, records or spans.
pub fn batch(signal: Signal, n: usize) -> Batch {
    let bytes = match signal {
        Signal::Metrics => metrics(n).encode_to_vec(),
        Signal::Logs => logs(n).encode_to_vec(),
        Signal::Traces => traces(n).encode_to_vec(),
        Signal::Alerts => return alerts(n),
    };
    Batch::from_otlp(signal, bytes.into()).unwrap()
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", "contract")], ..Resource::default() })
}

fn metrics(n: usize) -> ExportMetricsServiceRequest {
    let point = |i: usize| NumberDataPoint {
        time_unix_nano: NOW + i as u64,
        value: Some(number_data_point::Value::AsInt(i as i64)),
        attributes: vec![text("n", "x")],
        ..NumberDataPoint::default()
    };
    let gauge = Gauge { data_points: (0..n).map(point).collect() };
    let metric =
        Metric { name: "contract.gauge".to_owned(), data: Some(metric::Data::Gauge(gauge)), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

/// Messages for channels, each with an alert, and what became of that alert in turn.
fn alerts(n: usize) -> Batch {
    let labels = Labels::new([("alertname", "Contract"), ("severity", "warning")]);
    let event = |i: usize| match i % 2 {
        0 => Event::Notification(Notification {
            version: Notification::VERSION.to_owned(),
            group_key: "{}:{alertname=\"Contract\"}".to_owned(),
            common_labels: labels.clone(),
            alerts: vec![NotifiedAlert { labels: labels.clone(), starts_at: NOW as i64, ..NotifiedAlert::default() }],
            id: format!("contract-{i}"),
            at: NOW as i64,
            ..Notification::default()
        }),
        _ => Event::Alert(AlertEvent {
            alert: Alert { labels: labels.clone(), starts_at: NOW as i64, ..Alert::default() },
            change: Change::Firing,
            value: Some(1.0),
            group: String::new(),
            rule: "Contract".to_owned(),
        }),
    };
    Event::batch(&(0..n).map(event).collect::<Vec<_>>(), NOW as i64)
}

fn logs(n: usize) -> ExportLogsServiceRequest {
    let record = LogRecord { time_unix_nano: NOW, severity_number: 9, ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record; n], ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }],
    }
}

fn traces(n: usize) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "contract".to_owned(),
        start_time_unix_nano: NOW,
        end_time_unix_nano: NOW + 1000,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span; n], ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }],
    }
}
