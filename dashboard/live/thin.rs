//! At most two points a pixel: of a bucket in which a series has several rows, those of its lowest and highest value.
//!
//! Buckets are the step's, which is a pixel or more. What is kept of a bucket depends on the bucket's rows alone, and thinning
//! what was thinned before together with new rows gives the same as thinning all: so the tail of a result can be
//! thinned by itself, and a large one piece by piece.

use std::ops::Range;

use arrow::array::{Array, AsArray, BooleanArray, Float64Array, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Float64Type};
use arrow::row::Rows as Keys;

use super::rows::{Columns, buckets, internal, keys_of};
use crate::problem::Problem;

/// `rows` are in time's order.
pub fn thin(rows: &RecordBatch, columns: &Columns, time: usize, step: i64) -> Result<RecordBatch, Problem> {
    let Some(value) = columns.value() else { return Ok(rows.clone()) };
    let buckets = buckets(rows, time, step);
    let runs = runs(buckets.values());
    if runs.iter().all(|run| run.len() == 1) {
        return Ok(rows.clone());
    }
    let values = cast(rows.column(value), &DataType::Float64).map_err(internal)?;
    let values = values.as_primitive::<Float64Type>();
    let labels = columns.labels().map(|label| rows.column(label).clone()).collect::<Vec<_>>();
    let labels = if labels.is_empty() { None } else { Some(keys_of(&labels)?) };
    let mut keep = vec![true; rows.num_rows()];
    for run in runs.into_iter().filter(|run| run.len() > 1) {
        for series in series(run, labels.as_ref()) {
            let (low, high) = extremes(&series, values);
            series.iter().filter(|row| **row != low && **row != high).for_each(|row| keep[*row] = false);
        }
    }
    filter_record_batch(rows, &BooleanArray::from(keep)).map_err(internal)
}

/// Neighbours that are equal.
fn runs(buckets: &[i64]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for run in buckets.chunk_by(|a, b| a == b) {
        runs.push(start..start + run.len());
        start += run.len();
    }
    runs
}

fn series(run: Range<usize>, labels: Option<&Keys>) -> Vec<Vec<usize>> {
    let mut rows = run.collect::<Vec<_>>();
    let Some(labels) = labels else { return vec![rows] };
    // Stable: rows of a series stay in time's order.
    rows.sort_by(|a, b| labels.row(*a).cmp(&labels.row(*b)));
    rows.chunk_by(|a, b| labels.row(*a) == labels.row(*b)).map(<[usize]>::to_vec).collect()
}

/// The first of the lowest and the last of the highest, which are both rows where there are two; of rows without a
/// value, the first.
fn extremes(rows: &[usize], values: &Float64Array) -> (usize, usize) {
    let mut known = rows.iter().copied().filter(|row| values.is_valid(*row) && !values.value(*row).is_nan());
    let first = rows.first().copied().unwrap_or_default();
    let Some(start) = known.next() else { return (first, first) };
    known.fold((start, start), |(low, high), row| {
        let value = values.value(row);
        let low = if value < values.value(low) { row } else { low };
        let high = if value >= values.value(high) { row } else { high };
        (low, high)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
    use arrow::compute::concat_batches;
    use proptest::prelude::*;

    use super::super::rows::in_order;
    use super::super::window::Window;
    use super::*;

    type Row = (i64, &'static str, Option<f64>);

    fn batch(rows: &[Row]) -> RecordBatch {
        let time =
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.0 * 1000)).with_timezone("UTC");
        let label = rows.iter().map(|row| Some(row.1)).collect::<StringArray>();
        let value = rows.iter().map(|row| row.2).collect::<Float64Array>();
        let columns: [(&str, ArrayRef, bool); 3] =
            [("t", Arc::new(time), true), ("l", Arc::new(label), true), ("v", Arc::new(value), true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    fn thinned(batch: &RecordBatch, step: i64) -> RecordBatch {
        let columns = Columns::of(&batch.schema()).unwrap();
        let all = Window { from: 0, to: i64::MAX / 1000 };
        let rows = in_order(std::slice::from_ref(batch), &columns.schema, 0, all).unwrap();
        thin(&rows, &columns, 0, step).unwrap()
    }

    fn read(batch: &RecordBatch) -> Vec<(i64, String, Option<f64>)> {
        let (label, value) = (batch.column(1).as_string::<i32>(), batch.column(2).as_primitive::<Float64Type>());
        let times = super::super::rows::times(batch, 0);
        (0..batch.num_rows())
            .map(|row| (times[row] / 1000, label.value(row).to_owned(), value.iter().nth(row).unwrap()))
            .collect()
    }

    #[test]
    fn a_spike_survives() {
        let rows = [
            (1000, "a", Some(1.0)),
            (1200, "a", Some(99.0)),
            (1200, "b", Some(5.0)),
            (1400, "a", Some(-3.0)),
            (1600, "a", None),
            (1800, "a", Some(2.0)),
            (2000, "a", Some(2.0)),
            (2100, "a", Some(2.0)),
        ];
        let expect = [
            (1200, "a".to_owned(), Some(99.0)),
            (1200, "b".to_owned(), Some(5.0)),
            (1400, "a".to_owned(), Some(-3.0)),
            (2000, "a".to_owned(), Some(2.0)),
            (2100, "a".to_owned(), Some(2.0)),
        ];
        assert_eq!(read(&thinned(&batch(&rows), 1000)), expect);
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let value = prop_oneof![Just(None), Just(Some(f64::NAN)), (-3..4i8).prop_map(|value| Some(f64::from(value)))];
        proptest::collection::vec((0..40i64, prop_oneof![Just("a"), Just("b")], value), 0..60)
    }

    proptest! {
        #[test]
        fn two_rows_a_bucket_and_its_extremes(rows in rows()) {
            let thin = read(&thinned(&batch(&rows), 10));
            let mut groups = BTreeMap::<(i64, &str), Vec<f64>>::new();
            for row in &rows {
                let values = groups.entry((row.0 / 10, row.1)).or_default();
                values.extend(row.2.filter(|value| !value.is_nan()));
            }
            for ((bucket, label), values) in groups {
                let kept = thin.iter().filter(|row| (row.0 / 10, row.1.as_str()) == (bucket, label)).collect::<Vec<_>>();
                prop_assert!((1..=2).contains(&kept.len()), "{kept:?}");
                let kept = kept.iter().filter_map(|row| row.2).filter(|value| !value.is_nan()).collect::<Vec<_>>();
                let extreme = |values: &[f64]| {
                    (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(f64::MIN, f64::max))
                };
                prop_assert_eq!(extreme(&kept), extreme(&values));
            }
        }

        /// Piece by piece in any order is the same as all at once.
        #[test]
        fn thinning_again_with_more_is_thinning_all(first in rows(), second in rows()) {
            let all = [batch(&first), batch(&second)];
            let pieces = [thinned(&all[0], 10), all[1].clone()];
            let join = |batches: &[RecordBatch]| concat_batches(&batches[0].schema(), batches).unwrap();
            let (whole, pieces) = (thinned(&join(&all), 10), thinned(&join(&pieces), 10));
            prop_assert_eq!(format!("{:?}", read(&whole)), format!("{:?}", read(&pieces)));
        }
    }
}
