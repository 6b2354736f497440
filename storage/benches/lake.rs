#![allow(clippy::unwrap_used, clippy::print_stdout)]
//! How long from append to visible in SQL, what a flush costs, and what a panel's query over the newest of many hot rows
//! does. `cargo bench -p catchment-storage`.

#[allow(dead_code)]
#[path = "../tests/data.rs"]
mod data;

use std::time::{Duration, Instant};

use catchment_pipeline::batch::{Rows, Table};
use catchment_storage::{Lake, Options, QueryLimits};
use data::{DAY, Points, RESOURCE, SECOND, cpu, gauge};

const POINTS: usize = 1000;
const APPENDS: u64 = 300;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { flush_interval: Duration::from_secs(3600), flush_size: 1 << 30, ..Options::new(folder.path()) };
    let lake = Lake::open(options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sql = "SELECT count(*) FROM metrics";
    let (mut appends, mut visible) = (Vec::new(), Vec::new());
    for at in 1..=APPENDS {
        let rows = cpu(POINTS, DAY + i64::try_from(at).unwrap() * 10 * SECOND);
        let started = Instant::now();
        lake.append(&rows, at).unwrap();
        appends.push(started.elapsed());
        let answer = runtime.block_on(async { lake.query(sql, QueryLimits::default()).await.unwrap().collect().await });
        visible.push(started.elapsed());
        assert_eq!(answer.unwrap().len(), 1);
    }
    for (what, times) in [("append of 1000 points", &mut appends), ("append to visible in SQL", &mut visible)] {
        times.sort();
        println!("{what}: p50 {:?}, p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
    }
    let started = Instant::now();
    lake.flush().unwrap();
    let took = started.elapsed();
    let stats = &lake.stats().tables[0];
    let rows = stats.file_rows as f64;
    println!(
        "flush of {rows} points: {took:?}, {:.2} M points/s, {:.2} bytes a point",
        rows / took.as_secs_f64() / 1e6,
        stats.file_bytes as f64 / rows
    );
    let mut commits = (0..50)
        .map(|n| {
            lake.append(&cpu(1, DAY), APPENDS + 1 + n).unwrap();
            let started = Instant::now();
            lake.flush().unwrap();
            started.elapsed()
        })
        .collect::<Vec<_>>();
    commits.sort();
    println!("flush of 1 point: p50 {:?}", commits[25]);
    tail();
}

/// 500 seconds of 200 metrics in memory; one metric's last 20 seconds, as a live chart asks each second.
fn tail() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { flush_interval: Duration::from_secs(3600), flush_size: 1 << 30, ..Options::new(folder.path()) };
    let lake = Lake::open(options).unwrap();
    for second in 0..500u64 {
        let time = DAY + i64::try_from(second).unwrap() * SECOND;
        let metric = |n: usize| {
            let points = vec![(format!(r#"{{"cpu":"cpu{n}"}}"#), time, n as f64)];
            gauge(&Points { metric: &format!("metric.{n}"), resource: RESOURCE, points })
        };
        let rows = (0..200).map(metric).collect::<Vec<_>>();
        let rows = arrow::compute::concat_batches(&rows[0].schema(), &rows).unwrap();
        lake.append(&Rows::new([(Table::Metrics, rows)]), second + 1).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let panel = "SELECT date_bin(INTERVAL '1 second', ts) AS t, cpu, avg(value) FROM \"metric.77\" WHERE ts >= '2026-11-23T00:08:00Z' GROUP BY 1, 2";
    // No condition reaches the scan: every row is turned into SQL's types first.
    let whole = "SELECT date_bin(INTERVAL '1 second', ts) AS t, attributes->>'cpu' AS cpu, avg(value) FROM \
                 (SELECT *, random() AS r FROM metrics) WHERE CASE WHEN r < 2 THEN metric_name = 'metric.77' AND \
                 ts >= '2026-11-23T00:08:00Z' END GROUP BY 1, 2";
    for (what, sql) in
        [("nothing but planning", "SELECT 1"), ("the last 20 of 500 s", panel), ("all rows looked at", whole)]
    {
        let ask = || runtime.block_on(async { lake.query(sql, QueryLimits::default()).await.unwrap().collect().await });
        let times = (0..100).map(|_| {
            let started = Instant::now();
            assert!(!ask().unwrap().is_empty());
            started.elapsed()
        });
        let mut times = times.collect::<Vec<_>>();
        times.sort();
        println!("100,000 hot rows, {what}: p50 {:?}, p99 {:?}", times[50], times[98]);
    }
}
