#![allow(clippy::unwrap_used, clippy::print_stdout)]
//! What the lake's layout costs in bytes and in time; `docs/decisions/0004-lake-layout.md` has the figures.
//!
//! `cargo bench -p catchment-storage --bench layout`, and behind `--` any of
//! `columns`: times and values by themselves, in each order, encoding, page and level (HOSTS hosts, 20, for HOURS hours, 24);
//! `best`: what choosing the encoding anew for each part of so many rows would save;
//! `fill FOLDER`: a lake of such a fleet, flushed once a minute, or, with RECORDING, of real metrics: a file of the `file` exporter
//! (`format: proto`, `compression: zstd`);
//! `merge FOLDER`: copies of that lake merged in each of several shapes, with their columns' sizes and what questions take.

#[path = "fleet/mod.rs"]
mod fleet;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType};
use catchment_pipeline::batch::{Rows, Table};
use catchment_storage::{Compact, Lake, Options, QueryLimits, Shape};
use fleet::{DAY, Fleet, SECOND};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};

const START: i64 = DAY + 7 * SECOND;
const ROW_GROUP: usize = 1 << 20;

fn main() {
    let arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect::<Vec<_>>();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", folder] => fill(folder),
        ["merge", folder] => merge(folder),
        [] | ["columns"] => columns(),
        ["best"] => best(),
        _ => println!("columns, best, fill FOLDER or merge FOLDER"),
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Every scrape's points.
fn scrapes() -> Box<dyn Iterator<Item = Rows>> {
    if let Some(file) = std::env::var_os("RECORDING") {
        return Box::new(fleet::recording(file.as_ref()));
    }
    let mut fleet = Fleet::new(1, number("HOSTS", 20) as usize, START);
    Box::new((0..number("HOURS", 24) * 240).map(move |_| fleet.scrape()))
}

/// A lake as it is before anything is merged.
fn fill(folder: &str) {
    let options = Options { flush_interval: Duration::from_secs(86_400), flush_size: 1 << 40, ..Options::new(folder) };
    let lake = Lake::open(options).unwrap();
    let started = Instant::now();
    let (mut making, mut flushed) = (Duration::ZERO, 0);
    let mut scrapes = scrapes();
    for n in 1.. {
        let began = Instant::now();
        let Some(rows) = scrapes.next() else { break };
        making += began.elapsed();
        lake.append(&rows, n).unwrap();
        let now = rows.table(Table::Metrics).map_or(0, |rows| times(rows)[0]);
        if now >= flushed + 60 * SECOND {
            lake.flush().unwrap();
            flushed = now;
        }
    }
    lake.flush().unwrap();
    let stats = &lake.stats().tables[0];
    let rows = stats.file_rows;
    println!(
        "{rows} samples in {:?}, {making:?} of it making them; {:.3} bytes a sample in {} files",
        started.elapsed(),
        stats.file_bytes as f64 / rows as f64,
        stats.files
    );
}

/// Merges a copy of a lake in each shape; files are shared with it as long as they are not replaced.
fn merge(folder: &str) {
    let shape = Shape::MERGED;
    let shapes = [
        ("as it is", shape),
        ("row group 131,072", Shape { row_group: 131_072, ..shape }),
        ("row group 262,144", Shape { row_group: 262_144, ..shape }),
        ("pages 5,000", Shape { page: 5_000, numbers: 32 << 10, ..shape }),
        ("pages 131,072", Shape { page: 131_072, numbers: 1 << 20, ..shape }),
        ("times in short pages", Shape { long_page: 20_000, ..shape }),
        ("zstd 1", Shape { zstd: 1, ..shape }),
        ("zstd 3", Shape { zstd: 3, ..shape }),
        ("zstd 6", Shape { zstd: 6, ..shape }),
        ("zstd 15", Shape { zstd: 15, ..shape }),
    ];
    let wanted = number("SHAPES", u64::MAX);
    let copy = format!("{}.merged", folder.trim_end_matches('/'));
    for (n, (name, shape)) in shapes.into_iter().enumerate().filter(|(n, _)| wanted >> n & 1 == 1) {
        let _ = std::fs::remove_dir_all(&copy);
        assert!(std::process::Command::new("cp").args(["-al", folder, &copy]).status().unwrap().success());
        let _ = std::fs::remove_file(format!("{copy}/lake.lock"));
        let options = Options { flush_interval: Duration::from_secs(86_400), merged: shape, ..Options::new(&copy) };
        let lake = Lake::open(options).unwrap();
        let before = cpu();
        let report = lake.compact(Compact::All).unwrap();
        let took = cpu() - before;
        let stats = &lake.stats().tables[0];
        println!(
            "{name}: {:.3} bytes a sample in {} files; {:.0} ns of CPU a sample for {} merges",
            stats.file_bytes as f64 / stats.file_rows as f64,
            stats.files,
            took * 1e9 / stats.file_rows as f64,
            report.merges
        );
        if n == 0 {
            lake.vacuum(Some(Duration::ZERO)).unwrap();
            sizes(&copy);
        }
        if !lake.metrics().iter().any(|metric| metric.name == "system.memory.usage") {
            continue;
        }
        questions(&lake);
    }
    std::fs::remove_dir_all(&copy).unwrap();
}

/// User and system time of this process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat[stat.rfind(')').unwrap() + 2..].split(' ').map(str::to_owned).collect::<Vec<_>>();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Bytes a row of each column of `metrics`.
fn sizes(folder: &str) {
    let (mut columns, mut rows, mut bytes) = (BTreeMap::<String, i64>::new(), 0, 0);
    let dates = std::fs::read_dir(format!("{folder}/metrics")).unwrap().flatten();
    for date in dates.filter(|entry| entry.file_name() != "_delta_log") {
        for file in std::fs::read_dir(date.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_none_or(|extension| extension != "parquet") {
                continue;
            }
            let reader = SerializedFileReader::new(std::fs::File::open(file.path()).unwrap()).unwrap();
            bytes += file.metadata().unwrap().len() as i64;
            rows += reader.metadata().file_metadata().num_rows();
            for column in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
                *columns.entry(column.column_path().string()).or_default() += column.compressed_size();
            }
        }
    }
    let all = columns.values().sum::<i64>();
    let mut columns = columns.into_iter().collect::<Vec<_>>();
    columns.sort_by_key(|(_, bytes)| -bytes);
    let share = |bytes: i64| bytes as f64 / rows as f64;
    let texts = columns.iter().take(12).map(|(name, bytes)| format!("{name} {:.4}", share(*bytes)));
    println!(
        "    {}, the rest {:.4}, footer and indexes {:.4}",
        texts.collect::<Vec<_>>().join(", "),
        share(columns[12..].iter().map(|(_, bytes)| bytes).sum()),
        share(bytes - all)
    );
}

