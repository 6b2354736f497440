//! The whole binary under load, beside a real Collector in the same run:
//! `cargo bench --bench pipeline [-- ingest|forward|aggregate|visible|memory|maintenance|day ...]`.
//!
//! `day` is fed recordings of a host (RECORDING: files of the `file` exporter, `format: proto`, `compression: zstd`, separated by commas).
//!
//! Set CATCHMENT_PEERS to the folder `cargo xtask peers` filled; without a Collector there only our own figures are printed.
//! Figures are points per CPU-second of the measured process (user + system, whole life), never wall time of ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod day;
#[allow(unused_imports)]
#[path = "../../storage/benches/fleet/mod.rs"]
mod fleet;
#[path = "../../tests/harness/mod.rs"]
mod harness;
mod maintenance;
#[path = "../../tests/common/peers.rs"]
mod peers;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use harness::{Catchment, cpu_seconds, grpc, lake_config, load, resident};

const POINTS: usize = 1000;
const CONNECTIONS: usize = 4;
const REQUESTS: usize = 1500;
const ROUNDS: usize = 3;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let run = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    runtime.block_on(async {
        if run("ingest") {
            compare(
                "ingest: OTLP/gRPC -> fsynced -> acknowledged -> lake; Collector: otlp -> file exporter",
                ingest_ours,
                ingest_collector,
            )
            .await;
        }
        if run("forward") {
            compare("forward: OTLP/gRPC -> OTLP/gRPC, nothing changed", forward_ours, forward_collector).await;
        }
        if run("aggregate") {
            let what = "aggregate: OTLP/gRPC -> 16,000 counters in time and across labels, every 10 s -> OTLP/gRPC; Collector: interval, metricstransform";
            compare(what, aggregate_ours, aggregate_collector).await;
        }
        if run("visible") {
            visible().await;
        }
        if run("memory") {
            memory().await;
        }
        if run("maintenance") {
            maintenance::run().await;
        }
        if run("day") {
            day::run().await;
        }
    });
}

/// Runs both in turn and prints each figure and the ratio of the medians.
async fn compare(what: &str, ours: impl AsyncFn() -> f64, theirs: impl AsyncFn(&Path) -> f64) {
    println!("{what}\n  {REQUESTS} requests of {POINTS} points over {CONNECTIONS} connections, {ROUNDS} rounds");
    let collector = peers::collector();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(ours().await);
        if let Some(collector) = &collector {
            b.push(theirs(collector).await);
        }
    }
    let a = median(&mut a);
    println!("  catchment  {a:>12.0} points per CPU-second");
    if !b.is_empty() {
        let b = median(&mut b);
        println!("  collector  {b:>12.0} points per CPU-second\n  ratio      {:>12.2}", a / b);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Sends the load; every request is sent again until it is taken.
async fn send(address: SocketAddr) {
    let frames: Vec<Bytes> = (0..64).map(|seq| grpc::frame(&load::metrics(seq, POINTS))).collect();
    send_frames(address, move |i| frames[i % frames.len()].clone()).await;
}

/// Points of now, of the same 16 times 1000 series again and again.
async fn send_series(address: SocketAddr) {
    send_frames(address, |i| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        grpc::frame(&load::metrics_at((i % 16) as i64, POINTS, now))
    })
    .await;
}

