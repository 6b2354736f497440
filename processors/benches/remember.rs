//! The stages that remember: `cargo bench -p catchment-processors --bench remember [-- STAGE ...]`. Each line is nanoseconds an item of CPU time of
//! one core, the median of rounds, decoding not part of it; then (`million`) a million series, or records or traces: memory, and what saving and restoring
//! cost. `bounds`: of those only the stages with bounds of their own.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use catchment_pipeline::batch::build::{CUMULATIVE, DELTA, Interval, Kind, Number, PointsBuilder, Series, Stats};
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Context, Out, Relay, Stage};
use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

const ITEMS: usize = 1000;
/// A round is long against the 4 ms in which the kernel counts CPU time.
const BATCHES: usize = 400;
const ROUNDS: usize = 3;
const START: u64 = 1_800_000_000;

fn relay(kind: &str, yaml: &str) -> Box<dyn Relay> {
    let mut section = Section::parse(yaml);
    if let Some(spec) = catchment_processors::CONNECTORS.iter().find(|spec| spec.kind == kind) {
        return (spec.plan)(&mut section).build(Context::default()).unwrap();
    }
    let spec = catchment_processors::SPECS.iter().find(|spec| spec.kind == kind).unwrap();
    let plan = (spec.plan)(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let Stage::Relay(relay) = plan.build(Context::default()).unwrap() else { panic!("not a relay") };
    relay
}

fn now(step: usize) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(START + step as u64 * 10)
}

/// Points `first` and the following at `step`, as a sender would send them: through OTLP and decoded.
fn points(kind: Option<Kind>, first: usize, items: usize, step: usize) -> Batch {
    let mut builder = PointsBuilder::default();
    let time = (START + step as u64 * 10) as i64 * 1_000_000_000;
    for i in first..first + items {
        let attributes = format!(
            r#"{{"host.name":"host-{}","http.request.method":"{}","http.route":"/api/{}"}}"#,
            i / 12,
            ["GET", "POST", "PUT"][i % 3],
            i % 4
        );
        let series = Series {
            resource_attributes: r#"{"service.name":"shop"}"#,
            name: "http.server.requests",
            attributes: &attributes,
            ..Series::default()
        };
        let start =
            if kind == Some(Kind::Sum(DELTA, true)) { time - 10_000_000_000 } else { time - time % 1_000_000_000_000 };
        let at = Interval { start, time };
        match kind {
            Some(kind) => builder.number(&series, at, kind, Number::Int((step * 7 + i) as i64), &[]),
            None => {
                let stats = Stats { count: 10, sum: Some(5.0), ..Stats::default() };
                builder.histogram(&series, at, DELTA, stats, (&[1, 2, 3, 4], &[1.0, 2.0, 3.0]), &[]);
            }
        }
    }
    let made = builder.finish().unwrap();
    let sent = Batch::from_otlp(Signal::Metrics, made.otlp().clone()).unwrap();
    sent.rows();
    sent
}