/// The last hour's, and the last day's.
fn questions(lake: &Lake) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |sql: &str| {
        runtime.block_on(async { lake.query(sql, QueryLimits::default()).await.unwrap().collect().await.unwrap() })
    };
    let newest = ask("SELECT CAST(max(ts) AS BIGINT) FROM metrics");
    let end = newest[0].column(0).as_primitive::<Int64Type>().value(0) / 1_000_000;
    let host = ask("SELECT max(host_name) FROM series");
    let host = arrow::util::display::array_value_to_string(host[0].column(0), 0).unwrap();
    let since = |hours: i64| format!("ts >= to_timestamp({}) AND ts < to_timestamp({end})", end - hours * 3600);
    let questions = [
        (
            "one series, 1 h",
            format!(
                "SELECT ts, value FROM \"system.memory.usage\" WHERE host_name = '{host}' AND state = 'used' AND {} ORDER BY ts",
                since(1)
            ),
        ),
        (
            "one metric, 1 h, by host",
            format!("SELECT host_name, avg(value) FROM \"system.memory.usage\" WHERE {} GROUP BY 1", since(1)),
        ),
        (
            "panel, 24 h",
            format!(
                "SELECT date_bin(INTERVAL '5 minutes', ts), host_name, avg(value) FROM \"system.memory.usage\" WHERE state = 'used' AND {} GROUP BY 1, 2",
                since(24)
            ),
        ),
    ];
    for (name, sql) in questions {
        let mut times = (0..11)
            .map(|_| {
                let started = Instant::now();
                ask(&sql);
                started.elapsed()
            })
            .collect::<Vec<_>>();
        times.sort();
        println!("    {name}: {:.1} ms", times[5].as_secs_f64() * 1000.0);
    }
}

