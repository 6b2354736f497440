#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Streams against a lake that is a list of rows, under a paused clock; clients that apply frames as a browser does; and
//! what they must hold in the end, computed another way.

mod lake;
mod property;
mod sockets;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use arrow::ipc::reader::StreamReader;
use catchment_storage::{Template, Variables};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::lake::FakeLake;
use super::hub::Hub;
use super::mailbox::Mailbox;
use super::protocol::Mode;
use super::stream::{Key, Resume, Stream};
use super::window::Range;
use crate::{Settings, Sources};

/// Milliseconds: 2026-11-24T00:00:00Z.
pub const START: i64 = 1_795_478_400_000;

/// t (ms), label, value.
pub type Point = (i64, String, Option<f64>);

pub struct World {
    pub lake: Arc<FakeLake>,
    pub hub: Arc<Hub>,
    began: Instant,
}

impl World {
    pub fn new() -> World {
        World::with(&Settings::default())
    }

    pub fn with(settings: &Settings) -> World {
        let lake = Arc::new(FakeLake::default());
        let began = Instant::now();
        let snapshot = crate::tests::snapshot();
        let sources =
            Sources { status: Arc::new(move || snapshot.clone()), lake: Some(lake.clone()), alerts: Arc::default() };
        let clock = Box::new(move || START + began.elapsed().as_millis() as i64);
        let hub = Hub::with_clock(settings, &sources, &CancellationToken::new(), clock).unwrap();
        World { lake, hub, began }
    }

    pub fn now(&self) -> i64 {
        START + self.began.elapsed().as_millis() as i64
    }

    pub fn client(&self, key: &Key) -> Client {
        self.resuming(key, None)
    }

    pub fn resuming(&self, key: &Key, resume: Option<Resume>) -> Client {
        let mailbox = Arc::new(Mailbox::default());
        let template = Template::parse(key.sql.as_str()).unwrap();
        let stream = self.hub.subscribe(key.clone(), template, &mailbox, resume).unwrap();
        Client { stream, mailbox, held: Held::default() }
    }
}

/// A minute, in buckets of ten seconds unless the SQL says otherwise.
pub fn key(sql: &str, mode: Mode) -> Key {
    let limit = if mode == Mode::Series { 0 } else { 4 };
    let step = if mode == Mode::Rows { 1000 } else { 10_000 };
    let range = Range::Last(60_000);
    Key { sql: sql.to_owned(), mode, variables: Variables::new(), range, lookback: 0, step, limit }
}

/// Long enough for whatever is due to be done.
pub async fn settle() {
    sleep(Duration::from_secs(30)).await;
}

/// What a browser holds.
#[derive(Clone, Debug, Default)]
pub struct Held {
    pub rows: Vec<Point>,
    pub head: Value,
    pub frames: usize,
    pub problem: Option<&'static str>,
}

pub struct Client {
    pub stream: Arc<Stream>,
    pub mailbox: Arc<Mailbox>,
    pub held: Held,
}

impl Client {
    /// Takes what there is; whether that was a frame.
    pub fn take(&mut self) -> bool {
        let before = self.held.frames;
        while let Some((_, due)) = self.mailbox.take() {
            if let Some(frame) = due.rows.and_then(|missing| self.stream.frame(missing)) {
                self.held.apply(&frame.unwrap(), self.stream.key.mode);
            }
            if due.problem {
                self.held.problem = self.stream.problem().map(|problem| problem.kind);
            }
        }
        self.held.frames > before
    }

    pub fn resume(&self) -> Resume {
        Resume {
            position: self.held.head["position"].as_str().unwrap().parse().unwrap(),
            log: "log".to_owned(),
            step: self.held.head["step_ms"].as_i64().unwrap(),
            to: self.held.head["to"].as_i64().unwrap(),
        }
    }

    pub fn leave(&self) {
        self.stream.leave(&self.mailbox);
    }

    pub fn values(&self) -> Vec<(i64, f64)> {
        self.held.rows.iter().map(|(t, _, value)| (t - START, value.unwrap())).collect()
    }
}

impl Held {
    /// As the protocol says a client does.
    pub fn apply(&mut self, frame: &[u8], mode: Mode) {
        let (head, rows) = decode(frame);
        match head["replace_from"].as_i64() {
            None => self.rows.clear(),
            Some(from) => {
                assert!(self.frames > 0, "a tail for one who holds nothing");
                self.rows.retain(|row| row.0 < from);
            }
        }
        self.rows.extend(rows);
        if mode != Mode::Table {
            let from = head["from"].as_i64().unwrap();
            self.rows.retain(|row| row.0 >= from);
        }
        if let Some(limit) = head["limit"].as_u64() {
            self.rows.drain(..self.rows.len().saturating_sub(limit as usize));
        }
        self.head = head;
        self.frames += 1;
        self.problem = None;
    }
}

/// A frame of columns t, label, value.
pub fn decode(frame: &[u8]) -> (Value, Vec<Point>) {
    let length = u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize;
    assert_eq!((4 + length) % 8, 0, "Arrow begins where its buffers are aligned");
    let head = serde_json::from_slice(&frame[4..4 + length]).unwrap();
    let reader = StreamReader::try_new(&frame[4 + length..], None).unwrap();
    let mut rows = Vec::new();
    for batch in reader.map(Result::unwrap) {
        rows.extend(points(&batch));
    }
    (head, rows)
}

pub fn points(batch: &RecordBatch) -> Vec<Point> {
    let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    let labels = cast(batch.column(1), &DataType::Utf8).unwrap();
    let values = batch.column(2).as_primitive::<Float64Type>();
    let value = |row: usize| values.is_valid(row).then(|| values.value(row));
    let point = |row: usize| (times.value(row) / 1000, labels.as_string::<i32>().value(row).to_owned(), value(row));
    (0..batch.num_rows()).map(point).collect()
}
