//! Rows of many chunks in any order, column by column.
//!
//! Most columns say the same in every row of a series or of a call site. The distinct combinations of what such columns
//! hold are found once, while each chunk is read from its first row to its last; after that a row is the number of its
//! combination. Sorting carries the number along, and a run of equal numbers is a run in each of these
//! columns, whatever there is to do with it.

use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, StringArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use hashbrown::{HashMap, HashTable};

use crate::hot;

/// A column is worth a place in the combinations when it has at most one value in so many rows.
const REPEATS: usize = 4;
/// Rows whose combinations are looked up together.
const BLOCK: usize = 256;

/// Among a column's values: NULL.
pub(crate) const NULL: u32 = u32::MAX;

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chunk: u32,
    pub(crate) row: u32,
    /// The combination of its repeated columns.
    pub(crate) set: u32,
}

pub(crate) struct Gather<'a> {
    schema: SchemaRef,
    columns: Vec<Column<'a>>,
    /// How many columns repeat.
    width: usize,
    /// For each combination, the number of each repeated column's value.
    sets: Vec<u32>,
    /// Each chunk's rows.
    rows: Vec<Vec<u32>>,
    row_bytes: usize,
}

pub(crate) enum Column<'a> {
    /// NULL in every row.
    Null,
    /// A list without items in every row.
    Empty(Vec<&'a dyn Array>),
    /// The same in every row.
    Constant(Values<'a>),
    Repeated(Repeated<'a>),
    Text(Vec<Keys<'a>>, Vec<&'a str>),
    Other(Vec<&'a dyn Array>),
}

/// `at` is its place in a combination.
pub(crate) struct Repeated<'a> {
    at: usize,
    pub(crate) values: Values<'a>,
}

pub(crate) enum Values<'a> {
    Text(Vec<&'a str>),
    Ints(Vec<i64>),
}

/// A chunk's dictionary keys, and what they are among the column's values.
pub(crate) struct Keys<'a> {
    keys: &'a Int32Array,
    of_key: Rc<[u32]>,
}

/// A repeated column while combinations are looked for.
enum Source<'a> {
    Text(Vec<Keys<'a>>),
    Ints(Vec<&'a Int64Array>, HashMap<i64, u32>),
}

impl<'a> Gather<'a> {
    /// The chunks have one schema; there is at least one. The columns named in `sorted` repeat in any case.
    pub(crate) fn new(chunks: &[&'a RecordBatch], sorted: &[&str]) -> Option<Gather<'a>> {
        let schema = chunks.first()?.schema();
        let rows = chunks.iter().map(|chunk| chunk.num_rows()).sum::<usize>();
        let (mut columns, mut sources) = (Vec::new(), Vec::new());
        for (n, field) in schema.fields().iter().enumerate() {
            let arrays = chunks.iter().map(|chunk| chunk.column(n).as_ref()).collect::<Vec<_>>();
            let wanted = sorted.contains(&field.name().as_str());
            let mut repeated = |values, source| {
                sources.push(source);
                Column::Repeated(Repeated { at: sources.len() - 1, values })
            };
            columns.push(match texts(&arrays) {
                _ if !wanted && arrays.iter().all(|array| array.null_count() == array.len()) => Column::Null,
                Some((keys, values)) if wanted || values.len() <= rows / REPEATS => {
                    repeated(Values::Text(values), Source::Text(keys))
                }
                Some((keys, values)) => Column::Text(keys, values),
                None => {
                    match arrays.iter().map(|array| array.as_primitive_opt::<Int64Type>()).collect::<Option<Vec<_>>>() {
                        Some(ints) if wanted => repeated(Values::Ints(Vec::new()), Source::Ints(ints, HashMap::new())),
                        ints => match ints.and_then(|ints| constant(&ints)) {
                            Some(value) => Column::Constant(Values::Ints(vec![value])),
                            None if arrays.iter().all(|array| is_empty(*array)) => Column::Empty(arrays),
                            None => Column::Other(arrays),
                        },
                    }
                }
            });
        }
        let row_bytes =
            chunks.iter().map(|chunk| hot::bytes(chunk) as usize / chunk.num_rows().max(1)).max().unwrap_or(0);
        let mut gather =
            Gather { schema, columns, width: sources.len(), sets: Vec::new(), rows: Vec::new(), row_bytes };
        gather.combine(chunks, &mut sources);
        Some(gather)
    }

    /// Finds the rows' combinations.
    fn combine(&mut self, chunks: &[&RecordBatch], sources: &mut [Source]) {
        // Numbers are small and in the order in which senders bring things: nobody should be able to choose their hashes.
        let factor = std::hash::RandomState::new().hash_one(0) | 1;
        let width = self.width;
        let (mut known, mut known_hashes) = (HashTable::<u32>::new(), Vec::<u64>::new());
        let (mut block, mut hashes) = (vec![0; BLOCK * width], vec![0; BLOCK]);
        let mut ints = vec![Vec::<i64>::new(); width];
        for (n, chunk) in chunks.iter().enumerate() {
            let mut rows = Vec::with_capacity(chunk.num_rows());
            for start in (0..chunk.num_rows()).step_by(BLOCK) {
                let len = BLOCK.min(chunk.num_rows() - start);
                hashes.fill(0);
                for (at, source) in sources.iter_mut().enumerate() {
                    let mut put = |row: usize, value: u32| {
                        block[row * width + at] = value;
                        let mixed = (hashes[row] ^ u64::from(value)).wrapping_mul(factor);
                        hashes[row] = mixed ^ (mixed >> 29);
                    };
                    match source {
                        Source::Text(chunks) => {
                            let keys = &chunks[n];
                            (0..len).for_each(|row| put(row, keys.value(start + row)));
                        }
                        Source::Ints(chunks, numbers) => {
                            let (mut last, values) = (None, &mut ints[at]);
                            for row in 0..len {
                                let array = chunks[n];
                                let value = (!array.is_null(start + row)).then(|| array.value(start + row));
                                // Neighbours are often equal.
                                let number = match (last, value) {
                                    (Some((before, number)), _) if before == value => number,
                                    (_, None) => NULL,
                                    (_, Some(value)) => *numbers.entry(value).or_insert_with(|| {
                                        values.push(value);
                                        values.len() as u32 - 1
                                    }),
                                };
                                last = Some((value, number));
                                put(row, number);
                            }
                        }
                    }
                }
                for row in 0..len {
                    let (set, hash) = (&block[row * width..][..width], hashes[row]);
                    let sets = &self.sets;
                    let found = known.find(hash, |&known| sets[known as usize * width..][..width] == *set);
                    rows.push(found.copied().unwrap_or_else(|| {
                        let number = known_hashes.len() as u32;
                        self.sets.extend_from_slice(set);
                        known_hashes.push(hash);
                        known.insert_unique(hash, number, |&known| known_hashes[known as usize]);
                        number
                    }));
                }
            }
            self.rows.push(rows);
        }
        for column in &mut self.columns {
            if let Column::Repeated(Repeated { at, values: Values::Ints(values) }) = column {
                *values = std::mem::take(&mut ints[*at]);
            }
        }
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn column(&self, column: usize) -> &Column<'a> {
        &self.columns[column]
    }

    /// How many combinations there are.
    pub(crate) fn sets(&self) -> u32 {
        self.sets.len().checked_div(self.width).unwrap_or(0) as u32
    }

    /// Every row's combination, by chunk.
    pub(crate) fn rows(&self) -> &[Vec<u32>] {
        &self.rows
    }

    /// What a row takes in memory, on the average of the chunk with the longest ones.
    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The number of a combination's value in a repeated column.
    pub(crate) fn value(&self, set: u32, column: &Repeated) -> u32 {
        self.sets[set as usize * self.width + column.at]
    }

    /// The value that a repeated column has in every row.
    pub(crate) fn constant(&self, column: &Repeated) -> Option<u32> {
        let first = (self.sets() > 0).then(|| self.value(0, column))?;
        (1..self.sets()).all(|set| self.value(set, column) == first).then_some(first)
    }

    /// A column in the rows at these places; strings without a dictionary.
    pub(crate) fn array(&self, column: usize, places: &[Place]) -> Result<ArrayRef, ArrowError> {
        fn text(numbers: impl Iterator<Item = u32>, values: &[&str]) -> ArrayRef {
            Arc::new(numbers.map(|number| values.get(number as usize).copied()).collect::<StringArray>())
        }
        Ok(match &self.columns[column] {
            Column::Null => new_null_array(self.schema.field(column).data_type(), places.len()),
            Column::Repeated(repeated) => {
                let numbers = places.iter().map(|place| self.value(place.set, repeated));
                match &repeated.values {
                    Values::Text(values) => text(numbers, values),
                    Values::Ints(values) => {
                        Arc::new(numbers.map(|n| values.get(n as usize).copied()).collect::<Int64Array>())
                    }
                }
            }
            Column::Text(chunks, values) => {
                text(places.iter().map(|place| chunks[place.chunk as usize].value(place.row as usize)), values)
            }
            Column::Constant(Values::Ints(values)) => {
                Arc::new(values.iter().cycle().take(places.len()).copied().collect::<Int64Array>())
            }
            Column::Constant(Values::Text(values)) => text(std::iter::repeat_n(0, places.len()), values),
            Column::Empty(arrays) | Column::Other(arrays) => {
                let places = places.iter().map(|place| (place.chunk as usize, place.row as usize)).collect::<Vec<_>>();
                interleave(arrays, &places)?
            }
        })
    }
}

impl Values<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Values::Text(values) => values.len(),
            Values::Ints(values) => values.len(),
        }
    }

    /// Where each of these values stands when they are in order.
    pub(crate) fn ranks(&self, numbers: &[u32]) -> Vec<u32> {
        let mut order = (0..numbers.len() as u32).collect::<Vec<_>>();
        let value = |at: &u32| numbers[*at as usize] as usize;
        match self {
            Values::Text(values) => order.sort_unstable_by_key(|at| values[value(at)]),
            Values::Ints(values) => order.sort_unstable_by_key(|at| values[value(at)]),
        }
        let mut ranks = vec![0; order.len()];
        order.into_iter().zip(0..).for_each(|(at, rank)| ranks[at as usize] = rank);
        ranks
    }
}

impl Keys<'_> {
    /// The number of a row's value.
    #[inline]
    fn value(&self, row: usize) -> u32 {
        if self.keys.is_null(row) { NULL } else { self.of_key[self.keys.value(row) as usize] }
    }
}

