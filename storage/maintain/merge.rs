//! Many sorted files become few: rows of one date in their table's order, whatever files they lie in.
//!
//! Bounded: of each input one batch is in memory, and of what is merged as much as is handed on at once.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::convert::{int64, ts};
use crate::disk::Disk;
use crate::files::{FileEntry, FileRows, FileWriter, Shape, Staged, Tags, sorted};
use crate::gather::Gather;
use crate::schema::LakeTable;

/// Rows of all inputs' batches together.
const IN_HAND: usize = 65_536;
const SMALLEST_BATCH: usize = 1024;
/// Rows are handed on when this part of what is wanted at once, in percent, is there: what comes next is more than one row.
const FULL: usize = 90;

/// A file by another program, which may be in another order: its path in the table's folder.
#[derive(Debug, thiserror::Error)]
#[error("{0} was written by another program, and may be in another order")]
pub(crate) struct Foreign(pub(crate) String);

/// Chooses among rows as they are read.
pub(crate) type Keep<'a> = &'a dyn Fn(&RecordBatch) -> anyhow::Result<RecordBatch>;

/// Where rows come from: files of one table.
pub(crate) struct Source<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) table: LakeTable,
    /// The columns wanted, those among them that the table is sorted by.
    pub(crate) schema: &'a SchemaRef,
    /// The table's folder.
    pub(crate) folder: &'a Path,
    pub(crate) keep: Option<Keep<'a>>,
}

impl Source<'_> {
    /// All rows of files of one date, in batches which together have about so many rows; what comes in one call is before what comes in
    /// the next, and not in order within.
    pub(crate) fn in_order(
        &self,
        files: &[Arc<FileEntry>],
        rows: usize,
        each: &mut dyn FnMut(Vec<RecordBatch>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let size = (IN_HAND / files.len().max(1)).max(SMALLEST_BATCH);
        let inputs = files.iter().map(|file| Input::open(self, file, size));
        let mut inputs = inputs.collect::<anyhow::Result<Vec<_>>>()?;
        let (mut batches, mut count) = (Vec::new(), 0);
        while let Some(bound) = inputs.iter().filter_map(Input::last).min().map(|key| key.to_owned()) {
            for input in &mut inputs {
                let taken = input.take_to(&bound)?;
                count += taken.as_ref().map_or(0, RecordBatch::num_rows);
                batches.extend(taken);
            }
            if count >= rows * FULL / 100 {
                each(std::mem::take(&mut batches))?;
                count = 0;
            }
            inputs.retain(|input| input.rows.is_some());
        }
        each(batches)
    }
}

/// A file, and the batch of it that is not taken yet.
struct Input<'a> {
    file: FileRows,
    identity: &'static [&'static str],
    keep: Option<Keep<'a>>,
    /// `None`: it has ended.
    rows: Option<RecordBatch>,
}

impl<'a> Input<'a> {
    fn open(source: &Source<'a>, file: &FileEntry, size: usize) -> anyhow::Result<Input<'a>> {
        let rows = FileRows::open(&**source.disk, &source.folder.join(&file.path), source.schema, size)?;
        if !rows.ours {
            return Err(Foreign(file.path.clone()).into());
        }
        let mut input = Input { file: rows, identity: source.table.identity(), keep: source.keep, rows: None };
        input.next()?;
        Ok(input)
    }

    /// The next batch that has rows.
    fn next(&mut self) -> anyhow::Result<()> {
        self.rows = None;
        while let Some(rows) = self.file.next().transpose()? {
            let rows = self.keep.map_or(Ok(rows.clone()), |keep| keep(&rows))?;
            if rows.num_rows() > 0 {
                self.rows = Some(rows);
                break;
            }
        }
        Ok(())
    }

    fn last(&self) -> Option<Key<'_>> {
        let keys = Keys::of(self.rows.as_ref()?, self.identity)?;
        Some(keys.key(keys.len() - 1))
    }

