//! Ingest at full load with maintenance on, looking for work every second, and off, in turn.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::harness::{Catchment, binary, cpu_seconds, grpc, lake_config, load};
use super::{CONNECTIONS, POINTS};

const TIME: Duration = Duration::from_secs(30);
const ROUNDS: usize = 2;
const FRAMES: i64 = 64;

#[derive(Debug)]
struct Run {
    /// Points taken a second.
    taken: f64,
    cpu: f64,
    /// Of `metrics`, live at the end, and the most there were.
    files: u64,
    most_files: u64,
}

pub async fn run() {
    println!(
        "maintenance: {CONNECTIONS} connections send requests of {POINTS} points without pause for {TIME:?}; flushes every second"
    );
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (enabled, runs) in [(true, &mut on), (false, &mut off)] {
            let run = load(enabled).await;
            println!(
                "  {}: {:.0} points/s taken, {:.1} CPU-seconds of {}, {} files of `metrics` at the end, {} at most",
                if enabled { "on " } else { "off" },
                run.taken,
                run.cpu,
                TIME.as_secs() * 2,
                run.files,
                run.most_files
            );
            runs.push(run.taken);
        }
    }
    // Of two rounds there is no middle one.
    println!("  on / off     {:>12.2}", on.iter().sum::<f64>() / off.iter().sum::<f64>());
}

async fn load(enabled: bool) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let keys = format!(
        "lake: {{ flush_interval: 1s, maintenance: {{ enabled: {enabled}, interval: 1s, vacuum_after: 5s }}, path:"
    );
    let catchment = Catchment::start(&lake_config(dir.path(), "").replace("lake: { path:", &keys));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let frame = |seq: i64| grpc::frame(&load::metrics_at(seq, POINTS, now - (FRAMES - seq) as u64 * 1_000_000_000));
    let frames = Arc::new((0..FRAMES).map(frame).collect::<Vec<_>>());
    let (next, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let address = catchment.address("otlp/grpc");
    let until = Instant::now() + TIME;
    let senders = (0..CONNECTIONS).map(|_| {
        let (frames, next, taken, client) = (frames.clone(), next.clone(), taken.clone(), grpc::client());
        tokio::spawn(async move {
            while Instant::now() < until {
                let frame = frames[next.fetch_add(1, Ordering::Relaxed) % frames.len()].clone();
                match grpc::export(&client, address, frame).await {
                    true => drop(taken.fetch_add(POINTS, Ordering::Relaxed)),
                    false => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        })
    });
    let senders = senders.collect::<Vec<_>>();
    let mut most_files = 0;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_secs(2)).await;
        most_files = most_files.max(live(dir.path()));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let cpu = cpu_seconds(catchment.pid());
    let files = live(dir.path());
    let taken = taken.load(Ordering::Relaxed) as f64 / TIME.as_secs_f64();
    Run { taken, cpu, files, most_files: most_files.max(files) }
}

/// Files of `metrics`.
fn live(folder: &Path) -> u64 {
    let output = Command::new(binary()).args(["lake", "info", "--json", "--lake"]).arg(folder).output().unwrap();
    let info = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    let metrics = info["tables"].as_array().unwrap().iter().find(|table| table["name"] == "metrics").unwrap();
    metrics["files"].as_u64().unwrap()
}
