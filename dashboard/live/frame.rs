//! A stream's result at one moment, and the bytes that clients are sent of it: encoded once for all of them.
//!
//! A frame is `u32 LE n | n bytes of JSON | Arrow IPC stream`. The JSON is padded with blanks so that Arrow's buffers
//! begin at a multiple of 8 bytes, where a reader can use them without a copy:
//! `{"stream":3,"replace_from":1700000000000,"from":...,"to":...,"step_ms":10000,"position":"123","truncated":false}`
//!
//! A client drops its rows with t >= `replace_from` (null: all), appends the frame's, and drops rows older than
//! `from`. With `limit` (mode `rows`) it then keeps the last that many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use catchment_pipeline::log::Position;
use catchment_storage::Tables;
use serde_json::json;

use super::lock;
use super::protocol::Mode;
use super::rows::{Columns, before, internal, size, times};
use super::window::{Window, floor};
use crate::problem::Problem;

/// Frames of one version that are kept: most clients need the same.
const KEPT: usize = 4;

/// A result. Its `rows` are in time's order, but for mode `table`.
pub struct Version {
    pub stream: u64,
    pub mode: Mode,
    pub step: i64,
    pub limit: usize,
    pub columns: Columns,
    pub rows: RecordBatch,
    pub window: Window,
    /// Of the last row it takes into account.
    pub position: Position,
    pub reads: Tables,
    /// There were more rows than the limit.
    pub truncated: bool,
    _memory: Share,
    frames: Mutex<Vec<(Option<i64>, Bytes)>>,
}

/// Where the bytes of all versions are counted.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<AtomicUsize>);

struct Share {
    bytes: usize,
    of: Memory,
}

impl Memory {
    /// `None`: there is no room.
    fn take(&self, bytes: usize, limit: usize) -> Option<Share> {
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= limit);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Share { bytes, of: self.clone() })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a version is made of, beside its rows.
pub struct Facts {
    pub stream: u64,
    pub mode: Mode,
    pub step: i64,
    pub limit: usize,
    pub columns: Columns,
    pub window: Window,
    pub position: Position,
    pub reads: Tables,
    pub truncated: bool,
}

impl Version {
    /// `limit`: bytes that all versions may take together.
    pub fn new(facts: Facts, rows: RecordBatch, memory: &Memory, limit: usize) -> Result<Version, Problem> {
        let memory = memory.take(size(&rows), limit).ok_or_else(|| {
            let message = format!("the live results that are being watched take more than {} MiB together: close some pages, or ask for less", limit >> 20);
            Problem::new(http::StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
        })?;
        let Facts { stream, mode, step, limit, columns, window, position, reads, truncated } = facts;
        let frames = Mutex::default();
        Ok(Version {
            stream,
            mode,
            step,
            limit,
            columns,
            rows,
            window,
            position,
            reads,
            truncated,
            _memory: memory,
            frames,
        })
    }

    /// Rows from `since` on; `None`: all.
    pub fn frame(&self, since: Option<i64>) -> Result<Bytes, Problem> {
        let since = since.filter(|since| self.mode != Mode::Table && *since > self.window.from);
        // Held while encoding: whoever wants the same frame waits for it instead of making it again.
        let mut frames = lock(&self.frames);
        if let Some((_, frame)) = frames.iter().find(|(of, _)| *of == since) {
            return Ok(frame.clone());
        }
        let frame = self.encode(since)?;
        if frames.len() == KEPT {
            frames.remove(0);
        }
        frames.push((since, frame.clone()));
        Ok(frame)
    }

    fn encode(&self, since: Option<i64>) -> Result<Bytes, Problem> {
        let mut rows = self.rows.clone();
        if let (Some(since), Some(time)) = (since, self.columns.time) {
            let first = before(&rows, time, since);
            rows = rows.slice(first, rows.num_rows() - first);
        }
        let mut head = json!({
            "stream": self.stream,
            "replace_from": since,
            "from": self.from(),
            "to": self.window.to,
            "step_ms": self.step,
            "position": self.position.to_string(),
            "truncated": self.truncated,
        });
        if self.mode == Mode::Rows {
            head["limit"] = self.limit.into();
        }
        let mut head = head.to_string().into_bytes();
        head.resize((head.len() + 4).next_multiple_of(8) - 4, b' ');
        let length = u32::try_from(head.len()).unwrap_or_default().to_le_bytes();
        let mut frame = Vec::with_capacity(head.len() + 1024 + size(&rows));
        frame.extend_from_slice(&length);
        frame.extend_from_slice(&head);
        self.write(&rows, &mut frame).map_err(internal)?;
        frame.shrink_to_fit();
        Ok(frame.into())
    }

    /// Rows older than this are none of the result's.
    fn from(&self) -> i64 {
        let oldest = self.columns.time.and_then(|time| times(&self.rows, time).first());
        match oldest {
            Some(oldest) if self.mode == Mode::Rows && self.truncated => floor(*oldest, 1000) / 1000,
            _ => self.window.from,
        }
    }

    fn write(&self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), arrow::error::ArrowError> {
        let mut fields = Vec::with_capacity(rows.num_columns());
        let mut columns = Vec::with_capacity(rows.num_columns());
        for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
            let column = self.compact(column)?;
            fields.push(Field::new(field.name(), column.data_type().clone(), true));
            columns.push(column);
        }
        let schema = Arc::new(Schema::new(fields));
        let mut writer = StreamWriter::try_new(out, &schema)?;
        if rows.num_rows() > 0 {
            writer.write(&RecordBatch::try_new(schema, columns)?)?;
        }
        writer.finish()
    }

    /// Labels of series repeat.
    fn compact(&self, column: &ArrayRef) -> Result<ArrayRef, arrow::error::ArrowError> {
        match column.data_type() {
            DataType::Utf8 if self.mode == Mode::Series => {
                cast(column, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)))
            }
            _ => Ok(column.clone()),
        }
    }
}
