//! Histograms with explicit bounds: what was counted in a step, as a point of delta temporality has it.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Float64Builder, Int32Array, Int64Array, Int64Builder, ListArray,
    ListBuilder,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;

use super::series::Kind;
use super::{DELTA, Extremes, Totals, TotalsColumns};

pub(crate) enum Histograms {}

pub(crate) struct Columns<'a> {
    totals: TotalsColumns<'a>,
    counts: &'a ListArray,
    bounds: &'a ListArray,
}

#[derive(Clone)]
pub(crate) struct Point {
    totals: Totals,
    counts: Vec<i64>,
    bounds: Vec<f64>,
}

pub(crate) struct Sum {
    totals: Totals,
    counts: Vec<i64>,
    bounds: Vec<f64>,
    /// Something is known of what was added: there was a point before one of them.
    known: bool,
}

impl Point {
    /// What it counted since the one before; `None`: there is none.
    fn new_since(&self, previous: Option<&Point>) -> Option<(Totals, Vec<i64>)> {
        if self.totals.delta {
            return Some((self.totals.clone(), self.counts.clone()));
        }
        let previous = previous?;
        let pairs = || self.counts.iter().zip(&previous.counts);
        let goes_on = self.bounds == previous.bounds
            && self.counts.len() == previous.counts.len()
            && pairs().all(|(now, before)| now >= before);
        let own = || Totals { extremes: Extremes::default(), ..self.totals.clone() };
        Some(match self.totals.since(&previous.totals).filter(|_| goes_on) {
            Some(totals) => (totals, pairs().map(|(now, before)| now.saturating_sub(*before)).collect()),
            None => (own(), self.counts.clone()),
        })
    }
}

impl Kind for Histograms {
    type Columns<'a> = Columns<'a>;
    type Point = Point;
    type Sum = Sum;

    fn columns(rows: &RecordBatch) -> Option<Columns<'_>> {
        Some(Columns {
            totals: TotalsColumns::of(rows)?,
            counts: rows.column_by_name("bucket_counts")?.as_list_opt()?,
            bounds: rows.column_by_name("explicit_bounds")?.as_list_opt()?,
        })
    }

    fn point(columns: &Columns, row: usize) -> Point {
        let counts = columns.counts.is_valid(row).then(|| columns.counts.value(row));
        let bounds = columns.bounds.is_valid(row).then(|| columns.bounds.value(row));
        let counts = counts.as_ref().and_then(|counts| counts.as_primitive_opt::<Int64Type>());
        let bounds = bounds.as_ref().and_then(|bounds| bounds.as_primitive_opt::<Float64Type>());
        Point {
            totals: columns.totals.get(row),
            counts: counts.map_or_else(Vec::new, |counts| counts.values().to_vec()),
            bounds: bounds.map_or_else(Vec::new, |bounds| bounds.values().to_vec()),
        }
    }

    fn counts(_: &Point) -> bool {
        true
    }

    fn order(a: &Point, b: &Point) -> Ordering {
        let bounds = || a.bounds.iter().map(|bound| Total(*bound)).cmp(b.bounds.iter().map(|bound| Total(*bound)));
        a.totals.order(&b.totals).then_with(|| a.counts.cmp(&b.counts)).then_with(bounds)
    }

    fn sum(point: &Point, previous: Option<&Point>) -> Sum {
        let new = point.new_since(previous);
        let known = new.is_some();
        let (totals, counts) = new.unwrap_or_else(|| (Totals::default(), vec![0; point.counts.len()]));
        Sum { totals, counts, bounds: point.bounds.clone(), known }
    }

    fn add(sum: &mut Sum, point: &Point, previous: Option<&Point>) -> bool {
        if sum.bounds != point.bounds || sum.counts.len() != point.counts.len() {
            return false;
        }
        if let Some((totals, counts)) = point.new_since(previous) {
            sum.known = true;
            sum.totals.add(&totals);
            sum.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(count));
        }
        true
    }

    fn array(column: &str, sums: &[Sum]) -> anyhow::Result<Option<ArrayRef>> {
        let item = |kind: DataType| Arc::new(Field::new("element", kind, true));
        Ok(Some(match column {
            "bucket_counts" => {
                let mut lists = ListBuilder::new(Int64Builder::new()).with_field(item(DataType::Int64));
                let known = |sum: &Sum| sum.known.then(|| sum.counts.iter().copied().map(Some).collect::<Vec<_>>());
                sums.iter().for_each(|sum| lists.append_option(known(sum)));
                Arc::new(lists.finish())
            }
            "explicit_bounds" => {
                let mut lists = ListBuilder::new(Float64Builder::new()).with_field(item(DataType::Float64));
                sums.iter().for_each(|sum| lists.append_value(sum.bounds.iter().copied().map(Some)));
                Arc::new(lists.finish())
            }
            _ => return Ok(Totals::array(column, sums.iter().map(|sum| sum.known.then_some(&sum.totals)))),
        }))
    }
}