async fn send_frames(address: SocketAddr, frame: impl Fn(usize) -> Bytes + Send + Sync + 'static) {
    let frame = Arc::new(frame);
    let next = Arc::new(AtomicUsize::new(0));
    let senders = (0..CONNECTIONS).map(|_| {
        let (frame, next, client) = (frame.clone(), next.clone(), grpc::client());
        tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= REQUESTS {
                    return;
                }
                let frame = frame(i);
                while !grpc::export(&client, address, frame.clone()).await {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
}

/// Waits until a process has used no CPU to speak of for a second; its total then.
async fn settled(pid: u32) -> f64 {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut before = cpu_seconds(pid);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = cpu_seconds(pid);
        if now - before < 0.03 || Instant::now() > deadline {
            return now;
        }
        before = now;
    }
}

async fn ingest_ours() -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let config = lake_config(dir.path(), "").replace("lake: { path:", "lake: { flush_interval: 2s, path:");
    let catchment = Catchment::start(&config);
    send(catchment.address("otlp/grpc")).await;
    // On a busy machine rows may wait for room in the lake: a process that rests is not one that is done.
    let all = (REQUESTS * POINTS) as u64;
    while catchment.sql("SELECT count(*) FROM metrics").await[0][0].as_u64() != Some(all) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await; // the last flush is due
    let cpu = settled(catchment.pid()).await;
    (REQUESTS * POINTS) as f64 / cpu
}

async fn forward_ours() -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let sink = grpc::Sink::start().await;
    let catchment = Catchment::start(&format!(
        "
extensions: {{ lake: {{ path: {} }} }}
receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: localhost:0 }} }} }} }}
exporters: {{ otlp_grpc: {{ endpoint: {}, tls: {{ insecure: true }} }} }}
service:
  extensions: [lake]
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ metrics: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}
",
        dir.path().display(),
        sink.address
    ));
    send(catchment.address("otlp/grpc")).await;
    let cpu = settled(catchment.pid()).await;
    assert!(sink.requests.load(Ordering::Relaxed) > 0);
    (REQUESTS * POINTS) as f64 / cpu
}

/// Each sums the increases by method over all else; its windows are let close, and are part of what is measured.
async fn aggregate_ours() -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let sink = grpc::Sink::start().await;
    let catchment = Catchment::start(&format!(
        "
extensions: {{ lake: {{ path: {} }} }}
receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: localhost:0 }} }} }} }}
processors: {{ aggregate: {{ interval: 10s, by: [http.request.method], functions: [sum], allowed_lateness: 1s, grace: 1s }} }}
exporters: {{ otlp_grpc: {{ endpoint: {}, tls: {{ insecure: true }} }} }}
service:
  extensions: [lake]
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ metrics: {{ receivers: [otlp], processors: [aggregate], exporters: [otlp_grpc] }} }}
",
        dir.path().display(),
        sink.address
    ));
    send_series(catchment.address("otlp/grpc")).await;
    aggregated(&sink, catchment.pid()).await
}

async fn aggregate_collector(binary: &Path) -> f64 {
    let sink = grpc::Sink::start().await;
    let processors = "interval: { interval: 10s }, metricstransform: { transforms: [{ include: ledger, action: update, operations: \
                      [{ action: aggregate_labels, label_set: [http.request.method], aggregation_type: sum }] }] }";
    let otlp = format!("otlp: {{ endpoint: '{}', tls: {{ insecure: true }} }}", sink.address);
    let collector = Collector::start_with(binary, (processors, "interval, metricstransform"), (&otlp, "otlp")).await;
    send_series(collector.address).await;
    aggregated(&sink, collector.child.id()).await
}

/// Points per CPU-second, once the last window has come out.
async fn aggregated(sink: &grpc::Sink, pid: u32) -> f64 {
    tokio::time::sleep(Duration::from_secs(25)).await;
    let cpu = settled(pid).await;
    assert!(sink.requests.load(Ordering::Relaxed) > 0, "no aggregate came out");
    (REQUESTS * POINTS) as f64 / cpu
}

/// A Collector on a free port, gone when dropped.
struct Collector {
    child: Child,
    address: SocketAddr,
}

impl Collector {
    async fn start(binary: &Path, exporters: &str, exporter: &str) -> Collector {
        Collector::start_with(binary, ("", ""), (exporters, exporter)).await
    }

