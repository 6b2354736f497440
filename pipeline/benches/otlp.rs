//! OTLP bytes to columns and back, one core, with prost as the peer in the same run:
//! `cargo bench -p catchment-pipeline --bench otlp`. Requests of 1000 items as SDKs and Collectors send them; the time is
//! per request, so a microsecond is a nanosecond an item.
//!
//! Instructions, which a busy machine does not change: `valgrind --tool=callgrind --toggle-collect='*counted*'
//! target/release/deps/otlp-... --count traces decode` makes 200 requests; divide by 200,000 for an item.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use catchment_pipeline::batch::Signal;
use catchment_pipeline::otlp::{check, decode, encode};
use criterion::{Criterion, Throughput, criterion_group};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message;

const ITEMS: usize = 1000;
const NOW: u64 = 1_785_000_000_000_000_000;

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// Same in every run, different for every `i`.
fn random(i: usize) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes())
}

fn resource() -> Option<Resource> {
    let attributes = vec![
        text("service.name", "checkout"),
        text("service.version", "2.31.0"),
        text("service.instance.id", "0f6c2ab4-59d2-4c39-a9a2-1b7ed2f3a0c1"),
        text("host.name", "node-17.eu-west-1.example.net"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", "java"),
        text("k8s.pod.name", "checkout-6f9c7d5b8-x2x9p"),
    ];
    Some(Resource { attributes, ..Default::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "io.opentelemetry.http-server".into(),
        version: "2.9.0".into(),
        ..Default::default()
    })
}

/// 20 metrics of 50 series each, which come again in every request.
fn metrics(request: usize) -> Vec<u8> {
    let point = |metric: usize, series: usize| NumberDataPoint {
        attributes: vec![
            text("http.request.method", ["GET", "POST", "PUT"][series % 3]),
            text("http.route", format!("/api/v1/orders/{{id}}/items/{series:03}")),
            int("http.response.status_code", [200, 201, 404, 500][series % 4]),
            text("server.address", "checkout.example.net"),
        ],
        start_time_unix_nano: NOW - 3_600_000_000_000,
        time_unix_nano: NOW + request as u64 * 1_000_000_000,
        value: Some(number_data_point::Value::AsDouble(random(request * 7919 + metric * 50 + series) as f64 / 1e15)),
        ..Default::default()
    };
    let metric = |i: usize| {
        let data_points = (0..ITEMS / 20).map(|series| point(i, series)).collect();
        let sum = Sum { data_points, aggregation_temporality: 2, is_monotonic: true };
        Metric {
            name: format!("http.server.metric.{i}"),
            description: "Something that HTTP servers measure".into(),
            unit: "s".into(),
            data: Some(if i.is_multiple_of(2) {
                Data::Sum(sum)
            } else {
                Data::Gauge(Gauge { data_points: sum.data_points })
            }),
            ..Default::default()
        }
    };
    let scope_metrics =
        vec![ScopeMetrics { scope: scope(), metrics: (0..20).map(metric).collect(), ..Default::default() }];
    let group = ResourceMetrics { resource: resource(), scope_metrics, ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![group] }.encode_to_vec()
}

/// Every body and trace its own; attributes from 40 call sites and 16 threads.
fn logs(request: usize) -> Vec<u8> {
    let record = |i: usize| {
        let random = random(request * ITEMS + i);
        LogRecord {
            time_unix_nano: NOW + i as u64 * 1_000_000,
            observed_time_unix_nano: NOW + i as u64 * 1_000_000 + 12_345,
            severity_number: if random.is_multiple_of(10) { 17 } else { 9 },
            severity_text: if random.is_multiple_of(10) { "ERROR" } else { "INFO" }.into(),
            body: attribute(
                "",
                Value::StringValue(format!(
                    "order {random:016x} accepted for customer {} in {} ms, 3 items, shipped from warehouse {}",
                    random % 100_000,
                    random % 977,
                    random % 13
                )),
            )
            .value,
            attributes: vec![
                text("code.function.name", format!("com.example.checkout.OrderService.handle{}", random % 40)),
                text("thread.name", format!("http-nio-8080-exec-{}", random % 16)),
                int("thread.id", (random % 16) as i64 + 100),
                text("log.logger", "com.example.checkout.OrderService"),
            ],
            flags: 1,
            trace_id: [random.to_le_bytes(), random.to_be_bytes()].concat(),
            span_id: random.to_le_bytes().into(),
            ..Default::default()
        }
    };
    let scope_logs =
        vec![ScopeLogs { scope: scope(), log_records: (0..ITEMS).map(record).collect(), ..Default::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource: resource(), scope_logs, ..Default::default() }],
    }
    .encode_to_vec()
}

