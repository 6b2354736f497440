//! What the points of all metric kinds share.

use arrow::array::{AsArray, FixedSizeBinaryArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};

use super::Level;
use super::columns::{Columns, Dict, Sets, id, items, present, write_set};
use crate::otlp::wire::Writer;

pub(super) struct Points<'a> {
    metric_name: Dict<'a>,
    description: Dict<'a>,
    unit: Dict<'a>,
    metadata: Sets<'a>,
    pub attributes: Sets<'a>,
    start: &'a [i64],
    time: &'a [i64],
    flags: &'a [i64],
}

impl<'a> Points<'a> {
    /// `attributes` is the number that the field has in this kind of point.
    pub fn new(rows: &'a RecordBatch, attributes: u8) -> Option<Self> {
        Some(Points {
            metric_name: rows.dict("metric_name")?,
            description: rows.dict("description")?,
            unit: rows.dict("unit")?,
            metadata: rows.sets("metadata", 12)?,
            attributes: rows.sets("attributes", attributes)?,
            start: rows.times("start_time_unix_nano")?,
            time: rows.times("time_unix_nano")?,
            flags: rows.int64("flags")?,
        })
    }

    pub fn mark(&self, levels: &mut [Level]) {
        for column in [&self.metric_name, &self.description, &self.unit, self.metadata.dict()] {
            column.mark(Level::Metric, levels);
        }
    }

    pub fn flags(&self, field: u32, row: usize, out: &mut Writer) {
        out.number(field, u64::from(self.flags[row] as u32));
    }

    /// Fields 2 and 3 of every kind.
    pub fn times(&self, row: usize, out: &mut Writer) {
        out.fixed64(3, self.time[row] as u64);
        out.fixed64(2, self.start[row] as u64);
    }

    /// Closes the metric around its data, which is everything since `mark`.
    pub fn metric(&mut self, data_field: u32, row: usize, mark: usize, out: &mut Writer) {
        out.close(data_field, mark);
        self.metadata.write(row, out);
        out.string(3, self.unit.get(row).as_bytes());
        out.string(2, self.description.get(row).as_bytes());
        out.string(1, self.metric_name.get(row).as_bytes());
        out.close(2, mark);
    }
}

pub(super) struct Numbers<'a> {
    pub int: &'a Int64Array,
    pub double: &'a Float64Array,
}

impl<'a> Numbers<'a> {
    pub fn new(columns: &'a impl Columns) -> Option<Self> {
        Some(Numbers { int: columns.nullable("value_int")?, double: columns.nullable("value_double")? })
    }

    pub fn write(&self, int_field: u32, double_field: u32, row: usize, out: &mut Writer) {
        if let Some(int) = present(self.int, row) {
            out.fixed64_field(int_field, int as u64);
        } else if let Some(double) = present(self.double, row) {
            out.fixed64_field(double_field, double.to_bits());
        }
    }
}

pub(super) struct Exemplars<'a> {
    list: &'a ListArray,
    time: &'a [i64],
    numbers: Numbers<'a>,
    span_id: &'a FixedSizeBinaryArray,
    trace_id: &'a FixedSizeBinaryArray,
    attributes: &'a StringArray,
    scratch: Vec<u8>,
}

impl<'a> Exemplars<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Self> {
        let list = rows.list("exemplars")?;
        let exemplar = list.values().as_struct_opt()?;
        Some(Exemplars {
            list,
            time: exemplar.times("time_unix_nano")?,
            numbers: Numbers::new(exemplar)?,
            span_id: exemplar.ids("span_id")?,
            trace_id: exemplar.ids("trace_id")?,
            attributes: exemplar.text("filtered_attributes")?,
            scratch: Vec::new(),
        })
    }

    pub fn write(&mut self, field: u32, row: usize, out: &mut Writer) {
        for exemplar in items(self.list, row).rev() {
            let mark = out.mark();
            write_set(self.attributes.value(exemplar), 7, &mut self.scratch, out);
            out.string(5, id(self.trace_id, exemplar));
            out.string(4, id(self.span_id, exemplar));
            self.numbers.write(6, 3, exemplar, out);
            out.fixed64(2, self.time[exemplar] as u64);
            out.close(field, mark);
        }
    }
}
