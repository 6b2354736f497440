//! Log records.

use arrow::array::{BooleanArray, BooleanBufferBuilder, NullBufferBuilder};

use super::columns::{Dict, Ids, Text, int32, int64, times};
use super::origin::{Origin, RawSet, Resource, Scope};
use super::{Error, Items, Within, record_batch};
use crate::batch::{Rows, Table};
use crate::otlp::MAX_DEPTH;
use crate::otlp::any_value::{Any, any_to_json, join, read_any};
use crate::otlp::sets::Sets;
use crate::otlp::wire::{Fault, Reader, Value};

pub(super) struct Builder {
    table: Table,
    origin: Origin,
    time: Vec<i64>,
    observed_time: Vec<i64>,
    severity_number: Vec<i32>,
    severity_text: Dict,
    event_name: Dict,
    body: Text,
    body_nulls: NullBufferBuilder,
    body_is_json: BooleanBufferBuilder,
    attributes: Dict,
    dropped: Vec<i64>,
    flags: Vec<i64>,
    trace_id: Ids<16>,
    span_id: Ids<8>,
}

impl Builder {
    /// Of records that are rows of `table`.
    pub fn with_capacity(table: Table, rows: usize) -> Builder {
        let mut builder = Builder {
            table,
            origin: Origin::default(),
            time: Vec::with_capacity(rows),
            observed_time: Vec::with_capacity(rows),
            severity_number: Vec::with_capacity(rows),
            severity_text: Dict::default(),
            event_name: Dict::default(),
            body: Text::default(),
            body_nulls: NullBufferBuilder::new(rows),
            body_is_json: BooleanBufferBuilder::new(rows),
            attributes: Dict::default(),
            dropped: Vec::with_capacity(rows),
            flags: Vec::with_capacity(rows),
            trace_id: Ids::default(),
            span_id: Ids::default(),
        };
        builder.origin.reserve(rows);
        builder.severity_text.reserve(rows);
        builder.event_name.reserve(rows);
        builder.body.reserve(rows);
        builder.attributes.reserve(rows);
        builder.trace_id.reserve(rows);
        builder.span_id.reserve(rows);
        builder
    }

    fn body(&mut self, bytes: Option<&[u8]>) -> Result<(), Fault> {
        let any = bytes.map(read_any).transpose()?;
        self.body_nulls.append(any.is_some());
        let mut is_json = false;
        match any {
            None => {}
            Some(Any::String(text)) => self.body.open().extend_from_slice(text),
            Some(any) => {
                is_json = true;
                any_to_json(&any, self.body.open(), MAX_DEPTH)?;
            }
        }
        self.body.end();
        self.body_is_json.append(is_json);
        Ok(())
    }

    pub fn finish(mut self) -> Result<Rows, Error> {
        let mut columns = self.origin.finish()?;
        columns.push(times(self.time));
        columns.push(times(self.observed_time));
        columns.push(int32(self.severity_number));
        columns.push(self.severity_text.finish()?);
        columns.push(self.event_name.finish()?);
        columns.push(std::sync::Arc::new(self.body.finish(self.body_nulls.finish())?));
        columns.push(std::sync::Arc::new(BooleanArray::new(self.body_is_json.finish(), None)));
        columns.push(self.attributes.finish()?);
        columns.push(int64(self.dropped));
        columns.push(int64(self.flags));
        columns.push(self.trace_id.finish()?);
        columns.push(self.span_id.finish()?);
        Ok(Rows::new([record_batch(self.table, columns)?]))
    }
}

impl Items for Builder {
    fn item(&mut self, bytes: &[u8], _: &Within<'_>, sets: &mut Sets) -> Result<(), Fault> {
        let (mut time, mut observed, mut severity, mut dropped, mut flags) = (0, 0, 0, 0u32, 0u32);
        let (mut severity_text, mut event_name) = (&[][..], &[][..]);
        let (mut trace_id, mut span_id) = (&[][..], &[][..]);
        let (mut attributes, mut body) = (RawSet::default(), None);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Fixed64(nanos)) => time = nanos as i64,
                (11, Value::Fixed64(nanos)) => observed = nanos as i64,
                (2, Value::Varint(number)) => severity = number as i32,
                (3, Value::Len(text)) => severity_text = text,
                (5, Value::Len(any)) => join(&mut body, any),
                (6, Value::Len(_)) => attributes.add(&mut reader),
                (7, Value::Varint(count)) => dropped = count as u32,
                (8, Value::Fixed32(bits)) => flags = bits,
                (9, Value::Len(id)) => trace_id = id,
                (10, Value::Len(id)) => span_id = id,
                (12, Value::Len(name)) => event_name = name,
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.time.push(time);
        self.observed_time.push(observed);
        self.severity_number.push(severity);
        self.severity_text.push(severity_text);
        self.event_name.push(event_name);
        self.body(body.as_deref())?;
        self.attributes.push_set(self.table, attributes.bytes(), sets)?;
        self.dropped.push(i64::from(dropped));
        self.flags.push(i64::from(flags));
        self.trace_id.push(trace_id);
        self.span_id.push(span_id);
        Ok(())
    }

    fn end_scope(&mut self, scope: &Scope<'_>) {
        self.origin.end_scope(scope, self.time.len());
    }

    fn end_resource(&mut self, resource: &Resource<'_>) {
        self.origin.end_resource(resource, self.time.len());
    }
}
