//! Conditions and names held against rows.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch,
    StructArray,
};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::compute::{cast, filter, take};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use catchment_pipeline::batch::{self, Table};
use datafusion::error::DataFusionError;

use super::read::{Condition, METRICS, Rules};
use crate::sql::{self, ErrorMode, Failures, Frame, Program, Rows};

pub struct Dropping<'a> {
    pub rules: &'a Rules,
    pub failures: &'a mut Failures,
}

/// What makes points one metric.
const METRIC: [&str; 7] =
    ["resource_attributes", "scope_name", "scope_version", "scope_attributes", "metric_name", "unit", "description"];

impl Dropping<'_> {
    /// What is left; `None`: all of it, untouched.
    pub fn rows(&mut self, rows: &batch::Rows) -> Result<Option<batch::Rows>, String> {
        let mut changed = false;
        let mut tables = Vec::new();
        for (table, rows) in rows.tables() {
            let left = self.table(table, rows).map_err(|error| sql::message(&error))?;
            changed |= left.is_some();
            tables.push((table, left.unwrap_or_else(|| rows.clone())));
        }
        Ok(changed.then(|| batch::Rows::new(tables)))
    }

    fn table(&mut self, table: Table, rows: &RecordBatch) -> Result<Option<RecordBatch>, DataFusionError> {
        let mut frame = Frame::new(rows);
        let mut dropped: Option<BooleanBuffer> = None;
        let mut add = |mask: BooleanBuffer| {
            dropped = Some(match dropped.take() {
                Some(before) => &before | &mask,
                None => mask,
            });
        };
        for named in self.rules.named.iter().filter(|named| has(named.signal, table)) {
            let mut kept = vec![true; rows.num_rows()];
            named.properties.narrow(table, rows, &mut kept, named.include);
            if kept.contains(&false) {
                add(!&BooleanBuffer::from(kept));
            }
        }
        for (condition, program) in self.rules.of(Rows::Of(table)) {
            if let Some(mask) = holds(condition, program, &mut frame, self.failures)? {
                let whole = condition.whole_metric && METRICS.contains(&table) && !program.is_about(&METRIC);
                add(if whole { whole_metrics(rows, &mask) } else { mask });
            }
        }
        let left = match dropped.filter(|dropped| dropped.count_set_bits() > 0) {
            Some(dropped) => Some(arrow::compute::filter_record_batch(rows, &BooleanArray::from(!&dropped))?),
            None => None,
        };
        if table == Table::Spans && self.rules.of(Rows::SpanEvents).next().is_some() {
            let events = self.events(left.as_ref().unwrap_or(rows))?;
            return Ok(events.or(left));
        }
        Ok(left)
    }

    /// Spans with fewer events.
    fn events(&mut self, rows: &RecordBatch) -> Result<Option<RecordBatch>, DataFusionError> {
        let Some(list) = rows.column_by_name("events").and_then(|column| column.as_list_opt::<i32>()) else {
            return Ok(None);
        };
        let Some((list, flat, parents)) = flat(rows, list)? else { return Ok(None) };
        let mut frame = Frame::new(&flat);
        let mut dropped: Option<BooleanBuffer> = None;
        for (condition, program) in self.rules.of(Rows::SpanEvents) {
            if let Some(mask) = holds(condition, program, &mut frame, self.failures)? {
                dropped = Some(dropped.map_or(mask.clone(), |before| &before | &mask));
            }
        }
        let Some(dropped) = dropped.filter(|dropped| dropped.count_set_bits() > 0) else { return Ok(None) };
        let mut lengths = vec![0usize; rows.num_rows()];
        for (event, span) in parents.iter().enumerate().filter(|(event, _)| !dropped.value(*event)) {
            let _ = event;
            if let Some(length) = lengths.get_mut(*span as usize) {
                *length += 1;
            }
        }
        let kept = filter(list.values(), &BooleanArray::from(!&dropped))?;
        let DataType::List(item) = list.data_type() else { return Ok(None) };
        let events = ListArray::try_new(item.clone(), OffsetBuffer::from_lengths(lengths), kept, None)?;
        let events: ArrayRef = Arc::new(events);
        Ok(Some(Table::Spans.with_columns(rows, [("events", events)])?))
    }
}