fn text(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

/// One in ten is new; the others come again.
fn logs(step: usize) -> Batch {
    records(0, ITEMS, |i| (i % 7, if i.is_multiple_of(10) { step * ITEMS + i } else { i % 97 }))
}

/// Log records with the shop and the order that `of` says.
fn records(first: usize, items: usize, of: impl Fn(usize) -> (usize, usize)) -> Batch {
    let record = |i: usize| {
        let (shop, own) = of(i);
        let body =
            Some(AnyValue { value: Some(Value::StringValue(format!("order {own} could not be shipped: no carrier"))) });
        LogRecord {
            time_unix_nano: 1,
            attributes: vec![text("shop", format!("s{}", shop % 7))],
            body,
            ..Default::default()
        }
    };
    let scope_logs =
        vec![ScopeLogs { log_records: (first..first + items).map(record).collect(), ..Default::default() }];
    let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    let batch = Batch::from_otlp(Signal::Logs, request.encode_to_vec().into()).unwrap();
    batch.rows();
    batch
}

/// 200 traces of 5 spans each.
fn spans(step: usize) -> Batch {
    let span = |i: usize| {
        let mut trace_id = vec![1; 16];
        trace_id[..8].copy_from_slice(&(step * ITEMS + i / 5 + 1).to_le_bytes());
        Span {
            trace_id,
            span_id: (i as u64 + 1).to_le_bytes().to_vec(),
            name: format!("GET /orders/{}", i % 10),
            kind: 2,
            start_time_unix_nano: 1_000_000_000,
            end_time_unix_nano: 1_000_000_000 + i as u64 * 1_000_000,
            attributes: vec![
                text("http.route", format!("/orders/{}", i % 10)),
                text("order", (step * ITEMS + i).to_string()),
            ],
            ..Default::default()
        }
    };
    let scope_spans = vec![ScopeSpans { spans: (0..ITEMS).map(span).collect(), ..Default::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] };
    let batch = Batch::from_otlp(Signal::Traces, request.encode_to_vec().into()).unwrap();
    batch.rows();
    batch
}

/// Spans of as many traces, each with a name of its own where there is none for all.
fn traces(first: usize, items: usize, name: &str) -> Batch {
    let span = |i: usize| {
        let mut trace_id = vec![1; 16];
        trace_id[..8].copy_from_slice(&(i + 1).to_le_bytes());
        Span {
            trace_id,
            span_id: (i as u64 + 1).to_le_bytes().to_vec(),
            name: if name.is_empty() { format!("GET /orders/{i}") } else { name.to_owned() },
            kind: 2,
            start_time_unix_nano: 1_000_000_000,
            end_time_unix_nano: 1_005_000_000,
            attributes: vec![text("http.route", format!("/orders/{}", i % 10))],
            ..Default::default()
        }
    };
    let scope_spans = vec![ScopeSpans { spans: (first..first + items).map(span).collect(), ..Default::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] };
    let batch = Batch::from_otlp(Signal::Traces, request.encode_to_vec().into()).unwrap();
    batch.rows();
    batch
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn per_item(what: &str, kind: &str, yaml: &str, batch: impl Fn(usize) -> Batch) {
    let mut stage = relay(kind, yaml);
    let mut rounds = Vec::new();
    let mut step = 0;
    for _ in 0..ROUNDS {
        let batches: Vec<Batch> = (0..BATCHES).map(|i| batch(step + i)).collect();
        let before = cpu();
        for batch in &batches {
            let mut out = Out::default();
            stage.process(batch.clone(), now(step), &mut out);
            step += 1;
        }
        rounds.push((cpu() - before).as_nanos() as f64 / (BATCHES * ITEMS) as f64);
    }
    rounds.sort_by(f64::total_cmp);
    println!("{what:<58} {:>8.1} ns/item", rounds[rounds.len() / 2]);
}

/// `UNITS` of something, all new and then all again, ten thousand a batch.
fn million(what: &str, kind: &str, yaml: &str, batch: impl Fn(usize, usize, usize) -> Batch) {
    const UNITS: usize = 1_000_000;
    let mut stage = relay(kind, yaml);
    // What a batch takes by itself is there before.
    drop((0..4).map(|step| batch(0, 10_000, step)).collect::<Vec<_>>());
    let before = resident();
    let (mut spent, mut most, mut out_of) = ([Duration::ZERO; 2], 0f64, [0; 2]);
    for (step, (spent, out_of)) in spent.iter_mut().zip(&mut out_of).enumerate() {
        for first in (0..UNITS).step_by(10_000) {
            let batch = batch(first, 10_000, step);
            let mut out = Out::default();
            let began = cpu();
            stage.process(batch, now(step), &mut out);
            *spent += cpu() - began;
            *out_of += out.take().iter().map(|(batch, _)| batch.items()).sum::<usize>();
            most = most.max(resident());
        }
    }
    let mut state = Vec::new();
    let began = cpu();
    stage.save(&mut state);
    let saved = cpu() - began;
    let mut other = relay(kind, yaml);
    let began = cpu();
    other.restore(&state).unwrap();
    let restored = cpu() - began;
    let ns = spent.map(|spent| spent.as_nanos() as f64 / UNITS as f64);
    println!(
        "{what:<48} {:>6.0} B a unit at most, new {:.0} and known {:.0} ns/item, {} and {} items out, saved {:.1} MB in {:.2} s, restored in {:.2} s of CPU",
        (most - before) * 1024.0 * 1024.0 / UNITS as f64,
        ns[0],
        ns[1],
        out_of[0],
        out_of[1],
        state.len() as f64 / 1e6,
        saved.as_secs_f64(),
        restored.as_secs_f64()
    );
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let run = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let (gauge, counter, delta) = (Kind::Gauge, Kind::Sum(CUMULATIVE, true), Kind::Sum(DELTA, true));
    if run("aggregate") {
        for (what, yaml, kind) in [
            (
                "aggregate: gauges, avg and max by method",
                "{ by: [http.request.method], functions: [avg, max] }",
                Some(gauge),
            ),
            (
                "aggregate: gauges, p50 and p99 by method",
                "{ by: [http.request.method], functions: [p50, p99] }",
                Some(gauge),
            ),
            ("aggregate: delta sums by method", "by: [http.request.method]", Some(delta)),
            ("aggregate: counters by method", "by: [http.request.method]", Some(counter)),
            ("aggregate: counters, in time only", "functions: [last]", Some(counter)),
            ("aggregate: histograms by method", "by: [http.request.method]", None),
        ] {
            per_item(what, "aggregate", yaml, |step| points(kind, 0, ITEMS, step));
        }
    }
    if run("temporality") {
        per_item("cumulative_to_delta: sums", "cumulative_to_delta", "", |step| points(Some(counter), 0, ITEMS, step));
        per_item("delta_to_cumulative: sums", "delta_to_cumulative", "", |step| points(Some(delta), 0, ITEMS, step));
        per_item("delta_to_cumulative: histograms", "delta_to_cumulative", "", |step| points(None, 0, ITEMS, step));
    }
    if run("dedup") {
        per_item("dedup: log records, nine of ten come again", "dedup", "", logs);
        per_item("dedup: points", "dedup", "", |step| points(Some(gauge), 0, ITEMS, step));
        per_item("dedup: spans", "dedup", "", spans);
    }
    if run("spans") {
        let some = "policies: [{ name: e, type: status_code, status_code: { status_codes: [ERROR] } }, { name: p, type: latency, latency: { threshold_ms: 900 } }]";
        per_item("tail_sampling: errors and slow ones", "tail_sampling", some, spans);
        per_item("span_metrics", "span_metrics", "", spans);
        per_item("span_metrics, by http.route", "span_metrics", "dimensions: [{ name: http.route }]", spans);
    }
    for (number, (what, kind, yaml, of)) in MILLIONS.into_iter().enumerate() {
        let own = format!("million-{number}");
        if wanted.contains(&own) {
            million(what, kind, yaml, |first, items, step| match of {
                Unit::Series(kind) => points(Some(kind), first, items, step),
                Unit::Record => records(first, items, |i| (i, i)),
                Unit::Trace => traces(first, items, "GET /orders"),
                Unit::Route => traces(first, items, ""),
            });
        } else if run("million") || (run("bounds") && number >= 4) {
            // Each in a process of its own, so that its memory is its own.
            std::process::Command::new(std::env::current_exe().unwrap()).arg(own).status().unwrap();
        }
    }
}

/// What there is a million of.
#[derive(Clone, Copy)]
enum Unit {
    Series(Kind),
    Record,
    Trace,
    Route,
}

/// Within the bounds that the settings give, and with a million of what the defaults bound.
const MILLIONS: [(&str, &str, &str, Unit); 12] = [
    ("aggregate: counters by method", "aggregate", "by: [http.request.method]", COUNTERS),
    ("aggregate: counters, in time only", "aggregate", "functions: [last]", COUNTERS),
    ("cumulative_to_delta", "cumulative_to_delta", "", COUNTERS),
    ("delta_to_cumulative", "delta_to_cumulative", "", Unit::Series(Kind::Sum(DELTA, true))),
    ("dedup: points, room for all", "dedup", "max_entries: 1000000", COUNTERS),
    ("dedup: points, default bound", "dedup", "", COUNTERS),
    ("dedup: records, default bound", "dedup", "", Unit::Record),
    ("tail_sampling, room for all", "tail_sampling", ROOM, Unit::Trace),
    ("tail_sampling, default bound", "tail_sampling", ERRORS, Unit::Trace),
    (
        "cardinality_limiter, room for all",
        "cardinality_limiter",
        "{ limit_per_metric: 2000000, max_series: 1000000 }",
        COUNTERS,
    ),
    ("cardinality_limiter, all but 1000 over", "cardinality_limiter", "limit_per_metric: 1000", COUNTERS),
    ("span_metrics, a series each of two metrics", "span_metrics", "", Unit::Route),
];
const COUNTERS: Unit = Unit::Series(Kind::Sum(CUMULATIVE, true));
const ERRORS: &str = "policies: [{ name: e, type: status_code, status_code: { status_codes: [ERROR] } }]";
const ROOM: &str = "{ num_traces: 1000000, max_bytes: 16GiB, policies: [{ name: e, type: status_code, status_code: { status_codes: [ERROR] } }] }";