impl<'a> TotalsColumns<'a> {
    pub(super) fn of(rows: &'a RecordBatch) -> Option<TotalsColumns<'a>> {
        let double = |name: &str| rows.column_by_name(name)?.as_primitive_opt::<Float64Type>();
        Some(TotalsColumns {
            temporality: rows.column_by_name("aggregation_temporality")?.as_primitive_opt()?,
            count: rows.column_by_name("count")?.as_primitive_opt()?,
            sum: double("sum")?,
            min: double("min")?,
            max: double("max")?,
        })
    }

    pub(super) fn get(&self, row: usize) -> Totals {
        let double = |column: &Float64Array| column.is_valid(row).then(|| column.value(row));
        Totals {
            delta: self.temporality.value(row) == DELTA,
            count: self.count.value(row),
            sum: double(self.sum),
            extremes: Extremes { min: double(self.min), max: double(self.max) },
        }
    }
}

/// A double in its order.
pub(super) struct Total(pub(super) f64);

impl PartialEq for Total {
    fn eq(&self, other: &Total) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Total {}

impl PartialOrd for Total {
    fn partial_cmp(&self, other: &Total) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Total {
    fn cmp(&self, other: &Total) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Totals {
    /// Of points of one time, those come later that counted more.
    pub(super) fn order(&self, other: &Totals) -> Ordering {
        self.count.cmp(&other.count).then_with(|| self.sum.map(Total).cmp(&other.sum.map(Total)))
    }

    /// `None`: it began anew. What was least and most since then is not known.
    pub(super) fn since(&self, previous: &Totals) -> Option<Totals> {
        let count = self.count.checked_sub(previous.count).filter(|count| *count >= 0)?;
        let sum = self.sum.zip(previous.sum).map(|(now, before)| now - before);
        Some(Totals { delta: true, count, sum, extremes: Extremes::default() })
    }

    pub(super) fn add(&mut self, other: &Totals) {
        let either = |a: Option<f64>, b: Option<f64>, both: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(both(a, b)),
            (a, b) => a.or(b),
        };
        self.count = self.count.saturating_add(other.count);
        self.sum = either(self.sum, other.sum, |a, b| a + b);
        self.extremes.min = either(self.extremes.min, other.extremes.min, f64::min);
        self.extremes.max = either(self.extremes.max, other.extremes.max, f64::max);
    }

    /// `None`: nothing is known.
    pub(super) fn array<'a>(column: &str, all: impl Iterator<Item = Option<&'a Totals>>) -> Option<ArrayRef> {
        Some(match column {
            "aggregation_temporality" => Arc::new(all.map(|_| Some(DELTA)).collect::<Int32Array>()),
            "count" => Arc::new(all.map(|totals| Some(totals?.count)).collect::<Int64Array>()),
            "sum" => Arc::new(all.map(|totals| totals?.sum).collect::<Float64Array>()),
            "min" => Arc::new(all.map(|totals| totals?.extremes.min).collect::<Float64Array>()),
            "max" => Arc::new(all.map(|totals| totals?.extremes.max).collect::<Float64Array>()),
            _ => return None,
        })
    }
}