fn has(signal: batch::Signal, table: Table) -> bool {
    signal == table.signal()
}

fn holds(
    condition: &Condition,
    program: &Program,
    frame: &mut Frame<'_>,
    failures: &mut Failures,
) -> Result<Option<BooleanBuffer>, DataFusionError> {
    let mut unsaid = Failures::default();
    let failures = if condition.mode == ErrorMode::Silent { &mut unsaid } else { failures };
    program.matches(frame, condition.mode, failures)
}

/// All points of the metrics of which one is in `mask`.
fn whole_metrics(rows: &RecordBatch, mask: &BooleanBuffer) -> BooleanBuffer {
    let columns = METRIC.iter().filter_map(|name| rows.column_by_name(name)?.as_dictionary_opt::<Int32Type>());
    let columns = columns.map(|column| column.keys().values().clone()).collect::<Vec<_>>();
    let metric = |row: usize| columns.iter().filter_map(|keys| keys.get(row).copied()).collect::<Vec<i32>>();
    let hit = (0..rows.num_rows()).filter(|row| mask.value(*row)).map(metric).collect::<HashSet<_>>();
    BooleanBuffer::collect_bool(rows.num_rows(), |row| hit.contains(&metric(row)))
}

/// A list that begins at 0, its events as rows of what SQL sees of them, and the span of each. `None`: there are none.
fn flat(rows: &RecordBatch, list: &ListArray) -> Result<Option<(ListArray, RecordBatch, Vec<i32>)>, DataFusionError> {
    let parents = (0..list.len()).flat_map(|span| {
        let events = usize::try_from(list.value_length(span)).unwrap_or_default();
        std::iter::repeat_n(span as i32, events)
    });
    let parents = parents.collect::<Vec<_>>();
    if parents.is_empty() {
        return Ok(None);
    }
    let from = list.offsets().first().copied().unwrap_or_default() as usize;
    let values = list.values().slice(from, parents.len());
    let lengths = (0..list.len()).map(|span| usize::try_from(list.value_length(span)).unwrap_or_default());
    let DataType::List(item) = list.data_type() else { return Ok(None) };
    let list = ListArray::try_new(item.clone(), OffsetBuffer::from_lengths(lengths), values, None)?;
    let Some(events) = list.values().as_struct_opt() else { return Ok(None) };
    let flat = flat_rows(rows, events, &parents)?;
    Ok(Some((list, flat, parents)))
}

fn flat_rows(rows: &RecordBatch, events: &StructArray, parents: &[i32]) -> Result<RecordBatch, DataFusionError> {
    let dict = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (name, column) in events.fields().iter().zip(events.columns()) {
        let column = if *column.data_type() == DataType::Utf8 { cast(column, &dict)? } else { column.clone() };
        columns.push((name.name().clone(), column));
    }
    let parents = Int32Array::from(parents.to_vec());
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let name = match field.name().as_str() {
            "name" => "span_name",
            "attributes" => "span_attributes",
            name if name.starts_with("resource_") || name.starts_with("scope_") => name,
            _ => continue,
        };
        let of_event: ArrayRef = match column.as_dictionary_opt::<Int32Type>() {
            Some(texts) => {
                let keys = take(texts.keys(), &parents, None)?;
                Arc::new(DictionaryArray::try_new(keys.as_primitive::<Int32Type>().clone(), texts.values().clone())?)
            }
            None => match column.as_primitive_opt::<Int64Type>() {
                Some(numbers) => {
                    Arc::new(take(numbers, &parents, None)?.as_primitive::<Int64Type>().clone()) as ArrayRef
                }
                None => Arc::new(Int64Array::from(vec![0; parents.len()])),
            },
        };
        columns.push((name.to_owned(), of_event));
    }
    let fields = columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Ok(RecordBatch::try_new(schema, columns.into_iter().map(|(_, column)| column).collect())?)
}
