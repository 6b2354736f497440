//! Columns written by assignments: dictionaries once per distinct text and value, everything else row by row.

use std::collections::HashMap;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, FixedSizeBinaryBuilder, Int32Array, ListArray,
    RecordBatch, StringArray, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{and, cast, is_not_null, is_null};
use arrow::datatypes::{DataType, Int32Type};
use catchment_pipeline::batch::Table;
use catchment_pipeline::batch::attributes::{Attributes, Value};
use datafusion::error::{DataFusionError, Result};

use super::assign::{Edit, Picks, Target, array, text_at};
use super::program::{ErrorMode, Evaluated, Failures};
use super::values::Values;

pub(super) struct Writer<'a> {
    table: Table,
    rows: &'a RecordBatch,
    mode: ErrorMode,
    changes: Vec<(&'static str, ArrayRef)>,
}

fn missing(name: &str) -> DataFusionError {
    DataFusionError::Internal(format!("there is no column {name}"))
}

impl<'a> Writer<'a> {
    pub fn new(table: Table, rows: &'a RecordBatch, mode: ErrorMode) -> Writer<'a> {
        Writer { table, rows, mode, changes: Vec::new() }
    }

    /// As it is by now.
    fn column(&self, name: &str) -> Result<ArrayRef> {
        let changed = self.changes.iter().find(|(changed, _)| *changed == name).map(|(_, column)| column);
        changed.or_else(|| self.rows.column_by_name(name)).cloned().ok_or_else(|| missing(name))
    }

    fn put(&mut self, name: &'static str, column: ArrayRef) {
        self.changes.retain(|(changed, _)| *changed != name);
        self.changes.push((name, column));
    }

    /// New values where the mask is set.
    fn merge(&mut self, name: &'static str, new: &ArrayRef, mask: &BooleanBuffer) -> Result<()> {
        let old = self.column(name)?;
        let merged = zip(&BooleanArray::from(mask.clone()), new, &old)?;
        self.put(name, merged);
        Ok(())
    }

    pub fn write(
        &mut self,
        target: &Target,
        values: &Evaluated,
        mask: &BooleanBuffer,
        failures: &mut Failures,
    ) -> Result<()> {
        let len = self.rows.num_rows();
        match target {
            Target::Attribute { .. } => Ok(()),
            Target::Text(name) => self.texts(name, values, mask, failures),
            Target::Set(name) => self.texts(name, values, mask, failures),
            Target::List(name) => {
                let old = self.column(name)?;
                let DataType::List(item) = old.data_type() else { return Err(missing(name)) };
                let empty = arrow::array::new_empty_array(item.data_type());
                let offsets = arrow::buffer::OffsetBuffer::from_lengths(vec![0; len]);
                self.put(name, array(ListArray::try_new(item.clone(), offsets, empty, None)?));
                Ok(())
            }
            Target::Plain { column, kind } => self.numbers(column, kind, values, mask, failures),
            Target::Value => match values.to_rows(len)? {
                new if new.data_type().is_integer() => self.value("value_int", &new, mask),
                new => self.value("value_double", &new, mask),
            },
            Target::ValueInt => self.value("value_int", &values.to_rows(len)?, mask),
            Target::ValueDouble => self.value("value_double", &values.to_rows(len)?, mask),
            Target::Time { column, micros } => {
                let new = values.to_rows(len)?;
                let kind = self.column(column)?.data_type().clone();
                let new = if *micros { cast(&new, &kind)? } else { cast(&cast(&new, &DataType::Int64)?, &kind)? };
                self.merge(column, &unset(&new, &kind)?, mask)
            }
            Target::Duration => {
                let new = cast(&values.to_rows(len)?, &DataType::Int64)?;
                let kind = self.column("end_time_unix_nano")?.data_type().clone();
                let start = cast(&self.column("start_time_unix_nano")?, &DataType::Int64)?;
                let new = unset(&new, &DataType::Int64)?;
                let end = arrow::compute::kernels::numeric::add_wrapping(&start, &new)?;
                self.merge("end_time_unix_nano", &cast(&end, &kind)?, mask)
            }
            Target::Id { column, bytes } => self.ids(column, *bytes, values, mask, failures),
            Target::Body => self.body(values, mask),
        }
    }

    /// A point has one value.
    fn value(&mut self, name: &'static str, new: &ArrayRef, mask: &BooleanBuffer) -> Result<()> {
        let (kind, other) = match name {
            "value_int" => (DataType::Int64, "value_double"),
            _ => (DataType::Float64, "value_int"),
        };
        let new = cast(new, &kind)?;
        let given = and(&BooleanArray::from(mask.clone()), &is_not_null(&new)?)?;
        self.merge(name, &new, mask)?;
        let none = new_null_array(self.column(other)?.data_type(), new.len());
        self.merge(other, &none, given.values())
    }

    fn numbers(
        &mut self,
        name: &'static str,
        kind: &DataType,
        values: &Evaluated,
        mask: &BooleanBuffer,
        failures: &mut Failures,
    ) -> Result<()> {
        let given = values.to_rows(self.rows.num_rows())?;
        // NULL where the number does not fit.
        let new = cast(&given, kind)?;
        let lost = and(&is_null(&new)?, &is_not_null(&given)?)?;
        let lost = and(&lost, &BooleanArray::from(mask.clone()))?;
        let mask = match lost.true_count() {
            0 => mask.clone(),
            count => {
                self.fail(count, || format!("a number does not fit into {name}"), failures)?;
                mask & &!lost.values()
            }
        };
        let nullable = self.table.schema().field_with_name(name).is_ok_and(|field| field.is_nullable());
        let new = if nullable { new } else { unset(&new, kind)? };
        self.merge(name, &new, &mask)
    }

    fn fail(&self, rows: usize, what: impl FnOnce() -> String, failures: &mut Failures) -> Result<()> {
        if self.mode == ErrorMode::Propagate {
            return Err(DataFusionError::Execution(what()));
        }
        failures.rows += rows;
        failures.first.get_or_insert_with(what);
        Ok(())
    }

    fn ids(
        &mut self,
        name: &'static str,
        bytes: i32,
        values: &Evaluated,
        mask: &BooleanBuffer,
        failures: &mut Failures,
    ) -> Result<()> {
        let texts = values.to_rows(self.rows.num_rows())?;
        let mut made = FixedSizeBinaryBuilder::with_capacity(texts.len(), bytes);
        let mut fits = vec![true; texts.len()];
        for (row, fits) in fits.iter_mut().enumerate() {
            let text = text_at(&texts, row);
            match text.map(|text| unhex(text).filter(|id| id.len() == bytes as usize)) {
                Some(Some(id)) => made.append_value(id)?,
                Some(None) => {
                    *fits = false;
                    made.append_null();
                }
                None => made.append_null(),
            }
        }
        let new: ArrayRef = array(made.finish());
        let fits = BooleanBuffer::from(fits);
        let lost = (mask & &!&fits).count_set_bits();
        if lost > 0 {
            self.fail(lost, || format!("{name} takes {} hexadecimal digits", bytes * 2), failures)?;
        }
        self.merge(name, &new, &(mask & &fits))
    }

    fn body(&mut self, values: &Evaluated, mask: &BooleanBuffer) -> Result<()> {
        let given = values.to_rows(self.rows.num_rows())?;
        let all = Values::of(&given)?;
        let (mut texts, mut json) = (Vec::with_capacity(given.len()), Vec::with_capacity(given.len()));
        for row in 0..given.len() {
            let value = if mask.value(row) { all.get(row)? } else { None };
            json.push(!matches!(value, None | Some(Value::String(_))));
            texts.push(value.map(|value| value.to_text().into_owned()));
        }
        let (texts, json) = (array(StringArray::from(texts)), array(BooleanArray::from(json)));
        self.merge("body", &texts, mask)?;
        self.merge("body_is_json", &json, mask)
    }

    fn dictionary(&self, name: &str) -> Result<DictionaryArray<Int32Type>> {
        let column = self.column(name)?;
        column.as_dictionary_opt::<Int32Type>().cloned().ok_or_else(|| missing(name))
    }

    fn texts(
        &mut self,
        name: &'static str,
        values: &Evaluated,
        mask: &BooleanBuffer,
        failures: &mut Failures,
    ) -> Result<()> {
        let old = self.dictionary(name)?;
        let picks = Picks::of(values, mask)?;
        let mut wrong: Option<String> = None;
        let made = rewrite(&old, std::slice::from_ref(&picks), |was, picked| {
            let Some(Some(value)) = picked.first() else { return Ok(was.to_owned()) };
            let text = text_at(&picks.values, *value);
            match check_text(name, text) {
                Ok(text) => Ok(text),
                Err(what) => {
                    wrong.get_or_insert(what);
                    Ok(was.to_owned())
                }
            }
        })?;
        if let Some(what) = wrong {
            self.fail(1, || what, failures)?;
        }
        self.put(name, made);
        Ok(())
    }

    /// Attributes of one set, each of which is removed where it becomes NULL.
    pub fn edit_set(&mut self, set: &'static str, edits: &[Edit<'_>]) -> Result<()> {
        let old = self.dictionary(set)?;
        let picks = edits.iter().map(|edit| Picks::of(&edit.values, &edit.mask)).collect::<Result<Vec<_>>>()?;
        let values = picks.iter().map(|picks| Values::of(&picks.values)).collect::<Result<Vec<_>>>()?;
        let made = rewrite(&old, &picks, |was, picked| {
            if picked.iter().all(Option::is_none) {
                return Ok(was.to_owned());
            }
            let mut attributes =
                Attributes::parse(was).map_err(|error| DataFusionError::Execution(error.to_string()))?;
            for ((edit, values), picked) in edits.iter().zip(&values).zip(picked) {
                let Some(index) = picked else { continue };
                match values.get(*index)? {
                    Some(value) => attributes.insert(edit.key, value),
                    None => drop(attributes.remove(edit.key)),
                }
            }
            Ok(attributes.to_json())
        })?;
        self.put(set, made);
        Ok(())
    }

