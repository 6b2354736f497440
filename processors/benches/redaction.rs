//! The `redaction` processor over 1000 log records, points and spans: `cargo bench -p catchment-processors --bench redaction`. The
//! time is per batch, so a microsecond is a nanosecond an item. `decode` is what any processor that looks at columns pays
//! before; it is not part of the others.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Admission, Context, Processor, Stage};
use catchment_pipeline::config::Section;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

const ITEMS: usize = 1000;
/// As in the Collector's README, with keys and an address beside.
const RULES: &str = "{ allow_all_keys: true, blocked_key_patterns: ['.*token.*', '.*api_key.*'], blocked_values: \
                     ['4[0-9]{12}(?:[0-9]{3})?', '(5[1-5][0-9]{14})', '[\\w.]+@[\\w.]+'] }";

fn text(text: String) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text)) })
}

/// 50 different sets; one in ten holds a card's number.
fn attributes(i: usize) -> Vec<KeyValue> {
    let card = if i.is_multiple_of(10) { "4111111111111111" } else { "none" };
    [("http.route", format!("/orders/{}", i % 50)), ("payment", card.to_owned()), ("server.address", "shop".to_owned())]
        .map(|(key, value)| KeyValue { key: key.to_owned(), value: text(value), ..Default::default() })
        .into()
}

/// Each body is its own; one in ten names a customer.
fn logs() -> Vec<u8> {
    let record = |i: usize| {
        let who = if i.is_multiple_of(10) { "ann@example.com" } else { "a customer" };
        let body =
            text(format!("order {i} of {who} accepted in {} ms, 3 items, shipped from warehouse {}", i % 97, i % 13));
        LogRecord { time_unix_nano: 1, attributes: attributes(i % 50), body, ..Default::default() }
    };
    let scope_logs = vec![ScopeLogs { log_records: (0..ITEMS).map(record).collect(), ..Default::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] }.encode_to_vec()
}

fn metrics() -> Vec<u8> {
    let point = |i| NumberDataPoint { time_unix_nano: 1, attributes: attributes(i % 50), ..Default::default() };
    let data = Data::Gauge(Gauge { data_points: (0..ITEMS).map(point).collect() });
    let metric = Metric { name: "orders".into(), data: Some(data), ..Default::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] }
        .encode_to_vec()
}

/// Every set is another: the worst there is.
fn spans() -> Vec<u8> {
    let span = |i: usize| {
        let own = KeyValue { key: "order".into(), value: text(i.to_string()), ..Default::default() };
        let attributes = attributes(i).into_iter().chain([own]).collect();
        Span { trace_id: vec![1; 16], span_id: vec![1; 8], start_time_unix_nano: 1, attributes, ..Default::default() }
    };
    let scope_spans = vec![ScopeSpans { spans: (0..ITEMS).map(span).collect(), ..Default::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }
        .encode_to_vec()
}

fn processor() -> Box<dyn Processor> {
    let spec = catchment_processors::SPECS.iter().find(|spec| spec.kind == "redaction").unwrap();
    let plan = (spec.plan)(&mut Section::parse(RULES));
    let admission = Arc::new(Admission::new(1 << 20));
    let context = Context { id: "redaction".into(), admission, ..Context::default() };
    let Stage::Transform(processor) = plan.build(context).unwrap() else { panic!("not a transform") };
    processor
}

fn bench(c: &mut Criterion) {
    let mut processor = processor();
    for (signal, bytes) in [(Signal::Metrics, metrics()), (Signal::Logs, logs()), (Signal::Traces, spans())] {
        let mut group = c.benchmark_group(signal.name());
        group.throughput(Throughput::Elements(ITEMS as u64));
        let batch = Batch::from_otlp(signal, bytes.clone().into()).unwrap();
        group.bench_function("decode", |b| {
            b.iter(|| catchment_pipeline::otlp::decode(signal, black_box(&bytes)));
        });
        batch.rows();
        group.bench_function("redact", |b| {
            b.iter(|| {
                let mut out = Vec::new();
                processor.process(black_box(batch.clone()), SystemTime::UNIX_EPOCH, &mut out).unwrap();
                out
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = bench
}
criterion_main!(benches);
