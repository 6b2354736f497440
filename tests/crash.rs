//! kill -9 under load, again and again: nothing acknowledged is missing afterwards, nothing is there twice. Not for us, and not for
//! delta-rs, pandas, DuckDB and a second Catchment, which read the folder while it is written, too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/peers.rs"]
mod common;
mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::{Catchment, client, lake_config, load};
use tokio::sync::watch;

const KILLS: usize = 20;
const SENDERS: usize = 4;
const POINTS: usize = 200;

/// In the other test; and the time from a request's points to the next one's: days go by, so that there is always one to merge.
/// As many requests as reach from two months ago to now are never sent.
const MAINTAINED_POINTS: usize = 5;
const APART: Duration = Duration::from_secs(300);
/// From request to request: as fast as it goes, maintenance in a debug build would never be done.
const PACE: Duration = Duration::from_millis(20);

/// What was acknowledged.
type Ledger = watch::Sender<BTreeSet<i64>>;

/// Sends requests one after another until one is not answered, noting each acknowledged one.
async fn send_until_it_dies(
    url: String,
    next: Arc<AtomicI64>,
    ledger: Ledger,
    request: fn(i64) -> Vec<u8>,
    pace: Duration,
) {
    let client = client();
    let mut due = tokio::time::interval(pace);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let seq = next.fetch_add(1, Ordering::Relaxed);
        let request = client
            .post(format!("{url}/v1/metrics"))
            .header("content-type", "application/x-protobuf")
            .body(request(seq));
        match request.send().await {
            Ok(response) if response.status().is_success() => {
                ledger.send_modify(|ledger| {
                    ledger.insert(seq);
                });
            }
            Ok(response) => assert!(matches!(response.status().as_u16(), 429 | 503), "{}", response.status()),
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // Flushes come often, so that kills also fall between a file's write, its commit and the cursor's move.
    let config =
        lake_config(dir.path(), "").replace("lake: { path:", "lake: { flush_interval: 1s, flush_size: 1048576, path:");
    let next = Arc::new(AtomicI64::new(1));
    let ledger = Ledger::default();

    for round in 0..KILLS {
        let mut catchment = Catchment::start(&config);
        let before = ledger.borrow().len();
        let url = catchment.url("otlp/http");
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                tokio::spawn(send_until_it_dies(
                    url.clone(),
                    next.clone(),
                    ledger.clone(),
                    |seq| load::metrics(seq, POINTS),
                    Duration::from_micros(1),
                ))
            })
            .collect();
        // A different amount of work each round, so that the kill falls at a different moment.
        let enough = before + 5 + (round * 7) % 40;
        let mut acknowledged = ledger.subscribe();
        let reached = acknowledged.wait_for(|ledger| ledger.len() >= enough);
        tokio::time::timeout(harness::PATIENCE, reached).await.expect("requests are acknowledged").unwrap();
        catchment.kill();
        for sender in senders {
            sender.await.unwrap();
        }
    }

    let catchment = Catchment::start(&config);
    check("we", &ours(&catchment).await, &ledger.borrow(), POINTS);
    assert_eq!(catchment.stop(), Some(0));
}

/// How many rows each request has.
type Found = BTreeMap<i64, i64>;

async fn ours(catchment: &Catchment) -> Found {
    let sql = "SELECT CAST(attributes->>'seq' AS BIGINT) AS seq, count(*) FROM metrics WHERE metric_name = 'ledger' GROUP BY 1";
    let rows = catchment.sql(sql).await;
    rows.iter().map(|row| (row[0].as_i64().unwrap(), row[1].as_i64().unwrap())).collect()
}

fn theirs(python: &Path, reader: &str, lake: &Path) -> Found {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/lake.py");
    let sql = r#"SELECT regexp_extract(attributes, '"seq":([0-9]+)', 1), count(*) FROM metrics GROUP BY 1"#;
    let run = Command::new(python).arg(script).args([reader, "metrics", sql]).arg(lake).output().unwrap();
    assert!(run.status.success(), "{reader}: {}", String::from_utf8_lossy(&run.stderr));
    let lines = String::from_utf8(run.stdout).unwrap();
    let row =
        |line: &str| line.split_once(' ').map(|(seq, rows)| (seq.parse().unwrap(), rows.parse().unwrap())).unwrap();
    lines.lines().map(row).collect()
}

fn check(reader: &str, found: &Found, ledger: &BTreeSet<i64>, points: usize) {
    let missing: Vec<_> = ledger.iter().filter(|seq| !found.contains_key(seq)).collect();
    let (all, missed) = (ledger.len(), missing.len());
    assert!(missing.is_empty(), "{reader}: {missed} of {all} acknowledged requests are missing: {missing:?}");
    let torn: Vec<_> = found.iter().filter(|(_, rows)| **rows != points as i64).collect();
    assert!(torn.is_empty(), "{reader}: requests with other than {points} rows: {torn:?}");
}

/// What the lake is in the middle of, as its folder shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Flush,
    Merge,
    Vacuum,
}

fn parquet_files(folder: &Path) -> usize {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    names.filter(|path| path.extension().is_some_and(|kind| kind == "parquet")).count()
}

fn table_files(lake: &Path) -> usize {
    let dates = fs::read_dir(lake.join("metrics")).into_iter().flatten().flatten();
    dates.map(|date| parquet_files(&date.path())).sum()
}

