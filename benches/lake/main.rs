//! The lake beside Prometheus, VictoriaMetrics and DuckDB, on a busy fleet: `cargo bench --bench lake [-- sizes|questions ...]`.
//!
//! All stores get the same samples, made from a seed (`storage/benches/fleet`): HOSTS hosts (200) of 200 series at 15 s for HOURS hours
//! (24); or, with RECORDING, real metrics, which a `file` exporter wrote (`format: proto`, `compression: zstd`). They stay in LAKE_BENCH (default `target/lake-bench`) for further runs; a store that is missing is
//! filled. Peers come from CATCHMENT_PEERS, the folder `cargo xtask peers` filled; without them only our own figures are printed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod duckdb;
#[path = "../../storage/benches/fleet/mod.rs"]
mod fleet;
#[path = "../../tests/harness/mod.rs"]
mod harness;
#[path = "../../tests/common/peers.rs"]
mod peers;
mod questions;
mod servers;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use catchment_pipeline::batch::{Batch, Rows, Signal};
use catchment_storage::{Compact, Lake, Options, QueryLimits};
use duckdb::DuckDb;
use fleet::{DAY, Fleet, SECOND};
use servers::Server;

const ROUNDS: usize = 15;
/// No scrape falls on the edge of a window, whichever end a language counts in.
const START: i64 = DAY + 7 * SECOND;

struct Setting {
    folder: PathBuf,
    hosts: usize,
    hours: i64,
    recording: Option<PathBuf>,
}

impl Setting {
    fn read() -> Setting {
        let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse::<i64>().unwrap());
        let folder = std::env::var_os("LAKE_BENCH").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lake-bench"));
        Setting {
            folder,
            hosts: number("HOSTS", 200) as usize,
            hours: number("HOURS", 24),
            recording: std::env::var_os("RECORDING").map(PathBuf::from),
        }
    }

    /// Every scrape's points.
    fn scrapes(&self) -> Box<dyn Iterator<Item = Rows>> {
        if let Some(file) = &self.recording {
            return Box::new(fleet::recording(file));
        }
        let mut fleet = Fleet::new(1, self.hosts, START);
        Box::new((0..self.hours * 240).map(move |_| fleet.scrape()))
    }

    fn end(&self) -> i64 {
        DAY / SECOND + self.hours * 3600
    }

    /// Where a store is, and whether it is filled with what this setting says; if not, it is empty.
    fn store(&self, name: &str) -> (PathBuf, PathBuf, bool) {
        let of = match &self.recording {
            Some(file) => file.file_stem().unwrap().to_string_lossy().into_owned(),
            None => format!("{}x{}h", self.hosts, self.hours),
        };
        let folder = self.folder.join(of).join(name);
        let mark = folder.with_extension("samples");
        if !mark.exists() {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
        }
        let filled = mark.exists();
        (folder, mark, filled)
    }
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let run = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let setting = Setting::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (lake, samples) = lake(&setting);
        match &setting.recording {
            Some(file) => println!("{}: {samples} samples", file.display()),
            None => {
                println!("{} hosts of 200 series at 15 s for {} h: {samples} samples", setting.hosts, setting.hours)
            }
        }
        let mut servers = Vec::new();
        if let Some(binary) = peers::prometheus() {
            servers.push(
                server(&setting, "prometheus", async |folder: &Path| Server::prometheus(&binary, folder).await).await,
            );
        }
        if let Some(binary) = peers::victoriametrics() {
            servers.push(
                server(&setting, "victoriametrics", async |folder: &Path| {
                    Server::victoriametrics(&binary, folder).await
                })
                .await,
            );
        }
        if run("sizes") {
            let stats = lake.stats();
            let bytes = stats.tables.iter().map(|table| table.file_bytes).sum::<u64>();
            println!("bytes a sample, all labels included\n  catchment        {:.3}", bytes as f64 / samples as f64);
            for server in &servers {
                println!("  {:16} {:.3}", server.name, server.settled_bytes().await as f64 / samples as f64);
            }
        }
        if run("questions") && setting.recording.is_none() {
            ask_all(&setting, &lake, &servers).await;
        }
    });
}

