//! The durable log: appends a second by number of concurrent senders, and replay from disk.
//!
//! `cargo bench -p catchment-pipeline --bench log [-- FOLDER]`: the folder's file system is what is measured; without
//! one, a folder under the current directory (temporary folders are often memory).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::OnFull;
use catchment_pipeline::log::{Entry, Log, Options, Pipelines, Start};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use prost::Message;

const POINTS: u64 = 1000;
const PER_RUN: Duration = Duration::from_secs(3);

fn main() {
    let folder =
        std::env::args().skip(1).find(|arg| !arg.starts_with('-')).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let payload = request();
    println!("{POINTS} points a request, {} bytes", payload.len());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for senders in [1, 4, 16, 64] {
        let scratch = tempfile::tempdir_in(&folder).unwrap();
        runtime.block_on(appends(scratch.path(), &payload, senders));
    }
    let scratch = tempfile::tempdir_in(&folder).unwrap();
    runtime.block_on(replay(scratch.path(), &payload));
}

async fn appends(folder: &Path, payload: &Bytes, senders: usize) {
    let (log, _) = Log::open(folder, Options { max_bytes: 64 << 30, ..Options::default() }).unwrap();
    let pipelines = Pipelines::new(["metrics"]);
    let sent = Arc::new(AtomicU64::new(0));
    let (begun, cpu_before) = (Instant::now(), cpu());
    let tasks = (0..senders).map(|_| {
        let (log, payload, pipelines, sent) = (log.clone(), payload.clone(), pipelines.clone(), sent.clone());
        tokio::spawn(async move {
            let mut worst = Duration::ZERO;
            while begun.elapsed() < PER_RUN {
                let from = Instant::now();
                let batch = Batch::from_otlp(Signal::Metrics, payload.clone()).unwrap();
                log.append(Entry { pipelines: pipelines.clone(), batch }).await.unwrap();
                sent.fetch_add(1, Relaxed);
                worst = worst.max(from.elapsed());
            }
            worst
        })
    });
    let worst = futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).max().unwrap();
    let (sent, took, used) = (sent.load(Relaxed), begun.elapsed(), cpu() - cpu_before);
    let stats = log.stats();
    let syncs = stats.syncs.load(Relaxed).max(1);
    println!(
        "{senders:>3} senders: {:>6.0} requests/s fsynced, {:>4.1} a group, fsync {:>5.2} ms, worst answer {:>6.1} ms, CPU {:>4.0} us a request",
        sent as f64 / took.as_secs_f64(),
        sent as f64 / syncs as f64,
        stats.sync_nanos.load(Relaxed) as f64 / syncs as f64 / 1e6,
        worst.as_secs_f64() * 1e3,
        used.as_secs_f64() * 1e6 / sent as f64,
    );
    log.close().await.unwrap();
}

async fn replay(folder: &Path, payload: &Bytes) {
    const REQUESTS: u64 = 2000;
    let options = Options { tail_bytes: 0, ..Options::default() };
    let pipelines = Pipelines::new(["metrics"]);
    let (log, _) = Log::open(folder, options.clone()).unwrap();
    drop(log.cursor("reader", pipelines.clone(), OnFull::Block, Start::Oldest).await.unwrap());
    for _ in 0..REQUESTS / 100 {
        let entry = || Entry {
            pipelines: pipelines.clone(),
            batch: Batch::from_otlp(Signal::Metrics, payload.clone()).unwrap(),
        };
        futures::future::join_all((0..100).map(|_| log.append(entry()))).await.into_iter().for_each(|at| {
            at.unwrap();
        });
    }
    log.close().await.unwrap();
    drop(log);

    let begun = Instant::now();
    let (log, recovery) = Log::open(folder, options).unwrap();
    println!("recovery of {} records in {} segments: {:?}", recovery.records, recovery.segments, begun.elapsed());
    let mut reader = log.cursor("reader", pipelines, OnFull::Block, Start::Oldest).await.unwrap();
    let (begun, mut records, mut bytes) = (Instant::now(), 0, 0);
    while records < REQUESTS {
        for record in reader.next(usize::MAX, 4 << 20).await {
            records += 1;
            bytes += record.bytes();
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "replay: {:.0} MB/s, {:.1} million points/s (checksummed and checked; in the page cache)",
        bytes as f64 / seconds / 1e6,
        (records * POINTS) as f64 / seconds / 1e6
    );
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = |field: usize| -> u64 {
        let fields = stat.rsplit(')').next().unwrap_or_default();
        fields.split_whitespace().nth(field).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn request() -> Bytes {
    let attribute = |key: &str, value: String| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(Value::StringValue(value)) }),
        ..KeyValue::default()
    };
    let points = (0..POINTS).map(|n| NumberDataPoint {
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
