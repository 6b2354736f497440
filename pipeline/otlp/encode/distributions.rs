//! Points of histograms, exponential histograms and summaries.

use arrow::array::{AsArray, Float64Array, Int32Array, ListArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};

use super::columns::{Columns, items, mark, present};
use super::points::{Exemplars, Points};
use super::{Items, Level};
use crate::otlp::wire::Writer;

struct Stats<'a> {
    count: &'a [i64],
    sum: &'a Float64Array,
    min: &'a Float64Array,
    max: &'a Float64Array,
}

impl<'a> Stats<'a> {
    fn new(rows: &'a RecordBatch) -> Option<Self> {
        Some(Stats {
            count: rows.int64("count")?,
            sum: rows.nullable("sum")?,
            min: rows.nullable("min")?,
            max: rows.nullable("max")?,
        })
    }

    fn write(&self, [min, max]: [u32; 2], row: usize, out: &mut Writer) {
        for (field, column) in [(max, self.max), (min, self.min), (5, self.sum)] {
            if let Some(double) = present(column, row) {
                out.fixed64_field(field, double.to_bits());
            }
        }
        out.fixed64(4, self.count[row] as u64);
    }
}

fn counts(list: &ListArray, row: usize) -> &[i64] {
    list.values().as_primitive_opt::<Int64Type>().map_or(&[], |counts| &counts.values()[items(list, row)])
}

pub(super) struct Histograms<'a> {
    points: Points<'a>,
    aggregation_temporality: &'a [i32],
    stats: Stats<'a>,
    bucket_counts: &'a ListArray,
    explicit_bounds: &'a ListArray,
    exemplars: Exemplars<'a>,
}

impl<'a> Histograms<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Self> {
        Some(Histograms {
            points: Points::new(rows, 9)?,
            aggregation_temporality: rows.int32("aggregation_temporality")?,
            stats: Stats::new(rows)?,
            bucket_counts: rows.list("bucket_counts")?,
            explicit_bounds: rows.list("explicit_bounds")?,
            exemplars: Exemplars::new(rows)?,
        })
    }
}

impl Items for Histograms<'_> {
    fn mark_metrics(&self, levels: &mut [Level]) {
        self.points.mark(levels);
        mark(self.aggregation_temporality, Level::Metric, levels);
    }

    fn item(&mut self, row: usize, out: &mut Writer) {
        let start = out.mark();
        self.points.flags(10, row, out);
        self.points.attributes.write(row, out);
        self.exemplars.write(8, row, out);
        let bounds = self.explicit_bounds.values().as_primitive_opt::<Float64Type>();
        packed(
            7,
            bounds.map_or(&[], |bounds| &bounds.values()[items(self.explicit_bounds, row)]),
            f64::to_le_bytes,
            out,
        );
        packed(6, counts(self.bucket_counts, row), i64::to_le_bytes, out);
        self.stats.write([11, 12], row, out);
        self.points.times(row, out);
        out.close(1, start);
    }

    fn metric(&mut self, row: usize, mark: usize, out: &mut Writer) {
        out.int32(2, self.aggregation_temporality[row]);
        self.points.metric(9, row, mark, out);
    }
}

fn packed<T: Copy>(field: u32, values: &[T], bytes: impl Fn(T) -> [u8; 8], out: &mut Writer) {
    if !values.is_empty() {
        let mark = out.mark();
        values.iter().rev().for_each(|value| out.bytes(&bytes(*value)));
        out.close(field, mark);
    }
}

pub(super) struct ExpHistograms<'a> {
    points: Points<'a>,
    aggregation_temporality: &'a [i32],
    stats: Stats<'a>,
    scale: &'a [i32],
    zero_count: &'a [i64],
    zero_threshold: &'a [f64],
    positive: (&'a Int32Array, &'a ListArray),
    negative: (&'a Int32Array, &'a ListArray),
    exemplars: Exemplars<'a>,
}

impl<'a> ExpHistograms<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Self> {
        Some(ExpHistograms {
            points: Points::new(rows, 1)?,
            aggregation_temporality: rows.int32("aggregation_temporality")?,
            stats: Stats::new(rows)?,
            scale: rows.int32("scale")?,
            zero_count: rows.int64("zero_count")?,
            zero_threshold: rows.float64("zero_threshold")?,
            positive: (rows.nullable("positive_offset")?, rows.list("positive_bucket_counts")?),
            negative: (rows.nullable("negative_offset")?, rows.list("negative_bucket_counts")?),
            exemplars: Exemplars::new(rows)?,
        })
    }
}

impl Items for ExpHistograms<'_> {
    fn mark_metrics(&self, levels: &mut [Level]) {
        self.points.mark(levels);
        mark(self.aggregation_temporality, Level::Metric, levels);
    }

    fn item(&mut self, row: usize, out: &mut Writer) {
        let start = out.mark();
        out.fixed64(14, self.zero_threshold[row].to_bits());
        self.exemplars.write(11, row, out);
        self.points.flags(10, row, out);
        for (field, (offset, buckets)) in [(9, &self.negative), (8, &self.positive)] {
            let Some(offset) = present(offset, row) else { continue };
            let mark = out.mark();
            let counts = counts(buckets, row);
            counts.iter().rev().for_each(|count| out.varint(*count as u64));
            if !counts.is_empty() {
                out.close(2, mark);
            }
            out.sint32(1, offset);
            out.close(field, mark);
        }
        out.fixed64(7, self.zero_count[row] as u64);
        out.sint32(6, self.scale[row]);
        self.stats.write([12, 13], row, out);
        self.points.times(row, out);
        self.points.attributes.write(row, out);
        out.close(1, start);
    }

    fn metric(&mut self, row: usize, mark: usize, out: &mut Writer) {
        out.int32(2, self.aggregation_temporality[row]);
        self.points.metric(10, row, mark, out);
    }
}

pub(super) struct Summaries<'a> {
    points: Points<'a>,
    count: &'a [i64],
    sum: &'a [f64],
    list: &'a ListArray,
    quantile: &'a [f64],
    value: &'a [f64],
}

impl<'a> Summaries<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Self> {
        let list = rows.list("quantile_values")?;
        let quantiles = list.values().as_struct_opt()?;
        Some(Summaries {
            points: Points::new(rows, 7)?,
            count: rows.int64("count")?,
            sum: rows.float64("sum")?,
            list,
            quantile: quantiles.float64("quantile")?,
            value: quantiles.float64("value")?,
        })
    }
}

impl Items for Summaries<'_> {
    fn mark_metrics(&self, levels: &mut [Level]) {
        self.points.mark(levels);
    }

    fn item(&mut self, row: usize, out: &mut Writer) {
        let start = out.mark();
        self.points.flags(8, row, out);
        self.points.attributes.write(row, out);
        for quantile in items(self.list, row).rev() {
            let mark = out.mark();
            out.fixed64(2, self.value[quantile].to_bits());
            out.fixed64(1, self.quantile[quantile].to_bits());
            out.close(6, mark);
        }
        out.fixed64(5, self.sum[row].to_bits());
        out.fixed64(4, self.count[row] as u64);
        self.points.times(row, out);
        out.close(1, start);
    }

    fn metric(&mut self, row: usize, mark: usize, out: &mut Writer) {
        self.points.metric(11, row, mark, out);
    }
}