    /// Of processors and exporters: what they are, and their names.
    async fn start_with(
        binary: &Path,
        (processors, chain): (&str, &str),
        (exporters, exporter): (&str, &str),
    ) -> Collector {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "yaml:
receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: {address} }} }} }} }}
processors: {{ {processors} }}
exporters: {{ {exporters} }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ metrics: {{ receivers: [otlp], processors: [{chain}], exporters: [{exporter}] }} }}
"
        );
        let child = Command::new(binary)
            .args(["--config", &config])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "the Collector does not listen on {address}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Collector { child, address }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ingest_collector(binary: &Path) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("file: {{ path: {}/metrics.json }}", dir.path().display());
    let collector = Collector::start(binary, &file, "file").await;
    send(collector.address).await;
    (REQUESTS * POINTS) as f64 / settled(collector.child.id()).await
}

async fn forward_collector(binary: &Path) -> f64 {
    let sink = grpc::Sink::start().await;
    let otlp = format!("otlp: {{ endpoint: '{}', tls: {{ insecure: true }} }}", sink.address);
    let collector = Collector::start(binary, &otlp, "otlp").await;
    send(collector.address).await;
    let cpu = settled(collector.child.id()).await;
    assert!(sink.requests.load(Ordering::Relaxed) > 0);
    (REQUESTS * POINTS) as f64 / cpu
}

/// From the acknowledgement of a request to a query that returns its rows.
async fn visible() {
    const SAMPLES: usize = 200;
    let dir = tempfile::tempdir().unwrap();
    let catchment = Catchment::start(&lake_config(dir.path(), ""));
    let client = grpc::client();
    let mut delays = Vec::new();
    for seq in 0..SAMPLES as i64 {
        assert!(grpc::export(&client, catchment.address("otlp/grpc"), grpc::frame(&load::metrics(seq, POINTS))).await);
        let acknowledged = Instant::now();
        let sql = format!("SELECT count(*) FROM metrics WHERE attributes->>'seq' = '{seq}'");
        while catchment.sql(&sql).await[0][0].as_u64() != Some(POINTS as u64) {}
        delays.push(acknowledged.elapsed().as_secs_f64() * 1000.0);
    }
    delays.sort_by(f64::total_cmp);
    println!(
        "visible: acknowledged -> returned by SQL, {SAMPLES} requests of {POINTS} points, the query included\n  median {:.1} ms, p99 {:.1} ms",
        delays[SAMPLES / 2],
        delays[SAMPLES * 99 / 100]
    );
}

async fn memory() {
    let dir = tempfile::tempdir().unwrap();
    let default = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/default.yaml")).unwrap();
    let mut config = default.replace("./data", &dir.path().display().to_string());
    for port in ["4317", "4318", "8080", "8888"] {
        config = config.replace(&format!("localhost:{port}"), "localhost:0");
    }
    let catchment = Catchment::start(&config);
    tokio::time::sleep(Duration::from_secs(30)).await;
    println!(
        "memory: the default configuration after 30 s of host metrics\n  resident {:.1} MiB",
        mib(catchment.pid())
    );
    drop(catchment);

    let dir = tempfile::tempdir().unwrap();
    let catchment = Catchment::start(&lake_config(dir.path(), ""));
    let pid = catchment.pid();
    let sampler = tokio::spawn(async move {
        let mut peak = 0f64;
        loop {
            peak = peak.max(mib(pid));
            tokio::time::sleep(Duration::from_millis(100)).await;
            if !Path::new(&format!("/proc/{pid}/status")).exists() {
                return peak;
            }
        }
    });
    let address = catchment.address("otlp/grpc");
    // Four times the senders of `ingest`, none of which waits when refused: more than two cores can take.
    futures::future::join_all((0..4).map(|_| send(address))).await;
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    drop(catchment);
    println!("overload: {} senders without pause\n  peak resident {:.1} MiB", 4 * CONNECTIONS, sampler.await.unwrap());
}

fn mib(pid: u32) -> f64 {
    resident(pid) as f64 / f64::from(1 << 20)
}
