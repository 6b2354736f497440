//! Column chunks of a Parquet file whose values come as runs: a dictionary page, then pages of run-length encoded numbers.
//!
//! The `parquet` crate looks every row's value up by its bytes, and compares it with the least and the greatest so far;
//! here both happen once a value and once a run. Pages are compressed and indexed as that crate does it by default.

use anyhow::Context;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::properties::{DEFAULT_DICTIONARY_PAGE_SIZE_LIMIT, EnabledStatistics};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::gather::{NULL, Values};

/// A dictionary that is larger than that crate makes them saves this much of a column at least.
const MIN_REPEATS: usize = 4;
const MAX_DICTIONARY: usize = 16 << 20;

/// Equal neighbours: the number of their value, or NULL, and how many they are.
pub(crate) type Run = (u32, usize);

pub(crate) struct Column<'a> {
    dictionary: Dictionary<'a>,
    runs: Vec<Run>,
    /// The definition level of NULL.
    level: u32,
}

/// The values that a column chunk has, in the order in which they come.
struct Dictionary<'a> {
    values: &'a Values<'a>,
    used: Vec<u32>,
    /// Of its page, before it is compressed.
    bytes: usize,
}

impl<'a> Column<'a> {
    /// `None`: this is better written without a dictionary. Neighbouring runs may have one value.
    pub(crate) fn new(values: &'a Values<'a>, runs: impl Iterator<Item = Run>) -> Option<Column<'a>> {
        let mut places = vec![NULL; values.len()];
        let (mut used, mut bytes, mut plain, mut joined) = (Vec::new(), 0, 0, Vec::<Run>::new());
        for (value, count) in runs {
            let mut number = NULL;
            if value != NULL {
                let place = &mut places[value as usize];
                if *place == NULL {
                    *place = used.len() as u32;
                    used.push(value);
                    bytes += values.plain_size(value);
                }
                plain += values.plain_size(value) * count;
                number = *place;
            }
            match joined.last_mut() {
                Some((last, length)) if *last == number => *length += count,
                _ => joined.push((number, count)),
            }
        }
        // A reader of one page decodes the dictionary first.
        let small =
            bytes <= DEFAULT_DICTIONARY_PAGE_SIZE_LIMIT || (bytes <= MAX_DICTIONARY && bytes <= plain / MIN_REPEATS);
        small.then_some(Column { dictionary: Dictionary { values, used, bytes }, runs: joined, level: 0 })
    }

    /// A leaf without a value. `level` is the definition level of each row: 0 where the column is NULL, 1 where it is a list
    /// without items.
    pub(crate) fn nothing(rows: usize, level: u32) -> Column<'static> {
        const NOTHING: &Values = &Values::Ints(Vec::new());
        let dictionary = Dictionary { values: NOTHING, used: Vec::new(), bytes: 0 };
        Column { dictionary, runs: vec![(NULL, rows)], level }
    }

    /// Writes the next column of a row group, in pages of at most `page` rows.
    pub(crate) fn write<W: std::io::Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        column: ColumnDescPtr,
        zstd: &mut Zstd,
        page: usize,
        statistics: EnabledStatistics,
    ) -> anyhow::Result<()> {
        let width = bits(self.dictionary.used.len().saturating_sub(1) as u32);
        let (most_repeated, most_defined) = (column.max_rep_level() as u32, column.max_def_level() as u32);
        let mut sink = TrackedWrite::new(Vec::new());
        let mut pages = SerializedPageWriter::new(&mut sink);
        let (mut uncompressed, mut rows, mut nulls) = (0, 0, 0);
        let by_page = statistics == EnabledStatistics::Page;
        let statistics = statistics != EnabledStatistics::None;
        let ranks = statistics.then(|| self.dictionary.values.ranks(&self.dictionary.used));
        let (mut first_page, mut bounds) = (None, None::<(u32, u32)>);
        let mut column_index = by_page.then(|| ColumnIndexBuilder::new(column.physical_type()));
        let mut offset_index = OffsetIndexBuilder::new();

        let mut write = |page: Page, length: usize| {
            let written = pages.write_page(CompressedPage::new(page, length))?;
            uncompressed += written.uncompressed_size as i64;
            anyhow::Ok(written)
        };
        let dictionary = !self.dictionary.used.is_empty();
        let encoding = if dictionary { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN };
        if dictionary {
            let plain = self.dictionary.plain();
            let page = Page::DictionaryPage {
                buf: zstd.compress(&plain)?,
                num_values: self.dictionary.used.len() as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            write(page, plain.len())?;
        }
        for page in self.pages(page) {
            let count = page.iter().map(|(_, count)| count).sum::<usize>();
            let null = page.iter().filter(|(value, _)| *value == NULL).map(|(_, count)| count).sum::<usize>();
            let mut bytes = Vec::new();
            if most_repeated > 0 {
                levels(&mut bytes, most_repeated, [(0, count)].into_iter());
            }
            if most_defined > 0 {
                let level = |value| if value == NULL { self.level } else { most_defined };
                match null {
                    0 => levels(&mut bytes, most_defined, [(most_defined, count)].into_iter()),
                    _ => levels(&mut bytes, most_defined, page.iter().map(|(value, count)| (level(*value), *count))),
                }
            }
            // Without a dictionary there is nothing to point to.
            if dictionary {
                bytes.push(width as u8);
                let mut numbers = Hybrid::new(width, bytes);
                page.iter().filter(|(value, _)| *value != NULL).for_each(|(value, count)| numbers.run(*value, *count));
                bytes = numbers.end();
            }
            let written = write(
                Page::DataPage {
                    buf: zstd.compress(&bytes)?,
                    num_values: count as u32,
                    encoding,
                    def_level_encoding: Encoding::RLE,
                    rep_level_encoding: Encoding::RLE,
                    statistics: None,
                },
                bytes.len(),
            )?;
            first_page.get_or_insert(written.offset as i64);
            rows += count;
            nulls += null;
            offset_index.append_row_count(count as i64);
            offset_index.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
            if let Some(ranks) = &ranks {
                let values = page.iter().filter(|(value, _)| *value != NULL).map(|(value, _)| *value);
                let rank = |value: &u32| ranks[*value as usize];
                let page_bounds = values.clone().min_by_key(rank).zip(values.max_by_key(rank));
                if let Some(index) = &mut column_index {
                    let bytes = |value: u32| self.dictionary.bytes(value);
                    let (least, most) = page_bounds.map_or_else(Default::default, |(a, b)| (bytes(a), bytes(b)));
                    index.append(page_bounds.is_none(), least, most, null as i64);
                }
                let both = bounds.into_iter().chain(page_bounds);
                let least = both.clone().map(|(least, _)| least).min_by_key(rank);
                bounds = least.zip(both.map(|(_, most)| most).max_by_key(rank));
            }
        }
        let bytes = Bytes::from(sink.into_inner()?);
        let mut metadata = ColumnChunkMetaData::builder(column.clone())
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, encoding])
            .set_compression(zstd.compression())
            .set_num_values(rows as i64)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(uncompressed)
            .set_dictionary_page_offset(dictionary.then_some(0))
            .set_data_page_offset(first_page.context("a column chunk without a row")?);
        if statistics {
            metadata =
                metadata.set_statistics(self.dictionary.statistics(bounds, nulls as u64, column.physical_type()));
        }
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: column_index.map(ColumnIndexBuilder::build).transpose()?,
            offset_index: Some(offset_index.build()),
        };
        Ok(group.append_column(&bytes, close)?)
    }

    /// One value or none, in every row.
    pub(crate) fn is_constant(&self) -> bool {
        self.runs.len() < 2
    }

    /// The runs, cut where pages of so many rows end.
    fn pages(&self, rows: usize) -> Vec<Vec<Run>> {
        let (mut pages, mut page, mut room) = (Vec::new(), Vec::new(), rows);
        for &(value, mut left) in &self.runs {
            while left > 0 {
                let count = left.min(room);
                page.push((value, count));
                (left, room) = (left - count, room - count);
                if room == 0 {
                    pages.push(std::mem::take(&mut page));
                    room = rows;
                }
            }
        }
        if !page.is_empty() {
            pages.push(page);
        }
        pages
    }
}

