//! Points of histograms, exponential histograms and summaries.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use arrow::datatypes::Int32Type;

use super::columns::{Doubles, Nullable, float64, int32, int64, list, structs};
use super::origin::RawSet;
use super::points::{Exemplars, Metric, Points};
use super::{Error, each, record_batch};
use crate::batch::{QUANTILE, Table};
use crate::otlp::MAX_DEPTH;
use crate::otlp::any_value::join;
use crate::otlp::sets::Sets;
use crate::otlp::wire::{Fault, Reader, Value, zigzag};

#[derive(Default)]
struct Stats {
    count: Vec<i64>,
    sum: Doubles,
    min: Doubles,
    max: Doubles,
}

#[derive(Default)]
struct Stat {
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

impl Stats {
    fn push(&mut self, stat: Stat) {
        self.count.push(stat.count as i64);
        self.sum.push(stat.sum);
        self.min.push(stat.min);
        self.max.push(stat.max);
    }
}

fn double(bits: u64) -> Option<f64> {
    Some(f64::from_bits(bits))
}

fn fixed64s(packed: &[u8]) -> impl Iterator<Item = u64> {
    packed.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
}

#[derive(Default)]
pub(super) struct Histograms {
    pub points: Points,
    aggregation_temporality: Vec<i32>,
    stats: Stats,
    bucket_counts: (Vec<i32>, Vec<i64>),
    explicit_bounds: (Vec<i32>, Vec<f64>),
    exemplars: Exemplars,
}

impl Histograms {
    pub fn with_capacity(rows: usize) -> Self {
        let mut table = Histograms::default();
        table.points.reserve(rows);
        table.exemplars.reserve(rows);
        table
    }

    pub fn metric(&mut self, metric: &Metric<'_>, temporality: i32, data: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        each(data, 1, |point| self.point(metric, point, sets))?;
        self.points.end_metric(metric);
        self.aggregation_temporality.resize(self.points.len(), temporality);
        Ok(())
    }

    fn point(&mut self, metric: &Metric<'_>, bytes: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        let (mut start, mut time, mut flags) = (0, 0, 0u32);
        let (mut stat, mut attributes) = (Stat::default(), RawSet::default());
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (2, Value::Fixed64(nanos)) => start = nanos,
                (3, Value::Fixed64(nanos)) => time = nanos,
                (4, Value::Fixed64(count)) => stat.count = count,
                (5, Value::Fixed64(bits)) => stat.sum = double(bits),
                (6, Value::Len(packed)) => self.bucket_counts.1.extend(fixed64s(packed).map(|count| count as i64)),
                (6, Value::Fixed64(count)) => self.bucket_counts.1.push(count as i64),
                (7, Value::Len(packed)) => self.explicit_bounds.1.extend(fixed64s(packed).map(f64::from_bits)),
                (7, Value::Fixed64(bits)) => self.explicit_bounds.1.push(f64::from_bits(bits)),
                (8, Value::Len(exemplar)) => self.exemplars.push(exemplar, sets)?,
                (9, Value::Len(_)) => attributes.add(&mut reader),
                (10, Value::Varint(bits)) => flags = bits as u32,
                (11, Value::Fixed64(bits)) => stat.min = double(bits),
                (12, Value::Fixed64(bits)) => stat.max = double(bits),
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.points.push((Table::Histograms, metric), &attributes, (start, time, flags), sets)?;
        self.stats.push(stat);
        self.bucket_counts.0.push(self.bucket_counts.1.len() as i32);
        self.explicit_bounds.0.push(self.explicit_bounds.1.len() as i32);
        self.exemplars.end();
        Ok(())
    }

    pub fn finish(self) -> Result<(Table, RecordBatch), Error> {
        let mut columns = self.points.finish()?;
        columns.push(int32(self.aggregation_temporality));
        columns.push(int64(self.stats.count));
        columns.extend([self.stats.sum.finish(), self.stats.min.finish(), self.stats.max.finish()]);
        columns.push(list(self.bucket_counts.0, int64(self.bucket_counts.1))?);
        columns.push(list(self.explicit_bounds.0, float64(self.explicit_bounds.1))?);
        columns.push(self.exemplars.finish()?);
        Ok(record_batch(Table::Histograms, columns)?)
    }
}

/// Buckets on one side of zero; no offset when the sender sent no buckets message.
#[derive(Default)]
struct Buckets {
    offset: Nullable<Int32Type>,
    ends: Vec<i32>,
    counts: Vec<i64>,
}

impl Buckets {
    fn push(&mut self, bytes: Option<Cow<'_, [u8]>>) -> Result<(), Fault> {
        let mut offset = bytes.as_ref().map(|_| 0);
        let mut reader = Reader::new(bytes.as_deref().unwrap_or_default());
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Varint(number)) => offset = Some(zigzag(number)),
                (2, Value::Varint(count)) => self.counts.push(count as i64),
                (2, Value::Len(packed)) => {
                    let mut packed = Reader::new(packed);
                    while !packed.is_empty() {
                        self.counts.push(packed.varint()? as i64);
                    }
                }
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.offset.push(offset);
        self.ends.push(self.counts.len() as i32);
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct ExpHistograms {
    pub points: Points,
    aggregation_temporality: Vec<i32>,
    stats: Stats,
    scale: Vec<i32>,
    zero_count: Vec<i64>,
    zero_threshold: Vec<f64>,
    positive: Buckets,
    negative: Buckets,
    exemplars: Exemplars,
}

impl ExpHistograms {
    pub fn with_capacity(rows: usize) -> Self {
        let mut table = ExpHistograms::default();
        table.points.reserve(rows);
        table.exemplars.reserve(rows);
        table
    }

