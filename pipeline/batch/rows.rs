//! Arrow rows of one signal, and what processors and exporters do with whole columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayBuilder, ArrayRef, AsArray, BooleanArray, DictionaryArray, RecordBatch, StringBuilder};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;

use super::{Table, ids};

/// Arrow rows of one signal: at most one record batch per [`Table`], each with that table's schema.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    tables: Vec<(Table, RecordBatch)>,
}

impl Rows {
    /// Empty tables are left out. The record batches must have `table.schema()`; checked in debug builds.
    pub fn new(tables: impl IntoIterator<Item = (Table, RecordBatch)>) -> Rows {
        let tables = tables.into_iter().filter(|(_, rows)| rows.num_rows() > 0).collect::<Vec<_>>();
        debug_assert!(tables.iter().all(|(table, rows)| rows.schema() == table.schema()));
        Rows { tables }
    }

    pub fn tables(&self) -> impl Iterator<Item = (Table, &RecordBatch)> {
        self.tables.iter().map(|(table, rows)| (*table, rows))
    }

    pub fn table(&self, table: Table) -> Option<&RecordBatch> {
        self.tables().find(|(t, _)| *t == table).map(|(_, rows)| rows)
    }

    /// Points, records or spans.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|(_, rows)| rows.num_rows()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Bytes of memory held, whole buffers where rows are a slice of them.
    pub fn size(&self) -> usize {
        self.tables.iter().map(|(_, rows)| rows.get_array_memory_size()).sum()
    }

    /// `len` rows from `offset` on, counted through the tables in their order; shares the columns.
    pub fn slice(&self, mut offset: usize, mut len: usize) -> Rows {
        let mut tables = Vec::new();
        for (table, rows) in self.tables() {
            let from = offset.min(rows.num_rows());
            let take = len.min(rows.num_rows() - from);
            offset -= from;
            len -= take;
            if take > 0 {
                tables.push((table, rows.slice(from, take)));
            }
        }
        Rows { tables }
    }

    /// All rows, table by table, in the order given.
    pub fn concat<'a>(parts: impl IntoIterator<Item = &'a Rows>) -> Result<Rows, ArrowError> {
        let parts = parts.into_iter().collect::<Vec<_>>();
        let mut tables = Vec::new();
        for table in Table::ALL {
            let batches = parts.iter().filter_map(|rows| rows.table(table)).collect::<Vec<_>>();
            match batches[..] {
                [] => {}
                [one] => tables.push((table, one.clone())),
                _ => tables.push((table, concat_batches(&table.schema(), batches)?)),
            }
        }
        Ok(Rows { tables })
    }

    /// The rows that `keep` gives true for; a table for which it gives `None` is kept whole.
    pub fn filter<E: From<ArrowError>>(
        &self,
        mut keep: impl FnMut(Table, &RecordBatch) -> Result<Option<BooleanArray>, E>,
    ) -> Result<Rows, E> {
        let mut tables = Vec::with_capacity(self.tables.len());
        for (table, rows) in self.tables() {
            tables.push(match keep(table, rows)? {
                Some(mask) => (table, filter_record_batch(rows, &mask)?),
                None => (table, rows.clone()),
            });
        }
        Ok(Rows::new(tables))
    }

    /// Rows with each of `table`'s dictionary column `column` put through `edit`, once per distinct value; `None` keeps a
    /// value. Identities are computed anew when they depend on the column. A column that the table lacks, or that
    /// is no dictionary, is left alone.
    pub fn map_dictionary(
        &self,
        column: &str,
        mut edit: impl FnMut(Table, &str) -> Option<String>,
    ) -> Result<Rows, ArrowError> {
        let mut tables = Vec::with_capacity(self.tables.len());
        for (table, rows) in self.tables() {
            tables.push((table, map_column(table, rows, column, |value| edit(table, value))?));
        }
        Ok(Rows { tables })
    }
}

impl Table {
    /// `rows` of this table with `changes` in place of the columns of those names. Identities are computed anew when they depend on
    /// one of them. A column that the table lacks, or one of another type or length, is an error.
    pub fn with_columns(
        self,
        rows: &RecordBatch,
        changes: impl IntoIterator<Item = (impl AsRef<str>, ArrayRef)>,
    ) -> Result<RecordBatch, ArrowError> {
        let mut columns = rows.columns().to_vec();
        let mut identifying = false;
        for (name, column) in changes {
            let index = rows.schema_ref().index_of(name.as_ref())?;
            identifying |= ids::IDENTIFYING.contains(&name.as_ref());
            columns[index] = column;
        }
        // Checks types and lengths, which what follows relies on.
        let mut rows = RecordBatch::try_new(rows.schema(), columns)?;
        if identifying {
            let mut columns = rows.columns().to_vec();
            ids::refresh(self, &rows, &mut columns);
            rows = RecordBatch::try_new(rows.schema(), columns)?;
        }
        Ok(rows)
    }
}

fn map_column(
    table: Table,
    rows: &RecordBatch,
    column: &str,
    mut edit: impl FnMut(&str) -> Option<String>,
) -> Result<RecordBatch, ArrowError> {
    let Ok(index) = rows.schema_ref().index_of(column) else { return Ok(rows.clone()) };
    let Some(dictionary) = rows.column(index).as_dictionary_opt::<Int32Type>() else { return Ok(rows.clone()) };
    let Some(values) = dictionary.values().as_string_opt::<i32>() else { return Ok(rows.clone()) };
    // Slices carry values that no row uses: only the used ones are edited, and kept.
    let mut new_keys = vec![None; values.len()];
    let mut edited = StringBuilder::new();
    let mut changed = false;
    let mut keys = Vec::with_capacity(dictionary.len());
    for &key in dictionary.keys().values() {
        let slot = &mut new_keys[key as usize];
        keys.push(match *slot {
            Some(key) => key,
            None => {
                let old = values.value(key as usize);
                let new = edit(old);
                changed |= new.as_deref().is_some_and(|new| new != old);
                let key = edited.len() as i32;
                edited.append_value(new.as_deref().unwrap_or(old));
                *slot = Some(key);
                key
            }
        });
    }
    if !changed {
        return Ok(rows.clone());
    }
    let keys = arrow::array::Int32Array::new(ScalarBuffer::from(keys), None);
    let mut columns = rows.columns().to_vec();
    columns[index] = Arc::new(DictionaryArray::try_new(keys, Arc::new(edited.finish()) as ArrayRef)?);
    if ids::IDENTIFYING.contains(&column) {
        ids::refresh(table, rows, &mut columns);
    }
    RecordBatch::try_new(rows.schema(), columns)
}
