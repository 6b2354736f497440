//! One Parquet file in the making: rows in its table's order, a row group at a time.
//!
//! Dictionaries on strings, delta encoding on times and integers, page index, sorting columns recorded; no Arrow schema hint, so
//! that every reader sees plain strings. The rest is in [`Shape`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use chrono::{NaiveDate, TimeDelta};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use serde_json::json;

use super::shape::{Shape, by_page, encoding};
use super::statistics::statistics;
use super::{Staged, Tags};
use crate::disk::{Disk, NewFile};
use crate::gather::{Column, Gather, Place};
use crate::runs::{self, Zstd};
use crate::schema::LakeTable;

/// Rows handed to the crate's writer at once.
const SLICE: usize = 16_384;
/// Fewer when rows are long: a column of strings has 2 GiB at most.
const SLICE_BYTES: usize = 128 << 20;

/// Dropped before [`FileWriter::finish`], it leaves its file aside, for whoever clears that folder.
pub(crate) struct FileWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    date: NaiveDate,
    name: String,
    schema: SchemaRef,
    shape: Shape,
    writer: SerializedFileWriter<Box<dyn NewFile>>,
    columns: ArrowRowGroupWriterFactory,
    zstd: Zstd,
    groups: usize,
    rows: usize,
}

impl FileWriter {
    /// A file of one date in the folder `aside`. `rows`: about how many there will be.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        table: LakeTable,
        schema: &SchemaRef,
        date: i32,
        rows: usize,
        shape: Shape,
        aside: &Path,
    ) -> anyhow::Result<FileWriter> {
        let name = format!("{}.parquet", disk.fresh_id());
        let path = aside.join(&name);
        let file = disk.create(&path).with_context(|| format!("making {}", path.display()))?;
        let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
        let properties = Arc::new(properties(table, schema, shape, rows)?);
        let writer = SerializedFileWriter::new(file, parquet_schema.root_schema_ptr(), properties)?;
        Ok(FileWriter {
            disk: disk.clone(),
            path,
            date: NaiveDate::default() + TimeDelta::days(date.into()),
            name,
            schema: schema.clone(),
            shape,
            columns: ArrowRowGroupWriterFactory::new(&writer, schema.clone()),
            writer,
            zstd: Zstd::new(ZstdLevel::try_new(shape.zstd)?)?,
            groups: 0,
            rows: 0,
        })
    }

    /// A row group. `places` are in the table's order, after all that were written before.
    pub(crate) fn write(&mut self, gather: &Gather, places: &[Place]) -> anyhow::Result<()> {
        debug_assert!(places.len() <= self.shape.row_group);
        let leaves = self.columns.create_column_writers(self.groups)?;
        write_group(&mut self.writer, gather, leaves, places, self.shape.page, &mut self.zstd)?;
        self.groups += 1;
        self.rows += places.len();
        Ok(())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// On disk when this returns; its name is not. `new`: its rows were in no file before.
    pub(crate) fn finish(self, tags: &Tags, new: bool) -> anyhow::Result<Staged> {
        let FileWriter { disk, path, date, name, schema, mut writer, rows, .. } = self;
        let metadata = writer.finish()?;
        writer.inner_mut().sync()?;
        let modified = disk.modified(&path)?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut add = json!({
            "path": format!("date={date}/{name}"),
            "partitionValues": {"date": date.to_string()},
            "size": writer.bytes_written(),
            "modificationTime": modified.as_millis() as i64,
            "dataChange": new,
            "stats": statistics(&metadata, &schema, rows).to_string(),
        });
        tags.put(&mut add);
        Ok(Staged { aside: name, add })
    }
}

/// A column after the other, so that one is in memory at a time. `leaves`: writers of their own for columns that do not come in runs.
fn write_group(
    writer: &mut SerializedFileWriter<Box<dyn NewFile>>,
    gather: &Gather,
    leaves: Vec<ArrowColumnWriter>,
    places: &[Place],
    page: usize,
    zstd: &mut Zstd,
) -> anyhow::Result<()> {
    let slice = (SLICE_BYTES / gather.row_bytes().max(1)).clamp(1, SLICE);
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
                let statistics = properties.statistics_enabled(leaf.path());
                // A page that no range can leave out alone may as well be all there is.
                let by_page = statistics == EnabledStatistics::Page && !column.is_constant();
                let page = if by_page { page } else { rows };
                column.write(&mut group, Arc::clone(leaf), zstd, page, statistics)?;
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

fn properties(table: LakeTable, schema: &Schema, shape: Shape, rows: usize) -> anyhow::Result<WriterProperties> {
    let sorting = table.sort_columns().iter().filter_map(|name| {
        Some(SortingColumn { column_idx: leaf(schema, name)?, descending: false, nulls_first: true })
    });
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("catchment ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(shape.zstd)?))
        .set_max_row_group_row_count(Some(shape.row_group))
        .set_data_page_row_count_limit(shape.page_of(table))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_statistics_truncate_length(None)
        .set_sorting_columns(Some(sorting.collect()));
    for field in schema.fields() {
        let column = ColumnPath::from(field.name().as_str());
        if let Some(encoding) = encoding(field) {
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column.clone(), encoding)
                .set_column_data_page_size_limit(column.clone(), shape.bytes_of(field));
        }
        if !field.data_type().is_nested() && !NO_RANGE.contains(&field.name().as_str()) {
            let statistics = if by_page(table, field) { EnabledStatistics::Page } else { EnabledStatistics::Chunk };
            properties = properties.set_column_statistics_enabled(column.clone(), statistics);
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
pub(super) fn leaf(schema: &Schema, name: &str) -> Option<i32> {
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
