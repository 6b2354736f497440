//! The last point of every series of `metrics`, kept as rows are appended: what the table `latest` shows.
//!
//! A series whose last point is more than [`AGE`] older than the newest of all is not shown: that far files are read for it
//! after a restart, when someone asks first. 32 bytes a series. Blocks of series are shared with the queries that
//! look at them, and copied when a point comes meanwhile.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use hashbrown::HashMap;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::convert::{int64, ts};
use crate::disk::{self, Disk};
use crate::files::FileEntry;
use crate::schema::LakeTable;

/// Microseconds: a day.
pub(crate) const AGE: i64 = 86_400_000_000;
const BLOCK: usize = 4096;
/// Rows read from a file at once.
const ROWS: usize = 65_536;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) ts: i64,
    pub(crate) value: Option<Number>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Double(f64),
}

const NONE: Point = Point { ts: i64::MIN, value: None };

/// By the numbers of series in `SeriesRows`.
#[derive(Clone, Debug)]
pub(crate) struct Latest {
    blocks: Vec<Arc<[Point; BLOCK]>>,
    /// What an earlier run stored is in.
    loaded: bool,
    /// Where that is read.
    pub(crate) source: Source,
}

/// A lake's folder.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    disk: Arc<dyn Disk>,
    lake: Arc<Path>,
}

/// Points of lake rows of `metrics`: series, point.
pub(crate) fn points(rows: &RecordBatch) -> Option<impl Iterator<Item = (i64, Point)>> {
    let (ids, times) = (int64(rows, "series_id")?, ts(rows).ok()?);
    let ints = int64(rows, "value_int")?;
    let doubles = rows.column_by_name("value_double")?.as_primitive_opt::<Float64Type>()?;
    let point = move |row: usize| {
        let value = match (doubles.is_null(row), ints.is_null(row)) {
            (false, _) => Some(Number::Double(doubles.value(row))),
            (true, false) => Some(Number::Int(ints.value(row))),
            (true, true) => None,
        };
        (ids.value(row), Point { ts: times.value(row), value })
    };
    Some((0..rows.num_rows()).filter(|row| !ids.is_null(*row)).map(point))
}

impl Latest {
    /// `stored`: there are files of an earlier run.
    pub(crate) fn new(disk: Arc<dyn Disk>, lake: &Path, stored: bool) -> Latest {
        Latest { blocks: Vec::new(), loaded: !stored, source: Source { disk, lake: Arc::from(lake) } }
    }

    /// Of points at the same time, the one that came later.
    pub(crate) fn note(&mut self, series: u32, point: Point) {
        self.put(series, point, |old| old <= point.ts);
    }

    /// A point that was stored before any of [`Latest::note`].
    pub(crate) fn load(&mut self, series: u32, point: Point) {
        self.put(series, point, |old| old < point.ts);
    }

    fn put(&mut self, series: u32, point: Point, newer_than: impl Fn(i64) -> bool) {
        let (block, at) = (series as usize / BLOCK, series as usize % BLOCK);
        if block >= self.blocks.len() {
            self.blocks.resize_with(block + 1, || Arc::new([NONE; BLOCK]));
        }
        if newer_than(self.blocks[block][at].ts) {
            Arc::make_mut(&mut self.blocks[block])[at] = point;
        }
    }

    pub(crate) fn get(&self, series: u32) -> Option<Point> {
        let point = self.blocks.get(series as usize / BLOCK)?[series as usize % BLOCK];
        (point.ts != i64::MIN).then_some(point)
    }

    pub(crate) fn newest(&self) -> Option<i64> {
        let newest = self.blocks.iter().flat_map(|block| block.iter()).map(|point| point.ts).max();
        newest.filter(|ts| *ts != i64::MIN)
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Numbers of series mean the same in both: erasure makes a new catalog, which counts anew.
    pub(crate) fn counts_as(&self, other: &Latest) -> bool {
        Arc::ptr_eq(&self.source.lake, &other.source.lake)
    }

    pub(crate) fn set_loaded(&mut self) {
        self.loaded = true;
    }
}

/// The last point of every series within [`AGE`] of the newest, from files. Stops when it has seen `series` series and
/// no file left can hold a newer point of any. Takes its time: call it off the async threads.
pub(crate) fn read(source: &Source, files: &[Arc<FileEntry>], series: usize) -> anyhow::Result<HashMap<i64, Point>> {
    let last = |file: &FileEntry| file.span().last;
    let mut files = files.iter().map(|file| (last(file), file)).collect::<Vec<_>>();
    files.sort_by_key(|(last, _)| std::cmp::Reverse(*last));
    let oldest = files.first().map_or(i64::MIN, |(last, _)| last.saturating_sub(AGE));
    let mut found = HashMap::<i64, Point>::new();
    for (last, file) in files {
        let all = found.len() >= series && found.values().all(|point| point.ts > last);
        if all || last < oldest {
            break;
        }
        let path = source.lake.join(LakeTable::Rows(catchment_pipeline::batch::Table::Metrics).name()).join(&file.path);
        read_file(&*source.disk, &path, &mut found).with_context(|| format!("reading {}", path.display()))?;
    }
    Ok(found)
}

fn read_file(disk: &dyn Disk, path: &Path, found: &mut HashMap<i64, Point>) -> anyhow::Result<()> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(disk::Source::open(disk, path)?)?.with_batch_size(ROWS);
    let columns = ["ts", "series_id", "value_int", "value_double"];
    let columns = ProjectionMask::columns(reader.parquet_schema(), columns);
    for rows in reader.with_projection(columns).build()? {
        let rows = rows?;
        for (series, point) in points(&rows).context("columns are missing")? {
            let known = found.entry(series).or_insert(NONE);
            if known.ts <= point.ts {
                *known = point;
            }
        }
    }
    Ok(())
}
