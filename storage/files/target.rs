//! Where rows go: new files of one date, a row group at a time.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::order::{Key, sorted};
use super::{FileWriter, Shape, Staged, Tags};
use crate::disk::Disk;
use crate::gather::Gather;
use crate::schema::LakeTable;

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
    /// Rows that were in no file before.
    pub(crate) new: bool,
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
        self.write_sorted(&gather, &order)
    }

    /// The same, of rows that are in order already.
    pub(crate) fn write_sorted(&mut self, gather: &Gather, order: &[Key]) -> anyhow::Result<()> {
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
            file.write(gather, &rows.iter().map(|key| key.place).collect::<Vec<_>>())?;
            if file.bytes() >= self.bytes {
                self.output.staged.push(file.finish(&self.tags, self.new)?);
            } else {
                self.output.file = Some(file);
            }
        }
        Ok(())
    }

    pub(crate) fn end(mut self) -> anyhow::Result<Vec<Staged>> {
        if let Some(file) = self.output.file.take() {
            self.output.staged.push(file.finish(&self.tags, self.new)?);
        }
        Ok(self.output.staged)
    }
}
