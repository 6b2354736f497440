//! What the stages that remember share: columns by name, state by series, histograms that add up, snapshots, rows held back.
//!
//! All of them are deterministic: given the same batches with the same times they do the same, also after a snapshot was
//! read back, because state is kept and walked in the order in which it came, never in that of a hash map.

pub mod columns;
pub mod counter;
pub mod exp;
pub mod held;
pub mod hist;
pub mod metric_filter;
pub mod number;
pub mod rewrite;
pub mod seen;
pub mod series;
pub mod snapshot;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;

/// Nanoseconds since 1970.
pub fn nanos(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(i64::MAX)
}

pub fn time(nanos: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

pub fn length(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// `rows` with these columns in place of its own of the same names.
pub fn with(rows: &RecordBatch, changes: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let mut columns = rows.columns().to_vec();
    for (name, column) in changes {
        columns[rows.schema_ref().index_of(name)?] = column;
    }
    RecordBatch::try_new(rows.schema(), columns)
}