/// The lake, flushed once a minute as in life and then merged and rolled up; and how many samples it has.
fn lake(setting: &Setting) -> (Lake, u64) {
    let (folder, mark, filled) = setting.store("lake");
    let options = Options { flush_interval: Duration::from_secs(86_400), flush_size: 1 << 40, ..Options::new(&folder) };
    let lake = Lake::open(options).unwrap();
    if !filled {
        let started = Instant::now();
        for (n, rows) in (1..).zip(setting.scrapes()) {
            lake.append(&rows, n).unwrap();
            if n % 4 == 0 {
                lake.flush().unwrap();
            }
        }
        println!("filling the lake took {:?}", started.elapsed());
        std::fs::write(mark, "").unwrap();
    }
    let started = Instant::now();
    let report = lake.compact(Compact::All).unwrap();
    if report.merges > 0 {
        println!("{} merges of {} files took {:?}", report.merges, report.files_merged, started.elapsed());
    }
    let started = Instant::now();
    let report = lake.roll_up(true).unwrap();
    if report.rollups > 0 {
        println!("{} rollups took {:?}", report.rollups, started.elapsed());
    }
    let samples = lake.stats().tables.iter().find(|table| table.name == "metrics").unwrap().file_rows;
    (lake, samples)
}

async fn server(setting: &Setting, name: &str, start: impl AsyncFn(&Path) -> Server) -> Server {
    let (folder, mark, filled) = setting.store(name);
    let server = start(&folder).await;
    if !filled {
        let started = Instant::now();
        let mut sent = None;
        for rows in setting.scrapes() {
            // The next request is made while the server takes this one.
            let body = tokio::task::block_in_place(|| Batch::from_rows(Signal::Metrics, rows).otlp().clone());
            if let Some(body) = sent.replace(body) {
                server.push(body).await;
            }
        }
        if let Some(body) = sent {
            server.push(body).await;
        }
        let cpu = harness::cpu_seconds(server.pid());
        println!("filling {} took {:?}, {cpu:.0} CPU-seconds of its own", server.name, started.elapsed());
        std::fs::write(mark, "").unwrap();
    }
    server
}

async fn ask_all(setting: &Setting, lake: &Lake, servers: &[Server]) {
    let folder = setting.store("lake").0;
    let mut duckdb = peers::python().map(|python| DuckDb::start(&python, &folder));
    println!("median of {ROUNDS} in turn, milliseconds (rows or samples of the answer)");
    for question in questions::questions(setting.end(), setting.hours) {
        let mut times = vec![Vec::new(); 3 + servers.len()];
        let mut counts = vec![0; times.len()];
        for _ in 0..=ROUNDS {
            for (n, rollups) in [(0, true), (1, false)] {
                let started = Instant::now();
                let limits = QueryLimits { rollups, ..QueryLimits::default() };
                let rows = lake.query(&question.ours, limits).await.unwrap().collect().await.unwrap();
                times[n].push(started.elapsed());
                counts[n] = rows.iter().map(|rows| rows.num_rows()).sum();
            }
            if let Some(duckdb) = &mut duckdb {
                let (took, rows) = tokio::task::block_in_place(|| duckdb.ask(&question.duckdb));
                times[2].push(took);
                counts[2] = rows;
            }
            for (n, server) in servers.iter().enumerate() {
                let (took, body) = server.ask(&question.promql).await;
                times[n + 3].push(took);
                counts[n + 3] = servers::samples(&body);
            }
        }
        println!("{}", question.name);
        let names = ["catchment", "by rows only", "DuckDB"].into_iter().chain(servers.iter().map(|server| server.name));
        let mut ours = None;
        for ((name, times), count) in names.zip(&mut times).zip(counts).filter(|((_, times), _)| !times.is_empty()) {
            let median = median(times);
            let ours = *ours.get_or_insert(median);
            println!("  {name:16} {median:>9.2}  x{:<6.2} ({count})", median / ours);
        }
    }
}

/// Of all but the first, in milliseconds.
fn median(times: &[Duration]) -> f64 {
    let mut times = times[1..].to_vec();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
