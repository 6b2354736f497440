//! Parquet files of a table: sorted rows in, a file and its Delta `add` action out.
//!
//! zstd, dictionaries on strings, delta encoding on times and integers, page index, sorting columns recorded; no Arrow
//! schema hint, so that every reader sees plain strings. Statistics cover the first 32 columns.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::{Context, bail};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate, TimeDelta};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::convert::{day, ts};
use crate::gather::{Column, Gather, NULL, Place};
use crate::hot::Chunk;
use crate::runs::{self, Zstd};
use crate::schema::LakeTable;

/// Rows gathered and handed to the writer at once.
const SLICE: usize = 16_384;
/// Fewer when rows are long: a column of strings has 2 GiB at most.
const SLICE_BYTES: u64 = 128 << 20;
const ROW_GROUP: usize = 262_144;
const ZSTD_LEVEL: i32 = 3;
/// Columns with statistics, as Delta has it by default.
const STATISTICS: usize = 32;

/// A live file, as scans and pruning need it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileEntry {
    /// Relative to the table's folder.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) rows: u64,
    /// Days since 1970.
    pub(crate) date: i32,
    /// Microseconds.
    pub(crate) ts: Option<(i64, i64)>,
    /// Smallest and largest value of string columns.
    pub(crate) strings: BTreeMap<String, (String, String)>,
}

impl FileEntry {
    /// From a Delta `add` action, by whomever it was written.
    pub(crate) fn from_add(add: &Value) -> anyhow::Result<FileEntry> {
        let path = add["path"].as_str().context("no `path`")?;
        let stats = add["stats"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
        let date = add["partitionValues"]["date"].as_str().context("no partition value of `date`")?;
        let date = date.parse::<NaiveDate>().with_context(|| format!("`{date}` is not a date"))?;
        let time = |bound: &str| DateTime::parse_from_rfc3339(stats[bound]["ts"].as_str()?).ok();
        // Other writers cut times to milliseconds.
        let ts = time("minValues").zip(time("maxValues"));
        let ts = ts.map(|(min, max)| (min.timestamp_micros() - 999, max.timestamp_micros() + 999));
        let mut strings = BTreeMap::new();
        for column in ["metric_name", "service_name"] {
            let bound = |bound: &str| stats[bound][column].as_str().map(str::to_owned);
            if let Some(bounds) = bound("minValues").zip(bound("maxValues")) {
                strings.insert(column.to_owned(), bounds);
            }
        }
        Ok(FileEntry {
            path: percent_decode(path),
            size: add["size"].as_u64().context("no `size`")?,
            rows: stats["numRecords"].as_u64().unwrap_or(0),
            date: date.signed_duration_since(NaiveDate::default()).num_days() as i32,
            ts,
            strings,
        })
    }
}

/// Paths in actions are URL-encoded.
fn percent_decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        match code.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]).1,
            None => (bytes.push(*first), rest = tail).1,
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

/// A file that is written and on disk, but not in its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Staged {
    /// Name in the lake's `tmp` folder.
    pub(crate) aside: String,
    /// Body of the Delta `add` action; its `path` is where the file belongs.
    pub(crate) add: Value,
}

/// Writes the chunks' rows, sorted, as one file per date into `aside`; each is fsynced, the folder is not.
pub(crate) fn write(table: LakeTable, chunks: &[Arc<Chunk>], aside: &Path) -> anyhow::Result<Vec<Staged>> {
    let longest = chunks.iter().map(|chunk| chunk.bytes / chunk.rows.num_rows().max(1) as u64).max().unwrap_or(0);
    let slice = usize::try_from(SLICE_BYTES / longest.max(1)).unwrap_or(SLICE).clamp(1, SLICE);
    let chunks = chunks.iter().map(|chunk| &chunk.rows).collect::<Vec<_>>();
    let [identity @ .., _] = table.sort_columns() else { bail!("table `{}` has no order", table.name()) };
    let gather = Gather::new(&chunks, identity).context("no rows to write")?;
    let order = sorted(&gather, &chunks, identity)?;
    order.chunk_by(|a, b| a.date() == b.date()).map(|rows| write_file(table, &gather, rows, slice, aside)).collect()
}