    pub fn finish(mut self) -> Result<RecordBatch> {
        if self.changes.iter().any(|(name, _)| *name == "metric_type") {
            self.settle_gauges()?;
        }
        if self.changes.iter().any(|(name, _)| *name == "body_is_json") {
            self.settle_bodies()?;
        }
        Ok(self.table.with_columns(self.rows, self.changes)?)
    }

    /// A gauge has no temporality and is not monotonic.
    fn settle_gauges(&mut self) -> Result<()> {
        let types = self.dictionary("metric_type")?;
        let texts = types.values().as_string_opt::<i32>().ok_or_else(|| missing("metric_type"))?;
        let is_gauge = |row: usize| types.key(row).is_some_and(|key| texts.value(key) == "gauge");
        let gauges = BooleanBuffer::collect_bool(types.len(), is_gauge);
        self.merge("aggregation_temporality", &array(Int32Array::from(vec![0; types.len()])), &gauges)?;
        self.merge("is_monotonic", &array(BooleanArray::from(vec![false; types.len()])), &gauges)
    }

    /// A body that is said to be JSON is.
    fn settle_bodies(&mut self) -> Result<()> {
        let (bodies, json) = (self.column("body")?, self.column("body_is_json")?);
        let json = json.as_boolean_opt().ok_or_else(|| missing("body_is_json"))?;
        let parsed = (0..bodies.len()).map(|row| match text_at(&bodies, row) {
            Some(text) if json.value(row) => Value::parse(text).ok().map(|value| value.to_json()),
            _ => None,
        });
        let parsed = parsed.collect::<Vec<_>>();
        let mask = BooleanBuffer::collect_bool(parsed.len(), |row| parsed.get(row).is_some_and(Option::is_some));
        self.put("body_is_json", array(BooleanArray::from(mask.clone())));
        self.merge("body", &array(StringArray::from(parsed)), &mask)
    }
}

