//! Rows of many chunks in any order, as the Parquet writer takes them.
//!
//! The chunks' dictionaries are made one before the first row is asked for, so that a row then costs one look-up a
//! column: joining them again for every slice of rows took a quarter of a flush.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, StringArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;

pub(crate) struct Gather<'a> {
    schema: SchemaRef,
    columns: Vec<Column<'a>>,
}

enum Column<'a> {
    /// NULL in every row.
    Null,
    Text(Text<'a>),
    Other(Vec<&'a dyn Array>),
}

/// Dictionary columns as one.
struct Text<'a> {
    values: ArrayRef,
    /// Each chunk's keys, and what they are among `values`; `None`: a NULL.
    chunks: Vec<(&'a Int32Array, Vec<Option<i32>>)>,
}

impl<'a> Gather<'a> {
    /// The chunks have one schema; there is at least one.
    pub(crate) fn new(chunks: &[&'a RecordBatch]) -> Option<Gather<'a>> {
        let schema = chunks.first()?.schema();
        let columns = (0..schema.fields().len()).map(|n| {
            let arrays = chunks.iter().map(|chunk| chunk.column(n).as_ref()).collect::<Vec<_>>();
            match arrays.iter().all(|array| array.null_count() == array.len()) {
                true => Column::Null,
                false => Text::new(&arrays).map_or(Column::Other(arrays), Column::Text),
            }
        });
        let columns = columns.collect();
        Some(Gather { schema, columns })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows at these (chunk, row) places.
    pub(crate) fn rows(&self, places: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter().zip(self.schema.fields()).map(|(column, field)| match column {
            Column::Null => Ok(new_null_array(field.data_type(), places.len())),
            Column::Text(text) => text.rows(places),
            Column::Other(arrays) => interleave(arrays, places),
        });
        RecordBatch::try_new(self.schema.clone(), columns.collect::<Result<_, _>>()?)
    }
}

impl<'a> Text<'a> {
    /// `None`: these are no dictionaries of strings, or too much text for one array.
    fn new(arrays: &[&'a dyn Array]) -> Option<Text<'a>> {
        let columns = arrays.iter().map(|array| array.as_dictionary_opt::<Int32Type>()).collect::<Option<Vec<_>>>()?;
        let texts = columns.iter().map(|column| column.values().as_string_opt::<i32>()).collect::<Option<Vec<_>>>()?;
        if texts.iter().map(|text| text.values().len()).sum::<usize>() > i32::MAX as usize {
            return None;
        }
        let mut numbers = HashMap::<&str, i32>::new();
        let mut values = Vec::<&str>::new();
        let mut chunks = Vec::with_capacity(columns.len());
        for (column, texts) in columns.iter().zip(texts) {
            let mut number = |text: &'a str| {
                *numbers.entry(text).or_insert_with(|| {
                    values.push(text);
                    values.len() as i32 - 1
                })
            };
            let of_value = texts.iter().map(|text| text.map(&mut number)).collect::<Vec<_>>();
            chunks.push((column.keys(), of_value));
        }
        Some(Text { values: Arc::new(StringArray::from(values)), chunks })
    }

    fn rows(&self, places: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
        let key = |&(chunk, row): &(usize, usize)| {
            let (keys, of_value) = &self.chunks[chunk];
            if keys.is_null(row) { None } else { of_value[keys.value(row) as usize] }
        };
        let keys = places.iter().map(key).collect::<Int32Array>();
        Ok(Arc::new(DictionaryArray::try_new(keys, self.values.clone())?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{Int64Array, StringDictionaryBuilder};
    use arrow::compute::{cast, interleave_record_batch};
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    use super::*;

    type Row = (Option<&'static str>, i64);

    fn chunk(rows: &[Row]) -> RecordBatch {
        let mut text = StringDictionaryBuilder::<Int32Type>::new();
        rows.iter().for_each(|(value, _)| text.append_option(*value));
        let text: ArrayRef = Arc::new(text.finish());
        let numbers: ArrayRef = Arc::new(rows.iter().map(|(_, number)| *number).collect::<Int64Array>());
        let empty = new_null_array(text.data_type(), rows.len());
        let field = |name: &str, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
        let fields = vec![field("text", &text), field("numbers", &numbers), field("empty", &empty)];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![text, numbers, empty]).unwrap()
    }

    fn plain(rows: &RecordBatch) -> Vec<ArrayRef> {
        let columns = rows.columns().iter();
        let text = |array: &ArrayRef| match array.data_type() {
            DataType::Dictionary(..) => cast(array, &DataType::Utf8).unwrap(),
            _ => array.clone(),
        };
        columns.map(text).collect()
    }

    proptest! {
        /// Arrow's own kernel is the oracle.
        #[test]
        fn gathers_what_interleave_does(
            chunks in prop::collection::vec(
                prop::collection::vec((prop::option::of(prop::sample::select(vec!["", "a", "b", "é"])), any::<i64>()), 1..8),
                1..5,
            ),
            picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40),
        ) {
            let chunks = chunks.iter().map(|rows| chunk(rows)).collect::<Vec<_>>();
            let chunks = chunks.iter().collect::<Vec<_>>();
            let places = picks.iter().map(|(chunk, row)| {
                let chunk = chunk.index(chunks.len());
                (chunk, row.index(chunks[chunk].num_rows()))
            });
            let places = places.collect::<Vec<_>>();
            let gathered = Gather::new(&chunks).unwrap().rows(&places).unwrap();
            prop_assert_eq!(plain(&gathered), plain(&interleave_record_batch(&chunks, &places).unwrap()));
        }
    }
}