fn write_file(table: LakeTable, gather: &Gather, rows: &[Key], slice: usize, aside: &Path) -> anyhow::Result<Staged> {
    let schema = gather.schema();
    let name = format!("{}.parquet", uuid::Uuid::now_v7());
    let path = aside.join(&name);
    let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
    let properties = Arc::new(properties(table, schema, rows.len())?);
    let mut writer = SerializedFileWriter::new(&file, parquet_schema.root_schema_ptr(), properties)?;
    let columns = ArrowRowGroupWriterFactory::new(&writer, schema.clone());
    let mut zstd = Zstd::new(ZstdLevel::try_new(ZSTD_LEVEL)?)?;
    for (n, rows) in rows.chunks(ROW_GROUP).enumerate() {
        let places = rows.iter().map(|key| key.place).collect::<Vec<_>>();
        write_group(&mut writer, gather, columns.create_column_writers(n)?, &places, slice, &mut zstd)?;
    }
    let metadata = writer.close()?;
    file.sync_all()?;
    let on_disk = file.metadata()?;
    let modified = on_disk.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = NaiveDate::default() + TimeDelta::days(rows[0].date().into());
    let add = json!({
        "path": format!("date={date}/{name}"),
        "partitionValues": {"date": date.to_string()},
        "size": on_disk.len(),
        "modificationTime": modified.as_millis() as i64,
        "dataChange": true,
        "stats": statistics(&metadata, schema, rows.len()).to_string(),
    });
    Ok(Staged { aside: name, add })
}

/// A column after the other, so that one is in memory at a time. `leaves`: writers of their own for columns that do not come in runs.
fn write_group(
    writer: &mut SerializedFileWriter<&File>,
    gather: &Gather,
    leaves: Vec<ArrowColumnWriter>,
    places: &[Place],
    slice: usize,
    zstd: &mut Zstd,
) -> anyhow::Result<()> {
    let runs = places.chunk_by(|a, b| a.set == b.set).map(|run| (run[0].set, run.len())).collect::<Vec<_>>();
    let parquet_schema = writer.schema_descr().clone();
    let properties = writer.properties().clone();
    let mut leaves = parquet_schema.columns().iter().zip(leaves).peekable();
    let mut group = writer.next_row_group()?;
    for (n, field) in gather.schema().fields().iter().enumerate() {
        let mut own = Vec::new();
        while let Some(leaf) = leaves.next_if(|(leaf, _)| leaf.path().parts()[0] == *field.name()) {
            own.push(leaf);
        }
        let rows = places.len();
        let in_runs = match gather.column(n) {
            Column::Null => Some(runs::Column::nothing(rows, 0)),
            Column::Empty(_) => Some(runs::Column::nothing(rows, u32::from(field.is_nullable()))),
            Column::Constant(values) => runs::Column::new(values, [(0, rows)].into_iter()),
            Column::Repeated(column) => match gather.constant(column) {
                Some(value) => runs::Column::new(&column.values, [(value, rows)].into_iter()),
                None => {
                    let runs = runs.iter().map(|(set, rows)| (gather.value(*set, column), *rows));
                    runs::Column::new(&column.values, runs)
                }
            },
            _ => None,
        };
        if let Some(column) = in_runs {
            for (leaf, _) in own {
                let statistics = properties.statistics_enabled(leaf.path()) != EnabledStatistics::None;
                column.write(&mut group, Arc::clone(leaf), zstd, statistics)?;
            }
            continue;
        }
        let mut writers = own.into_iter().map(|(_, writer)| writer).collect::<Vec<_>>();
        for places in places.chunks(slice) {
            let array = gather.array(n, places)?;
            for (writer, leaf) in writers.iter_mut().zip(compute_leaves(field, &array)?) {
                writer.write(&leaf)?;
            }
        }
        for writer in writers {
            writer.close()?.append_to_row_group(&mut group)?;
        }
    }
    group.close()?;
    Ok(())
}