fn times(rows: &RecordBatch) -> &[i64] {
    rows.column_by_name("time_unix_nano").unwrap().as_primitive::<TimestampNanosecondType>().values()
}

/// One series' samples in the order of time.
#[derive(Default)]
struct Series {
    metric: String,
    resource: i64,
    host: String,
    times: Vec<i64>,
    ints: Vec<Option<i64>>,
    doubles: Vec<Option<f64>>,
}

fn series() -> Vec<Series> {
    let mut all = HashMap::<i64, Series>::new();
    for rows in scrapes() {
        let Some(rows) = rows.table(Table::Metrics) else { continue };
        let column = |name: &str| rows.column_by_name(name).unwrap();
        let text = |name: &str| {
            column(name).as_dictionary::<Int32Type>().downcast_dict::<arrow::array::StringArray>().unwrap()
        };
        let number = |name: &str| column(name).as_primitive::<Int64Type>();
        let (ids, resources, ints) = (number("series_id"), number("resource_id"), number("value_int"));
        let doubles = column("value_double").as_primitive::<Float64Type>();
        let (metrics, attributes) = (text("metric_name"), text("resource_attributes"));
        for (row, ts) in times(rows).iter().enumerate() {
            let series = all.entry(ids.value(row)).or_insert_with(|| {
                let attributes: serde_json::Value =
                    serde_json::from_str(attributes.values().value(attributes.keys().value(row) as usize)).unwrap();
                Series {
                    metric: metrics.values().value(metrics.keys().value(row) as usize).to_owned(),
                    resource: resources.value(row),
                    host: attributes["host.name"].as_str().unwrap_or_default().to_owned(),
                    ..Series::default()
                }
            });
            series.times.push(ts / 1000);
            series.ints.push((!ints.is_null(row)).then(|| ints.value(row)));
            series.doubles.push((!doubles.is_null(row)).then(|| doubles.value(row)));
        }
    }
    let mut all = all.into_iter().collect::<Vec<_>>();
    all.sort_by_key(|(id, _)| *id);
    all.into_iter().map(|(_, series)| series).collect()
}

/// A column's bytes a sample, and CPU time a sample, as the `parquet` crate writes it by itself.
fn columns() {
    let mut all = series();
    println!("{} series, {} samples", all.len(), all.iter().map(|series| series.times.len()).sum::<usize>());
    println!("order         column        encoding                page   zstd  bytes/sample  ns/sample");
    for order in ["metric-first", "host-first"] {
        match order {
            "metric-first" => all.sort_by(|a, b| (&a.metric, a.resource).cmp(&(&b.metric, b.resource))),
            _ => all.sort_by(|a, b| (&a.host, a.resource, &a.metric).cmp(&(&b.host, b.resource, &b.metric))),
        }
        let times = all.iter().flat_map(|series| &series.times).copied();
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(times));
        for page in [5_000, 20_000, 131_072, ROW_GROUP] {
            column(order, "ts", &times, Some(Encoding::DELTA_BINARY_PACKED), page, 9);
        }
        drop(times);
        let doubles: ArrayRef =
            Arc::new(all.iter().flat_map(|series| &series.doubles).copied().collect::<Float64Array>());
        let ints: ArrayRef = Arc::new(all.iter().flat_map(|series| &series.ints).copied().collect::<Int64Array>());
        for encoding in [None, Some(Encoding::PLAIN), Some(Encoding::BYTE_STREAM_SPLIT)] {
            column(order, "value_double", &doubles, encoding, 20_000, 9);
        }
        for level in [1, 3, 6, 12, 15] {
            column(order, "value_double", &doubles, Some(Encoding::PLAIN), 20_000, level);
        }
        for page in [5_000, 131_072] {
            column(order, "value_double", &doubles, Some(Encoding::PLAIN), page, 9);
        }
        for encoding in
            [None, Some(Encoding::PLAIN), Some(Encoding::BYTE_STREAM_SPLIT), Some(Encoding::DELTA_BINARY_PACKED)]
        {
            column(order, "value_int", &ints, encoding, 20_000, 9);
        }
        for level in [1, 3, 6, 12, 15] {
            column(order, "value_int", &ints, Some(Encoding::DELTA_BINARY_PACKED), 20_000, level);
        }
    }
}