fn constant(arrays: &[&Int64Array]) -> Option<i64> {
    let first = *arrays.iter().find_map(|array| array.values().first())?;
    let same = |array: &&Int64Array| array.null_count() == 0 && array.values().iter().all(|value| *value == first);
    arrays.iter().all(same).then_some(first)
}

fn is_empty(array: &dyn Array) -> bool {
    let Some(lists) = array.as_list_opt::<i32>() else { return false };
    lists.null_count() == 0 && lists.offsets().first() == lists.offsets().last()
}

/// The distinct values of dictionary columns; `None`: they are no dictionaries of strings.
fn texts<'a>(arrays: &[&'a dyn Array]) -> Option<(Vec<Keys<'a>>, Vec<&'a str>)> {
    let mut numbers = HashMap::<&str, u32>::new();
    let mut values = Vec::<&str>::new();
    // Slices of one batch share its dictionary, and batches of one row group.
    let mut known = HashMap::<*const u8, (&StringArray, Rc<[u32]>)>::new();
    let chunks = arrays.iter().map(|array| {
        let column = array.as_dictionary_opt::<Int32Type>()?;
        let mut number = |text: &'a str| {
            *numbers.entry(text).or_insert_with(|| {
                values.push(text);
                values.len() as u32 - 1
            })
        };
        let texts = column.values().as_string_opt::<i32>()?;
        let of_key = match known.get(&texts.value_data().as_ptr()) {
            Some((same, of_key)) if same.offsets().ptr_eq(texts.offsets()) && same.nulls() == texts.nulls() => {
                of_key.clone()
            }
            _ => texts.iter().map(|text| text.map_or(NULL, &mut number)).collect::<Rc<[u32]>>(),
        };
        known.insert(texts.value_data().as_ptr(), (texts, of_key.clone()));
        Some(Keys { keys: column.keys(), of_key })
    });
    let chunks = chunks.collect::<Option<Vec<_>>>()?;
    Some((chunks, values))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{ListArray, StringDictionaryBuilder, new_empty_array};
    use arrow::buffer::OffsetBuffer;
    use arrow::compute::{cast, interleave_record_batch};
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    use super::*;

    type Row = (Option<&'static str>, Option<i64>);

    fn chunk(rows: &[Row]) -> RecordBatch {
        let mut text = StringDictionaryBuilder::<Int32Type>::new();
        rows.iter().for_each(|(value, _)| text.append_option(*value));
        let text: ArrayRef = Arc::new(text.finish());
        let numbers: ArrayRef = Arc::new(rows.iter().map(|(_, number)| *number).collect::<Int64Array>());
        let empty = new_null_array(text.data_type(), rows.len());
        let five: ArrayRef = Arc::new(Int64Array::from(vec![5; rows.len()]));
        let item = Arc::new(Field::new("element", DataType::Int64, true));
        let offsets = OffsetBuffer::from_lengths(vec![0; rows.len()]);
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, new_empty_array(&DataType::Int64), None));
        let columns = [
            ("five", &five),
            ("lists", &lists),
            ("text", &text),
            ("key", &text),
            ("numbers", &numbers),
            ("id", &numbers),
            ("empty", &empty),
            ("none", &empty),
        ];
        let field = |(name, array): (&str, &ArrayRef)| Field::new(name, array.data_type().clone(), true);
        let schema = Schema::new(columns.map(field).to_vec());
        RecordBatch::try_new(Arc::new(schema), columns.map(|(_, array)| array.clone()).to_vec()).unwrap()
    }

    fn plain(array: &ArrayRef) -> ArrayRef {
        match array.data_type() {
            DataType::Dictionary(..) => cast(array, &DataType::Utf8).unwrap(),
            _ => array.clone(),
        }
    }

    proptest! {
        /// Arrow's own kernel is the oracle.
        #[test]
        fn gathers_what_interleave_does(
            chunks in prop::collection::vec(
                prop::collection::vec((prop::option::of(prop::sample::select(vec!["", "a", "b", "é"])), prop::option::of(-2..9i64)), 1..40),
                1..5,
            ),
            picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40),
        ) {
            let chunks = chunks.iter().map(|rows| chunk(rows)).collect::<Vec<_>>();
            let chunks = chunks.iter().collect::<Vec<_>>();
            let gather = Gather::new(&chunks, &["key", "id", "none"]).unwrap();
            let places = picks.iter().map(|(chunk, row)| {
                let chunk = chunk.index(chunks.len());
                let row = row.index(chunks[chunk].num_rows());
                Place { chunk: chunk as u32, row: row as u32, set: gather.rows()[chunk][row] }
            });
            let places = places.collect::<Vec<_>>();
            let pairs = places.iter().map(|place| (place.chunk as usize, place.row as usize)).collect::<Vec<_>>();
            let expected = interleave_record_batch(&chunks, &pairs).unwrap();
            for column in 0..expected.num_columns() {
                prop_assert_eq!(&plain(&gather.array(column, &places).unwrap()), &plain(expected.column(column)));
            }
        }
    }
}