/// A row in its table's order: by date, then by what the identity columns hold, then by time.
#[derive(Clone, Copy)]
struct Key {
    order: u128,
    place: Place,
}

impl Key {
    /// `rank`: among all that the identity columns hold.
    fn new(rank: u32, ts: i64, place: Place) -> Key {
        // With the sign bit turned, unsigned integers have the order of signed ones.
        let date = u128::from(day(ts) as u32 ^ 1 << 31);
        let ts = u128::from(ts as u64 ^ 1 << 63);
        Key { order: date << 96 | u128::from(rank) << 64 | ts, place }
    }

    fn date(&self) -> i32 {
        ((self.order >> 96) as u32 ^ 1 << 31) as i32
    }
}

/// Every row. What comes at the same time stays as it came.
fn sorted(gather: &Gather, chunks: &[&RecordBatch], identity: &[&str]) -> anyhow::Result<Vec<Key>> {
    let ranks = ranks(gather, identity)?;
    let mut keys = Vec::with_capacity(chunks.iter().map(|chunk| chunk.num_rows()).sum());
    for ((n, chunk), sets) in (0..).zip(chunks).zip(gather.rows()) {
        for ((row, set), ts) in (0..).zip(sets).zip(ts(chunk)?.values()) {
            keys.push(Key::new(ranks[*set as usize], *ts, Place { chunk: n, row, set: *set }));
        }
    }
    keys.sort_by_key(|key| key.order);
    Ok(keys)
}

/// Each combination's rank by what it has in the identity columns; NULL comes first.
fn ranks(gather: &Gather, identity: &[&str]) -> anyhow::Result<Vec<u32>> {
    let columns = identity.iter().map(|name| match gather.schema().index_of(name).map(|n| gather.column(n)) {
        Ok(Column::Repeated(column)) => {
            let all = (0..column.values.len() as u32).collect::<Vec<_>>();
            Ok((column, column.values.ranks(&all)))
        }
        _ => bail!("column `{name}` is neither a dictionary of strings nor integers"),
    });
    let columns = columns.collect::<anyhow::Result<Vec<_>>>()?;
    // Every table is known by three columns at most.
    let key = |set: u32| {
        let mut key = [None; 3];
        for (slot, (column, ranks)) in key.iter_mut().zip(&columns) {
            let value = gather.value(set, column);
            *slot = (value != NULL).then(|| ranks[value as usize]);
        }
        key
    };
    let mut order = (0..gather.sets()).map(|set| (key(set), set)).collect::<Vec<_>>();
    order.sort_unstable();
    let mut ranks = vec![0; order.len()];
    for (rank, same) in (0..).zip(order.chunk_by(|(a, _), (b, _)| a == b)) {
        same.iter().for_each(|(_, set)| ranks[*set as usize] = rank);
    }
    Ok(ranks)
}

