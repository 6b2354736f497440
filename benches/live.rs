//! A thousand pages that watch the same ten queries: what they cost the server, and how long a change takes to all of them.
//! `cargo bench --bench live` (the release binary); CLIENTS, STREAMS and SECONDS are its size, by default 1000, 10 and 30.
//!
//! Push latency is from the acknowledgement of a request to the arrival of a frame whose position covers it, for every request,
//! client and stream. The clients run in this process, on the same machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{SinkExt, StreamExt};
use harness::{Catchment, client, cpu_seconds, grpc, lake_config, load, resident};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

const POINTS: usize = 100;
/// When `load`'s points begin.
const EPOCH: u64 = 1_790_000_000;

fn size(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(size("CLIENTS", 1000), size("STREAMS", 10), size("SECONDS", 30)));
}

/// When each position was acknowledged.
type Acknowledged = Arc<Mutex<Vec<(u64, Instant)>>>;

async fn run(clients: usize, streams: usize, seconds: usize) {
    let dir = tempfile::tempdir().unwrap();
    let catchment = Catchment::start(&lake_config(dir.path(), ""));
    let (address, otlp) = (catchment.address("dashboard"), catchment.address("otlp/grpc"));
    let sender = grpc::client();
    send(&sender, otlp).await;
    catchment.sql_until("SELECT 1 FROM ledger LIMIT 1", |rows| !rows.is_empty()).await;
    let acknowledged = Acknowledged::default();
    let frames = Arc::new(AtomicUsize::new(0));

    // The streams are there before memory is compared: it is of the clients.
    let first = watch(address, streams, acknowledged.clone(), frames.clone()).await;
    wait_for(&frames, streams).await;
    for _ in 0..5 {
        send(&sender, otlp).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let before = resident(catchment.pid());
    let mut tasks = vec![first];
    let expected = frames.load(Ordering::Relaxed) + clients * streams;
    for _ in 0..clients {
        tasks.push(watch(address, streams, acknowledged.clone(), frames.clone()).await);
    }
    wait_for(&frames, expected).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = resident(catchment.pid());

    let (start, cpu) = (position(&catchment).await, cpu_seconds(catchment.pid()));
    for n in 1..=seconds as u64 {
        let began = Instant::now();
        send(&sender, otlp).await;
        acknowledged.lock().unwrap().push((start + n, Instant::now()));
        tokio::time::sleep(Duration::from_secs(1).saturating_sub(began.elapsed())).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (busy, cpu) = (resident(catchment.pid()), cpu_seconds(catchment.pid()) - cpu);
    assert_eq!(position(&catchment).await, start + seconds as u64, "one record a request");

    let mut delays = Vec::new();
    for task in tasks {
        task.abort_handle.abort();
        delays.append(&mut task.delays.lock().unwrap());
    }
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    let kib = |bytes: u64| bytes.saturating_sub(before) as f64 / 1024.0 / clients as f64;
    println!(
        "live: {clients} clients on {streams} shared subscriptions, a request of {POINTS} points a second for {seconds} s"
    );
    println!(
        "  server memory  {:.1} MiB without them; {:.1} KiB a client idle, {:.1} KiB pushed to",
        before as f64 / f64::from(1 << 20),
        kib(idle),
        kib(busy)
    );
    println!("  server CPU     {:.2} cores", cpu / (seconds + 2) as f64);
    println!(
        "  acknowledged -> received, {} of {}: median {:.0} ms, p99 {:.0} ms, most {:.0} ms",
        delays.len(),
        (clients + 1) * streams * seconds,
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

async fn send(sender: &reqwest::Client, otlp: SocketAddr) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let request = grpc::frame(&load::metrics((now - EPOCH) as i64, POINTS));
    while !grpc::export(sender, otlp, request.clone()).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Of the last record in the log.
async fn position(catchment: &Catchment) -> u64 {
    let url = format!("{}/api/v1/pipeline", catchment.url("dashboard"));
    let status: Value = client().get(url).send().await.unwrap().json().await.unwrap();
    status["log"]["last"].as_u64().unwrap()
}

async fn wait_for(frames: &AtomicUsize, count: usize) {
    let deadline = Instant::now() + harness::PATIENCE;
    while frames.load(Ordering::Relaxed) < count {
        assert!(Instant::now() < deadline, "{} of {count} frames", frames.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Watching {
    abort_handle: tokio::task::AbortHandle,
    /// Milliseconds.
    delays: Arc<Mutex<Vec<f64>>>,
}

/// Connects and subscribes; from then on takes what comes.
async fn watch(address: SocketAddr, streams: usize, acknowledged: Acknowledged, frames: Arc<AtomicUsize>) -> Watching {
    let tcp = TcpStream::connect(address).await.unwrap();
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let url = format!("ws://{address}/api/v1/live");
    let (mut socket, _) = client_async_with_config(url, tcp, Some(config)).await.unwrap();
    for id in 0..streams {
        let sql = format!(
            "SELECT date_bin($step, ts) AS t, \"http.request.method\" AS method, max(value) + {id} AS value FROM ledger WHERE $range GROUP BY 1, 2"
        );
        let subscribe =
            json!({"op": "subscribe", "id": id, "query": {"sql": sql}, "range": {"last": "15m"}, "width": 900});
        socket.send(Message::text(subscribe.to_string())).await.unwrap();
    }
    let delays = Arc::new(Mutex::new(Vec::new()));
    let task = tokio::spawn(take(socket, acknowledged, frames, delays.clone()));
    Watching { abort_handle: task.abort_handle(), delays }
}

async fn take(
    mut socket: WebSocketStream<TcpStream>,
    acknowledged: Acknowledged,
    frames: Arc<AtomicUsize>,
    delays: Arc<Mutex<Vec<f64>>>,
) {
    // By stream, how many of the acknowledged requests its frames have covered.
    let mut covered = HashMap::<u64, usize>::new();
    // What came before its sender had its answer.
    let mut early = Vec::<(u64, u64, Instant)>::new();
    while let Some(message) = socket.next().await {
        let frame = match message.unwrap() {
            Message::Binary(frame) => frame,
            Message::Text(text) if text.contains("\"error\"") => panic!("{text}"),
            _ => continue,
        };
        let arrived = Instant::now();
        frames.fetch_add(1, Ordering::Relaxed);
        let length = u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize;
        let head: Value = serde_json::from_slice(&frame[4..4 + length]).unwrap();
        let position = head["position"].as_str().unwrap().parse().unwrap();
        early.push((head["stream"].as_u64().unwrap(), position, arrived));
        let acknowledged = acknowledged.lock().unwrap();
        early.retain(|(stream, position, arrived)| {
            let done = covered.entry(*stream).or_default();
            while let Some((_, at)) = acknowledged.get(*done).filter(|(known, _)| known <= position) {
                delays.lock().unwrap().push(arrived.saturating_duration_since(*at).as_secs_f64() * 1000.0);
                *done += 1;
            }
            // Of one that is ahead of every acknowledgement, more may be learnt.
            acknowledged.last().is_none_or(|(known, _)| known < position)
        });
    }
}