/// Half the spans have attributes that no other has; each tenth has an event.
fn spans(request: usize) -> Vec<u8> {
    let span = |i: usize| {
        let random = random(request * ITEMS + i);
        let order = if i.is_multiple_of(2) { random % 100 } else { random };
        Span {
            trace_id: [random.to_le_bytes(), random.to_be_bytes()].concat(),
            span_id: random.to_le_bytes().into(),
            parent_span_id: random.to_be_bytes().into(),
            flags: 0x101,
            name: format!("GET /api/v1/orders/{{id}}/{}", random % 30),
            kind: 2,
            start_time_unix_nano: NOW + i as u64 * 1_000,
            end_time_unix_nano: NOW + i as u64 * 1_000 + random % 1_000_000_000,
            attributes: vec![
                text("http.request.method", "GET"),
                text("url.path", format!("/api/v1/orders/{order}/items")),
                text("url.scheme", "https"),
                int("http.response.status_code", 200),
                text("server.address", "checkout.example.net"),
                int("server.port", 443),
                text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"),
                text("network.protocol.version", "2"),
            ],
            events: (i.is_multiple_of(10))
                .then(|| span::Event {
                    time_unix_nano: NOW,
                    name: "cache miss".into(),
                    attributes: vec![text("cache.key", format!("order-{random}"))],
                    ..Default::default()
                })
                .into_iter()
                .collect(),
            status: Some(Status { code: 1, ..Default::default() }),
            ..Default::default()
        }
    };
    let scope_spans = vec![ScopeSpans { scope: scope(), spans: (0..ITEMS).map(span).collect(), ..Default::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: resource(), scope_spans, ..Default::default() }],
    }
    .encode_to_vec()
}

fn prost_round<T: Message + Default>(
    c: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    requests: &[Vec<u8>],
) {
    let mut next = requests.iter().cycle();
    c.bench_function("prost decode", |b| b.iter(|| T::decode(&black_box(next.next().unwrap())[..]).unwrap()));
    let message = T::decode(&requests[0][..]).unwrap();
    c.bench_function("prost encode", |b| b.iter(|| black_box(&message).encode_to_vec()));
}

fn bench(c: &mut Criterion) {
    for (signal, make) in
        [(Signal::Metrics, metrics as fn(usize) -> Vec<u8>), (Signal::Logs, logs), (Signal::Traces, spans)]
    {
        // More requests than the decoder's cache remembers unique sets of.
        let requests = (0..100).map(make).collect::<Vec<_>>();
        let mut group = c.benchmark_group(signal.name());
        group.throughput(Throughput::Elements(ITEMS as u64));
        println!("{}: {} bytes an item", signal.name(), requests[0].len() / ITEMS);
        let mut next = requests.iter().cycle();
        group.bench_function("check", |b| b.iter(|| check(signal, black_box(next.next().unwrap())).unwrap()));
        group.bench_function("decode", |b| b.iter(|| decode(signal, black_box(next.next().unwrap()))));
        group.bench_function("check + decode", |b| {
            b.iter(|| {
                let bytes = black_box(next.next().unwrap());
                check(signal, bytes).unwrap();
                decode(signal, bytes)
            });
        });
        let rows = decode(signal, &requests[0]);
        group.bench_function("encode", |b| b.iter(|| encode(signal, black_box(&rows))));
        match signal {
            Signal::Metrics => prost_round::<ExportMetricsServiceRequest>(&mut group, &requests),
            Signal::Logs | Signal::Alerts => prost_round::<ExportLogsServiceRequest>(&mut group, &requests),
            Signal::Traces => prost_round::<ExportTraceServiceRequest>(&mut group, &requests),
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = bench
}

/// One of what `bench` measures, 200 times and nothing else.
#[inline(never)]
fn counted(signal: Signal, what: &str, requests: &[Vec<u8>]) {
    let rows = decode(signal, &requests[0]);
    for bytes in requests.iter().cycle().take(200) {
        match what {
            "check" => drop(black_box(check(signal, black_box(bytes)))),
            "decode" => drop(black_box(decode(signal, black_box(bytes)))),
            "encode" => drop(black_box(encode(signal, black_box(&rows)))),
            _ => match signal {
                Signal::Metrics => drop(black_box(ExportMetricsServiceRequest::decode(black_box(&bytes[..])))),
                Signal::Logs | Signal::Alerts => {
                    drop(black_box(ExportLogsServiceRequest::decode(black_box(&bytes[..]))))
                }
                Signal::Traces => drop(black_box(ExportTraceServiceRequest::decode(black_box(&bytes[..])))),
            },
        }
    }
}

fn main() {
    let args = std::env::args().collect::<Vec<_>>();
    if let Some(at) = args.iter().position(|arg| arg == "--count") {
        let (signal, make) = match args[at + 1].as_str() {
            "metrics" => (Signal::Metrics, metrics as fn(usize) -> Vec<u8>),
            "logs" => (Signal::Logs, logs as fn(usize) -> Vec<u8>),
            _ => (Signal::Traces, spans as fn(usize) -> Vec<u8>),
        };
        return counted(signal, &args[at + 2], &(0..100).map(make).collect::<Vec<_>>());
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
