//! Exponential histograms: what was counted in a step, at the coarsest scale in it, as a point of delta temporality has it.

use std::cmp::Ordering;
use std::sync::Arc;

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
    /// `None`: nothing is known of what was added, for there was no point before any of them.
    buckets: Option<ExpHistogram>,
}

impl Point {
    fn new_since(&self, previous: Option<&Point>) -> Option<(Totals, ExpHistogram)> {
        let buckets = self.buckets.clone()?;
        if self.totals.delta {
            return Some((self.totals.clone(), buckets));
        }
        let previous = previous?;
        let new = previous.buckets.clone().and_then(|before| buckets.since(before));
        Some(match self.totals.since(&previous.totals).zip(new) {
            Some((totals, buckets)) => (totals, buckets),
            None => (Totals { extremes: Extremes::default(), ..self.totals.clone() }, buckets),
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

    fn order(a: &Point, b: &Point) -> Ordering {
        let buckets = || match (&a.buckets, &b.buckets) {
            (Some(a), Some(b)) => a.order(b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        a.totals.order(&b.totals).then_with(buckets)
    }

    fn sum(point: &Point, previous: Option<&Point>) -> Sum {
        match point.new_since(previous) {
            Some((totals, buckets)) => Sum { totals, buckets: Some(buckets) },
            None => Sum { totals: Totals::default(), buckets: None },
        }
    }

    fn add(sum: &mut Sum, point: &Point, previous: Option<&Point>) -> bool {
        if let Some((totals, buckets)) = point.new_since(previous) {
            sum.totals.add(&totals);
            sum.buckets.get_or_insert_default().merge(buckets);
        }
        true
    }

    fn array(column: &str, sums: &[Sum]) -> anyhow::Result<Option<ArrayRef>> {
        let all = || {
            let mut rows = ExpBuilder::new(sums.len());
            sums.iter().for_each(|sum| rows.append_option(sum.buckets.as_ref()));
            rows.finish()
        };
        if column == "buckets" {
            return Ok(Some(Arc::new(all()?)));
        }
        if let Some(at) = exp_buckets().iter().position(|field| field.name() == column) {
            return Ok(all()?.columns().get(at).cloned());
        }
        Ok(Totals::array(column, sums.iter().map(|sum| sum.buckets.as_ref().map(|_| &sum.totals))))
    }
}