/// Values, metric first, as what takes least of all encodings that readers know, chosen for each part by itself; beside it one for all.
fn best() {
    let mut all = series();
    all.sort_by(|a, b| (&a.metric, a.resource).cmp(&(&b.metric, b.resource)));
    let doubles = all.iter().flat_map(|series| &series.doubles).copied().collect::<Float64Array>();
    let ints = all.iter().flat_map(|series| &series.ints).copied().collect::<Int64Array>();
    let n = doubles.len() as f64;
    let integral = doubles.iter().flatten().filter(|value| value.fract() == 0.0 && value.abs() < 9e15).count();
    println!("{n} samples; of {} doubles {integral} are integers", doubles.len() - doubles.null_count());
    let encodings =
        [None, Some(Encoding::PLAIN), Some(Encoding::BYTE_STREAM_SPLIT), Some(Encoding::DELTA_BINARY_PACKED)];
    for (name, values) in [("value_double", Arc::new(doubles) as ArrayRef), ("value_int", Arc::new(ints))] {
        for (part, page) in
            [(16_384, 16_384), (131_072, 16_384), (131_072, 131_072), (ROW_GROUP, 16_384), (ROW_GROUP, 131_072)]
        {
            let mut sums = [0; 5];
            for from in (0..values.len()).step_by(part) {
                let values = values.slice(from, part.min(values.len() - from));
                let known = encodings.iter().map(|encoding| match encoding {
                    Some(Encoding::DELTA_BINARY_PACKED) if name == "value_double" => usize::MAX,
                    _ => encode(name, &values, *encoding, page, 9),
                });
                let known = known.collect::<Vec<_>>();
                known
                    .iter()
                    .zip(&mut sums)
                    .for_each(|(bytes, sum)| *sum += if *bytes == usize::MAX { 0 } else { *bytes });
                sums[4] += known.iter().min().unwrap();
            }
            let [dictionary, plain, split, delta, best] = sums.map(|sum| sum as f64 / n);
            println!(
                "{name:13} parts of {part:>8} rows, pages of {page:>7}: dictionary {dictionary:.3}, plain {plain:.3}, split {split:.3}, delta {delta:.3}; the best of each part {best:.3}"
            );
        }
    }
}

fn column(order: &str, name: &str, values: &ArrayRef, encoding: Option<Encoding>, page: usize, level: i32) {
    let started = Instant::now();
    let bytes = encode(name, values, encoding, page, level);
    let (took, n) = (started.elapsed(), values.len() as f64);
    let encoding = encoding.map_or("dictionary, then PLAIN".to_owned(), |encoding| encoding.to_string());
    println!(
        "{order:13} {name:13} {encoding:22} {page:>8} {level:>5} {:>12.3} {:>10.1}",
        bytes as f64 / n,
        took.as_nanos() as f64 / n
    );
}

/// Bytes of a file with this column alone.
fn encode(name: &str, values: &ArrayRef, encoding: Option<Encoding>, page: usize, level: i32) -> usize {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(level).unwrap()))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_data_page_row_count_limit(page)
        .set_data_page_size_limit(usize::MAX)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(encoding.is_none());
    if let Some(encoding) = encoding {
        properties = properties.set_encoding(encoding);
    }
    let rows = RecordBatch::try_from_iter_with_nullable([(name, values.clone(), true)]).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), Some(properties.build())).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    file.len()
}
