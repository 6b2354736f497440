//! What the points of all metric kinds share.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;

use super::columns::{Dict, Doubles, Ids, Ints, Text, int64, structs, times};
use super::origin::{Origin, RawSet, Resource, Scope};
use crate::batch::ids::mix;
use crate::batch::{EXEMPLAR, Table};
use crate::otlp::MAX_DEPTH;
use crate::otlp::sets::Sets;
use crate::otlp::wire::{Fault, Reader, Value};

/// A metric's own fields.
pub(super) struct Metric<'a> {
    pub name: &'a [u8],
    pub description: &'a [u8],
    pub unit: &'a [u8],
    pub metadata: Vec<u8>,
    /// See `crate::batch::ids`; the points' attributes are mixed in.
    pub identity: u64,
}

/// The columns up to `flags`.
#[derive(Default)]
pub(super) struct Points {
    origin: Origin,
    series_id: Vec<i64>,
    metric_name: Dict,
    description: Dict,
    unit: Dict,
    metadata: Dict,
    attributes: Dict,
    start: Vec<i64>,
    time: Vec<i64>,
    flags: Vec<i64>,
}

impl Points {
    pub fn len(&self) -> usize {
        self.time.len()
    }

    pub fn reserve(&mut self, rows: usize) {
        self.origin.reserve(rows);
        for column in [&mut self.series_id, &mut self.start, &mut self.time, &mut self.flags] {
            column.reserve_exact(rows);
        }
        for column in
            [&mut self.metric_name, &mut self.description, &mut self.unit, &mut self.metadata, &mut self.attributes]
        {
            column.reserve(rows);
        }
    }

    #[inline]
    pub fn push(
        &mut self,
        (table, metric): (Table, &Metric<'_>),
        attributes: &RawSet<'_>,
        (start, time, flags): (u64, u64, u32),
        sets: &mut Sets,
    ) -> Result<(), Fault> {
        let hash = self.attributes.push_hashed_set(table, attributes.bytes(), sets)?;
        self.series_id.push(mix(metric.identity, hash) as i64);
        self.start.push(start as i64);
        self.time.push(time as i64);
        self.flags.push(i64::from(flags));
        Ok(())
    }

    pub fn end_metric(&mut self, metric: &Metric<'_>) {
        let rows = self.len();
        self.metric_name.fill(metric.name, rows);
        self.description.fill(metric.description, rows);
        self.unit.fill(metric.unit, rows);
        self.metadata.fill(&metric.metadata, rows);
    }

    pub fn end_scope(&mut self, scope: &Scope<'_>) {
        self.origin.end_scope(scope, self.time.len());
    }

    pub fn end_resource(&mut self, resource: &Resource<'_>) {
        self.origin.end_resource(resource, self.time.len());
    }

    pub fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut columns = self.origin.finish()?;
        columns.push(int64(self.series_id));
        columns.push(self.metric_name.finish()?);
        columns.push(self.description.finish()?);
        columns.push(self.unit.finish()?);
        columns.push(self.metadata.finish()?);
        columns.push(self.attributes.finish()?);
        columns.push(times(self.start));
        columns.push(times(self.time));
        columns.push(int64(self.flags));
        Ok(columns)
    }
}

/// A number that is an integer or a double, or absent.
#[derive(Default)]
pub(super) struct Numbers {
    int: Ints,
    double: Doubles,
}

#[derive(Clone, Copy)]
pub(super) enum Number {
    None,
    Int(u64),
    Double(u64),
}

impl Numbers {
    pub fn reserve(&mut self, rows: usize) {
        self.int.reserve(rows);
        self.double.reserve(rows);
    }

    #[inline]
    pub fn push(&mut self, number: Number) {
        let (int, double) = match number {
            Number::None => (None, None),
            Number::Int(bits) => (Some(bits as i64), None),
            Number::Double(bits) => (None, Some(f64::from_bits(bits))),
        };
        self.int.push(int);
        self.double.push(double);
    }

    pub fn finish(self) -> [ArrayRef; 2] {
        [self.int.finish(), self.double.finish()]
    }
}

#[derive(Default)]
pub(super) struct Exemplars {
    ends: Vec<i32>,
    time: Vec<i64>,
    numbers: Numbers,
    span_id: Ids<8>,
    trace_id: Ids<16>,
    attributes: Text,
}

impl Exemplars {
    pub fn reserve(&mut self, rows: usize) {
        self.ends.reserve_exact(rows + 1);
    }

    pub fn push(&mut self, bytes: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        let (mut time, mut number, mut attributes) = (0, Number::None, RawSet::default());
        let (mut span_id, mut trace_id) = (&[][..], &[][..]);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (2, Value::Fixed64(nanos)) => time = nanos as i64,
                (3, Value::Fixed64(bits)) => number = Number::Double(bits),
                (4, Value::Len(id)) => span_id = id,
                (5, Value::Len(id)) => trace_id = id,
                (6, Value::Fixed64(bits)) => number = Number::Int(bits),
                (7, Value::Len(_)) => attributes.add(&mut reader),
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.time.push(time);
        self.numbers.push(number);
        self.span_id.push(span_id);
        self.trace_id.push(trace_id);
        self.attributes.push_set(attributes.bytes(), sets)
    }

    /// Ends a point's exemplars.
    #[inline]
    pub fn end(&mut self) {
        self.ends.push(self.time.len() as i32);
    }

    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        let [int, double] = self.numbers.finish();
        let attributes = Arc::new(self.attributes.finish(None)?);
        let children = vec![times(self.time), int, double, self.span_id.finish()?, self.trace_id.finish()?, attributes];
        structs(self.ends, &EXEMPLAR, children)
    }
}
