//! A file written anew without some of its rows.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::{filter_record_batch, not};
use arrow::record_batch::RecordBatch;

use super::merge::{Foreign, Source};
use super::{Maintainer, Operation};
use crate::files::{FileEntry, FileRows, Tags};
use crate::schema::LakeTable;
use crate::shared::Shared;

/// Rows judged at once.
const BATCH: usize = 65_536;
/// Rows of a file in an order of its own, which are sorted in memory.
const MOST_UNSORTED: u64 = 8_000_000;

/// Says which of these rows go.
pub(super) type Hits<'a> = &'a dyn Fn(&RecordBatch) -> anyhow::Result<BooleanArray>;

#[derive(Debug, thiserror::Error)]
#[error("{path} was written by another program and has {rows} rows: too many to sort here")]
pub(super) struct Unsorted {
    pub(super) path: String,
    pub(super) rows: u64,
}

/// Rows of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub(super) hits: u64,
    pub(super) all: u64,
}

impl Shared {
    /// Reads a file to its end.
    pub(super) fn look_through(&self, table: LakeTable, file: &FileEntry, hits: Hits) -> anyhow::Result<Found> {
        let (schema, folder) = (&self.layouts[table.index()].hot, self.path.join(table.name()));
        let mut found = Found::default();
        for rows in FileRows::open(&*self.disk, &folder.join(&file.path), schema, BATCH)? {
            self.pause()?;
            let rows = rows?;
            found.hits += hits(&rows)?.true_count() as u64;
            found.all += rows.num_rows() as u64;
        }
        Ok(found)
    }

    /// Puts files without those rows in the place of one; or none, when none is left. `tags`: of the new ones.
    pub(super) fn take_out(
        &self,
        maintainer: &mut Maintainer,
        table: LakeTable,
        file: &Arc<FileEntry>,
        hits: Hits,
        found: Found,
        tags: Tags,
    ) -> anyhow::Result<()> {
        self.pause()?;
        let (schema, folder) = (&self.layouts[table.index()].hot, self.path.join(table.name()));
        let aside = self.empty_aside()?;
        let one = std::slice::from_ref(file);
        let mut target = self.target(table, file.date, file.rows as usize, self.merged, tags, &aside);
        if found.hits < found.all {
            let keep = |rows: &RecordBatch| Ok(filter_record_batch(rows, &not(&hits(rows)?)?)?);
            let source = Source { disk: &self.disk, table, schema, folder: &folder, keep: Some(&keep) };
            let kept = source.in_order(one, self.merged.row_group, &mut |batches| {
                self.pause()?;
                target.write(&batches)
            });
            match kept {
                Ok(()) => {}
                Err(error) if error.is::<Foreign>() => {
                    if found.all > MOST_UNSORTED {
                        return Err(Unsorted { path: file.path.clone(), rows: found.all }.into());
                    }
                    let rows = FileRows::open(&*self.disk, &folder.join(&file.path), schema, BATCH)?;
                    let rows = rows.map(|rows| keep(&rows?)).collect::<anyhow::Result<Vec<_>>>()?;
                    target.write(&rows)?;
                }
                Err(error) => return Err(error),
            }
        }
        let staged = target.end()?;
        let replaced = self.replace(maintainer, &mut *self.settled_writer()?, table, one, staged, Operation::Delete)?;
        anyhow::ensure!(replaced, "another program has replaced {} meanwhile: try again", file.path);
        Ok(())
    }
}
