//! Points of gauges and sums.

use arrow::array::{BooleanArray, RecordBatch};

use super::columns::{Columns, Dict, mark};
use super::points::{Exemplars, Numbers, Points};
use super::{Items, Level};
use crate::otlp::wire::Writer;

pub(super) struct NumberPoints<'a> {
    points: Points<'a>,
    metric_type: Dict<'a>,
    aggregation_temporality: &'a [i32],
    is_monotonic: &'a BooleanArray,
    numbers: Numbers<'a>,
    exemplars: Exemplars<'a>,
}

impl<'a> NumberPoints<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Self> {
        Some(NumberPoints {
            points: Points::new(rows, 7)?,
            metric_type: rows.dict("metric_type")?,
            aggregation_temporality: rows.int32("aggregation_temporality")?,
            is_monotonic: rows.bools("is_monotonic")?,
            numbers: Numbers::new(rows)?,
            exemplars: Exemplars::new(rows)?,
        })
    }
}

impl Items for NumberPoints<'_> {
    fn mark_metrics(&self, levels: &mut [Level]) {
        self.points.mark(levels);
        self.metric_type.mark(Level::Metric, levels);
        mark(self.aggregation_temporality, Level::Metric, levels);
        let monotonic = self.is_monotonic.values().iter().collect::<Vec<_>>();
        mark(&monotonic, Level::Metric, levels);
    }

    fn item(&mut self, row: usize, out: &mut Writer) {
        let start = out.mark();
        self.points.flags(8, row, out);
        self.points.attributes.write(row, out);
        self.numbers.write(6, 4, row, out);
        self.exemplars.write(5, row, out);
        self.points.times(row, out);
        out.close(1, start);
    }

    fn metric(&mut self, row: usize, mark: usize, out: &mut Writer) {
        let is_sum = self.metric_type.get(row) == "sum";
        if is_sum {
            out.number(3, u64::from(self.is_monotonic.value(row)));
            out.int32(2, self.aggregation_temporality[row]);
        }
        self.points.metric(if is_sum { 7 } else { 5 }, row, mark, out);
    }
}
