//! Points of gauges and sums.

use std::sync::Arc;

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch};

use super::columns::{Dict, int32};
use super::origin::RawSet;
use super::points::{Exemplars, Metric, Number, Numbers, Points};
use super::{Error, each, record_batch};
use crate::batch::Table;
use crate::otlp::MAX_DEPTH;
use crate::otlp::sets::Sets;
use crate::otlp::wire::{Fault, Reader, Value};

pub(super) struct NumberPoints {
    pub points: Points,
    metric_type: Dict,
    aggregation_temporality: Vec<i32>,
    is_monotonic: BooleanBufferBuilder,
    value: Numbers,
    exemplars: Exemplars,
}

impl NumberPoints {
    pub fn with_capacity(rows: usize) -> Self {
        let mut table = NumberPoints {
            points: Points::default(),
            metric_type: Dict::default(),
            aggregation_temporality: Vec::with_capacity(rows),
            is_monotonic: BooleanBufferBuilder::new(rows),
            value: Numbers::default(),
            exemplars: Exemplars::default(),
        };
        table.points.reserve(rows);
        table.metric_type.reserve(rows);
        table.value.reserve(rows);
        table.exemplars.reserve(rows);
        table
    }

    pub fn metric(
        &mut self,
        metric: &Metric<'_>,
        metric_type: &str,
        (temporality, monotonic): (i32, bool),
        data: &[u8],
        sets: &mut Sets,
    ) -> Result<(), Fault> {
        each(data, 1, |point| self.point(metric, point, sets))?;
        let rows = self.points.len();
        self.points.end_metric(metric);
        self.metric_type.fill(metric_type.as_bytes(), rows);
        self.aggregation_temporality.resize(rows, temporality);
        self.is_monotonic.append_n(rows - self.is_monotonic.len(), monotonic);
        Ok(())
    }

    fn point(&mut self, metric: &Metric<'_>, bytes: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        let (mut start, mut time, mut flags) = (0, 0, 0u32);
        let (mut number, mut attributes) = (Number::None, RawSet::default());
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (2, Value::Fixed64(nanos)) => start = nanos,
                (3, Value::Fixed64(nanos)) => time = nanos,
                (4, Value::Fixed64(bits)) => number = Number::Double(bits),
                (5, Value::Len(exemplar)) => self.exemplars.push(exemplar, sets)?,
                (6, Value::Fixed64(bits)) => number = Number::Int(bits),
                (7, Value::Len(_)) => attributes.add(&mut reader),
                (8, Value::Varint(bits)) => flags = bits as u32,
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.points.push((Table::Metrics, metric), &attributes, (start, time, flags), sets)?;
        self.value.push(number);
        self.exemplars.end();
        Ok(())
    }

    pub fn finish(mut self) -> Result<(Table, RecordBatch), Error> {
        let mut columns = self.points.finish()?;
        columns.push(self.metric_type.finish()?);
        columns.push(int32(self.aggregation_temporality));
        columns.push(Arc::new(BooleanArray::new(self.is_monotonic.finish(), None)));
        columns.extend(self.value.finish());
        columns.push(self.exemplars.finish()?);
        Ok(record_batch(Table::Metrics, columns)?)
    }
}
