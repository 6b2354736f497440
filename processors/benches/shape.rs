//! `filter`, `transform`, `probabilistic_sampler` and `cardinality_limiter` over 1000 points, log records and spans: `cargo bench -p catchment-processors
//! --bench shape`. Prints nanoseconds of CPU time an item, which other work on the machine changes less than time. Rows are there already; what making
//! them costs is printed first. The jobs are those of `benches/ottl.py`, which gives them to a Collector.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Admission, Context, Out, Stage};
use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

const ITEMS: usize = 1000;

fn text(text: String) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text)) })
}

/// One of 50 sets.
fn attributes(i: usize) -> Vec<KeyValue> {
    let route = format!("/orders/{}", i % 50);
    [("http.route", route), ("http.request.method", "GET".to_owned()), ("server.address", "shop".to_owned())]
        .map(|(key, value)| KeyValue { key: key.to_owned(), value: text(value), ..Default::default() })
        .into()
}

fn logs() -> Vec<u8> {
    let record = |i: usize| LogRecord {
        time_unix_nano: 1,
        severity_number: [9, 13, 17][i % 3],
        attributes: attributes(i),
        body: text(format!("order {i} accepted in {} ms, shipped from warehouse {}", i % 97, i % 13)),
        ..Default::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: (0..ITEMS).map(record).collect(), ..Default::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] }.encode_to_vec()
}

fn metrics() -> Vec<u8> {
    let point = |i: usize| NumberDataPoint {
        time_unix_nano: 1,
        attributes: attributes(i),
        value: Some(number_data_point::Value::AsDouble(i as f64)),
        ..Default::default()
    };
    let data = Data::Gauge(Gauge { data_points: (0..ITEMS).map(point).collect() });
    let metric = Metric { name: "orders".into(), unit: "ms".into(), data: Some(data), ..Default::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] }
        .encode_to_vec()
}

/// Every set is another: nothing repeats.
fn spans() -> Vec<u8> {
    let span = |i: usize| {
        let own = KeyValue { key: "order".into(), value: text(i.to_string()), ..Default::default() };
        let mut trace_id = vec![1; 16];
        trace_id[8..].copy_from_slice(&(i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        Span {
            trace_id,
            span_id: vec![1; 8],
            name: format!("span {}", i % 20),
            start_time_unix_nano: 1,
            end_time_unix_nano: 1 + i as u64,
            attributes: attributes(i).into_iter().chain([own]).collect(),
            ..Default::default()
        }
    };
    let scope_spans = vec![ScopeSpans { spans: (0..ITEMS).map(span).collect(), ..Default::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }
        .encode_to_vec()
}

/// Name, processor, its YAML, signal.
const JOBS: [(&str, &str, &str, Signal); 10] = [
    (
        "filter by attribute",
        "filter",
        "metric_conditions: [\"attributes['http.route'] = '/orders/7'\"]",
        Signal::Metrics,
    ),
    ("filter by attribute", "filter", "log_conditions: [\"attributes['http.route'] = '/orders/7'\"]", Signal::Logs),
    ("filter by attribute", "filter", "trace_conditions: [\"attributes['http.route'] = '/orders/7'\"]", Signal::Traces),
    (
        "filter by pattern and number",
        "filter",
        "log_conditions: [\"attributes['http.route'] ~ '^/orders/4[0-9]$' AND severity_number < 13\"]",
        Signal::Logs,
    ),
    ("filter by body", "filter", "log_conditions: [\"body ~ 'warehouse 7$'\"]", Signal::Logs),
    (
        "transform: an attribute",
        "transform",
        "logs: [\"SET attributes['env'] = 'prod' WHERE attributes['http.request.method'] = 'GET'\"]",
        Signal::Logs,
    ),
    (
        "transform: a value",
        "transform",
        "metrics: [\"SET value = value / 1000, unit = 's' WHERE unit = 'ms'\"]",
        Signal::Metrics,
    ),
    (
        "transform: an attribute",
        "transform",
        "traces: [\"SET attributes['env'] = 'prod' WHERE attributes['http.request.method'] = 'GET'\"]",
        Signal::Traces,
    ),
    ("sampler", "probabilistic_sampler", "{ sampling_percentage: 50, mode: proportional }", Signal::Traces),
    ("limiter, nothing over", "cardinality_limiter", "limit_per_metric: 2000", Signal::Metrics),
];

fn context(kind: &str) -> Context {
    Context { id: kind.into(), admission: Arc::new(Admission::new(1 << 20)), ..Context::default() }
}

/// Of this process, user and system, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ').collect::<Vec<_>>();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn measure<T>(name: &str, mut run: impl FnMut() -> T) {
    (0..20).for_each(|_| drop(black_box(run())));
    let (before, mut rounds) = (cpu(), 0u32);
    while cpu() - before < 1.0 {
        (0..20).for_each(|_| drop(black_box(run())));
        rounds += 20;
    }
    println!("{name:60} {:8.0} ns an item", (cpu() - before) * 1e9 / (f64::from(rounds) * ITEMS as f64));
}

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let bytes = |signal| match signal {
        Signal::Metrics => metrics(),
        Signal::Logs | Signal::Alerts => logs(),
        Signal::Traces => spans(),
    };
    for signal in Signal::TELEMETRY {
        let bytes = bytes(signal);
        measure(&format!("{}: decode", signal.name()), || catchment_pipeline::otlp::decode(signal, &bytes));
    }
    for (name, kind, yaml, signal) in JOBS.into_iter().filter(|job| job.0.contains(&wanted)) {
        let spec = catchment_processors::SPECS.iter().find(|spec| spec.kind == kind).unwrap();
        let mut section = Section::parse(yaml);
        let plan = (spec.plan)(&mut section);
        assert!(section.mistakes().is_empty(), "{:?}", section.mistakes());
        let batch = Batch::from_otlp(signal, bytes(signal).into()).unwrap();
        batch.rows();
        let name = format!("{}: {name}", signal.name());
        match plan.build(context(kind)).unwrap() {
            Stage::Transform(mut processor) => {
                let mut process = || {
                    let mut out = Vec::new();
                    processor.process(black_box(batch.clone()), SystemTime::UNIX_EPOCH, &mut out).unwrap();
                    out
                };
                measure(&name, &mut process);
                // For the log: rows that changed are encoded again.
                let out = process();
                measure(&format!("{name}, encoding"), || catchment_pipeline::otlp::encode(signal, out[0].rows()));
            }
            Stage::Relay(mut relay) => measure(&name, || {
                let mut out = Out::default();
                relay.process(black_box(batch.clone()), SystemTime::UNIX_EPOCH, &mut out);
                out
            }),
            Stage::Group(_) => panic!("it groups"),
        }
    }
}
