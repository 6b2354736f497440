//! `/api/v1/live` of the whole binary: fed over OTLP, killed, started again, and a page that was open all the time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use arrow::ipc::reader::StreamReader;
use futures::{SinkExt, StreamExt};
use harness::{Catchment, PATIENCE, grpc, lake_config, load};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// When `load`'s points begin.
const EPOCH: i64 = 1_790_000_000;
const POINTS: usize = 20;
const SQL: &str = "SELECT date_bin($step, ts) AS t, sum(value) AS value FROM ledger WHERE $range GROUP BY 1";

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Points of `ago` seconds ago.
async fn send(catchment: &Catchment, ago: i64) {
    let request = grpc::frame(&load::metrics(now() - ago - EPOCH, POINTS));
    let client = grpc::client();
    while !grpc::export(&client, catchment.address("otlp/grpc"), request.clone()).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a browser holds: seconds to value.
#[derive(Default)]
struct Page {
    socket: Option<WebSocketStream<TcpStream>>,
    rows: BTreeMap<i64, f64>,
    head: Value,
    log: String,
    whole: usize,
    tails: usize,
}

impl Page {
    async fn connect(&mut self, address: SocketAddr) {
        let tcp = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async(format!("ws://{address}/api/v1/live"), tcp).await.unwrap();
        self.socket = Some(socket);
        let hello = self.json().await;
        self.log = hello["log"].as_str().unwrap().to_owned();
    }

    async fn subscribe(&mut self, sql: &str) {
        let mut message = json!({"op": "subscribe", "id": 1, "query": {"sql": sql, "min_step": "30s"},
            "range": {"last": "1h"}, "width": 1000});
        if self.whole > 0 {
            message["resume"] = json!({"position": self.head["position"], "log": self.log,
                "step_ms": self.head["step_ms"], "to": self.head["to"]});
        }
        self.socket.as_mut().unwrap().send(Message::text(message.to_string())).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        loop {
            let next = timeout(PATIENCE, self.socket.as_mut().unwrap().next());
            match next.await.expect("a message").expect("still open").unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    }

    async fn json(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Applies one frame.
    async fn frame(&mut self) {
        let frame = match self.next().await {
            Message::Binary(frame) => frame,
            other => panic!("{other:?}"),
        };
        let length = u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize;
        self.head = serde_json::from_slice(&frame[4..4 + length]).unwrap();
        match self.head["replace_from"].as_i64() {
            None => {
                self.rows.clear();
                self.whole += 1;
            }
            Some(from) => {
                self.rows.retain(|t, _| *t * 1000 < from);
                self.tails += 1;
            }
        }
        for batch in StreamReader::try_new(&frame[4 + length..], None).unwrap().map(Result::unwrap) {
            let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            let values = batch.column(1).as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                let before = self.rows.insert(times.value(row) / 1_000_000, values.value(row));
                assert_eq!(before, None, "a doubled point");
            }
        }
    }

    /// Applies frames until it holds what the whole query gives.
    async fn until_right(&mut self, catchment: &Catchment) {
        let sql = "SELECT CAST(date_part('epoch', date_bin(INTERVAL '30 seconds', ts)) AS BIGINT), sum(value) FROM ledger GROUP BY 1";
        assert_eq!(self.head["step_ms"], 30_000);
        let rows = catchment.sql(sql).await;
        let expect = rows.iter().map(|row| (row[0].as_i64().unwrap(), row[1].as_f64().unwrap()));
        let expect = expect.collect::<BTreeMap<_, _>>();
        let near = |(a, b): ((&i64, &f64), (&i64, &f64))| a.0 == b.0 && (a.1 - b.1).abs() < 1e-6 * b.1.abs();
        while self.rows.len() != expect.len() || !self.rows.iter().zip(&expect).all(near) {
            self.frame().await;
        }
    }
}

#[tokio::test]
async fn a_restart_leaves_no_gap_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = lake_config(dir.path(), "");
    let mut catchment = Catchment::start(&config);
    let mut page = Page::default();
    page.connect(catchment.address("dashboard")).await;
    page.subscribe(SQL).await;
    let error = loop {
        let message = page.json().await;
        if message["op"] == "error" {
            break message;
        }
    };
    assert_eq!(error["error"]["kind"], "no_data_yet", "{error}");

    for ago in [600, 540, 300, 0] {
        send(&catchment, ago).await;
    }
    page.frame().await;
    page.until_right(&catchment).await;
    send(&catchment, 560).await;
    page.until_right(&catchment).await;
    assert!(page.tails > 0, "a late point was a part, not the whole");

    // Acknowledged, and perhaps not seen by the page.
    send(&catchment, 290).await;
    catchment.kill();
    catchment = Catchment::start(&config);
    let whole = page.whole;
    page.connect(catchment.address("dashboard")).await;
    page.subscribe(SQL).await;
    assert_eq!(page.json().await["op"], "subscribed");
    page.frame().await;
    assert_eq!(page.whole, whole, "what it held was gone on from");
    page.until_right(&catchment).await;
    send(&catchment, 0).await;
    page.until_right(&catchment).await;

    // When what came after its position is not known any more, it is sent everything, and holds the same.
    catchment.kill();
    let flushed = config.replace("lake: { path:", "lake: { flush_interval: 1s, path:");
    catchment = Catchment::start(&flushed);
    send(&catchment, 240).await;
    catchment.sql_until("SELECT count(*) FROM ledger", |rows| rows[0][0] == 8 * POINTS as u64).await;
    let url = format!("{}/api/v1/lake", catchment.url("dashboard"));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let lake: Value = harness::client().get(&url).send().await.unwrap().json().await.unwrap();
        if lake["durable_position"] == lake["appended_position"] {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{lake}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    catchment.kill();
    catchment = Catchment::start(&flushed);
    let whole = page.whole;
    page.connect(catchment.address("dashboard")).await;
    page.subscribe(SQL).await;
    assert_eq!(page.json().await["op"], "subscribed");
    page.frame().await;
    assert_eq!(page.whole, whole + 1);
    page.until_right(&catchment).await;
}

#[tokio::test]
async fn an_error_has_its_place_in_the_query() {
    let dir = tempfile::tempdir().unwrap();
    let catchment = Catchment::start(&lake_config(dir.path(), ""));
    let mut page = Page::default();
    page.connect(catchment.address("dashboard")).await;
    page.subscribe("SELECT date_bin($step, ts) AS t,\n  wrong AS value FROM metrics WHERE $range").await;
    let error = loop {
        let message = page.json().await;
        if message["op"] == "error" {
            break message["error"].clone();
        }
    };
    assert_eq!((&error["kind"], &error["position"]), (&json!("bad_sql"), &json!({"line": 2, "column": 3})), "{error}");
}
