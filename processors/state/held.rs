//! Rows held back until somebody knows what becomes of them: where they came, until they are few of those they came with.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use catchment_pipeline::batch::{Batch, Rows, Signal, Table};

use super::snapshot::{Reader, Writer};

/// A segment and a row in it.
pub type At = (u32, u32);

#[derive(Default)]
pub struct Held {
    /// The number of the first.
    first: u32,
    segments: VecDeque<Segment>,
    rows: usize,
    live: usize,
}

struct Segment {
    rows: Option<RecordBatch>,
    len: u32,
    live: u32,
}

impl Held {
    /// The segment's number.
    pub fn push(&mut self, rows: RecordBatch) -> u32 {
        let len = rows.num_rows() as u32;
        self.rows += len as usize;
        self.live += len as usize;
        self.segments.push_back(Segment { rows: Some(rows), len, live: len });
        self.first.wrapping_add(self.segments.len() as u32 - 1)
    }

    pub fn live(&self) -> usize {
        self.live
    }

    pub fn get(&self, at: &[At]) -> Result<Option<RecordBatch>, ArrowError> {
        if at.is_empty() {
            return Ok(None);
        }
        let mut places = vec![usize::MAX; self.segments.len()];
        let (mut batches, mut picks) = (Vec::new(), Vec::with_capacity(at.len()));
        for (segment, row) in at {
            let number = segment.wrapping_sub(self.first) as usize;
            let Some(rows) = self.segments.get(number).and_then(|segment| segment.rows.as_ref()) else { continue };
            if places[number] == usize::MAX {
                places[number] = batches.len();
                batches.push(rows);
            }
            picks.push((places[number], *row as usize));
        }
        interleave_record_batch(&batches, &picks).map(Some)
    }

    pub fn release(&mut self, at: &[At]) {
        for (segment, _) in at {
            let number = segment.wrapping_sub(self.first) as usize;
            let Some(segment) = self.segments.get_mut(number) else { continue };
            segment.live = segment.live.saturating_sub(1);
            self.live = self.live.saturating_sub(1);
            if segment.live == 0 && segment.rows.take().is_some() {
                self.rows -= segment.len as usize;
            }
        }
        while self.segments.front().is_some_and(|segment| segment.rows.is_none()) {
            self.segments.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    /// More rows lie dead here than live.
    pub fn is_sparse(&self) -> bool {
        self.rows > 2 * self.live + 16_384
    }

    /// Only what is asked for stays, as one segment; rows are then numbered as they were asked for.
    pub fn compact(&mut self, at: &[At]) -> Result<u32, ArrowError> {
        let rows = self.get(at)?;
        let next = self.first.wrapping_add(self.segments.len() as u32);
        *self = Held { first: next, ..Held::default() };
        Ok(rows.map_or(next, |rows| self.push(rows)))
    }
}

/// Bytes of a part of what is saved, unless one row has more: a request over 128 MiB is not read again.
const PART: usize = 16 << 20;

/// Rows of a signal's only table, as requests.
pub fn save_rows(table: (Signal, Table), batches: impl IntoIterator<Item = RecordBatch>, out: &mut Writer<'_>) {
    let (signal, table) = table;
    for rows in batches {
        let mut left = vec![rows];
        while let Some(rows) = left.pop().filter(|rows| rows.num_rows() > 0) {
            let batch = Batch::from_rows(signal, Rows::new([(table, rows.clone())]));
            let half = rows.num_rows() / 2;
            if batch.otlp().len() > PART && half > 0 {
                left.extend([rows.slice(half, rows.num_rows() - half), rows.slice(0, half)]);
            } else {
                out.bytes(batch.otlp());
            }
        }
    }
    out.bytes(&[]);
}

pub fn restore_rows((signal, table): (Signal, Table), state: &mut Reader<'_>) -> anyhow::Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    loop {
        let bytes = state.bytes()?;
        if bytes.is_empty() {
            return Ok(batches);
        }
        batches.extend(Batch::from_otlp(signal, bytes.to_vec().into())?.rows().table(table).cloned());
    }
}
