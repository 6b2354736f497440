#![allow(clippy::unwrap_used, clippy::print_stdout)]
//! How long from append to visible in SQL, and what a flush costs. `cargo bench -p catchment-storage`.

#[allow(dead_code)]
#[path = "../tests/data.rs"]
mod data;

use std::time::{Duration, Instant};

use catchment_storage::{Lake, Options, QueryLimits};
use data::{DAY, SECOND, cpu};

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
}