fn properties(table: LakeTable, schema: &Schema, rows: usize) -> anyhow::Result<WriterProperties> {
    let sorting = table.sort_columns().iter().filter_map(|name| {
        Some(SortingColumn { column_idx: leaf(schema, name)?, descending: false, nulls_first: true })
    });
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("catchment ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_statistics_truncate_length(None)
        .set_sorting_columns(Some(sorting.collect()));
    for field in schema.fields() {
        let column = ColumnPath::from(field.name().as_str());
        // Ids and times of one series repeat or step evenly; ids repeat in runs, which a dictionary says shorter.
        let id = matches!(field.name().as_str(), "series_id" | "resource_id");
        if matches!(field.data_type(), DataType::Int64 | DataType::Int32 | DataType::Timestamp(..)) && !id {
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        if !field.data_type().is_nested() && !NO_RANGE.contains(&field.name().as_str()) {
            properties = properties.set_column_statistics_enabled(column.clone(), EnabledStatistics::Page);
        }
        if field.name() == "trace_id" {
            properties = properties
                .set_column_bloom_filter_enabled(column.clone(), true)
                .set_column_bloom_filter_max_ndv(column, rows as u64);
        }
    }
    Ok(properties.build())
}

/// Text that no query asks for by range. Comparing each row's with the least and the greatest so far took a third of a
/// flush; nested columns have no statistics either.
const NO_RANGE: [&str; 12] = [
    "attributes",
    "body",
    "description",
    "metadata",
    "parent_span_id",
    "resource_attributes",
    "resource_entity_refs",
    "resource_schema_url",
    "scope_attributes",
    "scope_schema_url",
    "span_id",
    "status_message",
];

/// A top-level column's index among Parquet's leaves.
fn leaf(schema: &Schema, name: &str) -> Option<i32> {
    fn leaves(kind: &DataType) -> i32 {
        match kind {
            DataType::List(item) => leaves(item.data_type()),
            DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
            _ => 1,
        }
    }
    let at = schema.index_of(name).ok()?;
    Some(schema.fields()[..at].iter().map(|field| leaves(field.data_type())).sum())
}

/// Delta's statistics from the file's own.
fn statistics(metadata: &ParquetMetaData, schema: &Schema, rows: usize) -> Value {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for field in schema.fields().iter().take(STATISTICS) {
        let Some(leaf) = leaf(schema, field.name()).filter(|_| !field.data_type().is_nested()) else { continue };
        let groups = metadata.row_groups().iter().map(|group| group.column(leaf as usize).statistics());
        let Some(groups) = groups.collect::<Option<Vec<_>>>() else { continue };
        if let Some(count) = groups.iter().map(|group| group.null_count_opt()).sum::<Option<u64>>() {
            nulls.insert(field.name().clone(), count.into());
        }
        let bounds = groups.iter().map(|group| bounds(group, field.data_type())).collect::<Option<Vec<_>>>();
        let bounds = bounds.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let Some((low, high)) = bounds else { continue };
        if let Some((low, high)) = low.json().zip(high.json()) {
            min.insert(field.name().clone(), low);
            max.insert(field.name().clone(), high);
        }
    }
    json!({"numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls})
}

/// Not doubles: readers differ in where NaN stands.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Int(i64),
    Time(i64),
    Text(String),
}

impl Bound {
    /// `None`: JSON or Delta cannot say it.
    fn json(self) -> Option<Value> {
        Some(match self {
            Bound::Int(value) => value.into(),
            Bound::Time(micros) => {
                DateTime::from_timestamp_micros(micros)?.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into()
            }
            Bound::Text(value) => value.into(),
        })
    }
}

/// Attribute sets and bodies are long and never asked for by range.
const LONGEST_BOUND: usize = 256;

fn bounds(statistics: &Statistics, kind: &DataType) -> Option<(Bound, Bound)> {
    Some(match statistics {
        Statistics::Int64(values) if matches!(kind, DataType::Timestamp(..)) => {
            (Bound::Time(*values.min_opt()?), Bound::Time(*values.max_opt()?))
        }
        Statistics::Int64(values) => (Bound::Int(*values.min_opt()?), Bound::Int(*values.max_opt()?)),
        Statistics::Int32(values) => (Bound::Int((*values.min_opt()?).into()), Bound::Int((*values.max_opt()?).into())),
        Statistics::ByteArray(values) => {
            let text = |value: &[u8]| {
                (value.len() <= LONGEST_BOUND).then(|| std::str::from_utf8(value).ok().map(str::to_owned)).flatten()
            };
            (Bound::Text(text(values.min_bytes_opt()?)?), Bound::Text(text(values.max_bytes_opt()?)?))
        }
        _ => return None,
    })
}
