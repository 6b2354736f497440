//! Rows in flight become lake rows: whole columns at a time, promoted attributes once per dictionary value.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, DictionaryArray, FixedSizeBinaryArray, Float64Builder, Int32Array,
    Int64Array, Int64Builder, ListArray, PrimitiveArray, StringArray, StructArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use chrono::{NaiveDate, TimeDelta};
use serde_json::Value;

use crate::changes::Span;
use crate::schema::{Layout, Promoted, PromotedType, Source, lake_type};

/// Microseconds.
const DAY: i64 = 86_400_000_000;

/// A column that is absent in flight is NULL.
pub(crate) fn convert(rows: &RecordBatch, layout: &Layout, promoted: &[Promoted]) -> Result<RecordBatch, ArrowError> {
    let mut values = promote(rows, promoted)?;
    let columns = layout.columns.iter().map(|column| {
        let kind = column.field.data_type();
        Ok(match &column.source {
            Source::Micros(names) => micros(rows, names),
            Source::Column(name) => match rows.column_by_name(name) {
                Some(array) => lake_array(array)?,
                None => new_null_array(kind, rows.num_rows()),
            },
            Source::Promoted(n) => values[*n].take().unwrap_or_else(|| new_null_array(kind, rows.num_rows())),
            Source::Made => new_null_array(kind, rows.num_rows()),
        })
    });
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    RecordBatch::try_new(layout.hot.clone(), columns)
}

/// The first of the named nanosecond columns that is not zero, in microseconds; rounded down.
fn micros(rows: &RecordBatch, names: &[&str]) -> ArrayRef {
    let columns =
        names.iter().filter_map(|name| rows.column_by_name(name)?.as_primitive_opt::<TimestampNanosecondType>());
    let columns = columns.map(|column| column.values()).collect::<Vec<_>>();
    let values = (0..rows.num_rows())
        .map(|row| columns.iter().map(|column| column[row]).find(|nanos| *nanos != 0).unwrap_or(0).div_euclid(1000));
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

/// As [`lake_type`] says, sharing buffers where bits stay the same.
fn lake_array(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Timestamp(..) => {
            let nanos = array.as_primitive::<TimestampNanosecondType>();
            Arc::new(PrimitiveArray::<Int64Type>::new(nanos.values().clone(), nanos.nulls().cloned()))
        }
        DataType::FixedSizeBinary(_) => Arc::new(hex(array.as_fixed_size_binary())?),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let DataType::List(item) = lake_type(array.data_type()) else { return Ok(array.clone()) };
            let values = lake_array(list.values())?;
            Arc::new(ListArray::try_new(item, list.offsets().clone(), values, list.nulls().cloned())?)
        }
        DataType::Struct(_) => {
            let item = array.as_struct();
            let DataType::Struct(fields) = lake_type(array.data_type()) else { return Ok(array.clone()) };
            let children = item.columns().iter().map(lake_array).collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new_with_length(fields, children, item.nulls().cloned(), item.len())?)
        }
        _ => array.clone(),
    })
}

