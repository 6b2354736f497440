//! Many sorted files become few: rows of one date in their table's order, whatever files they lie in.
//!
//! Bounded: of each input one batch is in memory, and of what is merged one row group.

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
/// A row group is written when this part of it, in percent, is there: what comes next is more than one row.
const FULL: usize = 90;

/// A file by another program, which may be in another order: its path in the table's folder.
#[derive(Debug, thiserror::Error)]
#[error("{0} was written by another program, and may be in another order")]
pub(crate) struct Foreign(pub(crate) String);

/// What to make of the files of one date.
pub(crate) struct Merge<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) table: LakeTable,
    pub(crate) schema: &'a SchemaRef,
    /// The table's folder.
    pub(crate) folder: &'a Path,
    pub(crate) aside: &'a Path,
    pub(crate) shape: Shape,
    /// Bytes at which a file ends and the next begins.
    pub(crate) target: u64,
    /// Of the files that come out.
    pub(crate) tags: Tags,
}

impl Merge<'_> {
    /// Rows for which `keep` says false are left out (`None`: all stay). Calls `pause` between steps; its error ends the
    /// work.
    pub(crate) fn run(
        &self,
        files: &[Arc<FileEntry>],
        keep: Option<&dyn Fn(&RecordBatch) -> anyhow::Result<RecordBatch>>,
        pause: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<Staged>> {
        let size = (IN_HAND / files.len().max(1)).max(SMALLEST_BATCH);
        let mut inputs = Vec::with_capacity(files.len());
        for file in files {
            inputs.push(Input::open(&self.folder.join(&file.path), self, size, keep)?);
        }
        let date = files.first().context("nothing to merge")?.date;
        let rows = files.iter().map(|file| file.rows as usize).sum::<usize>();
        let mut output =
            Output { merge: self, date, rows, pending: Vec::new(), count: 0, file: None, staged: Vec::new() };
        while let Some(bound) = inputs.iter().filter_map(Input::last).min().map(|key| key.to_owned()) {
            for input in &mut inputs {
                output.add(input.take_to(&bound)?);
            }
            if output.count >= self.shape.row_group * FULL / 100 {
                output.write()?;
                pause()?;
            }
            inputs.retain(|input| input.rows.is_some());
        }
        output.end()
    }
}

/// A file, and the batch of it that is not taken yet.
struct Input<'a> {
    file: FileRows,
    identity: &'static [&'static str],
    keep: Option<&'a dyn Fn(&RecordBatch) -> anyhow::Result<RecordBatch>>,
    /// `None`: it has ended.
    rows: Option<RecordBatch>,
}

impl<'a> Input<'a> {
    fn open(
        path: &Path,
        merge: &Merge,
        size: usize,
        keep: Option<&'a dyn Fn(&RecordBatch) -> anyhow::Result<RecordBatch>>,
    ) -> anyhow::Result<Input<'a>> {
        let file = FileRows::open(&**merge.disk, path, merge.schema, size)?;
        if !file.ours {
            let name = path.strip_prefix(merge.folder).unwrap_or(path);
            return Err(Foreign(name.to_string_lossy().into_owned()).into());
        }
        let mut input = Input { file, identity: merge.table.identity(), keep, rows: None };
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
struct Key<'a> {
    text: Option<&'a str>,
    ids: [Option<i64>; 2],
    ts: i64,
}

struct OwnedKey {
    text: Option<String>,
    ids: [Option<i64>; 2],
    ts: i64,
}

impl Key<'_> {
    fn to_owned(self) -> OwnedKey {
        OwnedKey { text: self.text.map(str::to_owned), ids: self.ids, ts: self.ts }
    }
}

impl OwnedKey {
    fn as_key(&self) -> Key<'_> {
        Key { text: self.text.as_deref(), ids: self.ids, ts: self.ts }
    }
}

/// The columns that a batch is sorted by.
struct Keys<'a> {
    text: &'a dyn Array,
    ids: [Option<&'a Int64Array>; 2],
    ts: &'a [i64],
}

impl<'a> Keys<'a> {
    fn of(rows: &'a RecordBatch, identity: &[&str]) -> Option<Keys<'a>> {
        let (text, ids) = identity.split_first()?;
        let id = |at: usize| ids.get(at).and_then(|name| int64(rows, name));
        Some(Keys { text: rows.column_by_name(text)?.as_ref(), ids: [id(0), id(1)], ts: ts(rows).ok()?.values() })
    }

    fn len(&self) -> usize {
        self.ts.len()
    }

    fn key(&self, row: usize) -> Key<'a> {
        let dictionary = self.text.as_dictionary_opt::<Int32Type>();
        let text = dictionary.filter(|column| !column.is_null(row)).map(|column| {
            let value = column.keys().value(row) as usize;
            column.values().as_string::<i32>().value(value)
        });
        let ids = self.ids.map(|column| column.filter(|column| !column.is_null(row)).map(|column| column.value(row)));
        Key { text, ids, ts: self.ts[row] }
    }
}

/// Rows that are merged and not written, and the file they go to.
struct Output<'a> {
    merge: &'a Merge<'a>,
    date: i32,
    rows: usize,
    pending: Vec<RecordBatch>,
    count: usize,
    file: Option<FileWriter>,
    staged: Vec<Staged>,
}

impl Output<'_> {
    fn add(&mut self, rows: Option<RecordBatch>) {
        self.count += rows.as_ref().map_or(0, RecordBatch::num_rows);
        self.pending.extend(rows);
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let Merge { disk, table, schema, shape, aside, target, tags, .. } = self.merge;
        let chunks = self.pending.iter().collect::<Vec<_>>();
        let Some(gather) = Gather::new(&chunks, table.identity()) else { return Ok(()) };
        let order = sorted(&gather, &chunks, table.identity())?;
        for rows in order.chunks(shape.row_group) {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => FileWriter::create(disk, *table, schema, self.date, self.rows, *shape, aside)?,
            };
            file.write(&gather, &rows.iter().map(|key| key.place).collect::<Vec<_>>())?;
            if file.bytes() >= *target {
                self.staged.push(file.finish(tags, false)?);
            } else {
                self.file = Some(file);
            }
        }
        self.pending.clear();
        self.count = 0;
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<Vec<Staged>> {
        self.write()?;
        if let Some(file) = self.file.take() {
            self.staged.push(file.finish(&self.merge.tags, false)?);
        }
        Ok(self.staged)
    }
}
