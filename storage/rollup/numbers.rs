//! Points with a number.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array};
use arrow::record_batch::RecordBatch;

use super::series::Kind;
use super::{DELTA, difference};

pub(crate) enum Numbers {}

pub(crate) struct Columns<'a> {
    doubles: &'a Float64Array,
    ints: &'a Int64Array,
    temporality: &'a Int32Array,
    monotonic: &'a BooleanArray,
}

#[derive(Clone)]
pub(crate) struct Point {
    value: Option<f64>,
    counter: Counter,
}

#[derive(Clone, Copy, PartialEq)]
enum Counter {
    No,
    Delta,
    Cumulative,
}

#[derive(Default)]
pub(crate) struct Sum {
    count: i64,
    sum: f64,
    min: f64,
    max: f64,
    first: f64,
    last: f64,
    increase: Option<f64>,
}

impl Kind for Numbers {
    type Columns<'a> = Columns<'a>;
    type Point = Point;
    type Sum = Sum;

    fn columns(rows: &RecordBatch) -> Option<Columns<'_>> {
        Some(Columns {
            doubles: rows.column_by_name("value_double")?.as_primitive_opt()?,
            ints: rows.column_by_name("value_int")?.as_primitive_opt()?,
            temporality: rows.column_by_name("aggregation_temporality")?.as_primitive_opt()?,
            monotonic: rows.column_by_name("is_monotonic")?.as_boolean_opt()?,
        })
    }

    fn point(columns: &Columns, row: usize) -> Point {
        let double = columns.doubles.is_valid(row).then(|| columns.doubles.value(row));
        let counter = match columns.temporality.value(row) {
            _ if !(columns.monotonic.is_valid(row) && columns.monotonic.value(row)) => Counter::No,
            DELTA => Counter::Delta,
            _ => Counter::Cumulative,
        };
        Point { value: double.or_else(|| columns.ints.is_valid(row).then(|| columns.ints.value(row) as f64)), counter }
    }

    fn counts(point: &Point) -> bool {
        point.value.is_some()
    }

    fn order(a: &Point, b: &Point) -> Ordering {
        let value = |point: &Point| point.value.map_or((0, 0.0), |value| (1, value));
        let ((a, own), (b, other)) = (value(a), value(b));
        a.cmp(&b).then_with(|| own.total_cmp(&other))
    }

    fn sum(point: &Point, previous: Option<&Point>) -> Sum {
        let mut sum = Sum::default();
        Numbers::add(&mut sum, point, previous);
        sum
    }

    fn add(sum: &mut Sum, point: &Point, previous: Option<&Point>) -> bool {
        let Some(value) = point.value else { return true };
        if sum.count == 0 {
            (sum.min, sum.max, sum.first) = (value, value, value);
        }
        // NaN is the largest.
        sum.min = if value.total_cmp(&sum.min).is_lt() { value } else { sum.min };
        sum.max = if value.total_cmp(&sum.max).is_gt() { value } else { sum.max };
        sum.count += 1;
        sum.sum += value;
        sum.last = value;
        let new = match point.counter {
            Counter::No => None,
            Counter::Delta => Some(value),
            Counter::Cumulative => previous.and_then(|previous| previous.value).map(|before| difference(value, before)),
        };
        sum.increase = sum.increase.map_or(new, |increase| Some(new.map_or(increase, |new| increase + new)));
        true
    }

    fn array(column: &str, sums: &[Sum]) -> anyhow::Result<Option<ArrayRef>> {
        let double = |of: fn(&Sum) -> f64| -> ArrayRef {
            Arc::new(sums.iter().map(|sum| (sum.count > 0).then(|| of(sum))).collect::<Float64Array>())
        };
        Ok(Some(match column {
            "count" => Arc::new(sums.iter().map(|sum| Some(sum.count)).collect::<Int64Array>()),
            "sum" => double(|sum| sum.sum),
            "min" => double(|sum| sum.min),
            "max" => double(|sum| sum.max),
            "first" => double(|sum| sum.first),
            "last" => double(|sum| sum.last),
            "increase" => Arc::new(sums.iter().map(|sum| sum.increase).collect::<Float64Array>()),
            _ => return Ok(None),
        }))
    }
}