/// Waits until it shows. What there is to see was not there for longer than the process.
fn wait_for(doing: Doing, lake: &Path) {
    let deadline = Instant::now() + harness::PATIENCE;
    let mut most = 0;
    loop {
        let seen = match doing {
            Doing::Flush => lake.join("flush.json").exists() || parquet_files(&lake.join("tmp")) > 0,
            Doing::Merge => parquet_files(&lake.join("tmp/maintenance")) > 0,
            Doing::Vacuum => {
                let files = table_files(lake);
                most = most.max(files);
                files < most
            }
        };
        if seen {
            return;
        }
        assert!(Instant::now() < deadline, "no {doing:?} within {:?}", harness::PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn of_days(seq: i64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let hours = Duration::from_secs(3600);
    let from = (now - 24 * 60 * hours).as_secs() / 86_400 * 86_400;
    let time = Duration::from_secs(from) + APART * u32::try_from(seq).unwrap();
    load::metrics_at(seq, MAINTAINED_POINTS, u64::try_from(time.as_nanos()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_in_flush_merge_and_vacuum_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().to_owned();
    let config = lake_config(&lake, "").replace(
        "lake: { path:",
        "lake: { flush_interval: 1s, maintenance: { interval: 20ms, vacuum_after: 0s }, path:",
    );
    let next = Arc::new(AtomicI64::new(1));
    let ledger = Ledger::default();
    let mut dice = 7u64;
    for round in 0..18u64 {
        let mut catchment = Catchment::start(&config);
        let url = catchment.url("otlp/http");
        let senders: Vec<_> = (0..2)
            .map(|_| tokio::spawn(send_until_it_dies(url.clone(), next.clone(), ledger.clone(), of_days, PACE)))
            .collect();
        let doing = [Doing::Flush, Doing::Merge, Doing::Vacuum][round as usize % 3];
        let lake = lake.clone();
        tokio::task::spawn_blocking(move || wait_for(doing, &lake)).await.unwrap();
        // Not always at its beginning.
        dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        tokio::time::sleep(Duration::from_micros((dice >> 33) % 20_000)).await;
        catchment.kill();
        for sender in senders {
            sender.await.unwrap();
        }
    }
    let catchment = Catchment::start(&config);
    let ledger = ledger.borrow().clone();
    check("we", &ours(&catchment).await, &ledger, MAINTAINED_POINTS);
    assert_eq!(catchment.stop(), Some(0));
    let Some(python) = common::python() else { return };
    for reader in PEERS {
        check(reader, &theirs(&python, reader, &lake), &ledger, MAINTAINED_POINTS);
    }
}

const PEERS: [&str; 3] = ["deltalake", "pandas", "duckdb-live"];

/// A process of its own, which opens the folder for reading.
fn second_catchment(lake: &Path) -> Found {
    let sql = "SELECT attributes->>'seq' AS seq, count(*) AS n FROM metrics GROUP BY 1";
    let output = Command::new(env!("CARGO_BIN_EXE_catchment"))
        .args(["query", "--format", "csv", "--lake"])
        .arg(lake)
        .arg(sql)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let row =
        |line: &str| line.split_once(',').map(|(seq, rows)| (seq.parse().unwrap(), rows.parse().unwrap())).unwrap();
    lines.lines().skip(1).map(row).collect()
}

/// While rows come, are flushed, merged and rolled up: whole requests, none that was there before gone, and in the end all of them.
#[tokio::test(flavor = "multi_thread")]
async fn others_read_the_lake_while_it_is_written_and_agree() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().to_owned();
    let config = lake_config(&lake, "")
        .replace("lake: { path:", "lake: { flush_interval: 1s, maintenance: { interval: 20ms }, path:");
    let mut catchment = Catchment::start(&config);
    let ledger = Ledger::default();
    let url = catchment.url("otlp/http");
    let sender = send_until_it_dies(url, Arc::new(AtomicI64::new(1)), ledger.clone(), of_days, PACE);
    let sender = tokio::spawn(sender);
    // `second_catchment` opens tables that are there.
    while table_files(&lake) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let python = common::python();
    let readers = ["catchment"].into_iter().chain(PEERS.into_iter().filter(|_| python.is_some()));
    let readers = readers.collect::<Vec<_>>();
    let read = |reader: &'static str| {
        let (python, lake) = (python.clone(), lake.clone());
        tokio::task::spawn_blocking(move || match python.filter(|_| reader != "catchment") {
            Some(python) => theirs(&python, reader, &lake),
            None => second_catchment(&lake),
        })
    };
    let mut seen = BTreeSet::new();
    for reader in readers.iter().cycle().take(3 * readers.len()) {
        let found = read(reader).await.unwrap();
        check(reader, &found, &seen, MAINTAINED_POINTS);
        seen.extend(found.into_keys());
    }
    sender.abort();
    let _ = sender.await;
    let ledger = ledger.borrow().clone();
    let flush = Command::new(env!("CARGO_BIN_EXE_catchment"))
        .args(["lake", "export", "--table", "logs", "--to"])
        .arg(lake.join("flushes.csv"))
        .arg("--lake")
        .arg(&lake)
        .status();
    assert!(flush.unwrap().success(), "an export has the instance write what is in memory");
    let ours = ours(&catchment).await;
    check("we", &ours, &ledger, MAINTAINED_POINTS);
    for reader in readers {
        assert_eq!(read(reader).await.unwrap(), ours, "{reader}");
    }
    catchment.kill();
}