    /// Its rows up to the bound, of the batch in hand.
    fn take_to(&mut self, bound: &OwnedKey) -> anyhow::Result<Option<RecordBatch>> {
        let Some(rows) = self.rows.take() else { return Ok(None) };
        let keys = Keys::of(&rows, self.identity).context("rows without the columns they are sorted by")?;
        let (mut low, mut high) = (0, keys.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match keys.key(middle) <= bound.as_key() {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        if low == rows.num_rows() {
            self.next()?;
            return Ok(Some(rows));
        }
        self.rows = Some(rows.slice(low, rows.num_rows() - low));
        Ok((low > 0).then(|| rows.slice(0, low)))
    }
}

/// What a row is sorted by; NULL comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a> {
    text: Option<&'a str>,
    ids: [Option<i64>; 2],
    ts: i64,
}

pub(super) struct OwnedKey {
    text: Option<String>,
    ids: [Option<i64>; 2],
    ts: i64,
}

impl Key<'_> {
    pub(super) fn to_owned(self) -> OwnedKey {
        OwnedKey { text: self.text.map(str::to_owned), ids: self.ids, ts: self.ts }
    }
}

impl OwnedKey {
    pub(super) fn as_key(&self) -> Key<'_> {
        Key { text: self.text.as_deref(), ids: self.ids, ts: self.ts }
    }
}

/// The columns that a batch is sorted by.
pub(super) struct Keys<'a> {
    text: &'a dyn Array,
    ids: [Option<&'a Int64Array>; 2],
    ts: &'a [i64],
}

impl<'a> Keys<'a> {
    pub(super) fn of(rows: &'a RecordBatch, identity: &[&str]) -> Option<Keys<'a>> {
        let (text, ids) = identity.split_first()?;
        let id = |at: usize| ids.get(at).and_then(|name| int64(rows, name));
        Some(Keys { text: rows.column_by_name(text)?.as_ref(), ids: [id(0), id(1)], ts: ts(rows).ok()?.values() })
    }

    pub(super) fn len(&self) -> usize {
        self.ts.len()
    }

    pub(super) fn key(&self, row: usize) -> Key<'a> {
        let dictionary = self.text.as_dictionary_opt::<Int32Type>();
        let text = dictionary.filter(|column| !column.is_null(row)).map(|column| {
            let value = column.keys().value(row) as usize;
            column.values().as_string::<i32>().value(value)
        });
        let ids = self.ids.map(|column| column.filter(|column| !column.is_null(row)).map(|column| column.value(row)));
        Key { text, ids, ts: self.ts[row] }
    }
}

/// Where rows go: new files of one date.
pub(crate) struct Target<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) table: LakeTable,
    pub(crate) schema: &'a SchemaRef,
    pub(crate) aside: &'a Path,
    pub(crate) date: i32,
    /// About how many there will be.
    pub(crate) rows: usize,
    pub(crate) shape: Shape,
    /// Bytes at which a file ends and the next begins.
    pub(crate) bytes: u64,
    pub(crate) tags: Tags,
    pub(crate) output: Output,
}

/// What is written.
#[derive(Default)]
pub(crate) struct Output {
    file: Option<FileWriter>,
    staged: Vec<Staged>,
}

impl Target<'_> {
    /// Rows that come after all that were written, in any order among themselves.
    pub(crate) fn write(&mut self, batches: &[RecordBatch]) -> anyhow::Result<()> {
        let chunks = batches.iter().collect::<Vec<_>>();
        let Some(gather) = Gather::new(&chunks, self.table.identity()) else { return Ok(()) };
        let order = sorted(&gather, &chunks, self.table.identity())?;
        for rows in order.chunks(self.shape.row_group) {
            let mut file = match self.output.file.take() {
                Some(file) => file,
                None => FileWriter::create(
                    self.disk,
                    self.table,
                    self.schema,
                    self.date,
                    self.rows,
                    self.shape,
                    self.aside,
                )?,
            };
            file.write(&gather, &rows.iter().map(|key| key.place).collect::<Vec<_>>())?;
            if file.bytes() >= self.bytes {
                self.output.staged.push(file.finish(&self.tags, false)?);
            } else {
                self.output.file = Some(file);
            }
        }
        Ok(())
    }

    pub(crate) fn end(mut self) -> anyhow::Result<Vec<Staged>> {
        if let Some(file) = self.output.file.take() {
            self.output.staged.push(file.finish(&self.tags, false)?);
        }
        Ok(self.output.staged)
    }
}
