//! Columns while they grow. All are plain vectors that Arrow takes over without a copy.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, ListArray,
    NullBufferBuilder, PrimitiveArray, StringArray, StructArray, TimestampNanosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Field, Fields, Float64Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::batch::Table;
use crate::otlp::sets::{Found, Sets};
use crate::otlp::wire::Fault;

/// Strings one after another.
#[derive(Default)]
pub(crate) struct Text {
    bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Text {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn reserve(&mut self, rows: usize) {
        self.ends.reserve_exact(rows);
    }

    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.end();
    }

    /// An attribute set.
    pub(in crate::otlp) fn push_set(&mut self, raw: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        let found = sets.find(raw)?;
        sets.write(found, raw, &mut self.bytes)?;
        self.end();
        Ok(())
    }

    /// For text that is written in place.
    pub fn open(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the string that was written.
    pub fn end(&mut self) {
        // Past 32 bits `finish` refuses.
        self.ends.push(self.bytes.len() as i32);
    }

    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[start..self.ends[index] as usize]
    }

    pub fn finish(self, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
        let offsets = offsets(self.ends, self.bytes.len())?;
        StringArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls)
    }
}

fn offsets(mut ends: Vec<i32>, total: usize) -> Result<OffsetBuffer<i32>, ArrowError> {
    if i32::try_from(total).is_err() {
        return Err(ArrowError::OffsetOverflowError(total));
    }
    ends.insert(0, 0);
    Ok(OffsetBuffer::new(ScalarBuffer::from(ends)))
}

/// A dictionary column.
#[derive(Default)]
pub(crate) struct Dict {
    keys: Vec<i32>,
    values: Text,
    index: HashTable<i32>,
    last: Option<i32>,
}

impl Dict {
    pub fn reserve(&mut self, rows: usize) {
        self.keys.reserve_exact(rows);
    }

    /// The key of `text`, which is learned if new.
    #[inline]
    fn key(&mut self, text: &[u8]) -> i32 {
        match self.last {
            Some(last) if self.values.get(last as usize) == text => last,
            _ => self.find(text),
        }
    }

    fn find(&mut self, text: &[u8]) -> i32 {
        let hash = xxh3_64(text);
        let values = &mut self.values;
        let key = match self.index.find(hash, |&key| values.get(key as usize) == text) {
            Some(key) => *key,
            None => {
                let key = values.len() as i32;
                values.push(text);
                self.index.insert_unique(hash, key, |&key| xxh3_64(values.get(key as usize)));
                key
            }
        };
        self.last = Some(key);
        key
    }

    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        let key = self.key(text);
        self.keys.push(key);
    }

    /// Gives every row up to `rows` that has no value yet this one.
    pub fn fill(&mut self, text: &[u8], rows: usize) {
        if self.keys.len() < rows {
            let key = self.key(text);
            self.keys.resize(rows, key);
        }
    }

    /// An attribute set, for the `attributes` column of `table`.
    #[inline]
    pub(in crate::otlp) fn push_set(&mut self, table: Table, raw: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        let found = sets.find(raw)?;
        self.push_found(table, found, raw, sets).map(drop)
    }

    /// The same; gives the hash of its JSON.
    #[inline]
    pub(in crate::otlp) fn push_hashed_set(&mut self, table: Table, raw: &[u8], sets: &mut Sets) -> Result<u64, Fault> {
        let found = sets.find(raw)?;
        let key = self.push_found(table, found, raw, sets)?;
        Ok(match found {
            Found::Kept(set) => sets.json_hash(set),
            _ => xxh3_64(self.values.get(key as usize)),
        })
    }

    #[inline]
    fn push_found(&mut self, table: Table, found: Found, raw: &[u8], sets: &mut Sets) -> Result<i32, Fault> {
        let known = if let Found::Kept(set) = found { sets.key(table, set) } else { None };
        let key = match (known, found) {
            (Some(key), _) => key,
            (None, Found::Empty) => self.key(b"{}"),
            (None, Found::Long) => {
                let mut json = Vec::new();
                sets.write(found, raw, &mut json)?;
                self.key(&json)
            }
            (None, Found::Kept(_) | Found::Loose) => {
                let key = self.values.len() as i32;
                sets.write(found, raw, self.values.open())?;
                self.values.end();
                if let Found::Kept(set) = found {
                    sets.set_key(table, set, key);
                }
                key
            }
        };
        self.keys.push(key);
        Ok(key)
    }

    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        let values = Arc::new(self.values.finish(None)?);
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::new(self.keys.into(), None), values)?))
    }
}

/// Numbers, some of them null.
pub(crate) struct Nullable<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Default for Nullable<T> {
    fn default() -> Self {
        Nullable { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl<T: ArrowPrimitiveType> Nullable<T> {
    pub fn reserve(&mut self, rows: usize) {
        self.values.reserve_exact(rows);
    }

    #[inline]
    pub fn push(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }

    pub fn finish(mut self) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::new(self.values.into(), self.nulls.finish()))
    }
}

pub(crate) type Ints = Nullable<Int64Type>;
pub(crate) type Doubles = Nullable<Float64Type>;

/// Trace or span ids of `N` bytes; others are null.
pub(crate) struct Ids<const N: usize> {
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl<const N: usize> Default for Ids<N> {
    fn default() -> Self {
        Ids { bytes: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl<const N: usize> Ids<N> {
    pub fn reserve(&mut self, rows: usize) {
        self.bytes.reserve_exact(rows * N);
    }

    #[inline]
    pub fn push(&mut self, id: &[u8]) {
        match <&[u8; N]>::try_from(id) {
            Ok(id) => {
                self.bytes.extend_from_slice(id);
                self.nulls.append_non_null();
            }
            Err(_) => {
                self.bytes.extend_from_slice(&[0; N]);
                self.nulls.append_null();
            }
        }
    }

    pub fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let bytes = Buffer::from_vec(self.bytes);
        Ok(Arc::new(FixedSizeBinaryArray::try_new(N as i32, bytes, self.nulls.finish())?))
    }
}

pub(crate) fn int64(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::new(values.into(), None))
}

pub(crate) fn int32(values: Vec<i32>) -> ArrayRef {
    Arc::new(Int32Array::new(values.into(), None))
}

pub(crate) fn float64(values: Vec<f64>) -> ArrayRef {
    Arc::new(Float64Array::new(values.into(), None))
}

pub(crate) fn times(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::new(values.into(), None).with_timezone("UTC"))
}

/// A list column; `ends` says where each row's items end.
pub(crate) fn list(ends: Vec<i32>, items: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let offsets = offsets(ends, items.len())?;
    let field = Arc::new(Field::new("item", items.data_type().clone(), false));
    Ok(Arc::new(ListArray::try_new(field, offsets, items, None)?))
}

pub(crate) fn structs(ends: Vec<i32>, fields: &Fields, children: Vec<ArrayRef>) -> Result<ArrayRef, ArrowError> {
    let items = Arc::new(StructArray::try_new(fields.clone(), children, None)?);
    list(ends, items)
}
