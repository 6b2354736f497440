//! Many sorted files become few: rows of one date in their table's order, whatever files they lie in.
//!
//! Bounded: of each input the batch is in memory where it goes on, and of what is merged as much as is handed on at once.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::convert::{int64, ts};
use crate::disk::Disk;
use crate::files::{FileEntry, FileRows};
use crate::schema::LakeTable;

/// Rows of all inputs' batches together.
const IN_HAND: usize = 65_536;
const SMALLEST_BATCH: usize = 1024;

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
        loop {
            // Whoever is behind is read on: what comes before the last rows of all is whole then, and as much as is wanted.
            while inputs.iter().map(|input| input.count).sum::<usize>() < rows {
                let Some(behind) = behind(&mut inputs) else { break };
                behind.read()?;
            }
            let bound = behind(&mut inputs).and_then(|input| input.last.clone());
            let mut batches = Vec::new();
            inputs.iter_mut().try_for_each(|input| input.take_to(bound.as_ref(), &mut batches))?;
            each(batches)?;
            if bound.is_none() {
                return Ok(());
            }
        }
    }
}

/// Of files that go on, the one whose rows in hand end first.
fn behind<'a, 'b>(inputs: &'a mut [Input<'b>]) -> Option<&'a mut Input<'b>> {
    inputs.iter_mut().filter(|input| !input.ended).min_by(|a, b| a.last.cmp(&b.last))
}

/// A file, and the batches of it that are not taken yet.
struct Input<'a> {
    file: FileRows,
    identity: &'static [&'static str],
    keep: Option<Keep<'a>>,
    batches: VecDeque<RecordBatch>,
    /// Rows in `batches`.
    count: usize,
    /// Of the last row that was read.
    last: Option<OwnedKey>,
    ended: bool,
}

impl<'a> Input<'a> {
    fn open(source: &Source<'a>, file: &FileEntry, size: usize) -> anyhow::Result<Input<'a>> {
        let rows = FileRows::open(&**source.disk, &source.folder.join(&file.path), source.schema, size)?;
        if !rows.ours {
            return Err(Foreign(file.path.clone()).into());
        }
        let mut input = Input {
            file: rows,
            identity: source.table.identity(),
            keep: source.keep,
            batches: VecDeque::new(),
            count: 0,
            last: None,
            ended: false,
        };
        input.read()?;
        Ok(input)
    }

    /// The next batch that has rows.
    fn read(&mut self) -> anyhow::Result<()> {
        while let Some(rows) = self.file.next().transpose()? {
            let rows = self.keep.map_or(Ok(rows.clone()), |keep| keep(&rows))?;
            if rows.num_rows() > 0 {
                let keys = Keys::of(&rows, self.identity).context(NO_ORDER)?;
                self.last = Some(keys.key(keys.len() - 1).to_owned());
                self.count += rows.num_rows();
                self.batches.push_back(rows);
                return Ok(());
            }
        }
        self.ended = true;
        Ok(())
    }

    /// Its rows up to the bound (`None`: all), of those in hand.
    fn take_to(&mut self, bound: Option<&OwnedKey>, taken: &mut Vec<RecordBatch>) -> anyhow::Result<()> {
        while let Some(rows) = self.batches.pop_front() {
            let fits = match bound {
                Some(bound) => Keys::of(&rows, self.identity).context(NO_ORDER)?.up_to(&bound.as_key()),
                None => rows.num_rows(),
            };
            self.count -= fits;
            if fits == rows.num_rows() {
                taken.push(rows);
                continue;
            }
            if fits > 0 {
                taken.push(rows.slice(0, fits));
            }
            self.batches.push_front(rows.slice(fits, rows.num_rows() - fits));
            break;
        }
        Ok(())
    }
}

const NO_ORDER: &str = "rows without the columns they are sorted by";

/// What a row is sorted by; NULL comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a> {
    text: Option<&'a str>,
    ids: [Option<i64>; 2],
    ts: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    /// How many rows come first that are not after this.
    fn up_to(&self, bound: &Key) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle) <= *bound {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
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