impl Values<'_> {
    fn plain_size(&self, value: u32) -> usize {
        match self {
            Values::Text(values) => values[value as usize].len() + 4,
            Values::Ints(_) => 8,
        }
    }
}

impl Dictionary<'_> {
    fn plain(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes);
        let used = self.used.iter().map(|value| *value as usize);
        match self.values {
            Values::Ints(values) => used.for_each(|value| bytes.extend_from_slice(&values[value].to_le_bytes())),
            Values::Text(values) => {
                for text in used.map(|value| values[value]) {
                    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        bytes
    }

    fn bytes(&self, number: u32) -> Vec<u8> {
        let value = self.used[number as usize] as usize;
        match self.values {
            Values::Ints(values) => values[value].to_le_bytes().to_vec(),
            Values::Text(values) => values[value].as_bytes().to_vec(),
        }
    }

    fn statistics(&self, bounds: Option<(u32, u32)>, nulls: u64, kind: Type) -> Statistics {
        let nulls = Some(nulls);
        match (self.values, bounds) {
            (Values::Ints(values), Some((least, most))) => {
                let value = |number: u32| values[self.used[number as usize] as usize];
                Statistics::int64(Some(value(least)), Some(value(most)), None, nulls, false)
            }
            (Values::Text(_), Some((least, most))) => {
                let value = |number: u32| ByteArray::from(self.bytes(number));
                Statistics::byte_array(Some(value(least)), Some(value(most)), None, nulls, false)
            }
            (_, None) => match kind {
                Type::BOOLEAN => Statistics::boolean(None, None, None, nulls, false),
                Type::INT32 => Statistics::int32(None, None, None, nulls, false),
                Type::INT64 => Statistics::int64(None, None, None, nulls, false),
                Type::INT96 => Statistics::int96(None, None, None, nulls, false),
                Type::FLOAT => Statistics::float(None, None, None, nulls, false),
                Type::DOUBLE => Statistics::double(None, None, None, nulls, false),
                Type::BYTE_ARRAY => Statistics::byte_array(None, None, None, nulls, false),
                Type::FIXED_LEN_BYTE_ARRAY => Statistics::fixed_len_byte_array(None, None, None, nulls, false),
            },
        }
    }
}

/// A compressor and its room, made once a file and not once a page.
pub(crate) struct Zstd {
    level: ZstdLevel,
    compressor: zstd::bulk::Compressor<'static>,
    room: Vec<u8>,
}

impl Zstd {
    pub(crate) fn new(level: ZstdLevel) -> std::io::Result<Zstd> {
        Ok(Zstd { level, compressor: zstd::bulk::Compressor::new(level.compression_level())?, room: Vec::new() })
    }

    fn compress(&mut self, bytes: &[u8]) -> std::io::Result<Bytes> {
        self.room.resize(zstd::zstd_safe::compress_bound(bytes.len()).max(self.room.len()), 0);
        let length = self.compressor.compress_to_buffer(bytes, &mut self.room[..])?;
        Ok(Bytes::copy_from_slice(&self.room[..length]))
    }

    fn compression(&self) -> Compression {
        Compression::ZSTD(self.level)
    }
}

/// The bits that numbers up to `most` take.
fn bits(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

/// Levels as a page has them: their length, then runs.
fn levels(bytes: &mut Vec<u8>, most: u32, runs: impl Iterator<Item = Run>) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    let mut hybrid = Hybrid::new(bits(most), std::mem::take(bytes));
    runs.for_each(|(level, count)| hybrid.run(level, count));
    *bytes = hybrid.end();
    let length = (bytes.len() - start - 4) as u32;
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Parquet's mix of runs and of values packed in eights.
struct Hybrid {
    width: u32,
    /// Not written yet.
    single: Vec<u32>,
    out: Vec<u8>,
}

impl Hybrid {
    /// Values have `width` bits; they are written behind `out`.
    fn new(width: u32, out: Vec<u8>) -> Hybrid {
        Hybrid { width, single: Vec::new(), out }
    }

    fn run(&mut self, value: u32, mut count: usize) {
        // Values that are packed fill their eight before a run begins.
        let gap = self.single.len().next_multiple_of(8) - self.single.len();
        let fill = if count - gap.min(count) >= 8 { gap } else { count };
        self.single.extend(std::iter::repeat_n(value, fill));
        count -= fill;
        if count > 0 {
            self.pack();
            self.varint((count as u64) << 1);
            let bytes = self.width.div_ceil(8) as usize;
            self.out.extend_from_slice(&value.to_le_bytes()[..bytes]);
        }
    }

    fn pack(&mut self) {
        if self.single.is_empty() {
            return;
        }
        let eights = self.single.len().div_ceil(8);
        self.varint((eights as u64) << 1 | 1);
        let end = self.out.len() + eights * self.width as usize;
        let (mut bits, mut held) = (0u64, 0);
        for value in self.single.drain(..) {
            bits |= u64::from(value) << held;
            held += self.width;
            while held >= 8 {
                self.out.push(bits as u8);
                bits >>= 8;
                held -= 8;
            }
        }
        if held > 0 {
            self.out.push(bits as u8);
        }
        self.out.resize(end, 0);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    fn end(mut self) -> Vec<u8> {
        self.pack();
        self.out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    use parquet::file::metadata::PageIndexPolicy;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use proptest::prelude::*;

    use super::*;

    const PAGE: usize = 20_000;

    /// Writes one column, and reads it with the `parquet` crate.
    fn check(kind: DataType, values: &Values, runs: &[Run]) {
        let rows = runs.iter().map(|(_, count)| count).sum::<usize>();
        let schema = Schema::new(vec![Field::new("column", kind, true)]);
        let parquet_schema = ArrowSchemaConverter::new().convert(&schema).unwrap();
        let mut file = Vec::new();
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(&mut file, parquet_schema.root_schema_ptr(), properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut zstd = Zstd::new(ZstdLevel::try_new(1).unwrap()).unwrap();
        let column = match values.len() {
            0 => Column::nothing(rows, 0),
            _ => Column::new(values, runs.iter().copied()).unwrap(),
        };
        column.write(&mut group, parquet_schema.column(0), &mut zstd, PAGE, EnabledStatistics::Page).unwrap();
        group.close().unwrap();
        writer.close().unwrap();

        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from(file), options).unwrap();
        let metadata = reader.metadata().clone();
        let read = reader.with_batch_size(rows).build().unwrap().next().unwrap().unwrap();
        let expected = runs.iter().flat_map(|(value, count)| std::iter::repeat_n(*value, *count));
        let texts = expected.clone().map(|number| match values {
            Values::Text(values) => values.get(number as usize).map(|text| (*text).to_owned()),
            Values::Ints(values) => values.get(number as usize).map(i64::to_string),
        });
        let texts = texts.collect::<Vec<_>>();
        let array = read.column(0);
        let read = (0..rows).map(|row| {
            array.is_valid(row).then(|| match values {
                Values::Text(_) => array.as_string::<i32>().value(row).to_owned(),
                Values::Ints(_) => array.as_primitive::<Int64Type>().value(row).to_string(),
            })
        });
        assert_eq!(read.collect::<Vec<_>>(), texts);

        let chunk = metadata.row_group(0).column(0);
        let statistics = chunk.statistics().unwrap();
        let nulls = texts.iter().filter(|text| text.is_none()).count();
        assert_eq!(statistics.null_count_opt(), Some(nulls as u64));
        match (values, statistics) {
            (Values::Ints(values), Statistics::Int64(found)) => {
                let used = || expected.clone().filter(|number| *number != NULL).map(|number| &values[number as usize]);
                assert_eq!((found.min_opt(), found.max_opt()), (used().min(), used().max()));
            }
            _ => {
                let bytes = |text: Option<&String>| text.map(|text| text.as_bytes().to_vec());
                let found =
                    [statistics.min_bytes_opt(), statistics.max_bytes_opt()].map(|found| found.map(<[u8]>::to_vec));
                assert_eq!(found, [bytes(texts.iter().flatten().min()), bytes(texts.iter().flatten().max())]);
            }
        }
        let pages = &metadata.offset_index().unwrap()[0][0].page_locations;
        assert_eq!(pages.len(), rows.div_ceil(PAGE));
    }

    fn runs(values: u32) -> impl Strategy<Value = Vec<Run>> {
        let value = prop_oneof![4 => 0..values, 1 => Just(NULL)];
        let count = prop_oneof![8 => 1..20usize, 1 => 100..30_000usize];
        prop::collection::vec((value, count), 1..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn text_is_read_as_it_was_written((values, runs) in (1..40u32).prop_flat_map(|values| (Just(values), runs(values)))) {
            let values = (0..values).map(|n| "é".repeat(n as usize % 7) + &(n * 7919 % 31).to_string()).collect::<Vec<_>>();
            check(DataType::Utf8, &Values::Text(values.iter().map(String::as_str).collect()), &runs);
        }

        #[test]
        fn integers_are_read_as_they_were_written(values in prop::collection::vec(any::<i64>(), 1..300), picks in prop::collection::vec((any::<prop::sample::Index>(), 1..12usize), 1..400)) {
            let runs = picks.iter().map(|(value, count)| (value.index(values.len()) as u32, *count)).collect::<Vec<_>>();
            check(DataType::Int64, &Values::Ints(values), &runs);
        }
    }

    #[test]
    fn nothing_but_null_is_read_as_such() {
        check(DataType::Utf8, &Values::Text(Vec::new()), &[(NULL, 45_000)]);
        check(DataType::Int64, &Values::Ints(Vec::new()), &[(NULL, 1)]);
    }

    #[test]
    fn lists_without_items_are_read_as_such() {
        let item = |name: &str, kind| Field::new(name, kind, true);
        let items = DataType::Struct(vec![item("a", DataType::Int64), item("b", DataType::Utf8)].into());
        let list = |name: &str| Field::new(name, DataType::List(Arc::new(item("element", items.clone()))), true);
        let schema = Schema::new(vec![list("none"), list("empty")]);
        let parquet_schema = ArrowSchemaConverter::new().convert(&schema).unwrap();
        let (mut file, rows) = (Vec::new(), 25_000);
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(&mut file, parquet_schema.root_schema_ptr(), properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut zstd = Zstd::new(ZstdLevel::try_new(1).unwrap()).unwrap();
        for (leaf, level) in parquet_schema.columns().iter().zip([0, 0, 1, 1]) {
            Column::nothing(rows, level)
                .write(&mut group, leaf.clone(), &mut zstd, PAGE, EnabledStatistics::None)
                .unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
        let read = reader.with_batch_size(rows).build().unwrap().next().unwrap().unwrap();
        let [none, empty] = [0, 1].map(|n| read.column(n).as_list::<i32>().clone());
        assert_eq!((none.len(), none.null_count()), (rows, rows));
        assert_eq!((empty.len(), empty.null_count(), empty.values().len()), (rows, 0, 0));
    }

    #[test]
    fn much_text_is_left_to_the_crate() {
        let long = "x".repeat(DEFAULT_DICTIONARY_PAGE_SIZE_LIMIT);
        let has_dictionary = |runs: &[Run]| Column::new(&Values::Text(vec!["", &long]), runs.iter().copied()).is_some();
        assert!(has_dictionary(&[(0, 5), (NULL, 1)]));
        assert!(!has_dictionary(&[(0, 5), (1, 3)]));
        assert!(has_dictionary(&[(0, 5), (1, 5)]));
        let longer = long.repeat(17);
        assert!(Column::new(&Values::Text(vec![&longer]), [(0, 50)].into_iter()).is_none());
    }
}
