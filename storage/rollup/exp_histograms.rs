//! Exponential histograms: what was counted in a step, at the coarsest scale in it, as a point of delta temporality has it.

use arrow::array::{ArrayRef, StructArray};
use arrow::record_batch::RecordBatch;

use super::series::Kind;
use super::{Extremes, Totals, TotalsColumns};
use crate::sql::{ExpBuilder, ExpHistogram, ExpRows, exp_buckets};

pub(crate) enum ExpHistograms {}

pub(crate) struct Columns<'a> {
    totals: TotalsColumns<'a>,
    buckets: StructArray,
}

#[derive(Clone)]
pub(crate) struct Point {
    totals: Totals,
    buckets: Option<ExpHistogram>,
}

pub(crate) struct Sum {
    totals: Totals,
    buckets: ExpHistogram,
}

impl Point {
    fn new_since(&self, previous: Option<&Point>) -> Option<Sum> {
        let buckets = self.buckets.clone()?;
        if self.totals.delta {
            return Some(Sum { totals: self.totals.clone(), buckets });
        }
        let previous = previous?;
        let new = previous.buckets.clone().and_then(|before| buckets.since(before));
        Some(match self.totals.since(&previous.totals).zip(new) {
            Some((totals, buckets)) => Sum { totals, buckets },
            None => Sum { totals: Totals { extremes: Extremes::default(), ..self.totals.clone() }, buckets },
        })
    }
}

impl Kind for ExpHistograms {
    type Columns<'a> = Columns<'a>;
    type Point = Point;
    type Sum = Sum;

    fn columns(rows: &RecordBatch) -> Option<Columns<'_>> {
        let fields = exp_buckets();
        let columns =
            fields.iter().map(|field| rows.column_by_name(field.name()).cloned()).collect::<Option<Vec<_>>>()?;
        Some(Columns { totals: TotalsColumns::of(rows)?, buckets: StructArray::try_new(fields, columns, None).ok()? })
    }

    fn point(columns: &Columns, row: usize) -> Point {
        let buckets = ExpRows::new(&columns.buckets).ok().and_then(|mut rows| rows.get(row));
        Point { totals: columns.totals.get(row), buckets }
    }

    fn counts(point: &Point) -> bool {
        point.buckets.is_some()
    }

    fn sum(point: &Point, previous: Option<&Point>) -> Sum {
        let nothing = || {
            let mut buckets = ExpHistogram::default();
            buckets.begin_at(point.buckets.as_ref());
            Sum { totals: Totals::default(), buckets }
        };
        point.new_since(previous).unwrap_or_else(nothing)
    }

    fn add(sum: &mut Sum, point: &Point, previous: Option<&Point>) -> bool {
        if let Some(new) = point.new_since(previous) {
            sum.totals.add(&new.totals);
            sum.buckets.merge(new.buckets);
        }
        true
    }

    fn array(column: &str, sums: &[Sum]) -> anyhow::Result<Option<ArrayRef>> {
        if let Some(at) = exp_buckets().iter().position(|field| field.name() == column) {
            let mut rows = ExpBuilder::new(sums.len());
            sums.iter().for_each(|sum| rows.append(&sum.buckets));
            return Ok(rows.finish()?.columns().get(at).cloned());
        }
        Ok(Totals::array(column, sums.iter().map(|sum| &sum.totals)))
    }
}
