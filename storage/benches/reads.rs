#![allow(clippy::unwrap_used, clippy::print_stdout)]
//! How long queries over a lake of hundreds of files take, planning and running apart. `cargo bench -p catchment-storage
//! --bench reads [-- FILTER]`; BENCH_LAKE names a folder to keep the lake in and to use again, BENCH_MEMORY the MiB that a query
//! has, BENCH_EXPLAIN prints what each did (`spill_count`, rows, pages left out), BENCH_SQL asks that instead, with rollups and without.
//!
//! 100 hosts with 20 metrics of 5 series each, a point each 15 s for two hours: 4.8 million points in 480 files, one a
//! point of time; and once more when those are merged.

#[allow(dead_code)]
#[path = "../tests/data.rs"]
mod data;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array};
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use catchment_pipeline::batch::{Rows, Table};
use catchment_storage::{Compact, Lake, Options, QueryLimits};
use data::{DAY, Points, SECOND, gauge};

const HOSTS: usize = 100;
const METRICS: usize = 20;
const SERIES: usize = 5;
const STEPS: i64 = 480;
const RUNS: usize = 20;
/// Of queries that take seconds.
const FEW_RUNS: usize = 3;

fn main() {
    let kept = std::env::var_os("BENCH_LAKE").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = kept.unwrap_or_else(|| temporary.path().to_owned());
    if !folder.join("metrics").exists() {
        fill(&folder);
    }
    let started = Instant::now();
    let lake = Lake::open(options(&folder)).unwrap();
    println!("opened in {:?}, {} files", started.elapsed(), lake.stats().tables[0].files);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    let hour = "ts >= '2026-11-23T00:30:00Z' AND ts < '2026-11-23T01:30:00Z'";
    let queries = [
        ("nothing but planning", "SELECT 1".to_owned()),
        (
            "one series, an hour",
            format!("SELECT ts, value FROM \"metric.7\" WHERE {hour} AND host_name = 'host-42' AND cpu = 'cpu1'"),
        ),
        (
            "one series, an hour, from metrics",
            format!(
                "SELECT ts, value FROM metrics WHERE metric_name = 'metric.7' AND {hour} AND host_name = 'host-42' AND \
                 attributes->>'cpu' = 'cpu1'"
            ),
        ),
        ("one series, a minute", {
            "SELECT ts, value FROM \"metric.7\" WHERE ts >= '2026-11-23T01:00:00Z' AND ts < '2026-11-23T01:01:00Z' AND host_name = \
             'host-42' AND cpu = 'cpu1'"
                .to_owned()
        }),
        (
            "a metric over all hosts, an hour, by host",
            format!(
                "SELECT date_bin(INTERVAL '1 minute', ts) AS t, host_name, avg(value) FROM \"metric.7\" WHERE {hour} GROUP BY 1, 2"
            ),
        ),
        (
            "a metric, all time, by 5 minutes and series",
            "SELECT date_bin(INTERVAL '5 minutes', ts) AS t, host_name, cpu, avg(value) FROM \"metric.7\" GROUP BY 1, 2, 3".to_owned(),
        ),
        (
            "values over a threshold, all columns, an hour",
            format!("SELECT * FROM metrics WHERE metric_name = 'metric.7' AND {hour} AND value > 99.9"),
        ),
        (
            "everything, by metric",
            "SELECT metric_name, count(*), avg(value) FROM metrics GROUP BY 1".to_owned(),
        ),
        (
            "last point of every series, scanned",
            "SELECT DISTINCT ON (series_id) series_id, ts, value FROM metrics ORDER BY series_id, ts DESC".to_owned(),
        ),
        ("last point of every series, latest", "SELECT ts, metric_name, host_name, attributes, value FROM latest".to_owned()),
    ];
    let asked = std::env::var("BENCH_SQL").ok();
    if let Some(sql) = &asked {
        for rollups in [true, false] {
            let what = if rollups { "asked" } else { "asked, without rollups" };
            measure(&lake, &runtime, what, sql, rollups);
            if std::env::var_os("BENCH_EXPLAIN").is_some() {
                explain(&lake, &runtime, sql);
            }
        }
        return;
    }
    let whole = whole();
    let queries = queries.iter().chain(&whole).filter(|(what, _)| what.contains(only.as_str())).collect::<Vec<_>>();
    for (what, sql) in &queries {
        measure(&lake, &runtime, what, sql, true);
        if std::env::var_os("BENCH_EXPLAIN").is_some() {
            explain(&lake, &runtime, sql);
        }
    }
    let started = Instant::now();
    lake.compact(Compact::All).unwrap();
    println!("merged in {:?}, {} files", started.elapsed(), lake.stats().tables[0].files);
    for (what, sql) in &queries {
        measure(&lake, &runtime, what, sql, true);
        if std::env::var_os("BENCH_EXPLAIN").is_some() {
            explain(&lake, &runtime, sql);
        }
    }
}

