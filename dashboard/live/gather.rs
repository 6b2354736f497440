//! A query's rows as they come, to what a stream keeps of them: never more in memory than a bound, whatever it returns.

use arrow::array::RecordBatch;
use catchment_pipeline::log::Position;
use catchment_storage::Tables;
use futures::TryStreamExt;
use http::StatusCode;

use super::protocol::Mode;
use super::rows::{self, Columns, in_order, internal, size};
use super::thin::thin;
use super::window::Window;
use crate::data::Rows;
use crate::problem::Problem;

/// What is kept of one result.
const MAX_BYTES: usize = 16 << 20;
/// Of mode `series`, after thinning.
const MAX_ROWS: usize = 200_000;
/// What may be held before it is thinned or cut.
const PENDING_BYTES: usize = 64 << 20;
const PENDING_ROWS: usize = 400_000;

/// A result, or the tail of one.
pub struct Answer {
    pub columns: Columns,
    pub rows: RecordBatch,
    pub position: Position,
    pub reads: Tables,
    pub truncated: bool,
}

pub struct Gather {
    mode: Mode,
    columns: Columns,
    /// Rows outside, e.g. of the lookback, are dropped.
    window: Window,
    step: i64,
    limit: usize,
    pending: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    truncated: bool,
}

impl Gather {
    pub fn new(mode: Mode, columns: Columns, window: Window, step: i64, limit: usize) -> Result<Gather, Problem> {
        if mode != Mode::Table && columns.time.is_none() {
            let message = "a query over time needs a column of type timestamp, e.g. date_bin($step, ts) AS t; show others as a table";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_sql", message));
        }
        let pending = Vec::new();
        Ok(Gather { mode, columns, window, step, limit, pending, rows: 0, bytes: 0, truncated: false })
    }

    pub async fn run(mut self, rows: Rows) -> Result<Answer, Problem> {
        let Rows { mut stream, position, reads, .. } = rows;
        while let Some(batch) = stream.try_next().await? {
            let batch = self.columns.convert(&batch)?;
            self.rows += batch.num_rows();
            self.bytes += size(&batch);
            self.pending.push(batch);
            if self.mode == Mode::Table && self.rows > self.limit {
                break;
            }
            if self.rows > PENDING_ROWS || self.bytes > PENDING_BYTES {
                self = off_thread(self, Gather::settle).await?;
                self.check(MAX_ROWS, PENDING_BYTES / 2)?;
            }
        }
        drop(stream);
        let mut all = off_thread(self, Gather::settle).await?;
        all.check(MAX_ROWS, MAX_BYTES)?;
        let rows = all.pending.pop().unwrap_or_else(|| RecordBatch::new_empty(all.columns.schema.clone()));
        Ok(Answer { columns: all.columns, rows, position, reads, truncated: all.truncated })
    }

    /// What is pending becomes one batch of no more than is wanted.
    fn settle(mut self) -> Result<Gather, Problem> {
        let pending = std::mem::take(&mut self.pending);
        let schema = &self.columns.schema;
        let rows = match (self.mode, self.columns.time) {
            (Mode::Table, _) | (_, None) => {
                let rows = arrow::compute::concat_batches(schema, &pending).map_err(internal)?;
                self.truncated |= rows.num_rows() > self.limit;
                rows::first(&rows, self.limit)?
            }
            (Mode::Rows, Some(time)) => {
                let rows = in_order(&pending, schema, time, self.window)?;
                self.truncated |= rows.num_rows() > self.limit;
                rows::last(&rows, self.limit)?
            }
            (Mode::Series, Some(time)) => {
                let rows = in_order(&pending, schema, time, self.window)?;
                thin(&rows, &self.columns, time, self.step)?
            }
        };
        self.rows = rows.num_rows();
        self.bytes = size(&rows);
        self.pending.push(rows);
        Ok(self)
    }

    fn check(&self, rows: usize, bytes: usize) -> Result<(), Problem> {
        let mend = match self.mode {
            Mode::Series => "group by fewer labels, or choose a shorter range",
            Mode::Rows | Mode::Table => "select fewer columns, cut long texts with left(), or lower the limit",
        };
        let too_large = |what: String| Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", what));
        if self.mode == Mode::Series && self.rows > rows {
            return too_large(format!("{} rows are more than a chart is sent ({rows}): {mend}", self.rows));
        }
        if self.bytes > bytes {
            return too_large(format!(
                "a result of {} MiB is more than is sent ({}): {mend}",
                self.bytes >> 20,
                bytes >> 20
            ));
        }
        Ok(())
    }
}

/// Sorting takes its time: not where requests are answered.
async fn off_thread<T: Send + 'static>(value: T, work: fn(T) -> Result<T, Problem>) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(move || work(value)).await;
    done.unwrap_or_else(|_| Err(Problem::internal("the result could not be put in order")))
}
