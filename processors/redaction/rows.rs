//! Rules over whole columns: what repeats is looked at once.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, ListArray, RecordBatch, StringArray,
    StringBuilder, StructArray,
};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use catchment_pipeline::batch::attributes::Value;
use catchment_pipeline::batch::{Rows, Table};

use super::rules::{Found, Rules};

/// `None`: nothing changed.
pub(super) fn redact(rules: &Rules, rows: &Rows) -> Result<Option<Rows>, ArrowError> {
    let mut changed = false;
    let mut rows = rows.clone();
    for column in ["resource_attributes", "scope_attributes", "attributes"] {
        rows = rows.map_dictionary(column, |_, json| {
            let edited = rules.set(json);
            changed |= edited.is_some();
            edited
        })?;
    }
    let mut tables = Vec::new();
    for (table, rows) in rows.tables() {
        let mut rows = rows.clone();
        for (column, child) in [("events", "attributes"), ("links", "attributes"), ("exemplars", "filtered_attributes")]
        {
            if let Some(edited) = nested(&rows, column, child, |json| rules.set(json))? {
                (rows, changed) = (edited, true);
            }
        }
        if table == Table::Logs
            && let Some(edited) = bodies(rules, &rows)?
        {
            (rows, changed) = (edited, true);
        }
        tables.push((table, rows));
    }
    Ok(changed.then(|| Rows::new(tables)))
}

fn with(rows: &RecordBatch, changes: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let mut columns = rows.columns().to_vec();
    for (name, column) in changes {
        columns[rows.schema_ref().index_of(name)?] = column;
    }
    RecordBatch::try_new(rows.schema(), columns)
}

/// A text that is a child of a list's structs, each distinct value once.
fn nested(
    rows: &RecordBatch,
    column: &str,
    child: &str,
    edit: impl Fn(&str) -> Option<String>,
) -> Result<Option<RecordBatch>, ArrowError> {
    let list = rows.column_by_name(column).and_then(|column| column.as_list_opt::<i32>());
    let Some((list, items)) = list.and_then(|list| Some((list, list.values().as_struct_opt()?))) else {
        return Ok(None);
    };
    let Some((index, _)) = items.fields().find(child) else { return Ok(None) };
    let Some(texts) = items.column(index).as_string_opt::<i32>() else { return Ok(None) };
    let mut seen: HashMap<&str, Option<String>> = HashMap::new();
    let edited: StringArray = texts
        .iter()
        .map(|text| text.map(|text| seen.entry(text).or_insert_with(|| edit(text)).clone().unwrap_or(text.to_owned())))
        .collect();
    if seen.values().all(Option::is_none) {
        return Ok(None);
    }
    let mut children = items.columns().to_vec();
    children[index] = Arc::new(edited);
    let items = StructArray::try_new(items.fields().clone(), children, items.nulls().cloned())?;
    let arrow::datatypes::DataType::List(field) = list.data_type() else { return Ok(None) };
    let list = ListArray::try_new(field.clone(), list.offsets().clone(), Arc::new(items), list.nulls().cloned())?;
    with(rows, vec![(column, Arc::new(list))]).map(Some)
}

/// Bodies are each their own, and looked at one by one.
fn bodies(rules: &Rules, rows: &RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
    let columns = || {
        let bodies = rows.column_by_name("body")?.as_string_opt::<i32>()?;
        let json = rows.column_by_name("body_is_json")?.as_boolean_opt()?;
        Some((bodies, json, rows.column_by_name("attributes")?.as_dictionary_opt::<Int32Type>()?))
    };
    let Some((bodies, json, attributes)) = columns() else { return Ok(None) };
    let mut edited: Vec<Option<(String, bool)>> = Vec::with_capacity(bodies.len());
    let mut summaries = Summaries::new(rules, attributes);
    for row in 0..bodies.len() {
        let mut found = Found::default();
        edited.push(match bodies.is_valid(row) {
            false => None,
            true if !json.value(row) => rules.text_body(bodies.value(row), &mut found).map(|text| (text, false)),
            true => match Value::parse(bodies.value(row)) {
                Ok(body) => rules.body(&body, &mut found).map(|body| match body {
                    Value::String(text) => (text, false),
                    other => (other.to_json(), true),
                }),
                // What cannot be read is not let through.
                Err(_) => Some((String::new(), false)),
            },
        });
        summaries.add(row, found);
    }
    let attributes = summaries.finish()?;
    if attributes.is_none() && edited.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut texts = StringBuilder::with_capacity(bodies.len(), bodies.values().len());
    for (row, edited) in edited.iter().enumerate() {
        match edited {
            Some((text, _)) => texts.append_value(text),
            None if bodies.is_valid(row) => texts.append_value(bodies.value(row)),
            None => texts.append_null(),
        }
    }
    let flags = edited.iter().enumerate();
    let flags: BooleanArray =
        flags.map(|(row, edited)| Some(edited.as_ref().map_or(json.value(row), |(_, json)| *json))).collect();
    let mut changes: Vec<(&str, ArrayRef)> =
        vec![("body", Arc::new(texts.finish())), ("body_is_json", Arc::new(flags))];
    changes.extend(attributes.map(|attributes| ("attributes", attributes)));
    with(rows, changes).map(Some)
}

/// The records' attributes, with what is said of their bodies.
struct Summaries<'a> {
    rules: &'a Rules,
    old: &'a DictionaryArray<Int32Type>,
    keys: Vec<i32>,
    added: HashMap<String, i32>,
    texts: Vec<String>,
}

impl<'a> Summaries<'a> {
    fn new(rules: &'a Rules, old: &'a DictionaryArray<Int32Type>) -> Self {
        Summaries { rules, old, keys: old.keys().values().to_vec(), added: HashMap::new(), texts: Vec::new() }
    }

    fn add(&mut self, row: usize, found: Found) {
        if found.is_empty() {
            return;
        }
        let Some(values) = self.old.values().as_string_opt::<i32>() else { return };
        let Some(key) = self.old.key(row).filter(|key| *key < values.len()) else { return };
        let Some(text) = self.rules.with_body_summary(values.value(key), found) else { return };
        let next = values.len() + self.texts.len();
        let key = *self.added.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            i32::try_from(next).unwrap_or_default()
        });
        if let Some(slot) = self.keys.get_mut(row) {
            *slot = key;
        }
    }

    fn finish(self) -> Result<Option<ArrayRef>, ArrowError> {
        if self.texts.is_empty() {
            return Ok(None);
        }
        let old = self.old.values().as_string::<i32>();
        let values: StringArray = old.iter().chain(self.texts.iter().map(|text| Some(text.as_str()))).collect();
        let keys = Int32Array::from(self.keys);
        Ok(Some(Arc::new(DictionaryArray::try_new(keys, Arc::new(values) as ArrayRef)?)))
    }
}
