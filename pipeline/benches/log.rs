//! The durable log: appends a second by number of concurrent senders, and replay from disk.
//!
//! `cargo bench -p catchment-pipeline --bench log [-- FOLDER]`: the folder's file system is what is measured; without
//! one, a folder under the current directory (temporary folders are often memory).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod data;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::OnFull;
use catchment_pipeline::log::{Entry, Log, Options, Pipelines, Start};
use data::{cpu, request};

const POINTS: u64 = 1000;
const PER_RUN: Duration = Duration::from_secs(3);

fn main() {
    let folder =
        std::env::args().skip(1).find(|arg| !arg.starts_with('-')).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let payload = request(POINTS);
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
                log.append(Entry::new(pipelines.clone(), batch)).await.unwrap();
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
        let entry = || Entry::new(pipelines.clone(), Batch::from_otlp(Signal::Metrics, payload.clone()).unwrap());
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