/// What is put into text column `name`, or what is wrong with it.
fn check_text(name: &str, text: Option<&str>) -> std::result::Result<String, String> {
    match (name, text) {
        ("metric_type", Some("gauge" | "sum")) => Ok(text.unwrap_or_default().to_owned()),
        ("metric_type", other) => Err(format!("metric_type is 'gauge' or 'sum', not {other:?}")),
        ("metric_name", None | Some("")) => Err("a metric has a name".to_owned()),
        ("attributes" | "resource_attributes" | "scope_attributes" | "metadata", text) => {
            let text = text.unwrap_or("{}");
            let failed = |error| format!("{name} takes an object of JSON: {error}");
            Attributes::parse(text).map(|set| set.to_json()).map_err(failed)
        }
        ("resource_entity_refs", text) => {
            let parsed =
                Value::parse(text.unwrap_or("[]")).map_err(|error| format!("{name} takes a list of JSON: {error}"))?;
            Ok(parsed.to_json())
        }
        (_, text) => Ok(text.unwrap_or_default().to_owned()),
    }
}

/// NULL becomes what stands for "not set".
fn unset(new: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    if new.null_count() == 0 {
        return Ok(new.clone());
    }
    let zero: ArrayRef = match kind {
        DataType::Boolean => array(BooleanArray::from(vec![false; new.len()])),
        DataType::Float64 => cast(&array(Int32Array::from(vec![0; new.len()])), &DataType::Float64)?,
        kind => cast(&cast(&array(Int32Array::from(vec![0; new.len()])), &DataType::Int64)?, kind)?,
    };
    Ok(zip(&is_not_null(new)?, new, &zero)?)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| (high * 16 + low) as u8).collect())
}