/// Lower-case hex text.
fn hex(ids: &FixedSizeBinaryArray) -> Result<StringArray, ArrowError> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let width = ids.value_length() as usize * 2;
    let mut text = Vec::with_capacity(ids.len() * width);
    let mut lengths = Vec::with_capacity(ids.len());
    for row in 0..ids.len() {
        if ids.is_null(row) {
            lengths.push(0);
            continue;
        }
        lengths.push(width);
        for byte in ids.value(row) {
            text.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
    StringArray::try_new(OffsetBuffer::from_lengths(lengths), Buffer::from(text), ids.nulls().cloned())
}

/// One array per promoted attribute (`None`: NULL in every row), from the resources' attributes.
fn promote(rows: &RecordBatch, promoted: &[Promoted]) -> Result<Vec<Option<ArrayRef>>, ArrowError> {
    let none = || promoted.iter().map(|_| None).collect::<Vec<_>>();
    let Some(dictionary) =
        rows.column_by_name("resource_attributes").and_then(|column| column.as_dictionary_opt::<Int32Type>())
    else {
        return Ok(none());
    };
    let texts = dictionary.values().as_string::<i32>();
    let resources = texts
        .iter()
        .map(|text| match text.map(serde_json::from_str) {
            Some(Ok(Value::Object(attributes))) => attributes,
            _ => serde_json::Map::new(),
        })
        .collect::<Vec<_>>();
    let keys = dictionary.keys();
    promoted
        .iter()
        .map(|promoted| {
            let values = resources.iter().map(|resource| resource.get(&promoted.key)).collect::<Vec<_>>();
            if values.iter().all(Option::is_none) {
                return Ok(None);
            }
            let of_row = |key: Option<i32>| key.and_then(|key| values[key as usize]);
            Ok(Some(match promoted.kind {
                PromotedType::String => promote_text(keys, &values)?,
                PromotedType::Int => {
                    let mut column = Int64Builder::with_capacity(keys.len());
                    keys.iter().for_each(|key| column.append_option(of_row(key).and_then(Value::as_i64)));
                    Arc::new(column.finish()) as ArrayRef
                }
                PromotedType::Double => {
                    let double = |value: &Value| value.as_f64().filter(|_| value.is_f64());
                    let mut column = Float64Builder::with_capacity(keys.len());
                    keys.iter().for_each(|key| column.append_option(of_row(key).and_then(double)));
                    Arc::new(column.finish())
                }
                PromotedType::Bool => {
                    let mut column = BooleanBuilder::with_capacity(keys.len());
                    keys.iter().for_each(|key| column.append_option(of_row(key).and_then(Value::as_bool)));
                    Arc::new(column.finish())
                }
            }))
        })
        .collect()
}

fn promote_text(keys: &Int32Array, values: &[Option<&Value>]) -> Result<ArrayRef, ArrowError> {
    let mut seen = HashMap::<&str, i32>::new();
    let mut texts = Vec::new();
    let keys_of_values = values
        .iter()
        .map(|value| {
            let text = value.and_then(Value::as_str)?;
            Some(*seen.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() as i32 - 1
            }))
        })
        .collect::<Vec<_>>();
    let keys = keys.iter().map(|key| key.and_then(|key| keys_of_values[key as usize])).collect::<Int32Array>();
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(StringArray::from(texts)))?))
}

/// Days since 1970 of a row's `ts`.
pub(crate) fn day(micros: i64) -> i32 {
    micros.div_euclid(DAY) as i32
}

/// `2026-11-24`, of days since 1970.
pub(crate) fn date_text(day: i32) -> String {
    let date = NaiveDate::default().checked_add_signed(TimeDelta::days(day.into()));
    date.map_or_else(|| format!("day {day}"), |date| date.to_string())
}

/// The first and last `ts` of a day.
pub(crate) fn of_day(day: i32) -> (i64, i64) {
    let first = i64::from(day).saturating_mul(DAY);
    (first, first.saturating_add(DAY - 1))
}

pub(crate) fn ts(rows: &RecordBatch) -> Result<&PrimitiveArray<TimestampMicrosecondType>, ArrowError> {
    rows.column_by_name("ts")
        .and_then(|column| column.as_primitive_opt())
        .ok_or_else(|| ArrowError::SchemaError("lake rows without `ts`".to_owned()))
}

/// Smallest and largest `ts`; that of no rows touches nothing.
pub(crate) fn time_span(rows: &RecordBatch) -> Result<Span, ArrowError> {
    let times = ts(rows)?;
    let bounds = arrow::compute::min(times).zip(arrow::compute::max(times));
    Ok(bounds.map_or(Span::NONE, |(first, last)| Span { first, last }))
}

/// An Int64 column by name.
pub(crate) fn int64<'a>(rows: &'a RecordBatch, name: &str) -> Option<&'a Int64Array> {
    rows.column_by_name(name)?.as_primitive_opt()
}