/// Of every row or many of them, and more than a query's memory holds: they spill.
fn whole() -> Vec<(&'static str, String)> {
    let last = HOSTS as i64 * (METRICS * SERIES) as i64 * STEPS - 10;
    let query = |what, sql: &str| (what, sql.replace("$last", &last.to_string()));
    vec![
        query("spills: values in order", "SELECT series_id, ts, value FROM metrics ORDER BY value, ts OFFSET $last"),
        query(
            "spills: all columns of three metrics in order",
            "SELECT * FROM metrics WHERE metric_name < 'metric.11' ORDER BY value, ts OFFSET 719990",
        ),
        query(
            "spills: by labels and value",
            "SELECT attributes, host_name, metric_name, value FROM metrics ORDER BY 1, 2, 3, 4 OFFSET $last",
        ),
        query("spills: groups", "SELECT count(*) FROM (SELECT series_id, ts, avg(value) FROM metrics GROUP BY 1, 2)"),
        query(
            "spills: groups of text",
            "SELECT count(*) FROM (SELECT DISTINCT attributes, host_name, metric_name, ts, value FROM metrics)",
        ),
        query(
            "spills: a window",
            "SELECT max(d) FROM (SELECT value - lag(value) OVER (PARTITION BY series_id ORDER BY ts) AS d FROM metrics)",
        ),
        query("spills: distinct values", "SELECT count(DISTINCT value), count(DISTINCT series_id) FROM metrics"),
    ]
}

fn limits(rollups: bool) -> QueryLimits {
    let mib = std::env::var("BENCH_MEMORY").ok().map(|mib| mib.parse::<usize>().unwrap());
    let default = QueryLimits::default();
    QueryLimits {
        memory: mib.map_or(default.memory, |mib| mib << 20),
        deadline: Duration::from_secs(600),
        rollups,
        ..default
    }
}

fn measure(lake: &Lake, runtime: &tokio::runtime::Runtime, what: &str, sql: &str, rollups: bool) {
    let (mut plans, mut all, mut rows) = (Vec::new(), Vec::new(), 0);
    let runs = if what.starts_with("spills") { FEW_RUNS } else { RUNS };
    for _ in 0..runs {
        let started = Instant::now();
        let answer = runtime.block_on(async {
            let query = lake.query(sql, limits(rollups)).await?;
            plans.push(started.elapsed());
            query.collect().await
        });
        all.push(started.elapsed());
        match answer {
            Ok(answer) => rows = answer.iter().map(RecordBatch::num_rows).sum(),
            Err(error) => {
                println!("{what}: {}", error.message);
                return;
            }
        }
    }
    let first = all[0];
    plans.sort();
    all.sort();
    println!(
        "{what}: {rows} rows, planned in {:?} at p50, answered in {:?} at p50 and {:?} at most, {first:?} the first time",
        plans[runs / 2],
        all[runs / 2],
        all[runs - 1]
    );
}

/// BENCH_EXPLAIN prints what a query did.
fn explain(lake: &Lake, runtime: &tokio::runtime::Runtime, sql: &str) {
    let sql = format!("EXPLAIN ANALYZE {sql}");
    let answer = runtime.block_on(async { lake.query(&sql, limits(true)).await?.collect().await });
    match answer {
        Ok(answer) => println!("{}", arrow::util::pretty::pretty_format_batches(&answer).unwrap()),
        Err(error) => println!("{}", error.message),
    }
}

fn options(folder: &Path) -> Options {
    Options { flush_interval: Duration::from_secs(3600), flush_size: 1 << 30, ..Options::new(folder) }
}

fn fill(folder: &Path) {
    let started = Instant::now();
    let lake = Lake::open(options(folder)).unwrap();
    let mut parts = Vec::new();
    for host in 0..HOSTS {
        let resource = format!(r#"{{"host.name":"host-{host}","service.name":"shop"}}"#);
        for metric in 0..METRICS {
            let points = (0..SERIES).map(|cpu| (format!(r#"{{"cpu":"cpu{cpu}"}}"#), DAY, 0.0)).collect();
            parts.push(gauge(&Points { metric: &format!("metric.{metric}"), resource: &resource, points }));
        }
    }
    let first = concat_batches(&parts[0].schema(), &parts).unwrap();
    let schema = first.schema();
    let (time, value) = (schema.index_of("time_unix_nano").unwrap(), schema.index_of("value_double").unwrap());
    let rows = first.num_rows();
    for step in 0..STEPS {
        let mut columns = first.columns().to_vec();
        columns[time] = data::times(vec![DAY + step * 15 * SECOND; rows]);
        let values = (0..rows as i64).map(|row| ((row * 7919 + step * 104_729) % 1000) as f64 / 10.0);
        columns[value] = Arc::new(values.collect::<Float64Array>()) as ArrayRef;
        let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
        lake.append(&Rows::new([(Table::Metrics, batch)]), u64::try_from(step).unwrap() + 1).unwrap();
        lake.flush().unwrap();
    }
    println!("{} points written in {:?}", rows as i64 * STEPS, started.elapsed());
}
