//! A destination that is away for ten minutes' worth of load: memory stays flat, and everything arrives, in
//! order, when it is back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use harness::sink::Sink;
use harness::{Catchment, client, load};
use tokio::net::TcpSocket;

/// One request of 1,000 points a second, for ten minutes.
const REQUESTS: i64 = 600;
const POINTS: usize = 1000;
/// What the log's tail and read-ahead, and the allocator, may come to; the load itself is about 120 MB.
const FLAT: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_in_order_after_ten_minutes_away() {
    let dir = tempfile::tempdir().unwrap();
    // The port is ours, and nobody listens there yet.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let destination = socket.local_addr().unwrap();
    let mut catchment = Catchment::start(&format!(
        "
extensions: {{ lake: {{ path: {} }} }}
receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: localhost:0 }} }} }} }}
exporters:
  otlp_http:
    endpoint: http://{destination}
    retry_on_failure: {{ initial_interval: 50ms, max_interval: 200ms, max_elapsed_time: 0 }}
service:
  extensions: [lake]
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ metrics: {{ receivers: [otlp], exporters: [otlp_http] }} }}
",
        dir.path().display()
    ));
    let client = client();
    let url = format!("{}/v1/metrics", catchment.url("otlp/http"));
    let send = async |seq| {
        let request = client.post(&url).header("content-type", "application/x-protobuf");
        let response = request.body(load::metrics(seq, POINTS)).send().await.unwrap();
        assert!(response.status().is_success(), "{seq}: {}", response.status());
    };

    let warm = REQUESTS / 10;
    for seq in 0..warm {
        send(seq).await;
    }
    let early = catchment.resident();
    for seq in warm..REQUESTS {
        send(seq).await;
    }
    let late = catchment.resident();
    assert!(late < early + FLAT, "resident memory grew from {early} to {late} bytes while the destination was away");

    let mut sink = Sink::on(socket.listen(128).unwrap());
    let mut arrived: Vec<i64> = Vec::new();
    while arrived.len() < REQUESTS as usize {
        let (_, body) = sink.next().await;
        arrived.extend(load::seqs(&body));
    }
    assert_eq!(arrived, (0..REQUESTS).collect::<Vec<_>>());
    assert!(catchment.resident() < early + 2 * FLAT, "memory after the catch-up: {}", catchment.resident());
    assert!(catchment.logged().iter().all(|entry| entry["level"] != "ERROR"), "an ERROR means data was lost");
    catchment.kill();
}
