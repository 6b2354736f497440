//! Lists of numbers as arguments.

use arrow::array::{Array, AsArray, ListArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int32Type, Int64Type};
use datafusion::common::plan_datafusion_err;
use datafusion::error::{DataFusionError, Result};
use std::sync::Arc;

use super::exp_histogram::ExpHistogram;

pub(crate) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", item, true)))
}

/// Which list of numbers an argument of this type is taken as.
pub(super) fn numbers_type(given: &DataType) -> Option<DataType> {
    match given {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => match item.data_type() {
            kind if kind.is_integer() => Some(list_of(DataType::Int64)),
            kind if kind.is_floating() => Some(list_of(DataType::Float64)),
            DataType::Null => Some(list_of(DataType::Int64)),
            _ => None,
        },
        DataType::Null => Some(list_of(DataType::Int64)),
        _ => None,
    }
}

/// A row's numbers in `into`; false when it has none. NULL among them is NaN.
pub(super) fn numbers(lists: &ListArray, row: usize, into: &mut Vec<f64>) -> bool {
    into.clear();
    if lists.is_null(row) {
        return false;
    }
    let values = lists.value(row);
    if let Some(values) = values.as_primitive_opt::<Int64Type>() {
        into.extend(values.iter().map(|value| value.map_or(f64::NAN, |value| value as f64)));
    } else if let Some(values) = values.as_primitive_opt::<Float64Type>() {
        into.extend(values.iter().map(|value| value.unwrap_or(f64::NAN)));
    } else {
        return false;
    }
    true
}

/// `buckets` of the table `exp_histograms`: what tells where an exponential histogram's values lie.
pub(crate) fn exp_buckets() -> Fields {
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    Fields::from(vec![
        field("scale", DataType::Int32),
        field("zero_count", DataType::Int64),
        field("zero_threshold", DataType::Float64),
        field("positive_offset", DataType::Int32),
        field("positive_bucket_counts", list_of(DataType::Int64)),
        field("negative_offset", DataType::Int32),
        field("negative_bucket_counts", list_of(DataType::Int64)),
    ])
}

/// Rows of [`exp_buckets`].
pub(crate) struct ExpRows<'a> {
    rows: &'a StructArray,
    positive: Vec<f64>,
    negative: Vec<f64>,
}

impl<'a> ExpRows<'a> {
    pub(crate) fn new(rows: &'a StructArray) -> Result<ExpRows<'a>> {
        let fits = rows.fields().iter().zip(exp_buckets().iter()).all(|(a, b)| a.data_type() == b.data_type());
        match fits && rows.num_columns() == exp_buckets().len() {
            true => Ok(ExpRows { rows, positive: Vec::new(), negative: Vec::new() }),
            false => {
                Err(DataFusionError::Execution("these are not the buckets of an exponential histogram".to_owned()))
            }
        }
    }

    /// `None`: NULL, or without a scale.
    pub(crate) fn get(&mut self, row: usize) -> Option<ExpHistogram> {
        if self.rows.is_null(row) {
            return None;
        }
        let int = |column: usize| {
            let column = self.rows.column(column).as_primitive_opt::<Int32Type>()?;
            column.is_valid(row).then(|| column.value(row))
        };
        let scale = int(0)?;
        let zero = self.rows.column(1).as_primitive_opt::<Int64Type>()?;
        let zero = if zero.is_valid(row) { zero.value(row) as f64 } else { 0.0 };
        let threshold = self.rows.column(2).as_primitive_opt::<Float64Type>()?;
        let threshold = if threshold.is_valid(row) { threshold.value(row) } else { 0.0 };
        let (positive, negative) = (int(3).unwrap_or(0), int(5).unwrap_or(0));
        numbers(self.rows.column(4).as_list_opt()?, row, &mut self.positive);
        numbers(self.rows.column(6).as_list_opt()?, row, &mut self.negative);
        let positive = (positive.into(), self.positive.as_slice());
        Some(ExpHistogram::new(scale, zero, threshold, positive, (negative.into(), &self.negative)))
    }
}

/// What went wrong, and how it is called.
pub(super) fn usage(how: &str, given: &[DataType]) -> DataFusionError {
    let given = given.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    plan_datafusion_err!("it is called as {how}, not with ({given})")
}
