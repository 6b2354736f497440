//! Points that stay what they are but for their value, start and temporality.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, TimestampNanosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use catchment_pipeline::batch::build::Number;
use catchment_pipeline::batch::{Batch, Rows, Table};
use catchment_pipeline::component::Tally;

use super::columns::{Distribution, Distributions, Numbers, distribution_columns};
use super::with;

/// What becomes of a point.
pub enum Fate<V> {
    Keep,
    /// Taken out, for this reason.
    Drop(&'static str),
    Set {
        start: i64,
        value: V,
    },
}

/// Converts points, which are all given a fate in their order.
pub trait Convert {
    const TEMPORALITY: i32;
    fn number(&mut self, rows: &Numbers<'_>, row: usize, is_sum: bool) -> Fate<Number>;
    fn distribution(&mut self, table: Table, rows: &Distributions<'_>, row: usize) -> Fate<Distribution>;
}

/// `None`: nothing is left.
pub fn rewrite<C: Convert>(convert: &mut C, batch: &Batch, tally: &Tally) -> Result<Option<Batch>, ArrowError> {
    let mut changed = false;
    let mut tables = Vec::new();
    for (table, rows) in batch.rows().tables() {
        let edited = match table {
            Table::Metrics => numbers(convert, rows, tally)?,
            Table::Histograms | Table::ExpHistograms => distributions(convert, table, rows, tally)?,
            _ => None,
        };
        changed |= edited.is_some();
        tables.push((table, edited.unwrap_or_else(|| rows.clone())));
    }
    if !changed {
        return Ok(Some(batch.clone()));
    }
    let rows = Rows::new(tables);
    Ok((!rows.is_empty()).then(|| Batch::from_rows(batch.signal(), rows)))
}

/// Start and temporality of each row, and which rows stay.
struct Heads {
    start: Vec<i64>,
    temporality: Vec<i32>,
    kept: Vec<bool>,
    changed: bool,
}

impl Heads {
    fn new(start: &[i64], temporality: &[i32]) -> Heads {
        let kept = vec![true; start.len()];
        Heads { start: start.to_vec(), temporality: temporality.to_vec(), kept, changed: false }
    }

    fn set(&mut self, row: usize, start: i64, temporality: i32) {
        (self.start[row], self.temporality[row], self.changed) = (start, temporality, true);
    }

    fn drop(&mut self, row: usize, reason: &'static str, tally: &Tally) {
        tally.take_out(reason, 1);
        (self.kept[row], self.changed) = (false, true);
    }

    fn finish(
        self,
        rows: &RecordBatch,
        mut columns: Vec<(&'static str, ArrayRef)>,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        if !self.changed {
            return Ok(None);
        }
        let start = TimestampNanosecondArray::from(self.start).with_timezone("UTC");
        columns.push(("start_time_unix_nano", Arc::new(start)));
        columns.push(("aggregation_temporality", Arc::new(Int32Array::from(self.temporality))));
        let rows = with(rows, columns)?;
        if self.kept.iter().all(|kept| *kept) {
            return Ok(Some(rows));
        }
        filter_record_batch(&rows, &BooleanArray::from(self.kept)).map(Some)
    }
}

fn numbers<C: Convert>(convert: &mut C, rows: &RecordBatch, tally: &Tally) -> Result<Option<RecordBatch>, ArrowError> {
    let Some(numbers) = Numbers::new(rows) else { return Ok(None) };
    let mut heads = Heads::new(numbers.points.start, numbers.temporality);
    let mut values: Vec<Option<Number>> = Vec::with_capacity(rows.num_rows());
    for (row, is_sum) in numbers.sums().into_iter().enumerate() {
        let own = numbers.value(row);
        values.push(match convert.number(&numbers, row, is_sum) {
            Fate::Keep => own,
            Fate::Drop(reason) => {
                heads.drop(row, reason, tally);
                own
            }
            Fate::Set { start, value } => {
                heads.set(row, start, C::TEMPORALITY);
                Some(value)
            }
        });
    }
    let ints = values.iter().map(|value| if let Some(Number::Int(int)) = value { Some(*int) } else { None });
    let doubles =
        values.iter().map(|value| if let Some(Number::Double(double)) = value { Some(*double) } else { None });
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("value_int", Arc::new(ints.collect::<Int64Array>())),
        ("value_double", Arc::new(doubles.collect::<Float64Array>())),
    ];
    heads.finish(rows, columns)
}

fn distributions<C: Convert>(
    convert: &mut C,
    table: Table,
    rows: &RecordBatch,
    tally: &Tally,
) -> Result<Option<RecordBatch>, ArrowError> {
    let Some(distributions) = Distributions::new(table, rows) else { return Ok(None) };
    let mut heads = Heads::new(distributions.points.start, distributions.temporality);
    let mut values = Vec::with_capacity(rows.num_rows());
    let mut replaced = false;
    for row in 0..rows.num_rows() {
        let value = match convert.distribution(table, &distributions, row) {
            Fate::Keep => None,
            Fate::Drop(reason) => {
                heads.drop(row, reason, tally);
                None
            }
            Fate::Set { start, value } => {
                heads.set(row, start, C::TEMPORALITY);
                replaced = true;
                Some(value)
            }
        };
        values.push(value);
    }
    if !replaced {
        return heads.finish(rows, Vec::new());
    }
    let whole = |(row, value): (usize, Option<Distribution>)| value.unwrap_or_else(|| distributions.get(row));
    let values = values.into_iter().enumerate().map(whole).collect::<Vec<_>>();
    heads.finish(rows, distribution_columns(&values))
}