/// `old` with each distinct text put together, once, with each distinct choice of values that rows make for it.
fn rewrite(
    old: &DictionaryArray<Int32Type>,
    picks: &[Picks],
    mut combine: impl FnMut(&str, &[Option<usize>]) -> Result<String>,
) -> Result<ArrayRef> {
    let texts = old.values().as_string_opt::<i32>().ok_or_else(|| missing("texts"))?;
    let mut made = Vec::<String>::new();
    let mut memo = Memo::new(texts.len(), picks);
    let mut keys = Vec::with_capacity(old.len());
    let mut picked = vec![None; picks.len()];
    for (row, key) in old.keys().values().iter().enumerate() {
        let slot = memo.slot(*key, row, picks);
        if *slot < 0 {
            for (picked, picks) in picked.iter_mut().zip(picks) {
                *picked = picks.of_row.get(row).and_then(|pick| (*pick as usize).checked_sub(1));
            }
            let was = usize::try_from(*key).ok().filter(|key| *key < texts.len()).map_or("", |key| texts.value(key));
            made.push(combine(was, &picked)?);
            *slot = made.len() as i32 - 1;
        }
        keys.push(*slot);
    }
    let texts: ArrayRef = array(StringArray::from(made));
    Ok(array(DictionaryArray::try_new(Int32Array::from(keys), texts)?))
}

/// Where what was made for a text and its values is: a table while there are few, as there mostly are.
enum Memo {
    Table { sizes: Vec<usize>, slots: Vec<i32> },
    Map(HashMap<Vec<u32>, i32>),
}

const FEW: usize = 1 << 16;

impl Memo {
    fn new(texts: usize, picks: &[Picks]) -> Memo {
        let sizes = picks.iter().map(|picks| picks.values.len() + 1).collect::<Vec<_>>();
        let all = sizes.iter().try_fold(texts, |all, size| all.checked_mul(*size)).unwrap_or(usize::MAX);
        match all <= FEW {
            true => Memo::Table { sizes, slots: vec![-1; all] },
            false => Memo::Map(HashMap::new()),
        }
    }

    fn slot(&mut self, key: i32, row: usize, picks: &[Picks]) -> &mut i32 {
        let pick = |picks: &Picks| picks.of_row.get(row).copied().unwrap_or_default();
        match self {
            Memo::Table { sizes, slots } => {
                let index =
                    sizes.iter().zip(picks).fold(key as usize, |at, (size, picks)| at * size + pick(picks) as usize);
                // Within: keys and picks are below the sizes the table was made for.
                let last = slots.len().saturating_sub(1);
                &mut slots[index.min(last)]
            }
            Memo::Map(map) => {
                let choice = std::iter::once(key as u32).chain(picks.iter().map(pick)).collect::<Vec<_>>();
                map.entry(choice).or_insert(-1)
            }
        }
    }
}
