//! Views of a table's columns, by name.

use std::ops::Range;

use arrow::array::{
    Array, AsArray, BooleanArray, FixedSizeBinaryArray, ListArray, PrimitiveArray, RecordBatch, StringArray,
    StructArray,
};
use arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType};

use super::Level;
use crate::otlp::any_value::json_to_set;
use crate::otlp::wire::Writer;

/// `None` throughout when the column is missing or of another type.
pub(super) trait Columns {
    fn array(&self, name: &str) -> Option<&dyn Array>;

    fn values<T: ArrowPrimitiveType>(&self, name: &str) -> Option<&[T::Native]> {
        self.nullable::<T>(name).map(|array| &array.values()[..])
    }
    fn nullable<T: ArrowPrimitiveType>(&self, name: &str) -> Option<&PrimitiveArray<T>> {
        self.array(name)?.as_primitive_opt()
    }
    fn int64(&self, name: &str) -> Option<&[i64]> {
        self.values::<Int64Type>(name)
    }
    fn int32(&self, name: &str) -> Option<&[i32]> {
        self.values::<Int32Type>(name)
    }
    fn float64(&self, name: &str) -> Option<&[f64]> {
        self.values::<Float64Type>(name)
    }
    fn times(&self, name: &str) -> Option<&[i64]> {
        self.values::<TimestampNanosecondType>(name)
    }
    fn bools(&self, name: &str) -> Option<&BooleanArray> {
        self.array(name)?.as_boolean_opt()
    }
    fn text(&self, name: &str) -> Option<&StringArray> {
        self.array(name)?.as_string_opt()
    }
    fn ids(&self, name: &str) -> Option<&FixedSizeBinaryArray> {
        self.array(name)?.as_fixed_size_binary_opt()
    }
    fn list(&self, name: &str) -> Option<&ListArray> {
        self.array(name)?.as_list_opt()
    }
    fn dict(&self, name: &str) -> Option<Dict<'_>> {
        let dictionary = self.array(name)?.as_dictionary_opt::<Int32Type>()?;
        Some(Dict { keys: dictionary.keys().values(), values: dictionary.values().as_string_opt()? })
    }
    fn sets(&self, name: &str, field: u8) -> Option<Sets<'_>> {
        Some(Sets::new(self.dict(name)?, field))
    }
}

impl Columns for RecordBatch {
    fn array(&self, name: &str) -> Option<&dyn Array> {
        self.column_by_name(name).map(|array| &**array)
    }
}

impl Columns for StructArray {
    fn array(&self, name: &str) -> Option<&dyn Array> {
        self.column_by_name(name).map(|array| &**array)
    }
}

/// The items of a list column's `row`, as a range of its values.
pub(super) fn items(list: &ListArray, row: usize) -> Range<usize> {
    let offsets = list.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

pub(super) fn id(ids: &FixedSizeBinaryArray, row: usize) -> &[u8] {
    if ids.is_null(row) { &[] } else { ids.value(row) }
}

pub(super) fn present<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

#[derive(Clone, Copy)]
pub(super) struct Dict<'a> {
    keys: &'a [i32],
    values: &'a StringArray,
}

impl<'a> Dict<'a> {
    pub fn get(&self, row: usize) -> &'a str {
        self.values.value(self.keys[row] as usize)
    }

    /// Marks the rows whose value is another than the row's before.
    pub fn mark(&self, level: Level, levels: &mut [Level]) {
        let differ = |pair: &[i32]| {
            pair[0] != pair[1] && self.values.value(pair[0] as usize) != self.values.value(pair[1] as usize)
        };
        for (pair, mark) in self.keys.windows(2).zip(&mut levels[1..]) {
            if differ(pair) {
                *mark = level.min(*mark);
            }
        }
    }
}

pub(super) fn mark<T: PartialEq>(values: &[T], level: Level, levels: &mut [Level]) {
    for (pair, mark) in values.windows(2).zip(&mut levels[1..]) {
        if pair[0] != pair[1] {
            *mark = level.min(*mark);
        }
    }
}

/// A dictionary of attribute sets, each turned into `KeyValue` fields at most once.
pub(super) struct Sets<'a> {
    dict: Dict<'a>,
    /// The tag's byte.
    key: u8,
    made: Vec<Option<Range<usize>>>,
    arena: Vec<u8>,
}

impl<'a> Sets<'a> {
    fn new(dict: Dict<'a>, field: u8) -> Self {
        Sets { dict, key: field << 3 | 2, made: vec![None; dict.values.len()], arena: Vec::new() }
    }

    pub fn dict(&self) -> &Dict<'a> {
        &self.dict
    }

    pub fn write(&mut self, row: usize, out: &mut Writer) {
        let value = self.dict.keys[row] as usize;
        if let Some(made) = &self.made[value] {
            return out.bytes(&self.arena[made.clone()]);
        }
        let start = self.arena.len();
        json_to_set(self.dict.values.value(value), self.key, &mut self.arena);
        out.bytes(&self.arena[start..]);
        self.made[value] = Some(start..self.arena.len());
    }
}

/// Attribute sets as plain text, inside lists.
pub(super) fn write_set(json: &str, field: u8, scratch: &mut Vec<u8>, out: &mut Writer) {
    if json != "{}" {
        scratch.clear();
        json_to_set(json, field << 3 | 2, scratch);
        out.bytes(scratch);
    }
}
