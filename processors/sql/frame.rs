//! Rows while expressions are looked at: each column of SQL is made when one asks for it, once.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use arrow::compute::take;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::columns::{self, Column};

pub struct Frame<'a> {
    rows: &'a RecordBatch,
    columns: HashMap<&'static str, ArrayRef>,
    homes: HashMap<&'static str, Home>,
}

/// A dictionary in flight: the texts that rows use, and which of them each row has.
#[derive(Clone)]
pub struct Home {
    pub texts: StringArray,
    pub keys: Int32Array,
}

impl<'a> Frame<'a> {
    pub fn new(rows: &'a RecordBatch) -> Frame<'a> {
        Frame { rows, columns: HashMap::new(), homes: HashMap::new() }
    }

    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn home(&mut self, name: &'static str) -> Result<Home, ArrowError> {
        if let Some(home) = self.homes.get(name) {
            return Ok(home.clone());
        }
        let home = Home::of(self.rows, name)
            .ok_or_else(|| ArrowError::SchemaError(format!("there is no column {name} of texts that repeat here")))?;
        self.homes.insert(name, home.clone());
        Ok(home)
    }

    /// Row by row.
    pub fn column(&mut self, column: &'static Column) -> Result<ArrayRef, ArrowError> {
        if let Some(made) = self.columns.get(column.name.as_str()) {
            return Ok(made.clone());
        }
        let made = match column.home {
            Some(home) => {
                let home = self.home(home)?;
                take(&columns::of_dictionary(column, &home.texts)?, &home.keys, None)?
            }
            None => columns::of_rows(column, self.rows)?,
        };
        self.columns.insert(&column.name, made.clone());
        Ok(made)
    }
}

impl Home {
    fn of(rows: &RecordBatch, name: &str) -> Option<Home> {
        let dictionary = rows.column_by_name(name)?.as_dictionary_opt::<Int32Type>()?;
        let texts = dictionary.values().as_string_opt::<i32>()?;
        let keys = dictionary.keys();
        // Slices and filtered rows carry texts that none of them uses.
        let mut places = vec![-1i32; texts.len()];
        let mut used = Vec::new();
        let mut compact = Vec::with_capacity(keys.len());
        for key in keys.values() {
            let place = places.get_mut(usize::try_from(*key).ok()?)?;
            if *place < 0 {
                *place = used.len() as i32;
                used.push(*key);
            }
            compact.push(*place);
        }
        if used.len() == texts.len() {
            return Some(Home { texts: texts.clone(), keys: keys.clone() });
        }
        let texts = take(texts, &Int32Array::from(used), None).ok()?;
        Some(Home { texts: texts.as_string_opt::<i32>()?.clone(), keys: Int32Array::from(compact) })
    }
}