    pub fn metric(&mut self, metric: &Metric<'_>, temporality: i32, data: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        each(data, 1, |point| self.point(metric, point, sets))?;
        self.points.end_metric(metric);
        self.aggregation_temporality.resize(self.points.len(), temporality);
        Ok(())
    }

    fn point(&mut self, metric: &Metric<'_>, bytes: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        let (mut start, mut time, mut flags) = (0, 0, 0u32);
        let (mut stat, mut attributes) = (Stat::default(), RawSet::default());
        let (mut scale, mut zero_count, mut zero_threshold) = (0, 0, 0.0);
        let (mut positive, mut negative) = (None, None);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Len(_)) => attributes.add(&mut reader),
                (2, Value::Fixed64(nanos)) => start = nanos,
                (3, Value::Fixed64(nanos)) => time = nanos,
                (4, Value::Fixed64(count)) => stat.count = count,
                (5, Value::Fixed64(bits)) => stat.sum = double(bits),
                (6, Value::Varint(number)) => scale = zigzag(number),
                (7, Value::Fixed64(count)) => zero_count = count as i64,
                (8, Value::Len(buckets)) => join(&mut positive, buckets),
                (9, Value::Len(buckets)) => join(&mut negative, buckets),
                (10, Value::Varint(bits)) => flags = bits as u32,
                (11, Value::Len(exemplar)) => self.exemplars.push(exemplar, sets)?,
                (12, Value::Fixed64(bits)) => stat.min = double(bits),
                (13, Value::Fixed64(bits)) => stat.max = double(bits),
                (14, Value::Fixed64(bits)) => zero_threshold = f64::from_bits(bits),
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.points.push((Table::ExpHistograms, metric), &attributes, (start, time, flags), sets)?;
        self.stats.push(stat);
        self.scale.push(scale);
        self.zero_count.push(zero_count);
        self.zero_threshold.push(zero_threshold);
        self.positive.push(positive)?;
        self.negative.push(negative)?;
        self.exemplars.end();
        Ok(())
    }

    pub fn finish(self) -> Result<(Table, RecordBatch), Error> {
        let mut columns = self.points.finish()?;
        columns.push(int32(self.aggregation_temporality));
        columns.push(int64(self.stats.count));
        columns.extend([self.stats.sum.finish(), self.stats.min.finish(), self.stats.max.finish()]);
        columns.push(int32(self.scale));
        columns.push(int64(self.zero_count));
        columns.push(float64(self.zero_threshold));
        for side in [self.positive, self.negative] {
            columns.push(side.offset.finish());
            columns.push(list(side.ends, int64(side.counts))?);
        }
        columns.push(self.exemplars.finish()?);
        Ok(record_batch(Table::ExpHistograms, columns)?)
    }
}

#[derive(Default)]
pub(super) struct Summaries {
    pub points: Points,
    count: Vec<i64>,
    sum: Vec<f64>,
    ends: Vec<i32>,
    quantile: Vec<f64>,
    value: Vec<f64>,
}

impl Summaries {
    pub fn with_capacity(rows: usize) -> Self {
        let mut table = Summaries::default();
        table.points.reserve(rows);
        table
    }

    pub fn metric(&mut self, metric: &Metric<'_>, data: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        each(data, 1, |point| self.point(metric, point, sets))?;
        self.points.end_metric(metric);
        Ok(())
    }

    fn point(&mut self, metric: &Metric<'_>, bytes: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        let (mut start, mut time, mut flags) = (0, 0, 0u32);
        let (mut count, mut sum, mut attributes) = (0, 0.0, RawSet::default());
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (2, Value::Fixed64(nanos)) => start = nanos,
                (3, Value::Fixed64(nanos)) => time = nanos,
                (4, Value::Fixed64(number)) => count = number as i64,
                (5, Value::Fixed64(bits)) => sum = f64::from_bits(bits),
                (6, Value::Len(quantile)) => self.quantile(quantile)?,
                (7, Value::Len(_)) => attributes.add(&mut reader),
                (8, Value::Varint(bits)) => flags = bits as u32,
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.points.push((Table::Summaries, metric), &attributes, (start, time, flags), sets)?;
        self.count.push(count);
        self.sum.push(sum);
        self.ends.push(self.quantile.len() as i32);
        Ok(())
    }

    fn quantile(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let (mut quantile, mut of) = (0.0, 0.0);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Fixed64(bits)) => quantile = f64::from_bits(bits),
                (2, Value::Fixed64(bits)) => of = f64::from_bits(bits),
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.quantile.push(quantile);
        self.value.push(of);
        Ok(())
    }

    pub fn finish(self) -> Result<(Table, RecordBatch), Error> {
        let mut columns = self.points.finish()?;
        columns.push(int64(self.count));
        columns.push(float64(self.sum));
        columns.push(structs(self.ends, &QUANTILE, vec![float64(self.quantile), float64(self.value)])?);
        Ok(record_batch(Table::Summaries, columns)?)
    }
}
