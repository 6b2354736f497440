//! Items that are well-formed and that OTLP's data model calls invalid all the same. They are counted by the check and
//! taken out one by one, so that the rest of their request is kept and the sender is told (OTLP's partial success):
//!
//! - a span without a trace id or a span id, or with one that is all zero: "This field is required", "an ID with all
//!   zeroes [...] is considered invalid" (trace.proto). It belongs to no trace, and no backend can show it.
//! - a histogram point whose `bucket_counts` are not one more than its `explicit_bounds` (metrics.proto; both may be
//!   empty). Which count belongs to which bucket nobody can say.
//!
//! Nothing else is refused singly. An id of another length, or text that is not UTF-8, makes a request malformed, as it
//! does for the Collector. Log records and exemplars need no ids. Time stamps are taken as they are.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use crate::batch::{Rows, Signal, Table};

/// What a sender is told about items of `signal` that were taken out.
pub(crate) fn reason(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans need a trace_id of 16 bytes and a span_id of 8, not all of them zero",
        Signal::Metrics => "histogram points need one more of bucket_counts than of explicit_bounds, or neither",
        Signal::Logs | Signal::Alerts => "",
    }
}

/// `rows` without the items that the check counts as invalid.
pub(crate) fn without_invalid(rows: &Rows) -> Rows {
    Rows::new(rows.tables().map(|(table, rows)| (table, valid(table, rows).unwrap_or_else(|| rows.clone()))))
}

/// `None`: all of them, or, which a table of ours does not come to, the columns are not there.
fn valid(table: Table, rows: &RecordBatch) -> Option<RecordBatch> {
    let mask: BooleanArray = match table {
        Table::Spans => {
            let id = |name| rows.column_by_name(name)?.as_fixed_size_binary_opt();
            let (trace, span) = (id("trace_id")?, id("span_id")?);
            let there = |ids: &arrow::array::FixedSizeBinaryArray, row| {
                ids.is_valid(row) && ids.value(row).iter().any(|byte| *byte != 0)
            };
            (0..rows.num_rows()).map(|row| Some(there(trace, row) && there(span, row))).collect()
        }
        Table::Histograms => {
            let list = |name| rows.column_by_name(name)?.as_list_opt::<i32>();
            let (counts, bounds) = (list("bucket_counts")?, list("explicit_bounds")?);
            let fits = |row| match (counts.value_length(row), bounds.value_length(row)) {
                (0, 0) => true,
                (counts, bounds) => counts == bounds + 1,
            };
            (0..rows.num_rows()).map(|row| Some(fits(row))).collect()
        }
        _ => return None,
    };
    filter_record_batch(rows, &mask).ok()
}
