//! Acknowledged requests a second, what they cost, and how long until a subscriber has them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::data::{cpu, request};
use crate::store::{OURS, QUIVER, QUIVER_50_MS, Setup, Store, numbered};

const POINTS: u64 = 1000;
const PER_RUN: Duration = Duration::from_secs(5);
const MOST: usize = 100_000;

/// When each request was acknowledged and when it was read, in nanoseconds since the run began.
struct Times {
    begun: Instant,
    acknowledged: Vec<AtomicU64>,
    read: Vec<AtomicU64>,
}

pub async fn run(folder: &Path) {
    let payload = request(POINTS);
    println!("{POINTS} points a request, {} bytes; {} s a line", payload.len() + 10, PER_RUN.as_secs());
    println!(
        "                senders  requests/s  CPU us/request  KB written/request  acknowledged -> read, ms: p50, p99"
    );
    for senders in [1, 4, 16, 64] {
        for setup in [OURS, QUIVER, QUIVER_50_MS] {
            let scratch = tempfile::tempdir_in(folder).unwrap();
            one(setup, scratch.path(), &payload, senders).await;
        }
    }
}

async fn one(setup: Setup, folder: &Path, payload: &Bytes, senders: usize) {
    let store = Store::open(setup, folder).await.unwrap();
    let mut reader = store.reader("reader").await;
    let zeros = || (0..MOST).map(|_| AtomicU64::new(0)).collect();
    let times = Arc::new(Times { begun: Instant::now(), acknowledged: zeros(), read: zeros() });
    let next = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let (cpu_before, written_before) = (cpu(), written());

    let reading = tokio::spawn({
        let (times, done) = (times.clone(), done.clone());
        async move {
            let mut read = 0;
            loop {
                let numbers = reader.next().await;
                if numbers.is_empty() && done.load(Relaxed) {
                    return read;
                }
                read += numbers.len() as u64;
                numbers.iter().for_each(|number| times.read[*number as usize].store(times.now(), Relaxed));
            }
        }
    });
    let keeping = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                store.maintain().await;
            }
        }
    });
    let senders_under_way = (0..senders).map(|_| {
        let (store, payload, next, times) = (store.clone(), payload.clone(), next.clone(), times.clone());
        tokio::spawn(async move {
            while times.begun.elapsed() < PER_RUN {
                let number = next.fetch_add(1, Relaxed);
                store.put(numbered(&payload, number)).await;
                times.acknowledged[number as usize].store(times.now(), Relaxed);
            }
        })
    });
    futures::future::join_all(senders_under_way).await.into_iter().for_each(Result::unwrap);
    let (sent, took) = (next.load(Relaxed), times.begun.elapsed());
    store.flush().await.unwrap();
    done.store(true, Relaxed);
    let read = reading.await.unwrap();
    keeping.abort();
    assert_eq!(read, sent, "every request is read once");
    let waits = times.waits(sent as usize);
    println!(
        "{:>14}  {senders:>7}  {:>10.0}  {:>14.0}  {:>18.0}  {:>24.1} {:>7.1}",
        setup.name,
        sent as f64 / took.as_secs_f64(),
        (cpu() - cpu_before).as_secs_f64() * 1e6 / sent as f64,
        (written() - written_before) as f64 / 1e3 / sent as f64,
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
    );
}

impl Times {
    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// Milliseconds from acknowledged to read, sorted. A reader may be first: that is no wait.
    fn waits(&self, sent: usize) -> Vec<f64> {
        let nanos = |times: &[AtomicU64], n: usize| times[n].load(Relaxed);
        let wait = |n| nanos(&self.read, n).saturating_sub(nanos(&self.acknowledged, n)) as f64 / 1e6;
        let mut waits: Vec<f64> = (0..sent).map(wait).collect();
        waits.sort_by(f64::total_cmp);
        waits
    }
}

/// Bytes this process had written to disk, or is about to.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.unwrap().parse().unwrap()
}
