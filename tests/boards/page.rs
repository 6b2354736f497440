//! What a page does: it takes the boards from the server and asks their queries over `/api/v1/live`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use arrow::ipc::reader::StreamReader;
use arrow::json::ArrayWriter;
use futures::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::harness::{Catchment, PATIENCE, client};

/// Rows of a result by column name; columns that are NULL are not there.
pub type Rows = Vec<Map<String, Value>>;

pub struct Page {
    socket: WebSocketStream<TcpStream>,
    pub range: Value,
    next: u64,
}

impl Page {
    pub async fn open(address: SocketAddr, range: Value) -> Page {
        let tcp = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async(format!("ws://{address}/api/v1/live"), tcp).await.unwrap();
        Page { socket, range, next: 0 }
    }

    /// The first whole result of a query; `Err` is what the server has against it.
    pub async fn ask(&mut self, query: &Value, vars: &Value) -> Result<Rows, Value> {
        self.next += 1;
        let mut query = query.clone();
        let limit = query.as_object_mut().unwrap().remove("limit");
        query["vars"] = vars.clone();
        let mut message =
            json!({"op": "subscribe", "id": self.next, "query": query, "range": self.range, "width": 600});
        if let Some(limit) = limit {
            message["limit"] = limit;
        }
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        let (mut stream, asked) = (None, self.next);
        let answer = loop {
            let next = timeout(PATIENCE, self.socket.next()).await;
            match next.unwrap_or_else(|_| panic!("no answer to {message}")).expect("still open").unwrap() {
                Message::Text(text) => {
                    let said: Value = serde_json::from_str(&text).unwrap();
                    match said["op"].as_str() {
                        Some("subscribed") if said["id"] == asked => stream = said["stream"].as_u64(),
                        Some("error") if said["id"] == asked => break Err(said["error"].clone()),
                        _ => {}
                    }
                }
                Message::Binary(frame) => {
                    let length = u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize;
                    let head: Value = serde_json::from_slice(&frame[4..4 + length]).unwrap();
                    if stream.is_some() && head["stream"].as_u64() == stream {
                        break Ok(rows(&frame[4 + length..]));
                    }
                }
                _ => {}
            }
        };
        let done = json!({"op": "unsubscribe", "id": asked});
        self.socket.send(Message::text(done.to_string())).await.unwrap();
        answer
    }

    /// The board's variables as they are when nobody has chosen: all values of a multi-valued one, else the first.
    pub async fn variables(&mut self, board: &Value) -> Value {
        let mut vars = json!({});
        for variable in board["variables"].as_array().unwrap() {
            let query = json!({"sql": variable["query"], "mode": "table"});
            let rows = self.ask(&query, &vars).await.unwrap_or_else(|error| panic!("{}: {error}", variable["name"]));
            let values = rows.iter().map(|row| row.values().next().unwrap().clone()).collect::<Vec<_>>();
            assert!(!values.is_empty(), "{} has no values", variable["name"]);
            let name = variable["name"].as_str().unwrap();
            vars[name] = if variable["multi"] == true { json!(values) } else { values[0].clone() };
        }
        vars
    }
}

fn rows(stream: &[u8]) -> Rows {
    let mut writer = ArrayWriter::new(Vec::new());
    for batch in StreamReader::try_new(stream, None).unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.finish().unwrap();
    let bytes = writer.into_inner();
    if bytes.is_empty() { Rows::new() } else { serde_json::from_slice(&bytes).unwrap() }
}

pub async fn get(catchment: &Catchment, path: &str) -> Value {
    let response = client().get(format!("{}{path}", catchment.url("dashboard"))).send().await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.json().await.unwrap()
}

/// Values of a series query: by what the label columns say, the values in order of time.
pub fn series(rows: &Rows) -> BTreeMap<String, Vec<f64>> {
    let mut rows = rows.clone();
    rows.sort_by_key(|row| row["t"].as_str().unwrap().to_owned());
    let mut series = BTreeMap::<String, Vec<f64>>::new();
    for row in &rows {
        let labels = row.iter().filter(|(name, _)| *name != "t").filter_map(|(_, value)| value.as_str());
        let key = labels.collect::<Vec<_>>().join(" ");
        for (name, value) in row {
            if let Some(value) = value.as_f64() {
                let key = if name == "value" { key.clone() } else { format!("{key} {name}").trim().to_owned() };
                series.entry(key).or_default().push(value);
            }
        }
    }
    series
}
