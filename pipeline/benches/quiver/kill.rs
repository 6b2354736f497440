//! kill -9 under load: what was acknowledged must be there afterwards, once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::data::request;
use crate::store::{OURS, QUIVER, Setup, Store, numbered};

const SENDERS: usize = 16;
const POINTS: u64 = 10;

/// Small files, so that many kills meet the moment one is closed and the next begins.
const SETUPS: [Setup; 5] = [
    OURS,
    Setup { name: "ours, 256 KiB segments", segment_bytes: 256 << 10, ..OURS },
    QUIVER,
    Setup { name: "quiver, 256 KiB segments", segment_bytes: 256 << 10, ..QUIVER },
    Setup { name: "quiver, 256 KiB segments, 1 MiB WAL files", segment_bytes: 256 << 10, wal_bytes: 1 << 20, ..QUIVER },
];

fn setup(name: &str) -> Setup {
    *SETUPS.iter().find(|setup| setup.name == name).unwrap()
}

pub fn run(runtime: &tokio::runtime::Runtime, rounds: u64, folder: &Path) {
    for Setup { name, .. } in SETUPS {
        let mut sum = Sum::default();
        let mut scratch = tempfile::tempdir_in(folder).unwrap();
        let mut acknowledged = Vec::new();
        for round in 0..rounds {
            acknowledged.extend(killed(name, scratch.path(), round));
            match runtime.block_on(all(name, scratch.path(), round)) {
                Ok(found) => sum.count(&acknowledged, &found),
                Err(error) => {
                    sum.refuse(&error, acknowledged.len());
                    scratch = tempfile::tempdir_in(folder).unwrap();
                    acknowledged.clear();
                }
            }
        }
        println!("{name}: {rounds} kills: {sum:?}");
    }
}

#[derive(Debug, Default)]
struct Sum {
    /// In the fullest folder.
    acknowledged: usize,
    missing: usize,
    doubled: usize,
    /// Times the store did not open again, or not make readable what it had recovered; why; and what it held.
    unusable: usize,
    reasons: BTreeSet<String>,
    acknowledged_and_shut_in: usize,
}

impl Sum {
    fn count(&mut self, acknowledged: &[u64], found: &BTreeMap<u64, u64>) {
        self.acknowledged = self.acknowledged.max(acknowledged.len());
        self.missing = self.missing.max(acknowledged.iter().filter(|number| !found.contains_key(number)).count());
        self.doubled = self.doubled.max(found.values().filter(|times| **times > 1).count());
    }

    fn refuse(&mut self, error: &str, acknowledged: usize) {
        self.unusable += 1;
        self.reasons.insert(error.to_owned());
        self.acknowledged_and_shut_in += acknowledged;
    }
}

/// Runs a sender until it is killed; what it was told is safe.
fn killed(name: &str, folder: &Path, round: u64) -> Vec<u64> {
    let program = std::env::current_exe().unwrap();
    let args = ["sender".as_ref(), name.as_ref(), folder.as_os_str()];
    let mut sender =
        Command::new(program).args(args).arg((round << 32).to_string()).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(sender.stdout.take().unwrap());
    let reading = std::thread::spawn(move || {
        // The last line may be cut short: numbers have a fixed width.
        let lines = output.lines().map_while(Result::ok).filter(|line| line.len() == 20);
        lines.map(|line| line.parse().unwrap()).collect::<Vec<u64>>()
    });
    std::thread::sleep(Duration::from_millis(300 + round * 7919 % 700));
    sender.kill().unwrap();
    sender.wait().unwrap();
    reading.join().unwrap()
}

/// In a process of its own: sends, and prints each number once it is acknowledged.
pub async fn send(name: &str, folder: &Path, first: u64) {
    let store = Store::open(setup(name), folder).await.unwrap();
    // Nobody reads, so that everything is kept.
    let _reader = store.reader("reader").await;
    let (payload, next) = (request(POINTS), Arc::new(AtomicU64::new(first)));
    let senders = (0..SENDERS).map(|_| {
        let (store, payload, next) = (store.clone(), payload.clone(), next.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Relaxed);
                store.put(numbered(&payload, number)).await;
                let line = format!("{number:020}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    futures::future::join_all(senders).await;
}

/// What the store holds, and how often.
async fn all(name: &str, folder: &Path, round: u64) -> Result<BTreeMap<u64, u64>, String> {
    let store = Store::open(setup(name), folder).await?;
    store.flush().await?;
    let mut reader = store.reader(&format!("check-{round}")).await;
    let mut found = BTreeMap::new();
    loop {
        let numbers = reader.next().await;
        if numbers.is_empty() {
            break;
        }
        numbers.into_iter().for_each(|number| *found.entry(number).or_default() += 1);
    }
    if let Store::Ours(log, _) = &store {
        drop(reader);
        log.close().await.unwrap();
    }
    Ok(found)
}
